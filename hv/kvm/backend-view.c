/*
 * The KVM backend: questions about registers, code, translation and memory.
 *
 * All vCPUs are parked. What is handed out are copies; nothing here changes the guest, but for the
 * functions that write. Exits, devices and the status are in backend-exits.c.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/rv.h" /* the bits of permissions in views */
#include "hv/kvm/backend_priv.h"

bool kvm_backend_look(struct kvm_backend *b, struct kvm_look *look)
{
    if (kvm_cpu_state_get(b->vm.vcpu[b->vcpu].fd, &look->cpu))
        return false;
    kvm_code_of(&look->code, &b->vm.memory, &look->cpu.regs, &look->cpu.sregs, b->width);
    return true;
}

/* ---- registers ------------------------------------------------------------------------------ */

static void fill_register(const struct kvm_backend *b, const struct kvm_register *r,
                          struct view_register *out)
{
    struct kvm_register before;
    *out = (struct view_register){.bits = (uint16_t)r->bits, .value = r->value, .high = r->high};
    snprintf(out->name, sizeof out->name, "%s", r->name);
    snprintf(out->group, sizeof out->group, "%s", kvm_register_group_name(r->group));
    snprintf(out->text, sizeof out->text, "%s", r->text);
    if (b->has_before && kvm_register_read(&b->before, r->name, &before))
        out->changed = before.value != r->value || before.high != r->high;
}

void kvm_backend_view_registers(void *self, struct view_registers *out)
{
    struct kvm_backend *b = self;
    struct kvm_look look;
    struct kvm_register *list = calloc(KVM_REGISTERS_MAX, sizeof *list);
    if (list && kvm_backend_look(b, &look)) {
        kvm_mode_text(&look.cpu.regs, &look.cpu.sregs, out->mode, sizeof out->mode);
        int count = kvm_registers_list(&look.cpu, list, KVM_REGISTERS_MAX);
        for (int i = 0; i < count && i < VIEW_REGISTERS; i++)
            fill_register(b, &list[i], &out->reg[out->count++]);
    }
    free(list);
}

int kvm_backend_write_register64(void *self, const char *name, uint64_t value)
{
    struct kvm_backend *b = self;
    struct kvm_cpu_state cpu;
    struct kvm_register now;
    int fd = b->vm.vcpu[b->vcpu].fd;
    if (kvm_cpu_state_get(fd, &cpu) || !kvm_register_read(&cpu, name, &now))
        return -ENOENT;
    int error = kvm_register_write(&cpu, name, value, now.high);
    if (!error)
        error = kvm_cpu_state_set(fd, &cpu);
    return error == -ENOENT ? error : error ? -EINVAL : 0;
}

/* ---- code ----------------------------------------------------------------------------------- */

static void fill_insn(struct kvm_backend *b, const struct kvm_insn *i, struct view_insn *out)
{
    *out = (struct view_insn){
        .va = i->va,
        .length = i->length,
        .readable = i->readable,
        .sensitive = i->sensitivity == KVM_INSN_PRIVILEGED || i->sensitivity == KVM_INSN_EXITS,
    };
    if (i->readable)
        memcpy(out->bytes, i->bytes, i->length < sizeof out->bytes ? i->length : sizeof out->bytes);
    memcpy(&out->word, out->bytes, sizeof out->word);
    snprintf(out->text, sizeof out->text, "%s", i->text);
    snprintf(out->meaning, sizeof out->meaning, "%s", i->why);
    const char *file;
    out->symbol_start = symbols_text(b->symbols, i->va, out->symbol, sizeof out->symbol);
    if (b->symbols && symbols_line(b->symbols, i->va, &file, &out->line))
        snprintf(out->file, sizeof out->file, "%s", file);
    else
        out->line = 0;
}

int kvm_backend_disassemble(void *self, uint64_t va, struct view_insn *out, int count)
{
    struct kvm_backend *b = self;
    struct kvm_look look;
    int done = 0;
    if (!kvm_backend_look(b, &look))
        return 0;
    while (done < count) {
        struct kvm_insn insn[16];
        int wanted = count - done < 16 ? count - done : 16;
        int got = kvm_disassemble(b->disasm, &look.code, va, insn, wanted);
        for (int i = 0; i < got; i++)
            fill_insn(b, &insn[i], &out[done++]);
        if (got < wanted)
            break;
        va = insn[got - 1].va + insn[got - 1].length;
    }
    return done;
}

int kvm_backend_disassemble_pc(void *self, int before, struct view_insn *out, int count)
{
    enum { AROUND_MAX = 256 };
    struct kvm_backend *b = self;
    struct kvm_look look;
    if (count > AROUND_MAX)
        count = AROUND_MAX;
    struct kvm_insn *insn = calloc(AROUND_MAX, sizeof *insn);
    int got = 0;
    if (insn && kvm_backend_look(b, &look)) {
        uint64_t offset = 0, pc = look.code.pc;
        uint64_t known = b->symbols && symbols_at(b->symbols, pc, &offset) ? pc - offset : 0;
        got =
            kvm_disassemble_around(b->disasm, &look.code, look.code.pc, known, before, insn, count);
    }
    for (int i = 0; i < got; i++)
        fill_insn(b, &insn[i], &out[i]);
    free(insn);
    return got;
}

