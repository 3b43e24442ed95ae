/*
 * A vCPU's registers by name. See registers.h and registers.def.
 *
 * Reading order: ROWS, which is registers.def with offsets; read_row() and kvm_register_write();
 * the functions tell_...(), which put a value into words.
 */
#include "hv/kvm/registers.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>

#define BIT(n) (1ull << (n))

enum { CR0_PE = 1 << 0, EFER_LMA = 1 << 10, RFLAGS_VM = 1 << 17 };

/* A place to write words to. */
struct text {
    char *at;
    size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *format, ...)
{
    va_list arguments;
    if (t->used >= t->size)
        return;
    va_start(arguments, format);
    int count = vsnprintf(t->at + t->used, t->size - t->used, format, arguments);
    va_end(arguments);
    t->used += count > 0 ? (size_t)count : 0;
}

/* ---- values in words ------------------------------------------------------------------------ */

/* What tell_...() gets: the whole state, because what a value means may depend on the mode. */
struct value {
    const struct kvm_cpu_state *cpu;
    const void *place;
    uint64_t low, high;
};

struct bit_name {
    uint8_t bit;
    char name[13];
};

static void say_bits(struct text *t, uint64_t value, const struct bit_name *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (value >> names[i].bit & 1)
            say(t, "%s%s", t->used ? " " : "", names[i].name);
}

#define TELL_BITS(how, ...)                                                                        \
    static void tell_##how(const struct value *v, struct text *t)                                  \
    {                                                                                              \
        static const struct bit_name NAMES[] = {__VA_ARGS__};                                      \
        say_bits(t, v->low, NAMES, sizeof NAMES / sizeof *NAMES);                                  \
    }

TELL_BITS(cr0, {0, "PE"}, {1, "MP"}, {2, "EM"}, {3, "TS"}, {4, "ET"}, {5, "NE"}, {16, "WP"},
          {18, "AM"}, {29, "NW"}, {30, "CD"}, {31, "PG"})
TELL_BITS(cr4, {0, "VME"}, {1, "PVI"}, {2, "TSD"}, {3, "DE"}, {4, "PSE"}, {5, "PAE"}, {6, "MCE"},
          {7, "PGE"}, {8, "PCE"}, {9, "OSFXSR"}, {10, "OSXMMEXCPT"}, {11, "UMIP"}, {12, "LA57"},
          {13, "VMXE"}, {14, "SMXE"}, {16, "FSGSBASE"}, {17, "PCIDE"}, {18, "OSXSAVE"}, {19, "KL"},
          {20, "SMEP"}, {21, "SMAP"}, {22, "PKE"}, {23, "CET"}, {24, "PKS"})
TELL_BITS(efer, {0, "SCE"}, {8, "LME"}, {10, "LMA"}, {11, "NXE"}, {12, "SVME"}, {13, "LMSLE"},
          {14, "FFXSR"})
TELL_BITS(dr6, {0, "B0"}, {1, "B1"}, {2, "B2"}, {3, "B3"}, {13, "BD"}, {14, "BS"}, {15, "BT"})
TELL_BITS(dr7, {0, "L0"}, {1, "G0"}, {2, "L1"}, {3, "G1"}, {4, "L2"}, {5, "G2"}, {6, "L3"},
          {7, "G3"}, {8, "LE"}, {9, "GE"}, {13, "GD"})
TELL_BITS(misc_enable, {0, "fast-strings"}, {3, "TCC"}, {7, "PERFMON"}, {11, "no-BTS"},
          {12, "no-PEBS"}, {16, "EIST"}, {18, "MONITOR"}, {22, "limit-CPUID"}, {34, "no-XD"})
TELL_BITS(mxcsr, {0, "IE"}, {1, "DE"}, {2, "ZE"}, {3, "OE"}, {4, "UE"}, {5, "PE"}, {6, "DAZ"},
          {7, "IM"}, {8, "DM"}, {9, "ZM"}, {10, "OM"}, {11, "UM"}, {12, "PM"}, {15, "FZ"})
TELL_BITS(fcw, {0, "IM"}, {1, "DM"}, {2, "ZM"}, {3, "OM"}, {4, "UM"}, {5, "PM"})

static void tell_nothing(const struct value *v, struct text *t)
{
    (void)v;
    (void)t;
}

