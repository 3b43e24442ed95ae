/*
 * The built-in SBI firmware. See sbi.h.
 *
 * One function for each call, found in one table by extension and function number. Results are a
 * pair {error, value} in a0 and a1; the legacy calls (extensions 0 to 8) have only a0.
 */
#include "cpu/sbi.h"

#include <stddef.h>

#include "cpu/absent.h"
#include "cpu/dev/uart.h"
#include "cpu/isa.h"
#include "cpu/machine.h"

enum { SBI_SUCCESS = 0, SBI_FAILED = -1, SBI_NOT_SUPPORTED = -2, SBI_INVALID = -3,
       SBI_ALREADY = -6 };

enum {
    EXT_BASE = 0x10,
    EXT_TIME = 0x54494d45, /* "TIME" */
    EXT_IPI = 0x735049,    /* "sPI" */
    EXT_RFENCE = 0x52464e43,
    EXT_HSM = 0x48534d,
    EXT_SRST = 0x53525354,
    EXT_DBCN = 0x4442434e,
};

enum { SPEC_VERSION = 2u << 24, IMPLEMENTATION_ID = 0x56, IMPLEMENTATION_VERSION = 1 };

struct result {
    int32_t error;
    uint32_t value;
};

/* a0 .. a5 */
typedef struct result (*call_fn)(struct machine *m, const uint32_t *a);

static struct result ok(uint32_t value)
{
    return (struct result){SBI_SUCCESS, value};
}

static struct result error(int32_t number)
{
    return (struct result){number, 0};
}

/* ---- base --------------------------------------------------------------------------------- */

static struct result get_spec_version(struct machine *m, const uint32_t *a)
{
    return ok(SPEC_VERSION);
}

static struct result get_impl_id(struct machine *m, const uint32_t *a)
{
    return ok(IMPLEMENTATION_ID);
}

static struct result get_impl_version(struct machine *m, const uint32_t *a)
{
    return ok(IMPLEMENTATION_VERSION);
}

static struct result get_machine_id(struct machine *m, const uint32_t *a)
{
    return ok(0); /* mvendorid, marchid, mimpid: all zero here */
}

static struct result probe_extension(struct machine *m, const uint32_t *a);

/* ---- console ------------------------------------------------------------------------------ */

static void print(struct machine *m, const uint8_t *bytes, size_t count)
{
    absent_print(m, bytes, count);
}

static struct result console_putchar(struct machine *m, const uint32_t *a)
{
    uint8_t byte = (uint8_t)a[0];
    print(m, &byte, 1);
    return ok(0);
}

/* Legacy: the byte, or -1, is the error. */
static struct result console_getchar(struct machine *m, const uint32_t *a)
{
    return error(m->uart ? uart_take(m->uart) : -1);
}

enum { CONSOLE_PIECE = 256, CONSOLE_MAX = 65536 };

static struct result console_write(struct machine *m, const uint32_t *a)
{
    uint32_t count = a[0] < CONSOLE_MAX ? a[0] : CONSOLE_MAX, pa = a[1];
    uint8_t piece[CONSOLE_PIECE];
    if (a[2] || !ram_has(&m->ram, pa) || count > m->ram.base + (uint64_t)m->ram.size - pa)
        return error(SBI_INVALID);
    for (uint32_t done = 0; done < count;) {
        uint32_t part = count - done < CONSOLE_PIECE ? count - done : CONSOLE_PIECE;
        ram_read(&m->ram, pa + done, piece, part);
        print(m, piece, part);
        done += part;
    }
    return ok(count);
}

static struct result console_read(struct machine *m, const uint32_t *a)
{
    uint32_t count = 0;
    if (a[2] || !ram_has(&m->ram, a[1]) ||
        a[0] > m->ram.base + (uint64_t)m->ram.size - a[1])
        return error(SBI_INVALID);
    for (; count < a[0] && m->uart; count++) {
        int byte = uart_take(m->uart);
        uint8_t value = (uint8_t)byte;
        if (byte < 0)
            break;
        ram_write(&m->ram, a[1] + count, &value, 1);
    }
    return ok(count);
}

/* ---- timer, interrupts, fences ------------------------------------------------------------ */

/* The kernel's timer is Sstc's: the firmware only writes the comparator for it. */
static struct result set_timer(struct machine *m, const uint32_t *a)
{
    struct hart *h = &m->hart;
    h->clock.stimecmp = (uint64_t)a[1] << 32 | a[0];
    hart_update_timers(h);
    h->attention = true;
    return ok(0);
}