/* ---- translation ---------------------------------------------------------------------------- */

static uint32_t rights(bool writable, bool executable, bool user, bool global)
{
    return PTE_V | PTE_R | (writable ? PTE_W : 0) | (executable ? PTE_X : 0) | (user ? PTE_U : 0) |
           (global ? PTE_G : 0);
}

/* What an entry says by itself. */
static uint32_t entry_flags(const struct kvm_walk_step *s, bool nxe)
{
    if (!(s->entry & X86_PTE_P))
        return 0;
    uint32_t flags = rights(s->entry & X86_PTE_RW, !(nxe && s->entry_size == 8 && s->entry >> 63),
                            s->entry & X86_PTE_US, s->leaf && s->entry & X86_PTE_G);
    flags |= s->entry & X86_PTE_A ? PTE_A : 0;
    return flags | (s->leaf && s->entry & X86_PTE_D ? PTE_D : 0);
}

static void fill_step(const struct kvm_walk *walk, int n, bool nxe, struct view_walk_step *out)
{
    const struct kvm_walk_step *s = &walk->step[n];
    *out = (struct view_walk_step){
        .level = (uint8_t)(s->level - 1),
        .table_pa = s->table,
        .index = s->index,
        .pte_pa = s->at,
        .pte = s->entry,
        .pte_new = s->entry,
        .leaf = s->leaf,
        .entry_bytes = s->entry_size,
        .flags = entry_flags(s, nxe),
    };
    if (n + 1 < walk->steps)
        out->next_pa = walk->step[n + 1].table;
    else if (walk->ok)
        out->next_pa = walk->pa & ~(walk->page_size - 1);
}

static void name_fault(const struct kvm_walk *walk, struct view_walk *out)
{
    if (walk->vector == X86_PF)
        snprintf(out->fault, sizeof out->fault, "#PF, error code 0x%x", walk->error_code);
    else if (walk->vector == X86_GP)
        snprintf(out->fault, sizeof out->fault, "#GP");
    else
        snprintf(out->fault, sizeof out->fault, "impossible");
    snprintf(out->why, sizeof out->why, "%.*s", (int)sizeof out->why - 1, walk->why);
}

static void fill_walk(const struct kvm_look *look, const struct kvm_walk *walk, uint64_t va,
                      struct view_walk *out)
{
    const struct kvm_paging *paging = &look->code.paging;
    *out = (struct view_walk){
        .present = true,
        .bare = paging->mode == KVM_PAGING_OFF,
        .ok = walk->ok,
        .va = va,
        .pa = walk->pa,
        .root_pa = paging->cr3 & ~0xfffull,
        .asid = look->cpu.sregs.cr4 >> 17 & 1 ? (uint16_t)(paging->cr3 & 0xfff) : 0, /* CR4.PCIDE */
        .mode = !walk->user,
        .access = walk->access,
        .step_count = walk->steps,
        .page_size = (uint32_t)walk->page_size,
    };
    for (int i = 0; i < walk->steps && i < VIEW_WALK_STEPS; i++)
        fill_step(walk, i, paging->nxe, &out->step[i]);
    if (!walk->ok) {
        name_fault(walk, out);
        return;
    }
    out->permissions =
        rights(walk->writable, walk->executable, walk->user_page, walk->global) & ~PTE_V;
    out->permissions |= walk->leaf & X86_PTE_A ? PTE_A : 0;
    out->permissions |= walk->leaf & X86_PTE_D ? PTE_D : 0;
}

/* The second column: the slot that holds the page. "Host-physical" is this program's address of it,
 * which is all that a program can know. */
static void fill_map(const struct kvm_backend *b, const struct view_walk *guest,
                     struct view_walk *out)
{
    const uint8_t *at = guest->ok ? kvm_memory_at(&b->vm.memory, guest->pa, 1) : NULL;
    *out = (struct view_walk){
        .present = guest->ok, .ok = at, .va = guest->pa, .access = guest->access};
    if (at) {
        out->pa = (uintptr_t)at;
        out->page_size = KVM_PAGE;
        out->permissions = PTE_R | PTE_W | PTE_X | PTE_U;
    } else if (guest->ok) {
        const struct device *d =
            guest->pa <= UINT32_MAX ? bus_find(&b->vm.mmio, (uint32_t)guest->pa) : NULL;
        snprintf(out->fault, sizeof out->fault, "exit: MMIO");
        snprintf(out->why, sizeof out->why, "no memory slot: %s",
                 d ? d->name : "KVM's interrupt controllers, or nobody");
    }
}