static void tell_rflags(const struct value *v, struct text *t)
{
    static const struct bit_name NAMES[] = {{0, "CF"},  {2, "PF"},   {4, "AF"},   {6, "ZF"},
                                            {7, "SF"},  {8, "TF"},   {9, "IF"},   {10, "DF"},
                                            {11, "OF"}, {14, "NT"},  {16, "RF"},  {17, "VM"},
                                            {18, "AC"}, {19, "VIF"}, {20, "VIP"}, {21, "ID"}};
    say_bits(t, v->low, NAMES, sizeof NAMES / sizeof *NAMES);
    if (v->low >> 12 & 3)
        say(t, "%sIOPL=%u", t->used ? " " : "", (unsigned)(v->low >> 12 & 3));
}

static void tell_fsw(const struct value *v, struct text *t)
{
    static const struct bit_name NAMES[] = {{0, "IE"},  {1, "DE"},  {2, "ZE"}, {3, "OE"}, {4, "UE"},
                                            {5, "PE"},  {6, "SF"},  {7, "ES"}, {8, "C0"}, {9, "C1"},
                                            {10, "C2"}, {14, "C3"}, {15, "B"}};
    say_bits(t, v->low, NAMES, sizeof NAMES / sizeof *NAMES);
    say(t, "%sTOP=%u", t->used ? " " : "", (unsigned)(v->low >> 11 & 7));
}

/* An 80-bit number. Encodings with an exponent but no integer bit are none that the processor makes
 * (vol. 1, section 8.2.2), and not what a C library expects. */
static void tell_x87(const struct value *v, struct text *t)
{
    unsigned exponent = v->high & 0x7fff;
    const struct kvm_fpu *fpu = &v->cpu->fpu;
    unsigned number = (unsigned)((const uint8_t(*)[16])v->place - fpu->fpr);
    unsigned physical = ((fpu->fsw >> 11 & 7) + number) & 7;
    long double value = 0;
    if (!(fpu->ftwx >> physical & 1)) {
        say(t, "empty");
        return;
    }
    if (exponent && !(v->low >> 63)) {
        say(t, "not a valid encoding");
        return;
    }
    memcpy(&value, v->place, 10);
    say(t, "%.18Lg", value);
}

static void tell_table(const struct value *v, struct text *t)
{
    say(t, "base 0x%llx, limit 0x%llx", (unsigned long long)v->low, (unsigned long long)v->high);
}

/* The type of a segment that is not code or data, vol. 3A, table 3-2. */
static const char *system_type(const struct kvm_segment *s, bool is_long)
{
    switch (s->type) {
    case 1: return "available 16-bit TSS";
    case 2: return "LDT";
    case 3: return "busy 16-bit TSS";
    case 9: return is_long ? "available 64-bit TSS" : "available 32-bit TSS";
    case 11: return is_long ? "busy 64-bit TSS" : "busy 32-bit TSS";
    default: return "system segment";
    }
}

/* Vol. 3A, table 3-1. */
static void say_segment_type(struct text *t, const struct kvm_segment *s, bool is_long)
{
    if (!s->s)
        say(t, "%s", system_type(s, is_long));
    else if (s->type & 8)
        say(t, "%s-bit code, %s%s",
            s->l && is_long ? "64"
            : s->db         ? "32"
                            : "16",
            s->type & 2 ? "readable" : "execute only", s->type & 4 ? ", conforming" : "");
    else
        say(t, "data, %s%s", s->type & 2 ? "writable" : "read only",
            s->type & 4 ? ", grows down" : "");
}

static void tell_segment(const struct value *v, struct text *t)
{
    const struct kvm_segment *s = v->place;
    bool is_long = v->cpu->sregs.efer & EFER_LMA;
    if (s->unusable) {
        say(t, "not usable");
        if (s->base)
            say(t, ", base 0x%llx", (unsigned long long)s->base);
        return;
    }
    say(t, "base 0x%llx, limit 0x%x", (unsigned long long)s->base, s->limit);
    if (!(v->cpu->sregs.cr0 & CR0_PE))
        return;
    say(t, ", ");
    say_segment_type(t, s, is_long);
    say(t, ", DPL %u%s", s->dpl, s->present ? "" : ", not present");
}

/* syscall loads CS from bits 47:32 and SS 8 above; sysret to 64 bit CS 16 above bits 63:48. */
static void tell_star(const struct value *v, struct text *t)
{
    if (v->low)
        say(t, "syscall to CS 0x%x, sysret to CS 0x%x", (unsigned)(v->low >> 32 & 0xfffc),
            (unsigned)((v->low >> 48) + 16) | 3);
}

static void tell_apic_base(const struct value *v, struct text *t)
{
    bool on = v->low & BIT(11), x2 = v->low & BIT(10);
    say(t, "at 0x%llx, %s%s", (unsigned long long)(v->low & 0xffffffffff000),
        !on  ? "off"
        : x2 ? "x2APIC"
             : "on",
        v->low & BIT(8) ? ", the boot processor" : "");
}