/* Does a hart mask mean hart 0? base ~0 means all harts. */
static bool means_us(uint32_t mask, uint32_t base, bool *valid)
{
    *valid = base == UINT32_MAX || (base == 0 && !(mask & ~1u));
    return base == UINT32_MAX || mask & 1;
}

static struct result send_ipi(struct machine *m, const uint32_t *a)
{
    bool valid, us = means_us(a[0], a[1], &valid);
    if (!valid)
        return error(SBI_INVALID);
    if (us)
        hart_interrupt_line(&m->hart, IRQ_SSI, true);
    return ok(0);
}

static struct result fence_i(struct machine *m, const uint32_t *a)
{
    return ok(0);
}

/* One page is fenced by its address, more by everything: the specification allows to do more. */
static void fence_range(struct machine *m, uint32_t start, uint32_t size, const uint32_t *asid)
{
    bool one_page = size != 0 && size <= PAGE_SIZE;
    machine_fence(m, one_page ? &start : NULL, asid);
}

static struct result sfence_vma(struct machine *m, const uint32_t *a)
{
    bool valid, us = means_us(a[0], a[1], &valid);
    if (!valid)
        return error(SBI_INVALID);
    if (us)
        fence_range(m, a[2], a[3], NULL);
    return ok(0);
}

static struct result sfence_vma_asid(struct machine *m, const uint32_t *a)
{
    bool valid, us = means_us(a[0], a[1], &valid);
    uint32_t asid = a[4] & 0x1ff;
    if (!valid)
        return error(SBI_INVALID);
    if (us)
        fence_range(m, a[2], a[3], &asid);
    return ok(0);
}

/* The legacy calls give the hart mask by its virtual address; with one hart it does not matter. */
static struct result legacy_clear_ipi(struct machine *m, const uint32_t *a)
{
    hart_interrupt_line(&m->hart, IRQ_SSI, false);
    return ok(0);
}

static struct result legacy_send_ipi(struct machine *m, const uint32_t *a)
{
    hart_interrupt_line(&m->hart, IRQ_SSI, true);
    return ok(0);
}

static struct result legacy_sfence_vma(struct machine *m, const uint32_t *a)
{
    fence_range(m, a[1], a[2], NULL);
    return ok(0);
}

/* ---- hart state management, system reset -------------------------------------------------- */

static struct result hart_start(struct machine *m, const uint32_t *a)
{
    return error(a[0] == 0 ? SBI_ALREADY : SBI_INVALID);
}

/* The only hart stops: nothing can ever start it again. */
static struct result hart_stop(struct machine *m, const uint32_t *a)
{
    m->exit_code = 0;
    machine_stop(m, STOP_POWEROFF);
    return ok(0);
}

static struct result hart_status(struct machine *m, const uint32_t *a)
{
    return a[0] == 0 ? ok(0) : error(SBI_INVALID); /* 0: started */
}

/* Retentive suspend is WFI; the default one that loses state is not offered, the rest reserved. */
static struct result hart_suspend(struct machine *m, const uint32_t *a)
{
    enum { RETENTIVE = 0 };
    static const uint32_t non_retentive = 0x80000000u;
    if (a[0] != RETENTIVE)
        return error(a[0] == non_retentive ? SBI_NOT_SUPPORTED : SBI_INVALID);
    m->hart.waiting = true;
    m->hart.attention = true;
    return ok(0);
}

static struct result system_reset(struct machine *m, const uint32_t *a)
{
    enum { SHUTDOWN = 0, COLD_REBOOT = 1, WARM_REBOOT = 2 };
    if (a[0] > WARM_REBOOT || a[1] > 1)
        return error(SBI_INVALID);
    m->exit_code = a[1] ? 1 : 0; /* reason 1: system failure */
    machine_stop(m, a[0] == SHUTDOWN ? STOP_POWEROFF : STOP_RESET);
    return ok(0);
}

static struct result legacy_shutdown(struct machine *m, const uint32_t *a)
{
    m->exit_code = 0;
    machine_stop(m, STOP_POWEROFF);
    return ok(0);
}

/* ---- the table ---------------------------------------------------------------------------- */

