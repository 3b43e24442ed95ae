/*
 * A session's questions: each waits until the worker stands between two slices, and passes the
 * question on to the backend. What the session knows itself (its state, breakpoints, numbers as
 * addresses) it adds. See hv/backend.h for what a missing function means.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/dev/disk.h"
#include "hv/session_priv.h"

/* ---- status and registers ----------------------------------------------------------------- */

void session_status(struct session *s, struct view_status *out)
{
    session_enter(s);
    *out = (struct view_status){
        .state = s->state,
        .stop = s->stop,
        .exit_code = s->exit_code,
        .watch_address = s->watch_address,
        .watch_access = s->watch_access,
        .stops = s->stops,
        .vcpus = 1,
        .mips = s->mips,
    };
    const char *guest = session_guest_name(&s->config);
    snprintf(out->text, sizeof out->text, "%s", s->text);
    snprintf(out->guest, sizeof out->guest, "%.*s", VIEW_FILE - 1, guest);
    s->ops->status(s->backend, out);
    session_leave(s);
}

void session_view_hart(struct session *s, enum view_hart_kind kind, struct view_hart *out)
{
    memset(out, 0, sizeof *out);
    out->kind = kind;
    session_enter(s);
    if (s->ops->view_hart)
        s->ops->view_hart(s->backend, kind, out);
    session_leave(s);
}

void session_view_registers(struct session *s, struct view_registers *out)
{
    memset(out, 0, sizeof *out);
    session_enter(s);
    if (s->ops->view_registers)
        s->ops->view_registers(s->backend, out);
    session_leave(s);
}

int session_write_register(struct session *s, int number, uint32_t value)
{
    session_enter(s);
    int error = session_changeable(s);
    if (!error)
        error =
            s->ops->write_register ? s->ops->write_register(s->backend, number, value) : -ENOTSUP;
    session_leave(s);
    return error;
}

int session_write_register64(struct session *s, const char *name, uint64_t value)
{
    session_enter(s);
    int error = session_changeable(s);
    if (!error)
        error = s->ops->write_register64 ? s->ops->write_register64(s->backend, name, value)
                                         : -ENOTSUP;
    session_leave(s);
    return error;
}

int session_write_csr(struct session *s, uint16_t number, uint32_t value)
{
    session_enter(s);
    int error = session_changeable(s);
    if (!error)
        error = s->ops->write_csr ? s->ops->write_csr(s->backend, number, value) : -ENOTSUP;
    session_leave(s);
    return error;
}

int session_set_engine(struct session *s, const char *name)
{
    session_enter(s); /* between two slices: at an instruction's boundary */
    int error = s->ops->set_engine ? s->ops->set_engine(s->backend, name) : -ENOTSUP;
    session_leave(s);
    return error;
}

/* ---- memory ------------------------------------------------------------------------------- */

void session_view_memory(struct session *s, bool physical, uint64_t address, uint32_t length,
                         struct view_memory *out)
{
    memset(out, 0, sizeof *out);
    out->address = address;
    out->length = length < sizeof out->data ? length : sizeof out->data;
    session_enter(s);
    if (s->ops->view_memory)
        s->ops->view_memory(s->backend, physical, out);
    session_leave(s);
}

void session_view_dirty(struct session *s, struct view_dirty *out)
{
    memset(out, 0, sizeof *out);
    session_enter(s);
    if (s->ops->view_dirty)
        s->ops->view_dirty(s->backend, out);
    session_leave(s);
}

void session_view_timeline(struct session *s, struct view_timeline *out)
{
    memset(out, 0, sizeof *out);
    session_enter(s);
    if (s->ops->view_timeline)
        s->ops->view_timeline(s->backend, out);
    session_leave(s);
}

void session_view_layers(struct session *s, bool disk, uint64_t address, struct view_layers *out)
{
    memset(out, 0, sizeof *out);
    out->disk = disk;
    out->address = address;
    out->page = address & ~(uint64_t)4095;
    session_enter(s);
    if (s->ops->view_layers)
        s->ops->view_layers(s->backend, out);
    session_leave(s);
}

int session_write_memory(struct session *s, bool physical, uint64_t address, const uint8_t *bytes,
                         uint32_t length)
{
    session_enter(s);
    int error = session_changeable(s);
    if (!error)
        error = s->ops->write_memory
                    ? s->ops->write_memory(s->backend, physical, address, bytes, length)
                    : -ENOTSUP;
    session_leave(s);
    return error;
}

/* ---- disassembly -------------------------------------------------------------------------- */

static bool has_execute_point(const struct session *s, uint64_t va)
{
    for (int i = 0; i < s->point_count; i++) {
        const struct session_break *p = &s->points[i];
        uint32_t length = p->length ? p->length : 1;
        if (p->kind & BREAK_EXECUTE && !p->physical && va - p->address < length)
            return true;
    }
    return false;
}