static void tell_pat(const struct value *v, struct text *t)
{
    static const char *const TYPE[] = {"UC", "WC", "?", "?", "WT", "WP", "WB", "UC-"};
    for (unsigned i = 0; i < 8; i++)
        say(t, "%s%s", i ? " " : "", TYPE[v->low >> (8 * i) & 7]);
}

/* ---- the table ------------------------------------------------------------------------------ */

struct row {
    const char *name, *meaning;
    enum kvm_register_group group;
    unsigned bits;
    size_t place;    /* in struct kvm_cpu_state */
    int slot;        /* of an MSR in msr[], or -1 */
    uint32_t number; /* of an MSR */
    void (*tell)(const struct value *value, struct text *text);
};

static const struct row ROWS[] = {
#define REG(name, group, bits, place, how, meaning)                                                \
    {#name, meaning, KVM_GROUP_##group, bits, offsetof(struct kvm_cpu_state, place),               \
     -1,    0,       tell_##how},
#define MSR(name, number, how, meaning)                                                            \
    {#name,                                                                                        \
     meaning,                                                                                      \
     KVM_GROUP_MSR,                                                                                \
     64,                                                                                           \
     offsetof(struct kvm_cpu_state, msr[KVM_MSR_SLOT_##name]),                                     \
     KVM_MSR_SLOT_##name,                                                                          \
     number,                                                                                       \
     tell_##how},
#include "hv/kvm/registers.def"
};

enum { ROW_COUNT = sizeof ROWS / sizeof *ROWS };
static_assert(sizeof ROWS / sizeof *ROWS <= KVM_REGISTERS_MAX, "KVM_REGISTERS_MAX");
static_assert(KVM_CPU_MSRS <= 64, "the masks of MSRs have 64 bits");

static bool is_segment(const struct row *row)
{
    return row->tell == tell_segment;
}

static bool is_table(const struct row *row)
{
    return row->tell == tell_table;
}

/* Which of the ioctls brings the register. */
static unsigned part_of(const struct row *row)
{
    if (row->place < offsetof(struct kvm_cpu_state, sregs))
        return KVM_CPU_REGS;
    if (row->place < offsetof(struct kvm_cpu_state, debug))
        return KVM_CPU_SREGS;
    return row->place < offsetof(struct kvm_cpu_state, fpu) ? KVM_CPU_DEBUG : KVM_CPU_FPU;
}

static bool is_there(const struct kvm_cpu_state *cpu, const struct row *row)
{
    return row->slot < 0 || cpu->msr_there & BIT(row->slot);
}

static const struct row *find_row(const char *name)
{
    for (int i = 0; i < ROW_COUNT; i++)
        if (!strcasecmp(ROWS[i].name, name))
            return &ROWS[i];
    return NULL;
}

static void read_row(const struct kvm_cpu_state *cpu, const struct row *row,
                     struct kvm_register *out)
{
    const uint8_t *place = (const uint8_t *)cpu + row->place;
    struct value v = {.cpu = cpu, .place = place};
    struct text text = {out->text, sizeof out->text, 0};
    if (is_segment(row)) {
        v.low = ((const struct kvm_segment *)place)->selector;
        v.high = ((const struct kvm_segment *)place)->base;
    } else if (is_table(row)) {
        v.low = ((const struct kvm_dtable *)place)->base;
        v.high = ((const struct kvm_dtable *)place)->limit;
    } else {
        unsigned bytes = row->bits / 8; /* little-endian, as the host */
        memcpy(&v.low, place, bytes < 8 ? bytes : 8);
        if (bytes > 8)
            memcpy(&v.high, place + 8, bytes - 8);
    }
    *out = (struct kvm_register){.name = row->name,
                                 .meaning = row->meaning,
                                 .group = row->group,
                                 .bits = row->bits,
                                 .value = v.low,
                                 .high = v.high};
    row->tell(&v, &text);
}

int kvm_registers_list(const struct kvm_cpu_state *cpu, struct kvm_register *out, int max)
{
    int count = 0;
    for (int i = 0; i < ROW_COUNT && count < max; i++)
        if (is_there(cpu, &ROWS[i]))
            read_row(cpu, &ROWS[i], &out[count++]);
    return count;
}

bool kvm_register_read(const struct kvm_cpu_state *cpu, const char *name, struct kvm_register *out)
{
    const struct row *row = find_row(name);
    if (!row || !is_there(cpu, row))
        return false;
    read_row(cpu, row, out);
    return true;
}

static void write_segment(struct kvm_cpu_state *cpu, struct kvm_segment *segment, uint64_t value)
{
    segment->selector = (uint16_t)value;
    if (!(cpu->sregs.cr0 & CR0_PE))
        segment->base = value << 4;
}

int kvm_register_write(struct kvm_cpu_state *cpu, const char *name, uint64_t value, uint64_t high)
{
    const struct row *row = find_row(name);
    if (!row || !is_there(cpu, row))
        return -ENOENT;
    unsigned bytes = row->bits / 8;
    uint8_t *place = (uint8_t *)cpu + row->place;
    if ((row->bits < 64 && value >> row->bits) || (row->bits == 80 && high >> 16) ||
        (is_table(row) && high >> 16))
        return -ERANGE;

    if (is_segment(row)) {
        write_segment(cpu, (struct kvm_segment *)place, value);
    } else if (is_table(row)) {
        *(struct kvm_dtable *)place = (struct kvm_dtable){.base = value, .limit = (uint16_t)high};
    } else {
        memcpy(place, &value, bytes < 8 ? bytes : 8);
        if (bytes > 8)
            memcpy(place + 8, &high, bytes - 8);
    }
    if (row->slot >= 0)
        cpu->msr_changed |= BIT(row->slot);
    else
        cpu->changed |= part_of(row);
    return 0;
}

const char *kvm_register_group_name(enum kvm_register_group group)
{
    static const char *const NAME[KVM_GROUPS] = {"general", "segment", "control", "debug",
                                                 "msr",     "fpu",     "sse"};
    return NAME[group];
}

/* ---- from KVM and back ---------------------------------------------------------------------- */

static const uint32_t MSR_NUMBER[] = {
#define MSR(name, number, how, meaning) number,
#include "hv/kvm/registers.def"
};

/* KVM stops at the first MSR that it does not know, so we ask again behind it. */
static int get_msrs(int vcpu_fd, struct kvm_cpu_state *cpu)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry[KVM_CPU_MSRS];
    } ask;
    cpu->msr_there = 0;
    for (unsigned first = 0; first < KVM_CPU_MSRS;) {
        unsigned count = KVM_CPU_MSRS - first;
        memset(&ask, 0, sizeof ask);
        ask.head.nmsrs = count;
        for (unsigned i = 0; i < count; i++)
            ask.entry[i].index = MSR_NUMBER[first + i];
        int got = ioctl(vcpu_fd, KVM_GET_MSRS, &ask);
        if (got < 0)
            return -errno;
        for (unsigned i = 0; i < (unsigned)got; i++) {
            cpu->msr[first + i] = ask.entry[i].data;
            cpu->msr_there |= BIT(first + i);
        }
        first += (unsigned)got + 1;
    }
    return 0;
}

static int set_msrs(int vcpu_fd, struct kvm_cpu_state *cpu)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } order = {.head.nmsrs = 1};
    for (unsigned i = 0; i < KVM_CPU_MSRS; i++) {
        if (!(cpu->msr_changed & BIT(i)))
            continue;
        order.entry.index = MSR_NUMBER[i];
        order.entry.data = cpu->msr[i];
        int set = ioctl(vcpu_fd, KVM_SET_MSRS, &order);
        if (set != 1)
            return set < 0 ? -errno : -EINVAL;
        cpu->msr_changed &= ~BIT(i);
    }
    return 0;
}