static const struct call {
    uint32_t extension, function;
    const char *name;
    call_fn serve;
} calls[] = {
    {0, 0, "legacy set_timer", set_timer},
    {1, 0, "legacy console_putchar", console_putchar},
    {2, 0, "legacy console_getchar", console_getchar},
    {3, 0, "legacy clear_ipi", legacy_clear_ipi},
    {4, 0, "legacy send_ipi", legacy_send_ipi},
    {5, 0, "legacy remote_fence_i", fence_i},
    {6, 0, "legacy remote_sfence_vma", legacy_sfence_vma},
    {7, 0, "legacy remote_sfence_vma_asid", legacy_sfence_vma},
    {8, 0, "legacy shutdown", legacy_shutdown},
    {EXT_BASE, 0, "get_spec_version", get_spec_version},
    {EXT_BASE, 1, "get_impl_id", get_impl_id},
    {EXT_BASE, 2, "get_impl_version", get_impl_version},
    {EXT_BASE, 3, "probe_extension", probe_extension},
    {EXT_BASE, 4, "get_mvendorid", get_machine_id},
    {EXT_BASE, 5, "get_marchid", get_machine_id},
    {EXT_BASE, 6, "get_mimpid", get_machine_id},
    {EXT_TIME, 0, "set_timer", set_timer},
    {EXT_IPI, 0, "send_ipi", send_ipi},
    {EXT_RFENCE, 0, "remote_fence_i", fence_i},
    {EXT_RFENCE, 1, "remote_sfence_vma", sfence_vma},
    {EXT_RFENCE, 2, "remote_sfence_vma_asid", sfence_vma_asid},
    {EXT_HSM, 0, "hart_start", hart_start},
    {EXT_HSM, 1, "hart_stop", hart_stop},
    {EXT_HSM, 2, "hart_get_status", hart_status},
    {EXT_HSM, 3, "hart_suspend", hart_suspend},
    {EXT_SRST, 0, "system_reset", system_reset},
    {EXT_DBCN, 0, "console_write", console_write},
    {EXT_DBCN, 1, "console_read", console_read},
    {EXT_DBCN, 2, "console_write_byte", console_putchar},
};

enum { CALLS = sizeof calls / sizeof calls[0] };

static bool is_legacy(uint32_t extension)
{
    return extension <= 8;
}

static const struct call *find(uint32_t extension, uint32_t function)
{
    for (unsigned i = 0; i < CALLS; i++)
        if (calls[i].extension == extension &&
            (is_legacy(extension) || calls[i].function == function))
            return &calls[i];
    return NULL;
}

static struct result probe_extension(struct machine *m, const uint32_t *a)
{
    for (unsigned i = 0; i < CALLS; i++)
        if (calls[i].extension == a[0])
            return ok(1);
    return ok(0);
}

void sbi_call(struct machine *m)
{
    uint32_t *x = m->hart.x;
    uint32_t extension = x[17], function = x[16];
    const struct call *call = find(extension, function);
    struct result result = call ? call->serve(m, x + 10) : error(SBI_NOT_SUPPORTED);
    x[10] = (uint32_t)result.error;
    if (!is_legacy(extension))
        x[11] = result.value;
}

const char *sbi_call_name(uint32_t extension, uint32_t function)
{
    const struct call *call = find(extension, function);
    return call ? call->name : "unknown call";
}

/* ---- handing over ------------------------------------------------------------------------- */

void sbi_boot(struct machine *m, uint32_t entry, uint32_t dtb)
{
    struct hart *h = &m->hart;
    static const struct {
        uint16_t csr;
        uint32_t value;
    } handover[] = {
        /* Everything but ecall from S (and M): those are calls of the firmware. */
        {CSR_MEDELEG, 0xb1ff},
        {CSR_MIDELEG, MIP_S_ALL},
        {CSR_MCOUNTEREN, COUNTER_CY | COUNTER_TM | COUNTER_IR},
        {CSR_MENVCFGH, MENVCFGH_STCE},
        {CSR_PMPADDR0, UINT32_MAX},
        {CSR_PMPCFG0, PMP_NAPOT | PMP_R | PMP_W | PMP_X},
    };
    for (unsigned i = 0; i < sizeof handover / sizeof handover[0]; i++) {
        unsigned effects;
        csr_poke(h, handover[i].csr, handover[i].value, &effects);
        machine_csr_effects(m, effects);
    }
    h->mode = MODE_S;
    h->pc = entry;
    h->x[10] = h->id;
    h->x[11] = dtb;
    machine_mode_changed(m);
}