void kvm_backend_translate(void *self, uint64_t va, char access, struct view_translation *out)
{
    struct kvm_backend *b = self;
    struct kvm_look look;
    if (!kvm_backend_look(b, &look))
        return;
    out->isa = ISA_X86;
    out->levels = (uint8_t)kvm_paging_levels(look.code.paging.mode);
    struct kvm_walk walk = {.access = access, .user = look.code.paging.user};
    kvm_walk(&look.code.paging, &b->vm.memory, va, &walk);
    fill_walk(&look, &walk, va, &out->guest);
    fill_map(b, &out->guest, &out->map);
}

static bool add_region(struct view_table *out, const struct view_region *region)
{
    out->truncated = out->count == VIEW_REGIONS;
    if (!out->truncated)
        out->region[out->count++] = *region;
    return !out->truncated;
}

static void view_map(const struct kvm_backend *b, struct view_table *out)
{
    const struct kvm_memory *m = &b->vm.memory;
    const uint32_t all = PTE_R | PTE_W | PTE_X | PTE_U;
    out->present = true;
    add_region(out, &(struct view_region){0, (uintptr_t)m->host, m->low, all, KVM_PAGE});
    if (m->size > m->low)
        add_region(out, &(struct view_region){KVM_HIGH_BASE, (uintptr_t)m->host + m->low,
                                              m->size - m->low, all, KVM_PAGE});
    if (b->vm.rom)
        add_region(out, &(struct view_region){KVM_HIGH_BASE - b->vm.rom_size, (uintptr_t)b->vm.rom,
                                              b->vm.rom_size, PTE_R | PTE_X | PTE_U, KVM_PAGE});
}

static void view_guest_table(struct kvm_backend *b, struct view_table *out)
{
    enum { AT_ONCE = 64, CALLS = 256 };
    struct kvm_look look;
    struct kvm_region region[AT_ONCE];
    uint64_t next = 0;
    if (!kvm_backend_look(b, &look))
        return;
    out->present = true;
    out->levels = (uint8_t)kvm_paging_levels(look.code.paging.mode);
    out->root_pa = look.code.paging.cr3 & ~0xfffull;
    for (int calls = 0; calls < CALLS && (calls == 0 || next) && !out->truncated; calls++) {
        int count =
            kvm_walk_regions(&look.code.paging, &b->vm.memory, next, region, AT_ONCE, &next);
        for (int i = 0; i < count; i++)
            if (!add_region(out, &(struct view_region){
                                     .va = region[i].va,
                                     .pa = region[i].pa,
                                     .size = region[i].size,
                                     .permissions = rights(region[i].writable, region[i].executable,
                                                           region[i].user, region[i].global) &
                                                    ~PTE_V,
                                     .page_size = (uint32_t)region[i].page_size}))
                return;
    }
    out->truncated = out->truncated || next;
}

void kvm_backend_view_table(void *self, enum view_table_kind kind, struct view_table *out)
{
    out->isa = ISA_X86;
    if (kind == VIEW_GUEST_TABLE)
        view_guest_table(self, out);
    else if (kind == VIEW_MAP)
        view_map(self, out);
}

/* ---- memory --------------------------------------------------------------------------------- */

/* Page by page: some may be there and others not. */
void kvm_backend_view_memory(void *self, bool physical, struct view_memory *out)
{
    struct kvm_backend *b = self;
    struct kvm_look look;
    if (!physical && !kvm_backend_look(b, &look))
        return;
    for (uint32_t at = 0; at < out->length;) {
        uint64_t address = out->address + at;
        uint32_t part = KVM_PAGE - (uint32_t)(address % KVM_PAGE);
        if (part > out->length - at)
            part = out->length - at;
        bool there = physical ? kvm_memory_read(&b->vm.memory, address, out->data + at, part)
                              : kvm_walk_read(&look.code.paging, &b->vm.memory, address,
                                              out->data + at, part) == part;
        for (uint32_t i = at; there && i < at + part; i++)
            out->valid[i / 8] |= (uint8_t)(1 << i % 8);
        at += part;
    }
}

int kvm_backend_write_memory(void *self, bool physical, uint64_t address, const uint8_t *bytes,
                             uint32_t length)
{
    struct kvm_backend *b = self;
    struct kvm_look look;
    if (physical)
        return kvm_memory_write(&b->vm.memory, address, bytes, length) ? 0 : -EFAULT;
    if (!kvm_backend_look(b, &look))
        return -EIO;
    return kvm_walk_write(&look.code.paging, &b->vm.memory, address, bytes, length) == length
               ? 0
               : -EFAULT;
}

/* ---- symbols -------------------------------------------------------------------------------- */

int kvm_backend_lookup(void *self, const char *name, uint64_t *address)
{
    struct kvm_backend *b = self;
    return b->symbols && symbols_lookup(b->symbols, name, address) ? 0 : -ENOENT;
}

bool kvm_backend_symbol(void *self, uint64_t address, char *out, size_t size)
{
    struct kvm_backend *b = self;
    symbols_text(b->symbols, address, out, size);
    return out[0] != 0;
}