/*
 * x87 and SSE go by the XSAVE area, because KVM_GET_FPU leaves MXCSR out. Its first 512 bytes are
 * those of FXSAVE (vol. 1, section 10.5.1); behind them XSTATE_BV says which parts are not in their
 * first state.
 */
struct xsave {
    uint16_t fcw, fsw;
    uint8_t ftw, reserved;
    uint16_t last_opcode;
    uint64_t last_ip, last_dp;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t st[8][16], xmm[16][16];
    uint8_t more[96];
    uint64_t xstate_bv;
};
static_assert(offsetof(struct xsave, xstate_bv) == 512, "the layout of FXSAVE");

enum { XSTATE_X87 = 1, XSTATE_SSE = 2 };

static int get_fpu(int vcpu_fd, struct kvm_fpu *fpu)
{
    struct kvm_xsave area;
    struct xsave x;
    if (ioctl(vcpu_fd, KVM_GET_XSAVE, &area))
        return -errno;
    memcpy(&x, area.region, sizeof x);
    *fpu = (struct kvm_fpu){.fcw = x.fcw,
                            .fsw = x.fsw,
                            .ftwx = x.ftw,
                            .last_opcode = x.last_opcode,
                            .last_ip = x.last_ip,
                            .last_dp = x.last_dp,
                            .mxcsr = x.mxcsr};
    memcpy(fpu->fpr, x.st, sizeof x.st);
    memcpy(fpu->xmm, x.xmm, sizeof x.xmm);
    return 0;
}