static void mark_points(const struct session *s, struct view_insn *insn, int count)
{
    for (int i = 0; i < count; i++)
        insn[i].breakpoint = has_execute_point(s, insn[i].va);
}

int session_disassemble(struct session *s, uint64_t va, struct view_insn *out, int count)
{
    session_enter(s);
    int n = s->ops->disassemble ? s->ops->disassemble(s->backend, va, out, count) : 0;
    mark_points(s, out, n);
    session_leave(s);
    return n;
}

int session_disassemble_pc(struct session *s, int before, struct view_insn *out, int count)
{
    session_enter(s);
    int n = s->ops->disassemble_pc ? s->ops->disassemble_pc(s->backend, before, out, count) : 0;
    mark_points(s, out, n);
    session_leave(s);
    return n;
}

/* ---- translation -------------------------------------------------------------------------- */

void session_translate(struct session *s, uint64_t va, char access, struct view_translation *out)
{
    memset(out, 0, sizeof *out);
    out->va = va;
    out->access = access;
    session_enter(s);
    if (s->ops->translate)
        s->ops->translate(s->backend, va, access, out);
    session_leave(s);
}

void session_last_access(struct session *s, uint64_t *va, char *access)
{
    struct view_insn insn;
    *va = 0;
    *access = 'x';
    session_enter(s);
    if (s->ops->last_access)
        s->ops->last_access(s->backend, va, access);
    else if (s->ops->disassemble_pc && s->ops->disassemble_pc(s->backend, 0, &insn, 1) == 1)
        *va = insn.va;
    session_leave(s);
}

bool session_last_disk_access(struct session *s, uint64_t *byte, char *access)
{
    session_enter(s);
    struct disk *disk = s->ops->disk_image ? s->ops->disk_image(s->backend) : NULL;
    *byte = 0;
    *access = disk ? disk_last_access(disk, byte) : 0;
    *byte *= DISK_SECTOR;
    session_leave(s);
    return *access;
}

void session_view_table(struct session *s, enum view_table_kind kind, struct view_table *out)
{
    out->kind = kind;
    out->present = false;
    out->truncated = false;
    out->count = 0;
    out->root_pa = 0;
    out->isa = ISA_RV32;
    out->levels = 0;
    session_enter(s);
    if (s->ops->view_table)
        s->ops->view_table(s->backend, kind, out);
    session_leave(s);
}

void session_view_tlb(struct session *s, struct view_tlb *out)
{
    memset(out, 0, sizeof *out);
    session_enter(s);
    if (s->ops->view_tlb)
        s->ops->view_tlb(s->backend, out);
    session_leave(s);
}

/* ---- exits and devices -------------------------------------------------------------------- */

int session_exits(struct session *s, uint64_t after, struct view_exit *out, int max)
{
    session_enter(s);
    int count = s->ops->exits ? s->ops->exits(s->backend, after, out, max) : 0;
    session_leave(s);
    return count;
}

void session_exit_stats(struct session *s, struct view_exit_stats *out)
{
    memset(out, 0, sizeof *out);
    session_enter(s);
    if (s->ops->exit_stats)
        s->ops->exit_stats(s->backend, out);
    session_leave(s);
}

void session_view_devices(struct session *s, struct view_devices *out)
{
    memset(out, 0, sizeof *out);
    session_enter(s);
    if (s->ops->view_devices)
        s->ops->view_devices(s->backend, out);
    session_leave(s);
}

/* ---- digests, symbols, signature ---------------------------------------------------------- */

uint64_t session_digest(struct session *s)
{
    session_enter(s);
    uint64_t digest = s->ops->digest ? s->ops->digest(s->backend) : 0;
    session_leave(s);
    return digest;
}

uint64_t session_digest_all(struct session *s)
{
    session_enter(s);
    uint64_t digest = s->ops->digest_all ? s->ops->digest_all(s->backend) : 0;
    session_leave(s);
    return digest;
}

int session_lookup(struct session *s, const char *name, uint64_t *address)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(name, &end, 0);
    if (*name >= '0' && *name <= '9' && !*end) {
        uint64_t max = s->ops->address_max ? s->ops->address_max : UINT64_MAX;
        *address = number;
        return errno || number > max ? -ENOENT : 0;
    }
    session_enter(s);
    int error = s->ops->lookup ? s->ops->lookup(s->backend, name, address) : -ENOENT;
    session_leave(s);
    return error;
}

bool session_symbol(struct session *s, uint64_t address, char *out, size_t size)
{
    out[0] = '\0';
    session_enter(s);
    bool known = s->ops->symbol && s->ops->symbol(s->backend, address, out, size);
    session_leave(s);
    return known;
}

int session_write_signature(struct session *s, const char *path)
{
    session_enter(s);
    int error = s->ops->write_signature ? s->ops->write_signature(s->backend, path) : -ENOTSUP;
    session_leave(s);
    return error;
}