static int set_fpu(int vcpu_fd, const struct kvm_fpu *fpu)
{
    struct kvm_xsave area;
    struct xsave x;
    if (ioctl(vcpu_fd, KVM_GET_XSAVE, &area)) /* for the parts that stay */
        return -errno;
    memcpy(&x, area.region, sizeof x);
    x.fcw = fpu->fcw;
    x.fsw = fpu->fsw;
    x.ftw = fpu->ftwx;
    x.last_opcode = fpu->last_opcode;
    x.last_ip = fpu->last_ip;
    x.last_dp = fpu->last_dp;
    x.mxcsr = fpu->mxcsr;
    memcpy(x.st, fpu->fpr, sizeof x.st);
    memcpy(x.xmm, fpu->xmm, sizeof x.xmm);
    x.xstate_bv |= XSTATE_X87 | XSTATE_SSE;
    memcpy(area.region, &x, sizeof x);
    return ioctl(vcpu_fd, KVM_SET_XSAVE, &area) ? -errno : 0;
}

int kvm_cpu_state_get(int vcpu_fd, struct kvm_cpu_state *cpu)
{
    memset(cpu, 0, sizeof *cpu);
    if (ioctl(vcpu_fd, KVM_GET_REGS, &cpu->regs) || ioctl(vcpu_fd, KVM_GET_SREGS, &cpu->sregs) ||
        ioctl(vcpu_fd, KVM_GET_DEBUGREGS, &cpu->debug))
        return -errno;
    int failed = get_fpu(vcpu_fd, &cpu->fpu);
    return failed ? failed : get_msrs(vcpu_fd, cpu);
}

int kvm_cpu_state_set(int vcpu_fd, struct kvm_cpu_state *cpu)
{
    if ((cpu->changed & KVM_CPU_REGS && ioctl(vcpu_fd, KVM_SET_REGS, &cpu->regs)) ||
        (cpu->changed & KVM_CPU_SREGS && ioctl(vcpu_fd, KVM_SET_SREGS, &cpu->sregs)) ||
        (cpu->changed & KVM_CPU_DEBUG && ioctl(vcpu_fd, KVM_SET_DEBUGREGS, &cpu->debug)))
        return -errno;
    int failed = cpu->changed & KVM_CPU_FPU ? set_fpu(vcpu_fd, &cpu->fpu) : 0;
    if (failed)
        return failed;
    cpu->changed = 0;
    return set_msrs(vcpu_fd, cpu);
}

/* ---- the mode ------------------------------------------------------------------------------- */

/* Vol. 3A, section 3.4.5 (D) and 5.2.1 (L). */
unsigned kvm_code_bits(const struct kvm_sregs *sregs)
{
    if (sregs->efer & EFER_LMA && sregs->cs.l)
        return 64;
    return sregs->cs.db ? 32 : 16;
}

unsigned kvm_cpl(const struct kvm_sregs *sregs)
{
    return sregs->cr0 & CR0_PE ? sregs->ss.dpl & 3 : 0;
}

void kvm_mode_text(const struct kvm_regs *regs, const struct kvm_sregs *sregs, char *out,
                   size_t size)
{
    unsigned bits = kvm_code_bits(sregs);
    if (!(sregs->cr0 & CR0_PE)) {
        /* A 32-bit code segment kept over the way back from protected mode: "big real mode". */
        snprintf(out, size, bits == 16 ? "real mode" : "real mode, 32-bit code");
        return;
    }
    if (!(sregs->efer & EFER_LMA) && regs->rflags & RFLAGS_VM) {
        snprintf(out, size, "virtual 8086 mode");
        return;
    }
    const char *mode = !(sregs->efer & EFER_LMA) ? "protected mode"
                       : bits == 64              ? "long mode"
                                                 : "compatibility mode";
    snprintf(out, size, "%s, %u bit, CPL %u", mode, bits, kvm_cpl(sregs));
}

uint64_t kvm_code_address(const struct kvm_sregs *sregs, uint64_t rip)
{
    /* In 64-bit code CS has no base; elsewhere linear addresses have 32 bits. */
    return kvm_code_bits(sregs) == 64 ? rip : (sregs->cs.base + (uint32_t)rip) & UINT32_MAX;
}
