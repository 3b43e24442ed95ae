/* Saving and loading what KVM keeps of a VM. See state.h. */
#include "config.h"

#include "hv/kvm/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { NAME = 16, MSRS_MAX = 512, CHIPS = 3 };

/* One piece of state that two system calls read and write. */
struct piece {
    char name[NAME];
    unsigned long get, set;
    uint32_t size;
};

/* In the order of loading. Of XSAVE's area 4 KiB are enough: what would be larger (AMX's tiles) a
 * program must ask for before its guests have it (arch_prctl, ARCH_REQ_XCOMP_GUEST_PERM), and this
 * one does not. */
static const struct piece VCPU_PIECES[] = {
    {"sregs", KVM_GET_SREGS, KVM_SET_SREGS, sizeof(struct kvm_sregs)},
    {"regs", KVM_GET_REGS, KVM_SET_REGS, sizeof(struct kvm_regs)},
    {"xcrs", KVM_GET_XCRS, KVM_SET_XCRS, sizeof(struct kvm_xcrs)},
    {"xsave", KVM_GET_XSAVE, KVM_SET_XSAVE, sizeof(struct kvm_xsave)},
    {"debugregs", KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, sizeof(struct kvm_debugregs)},
    {"lapic", KVM_GET_LAPIC, KVM_SET_LAPIC, sizeof(struct kvm_lapic_state)},
    {"events", KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events)},
    {"mp_state", KVM_GET_MP_STATE, KVM_SET_MP_STATE, sizeof(struct kvm_mp_state)},
};

static const struct piece VM_PIECES[] = {
    {"pit", KVM_GET_PIT2, KVM_SET_PIT2, sizeof(struct kvm_pit_state2)},
    {"clock", KVM_GET_CLOCK, KVM_SET_CLOCK, sizeof(struct kvm_clock_data)},
};

enum {
    VCPU_COUNT = sizeof VCPU_PIECES / sizeof *VCPU_PIECES,
    VM_COUNT = sizeof VM_PIECES / sizeof *VM_PIECES,
};

struct msrs {
    struct kvm_msrs head;
    struct kvm_msr_entry entry[MSRS_MAX];
};

/* Room for the largest piece. */
union any {
    struct kvm_xsave xsave;
    struct kvm_xcrs xcrs;
    struct kvm_lapic_state lapic;
    struct kvm_irqchip chip;
    struct kvm_clock_data clock;
    struct msrs msrs;
};

/* ---- the saved form ------------------------------------------------------------------------- */

static void put(struct state_buffer *buffer, const char *name, const void *bytes, uint32_t size)
{
    char label[NAME] = {0};
    strncpy(label, name, NAME - 1);
    state_buffer_add(buffer, label, NAME);
    state_buffer_add(buffer, &size, sizeof size);
    state_buffer_add(buffer, bytes, size);
}

/* Where one reads; `failed` sticks. */
struct reader {
    const uint8_t *bytes;
    size_t count, at;
    bool failed;
};

/* The bytes of the next piece, which must have this name and size (0: any up to `max`); NULL if
 * not. */
static const uint8_t *take(struct reader *r, const char *name, uint32_t *size, uint32_t max)
{
    uint32_t length;
    if (r->failed || r->count - r->at < NAME + sizeof length)
        goto fail;
    memcpy(&length, r->bytes + r->at + NAME, sizeof length);
    if (strncmp((const char *)r->bytes + r->at, name, NAME) || (*size && length != *size) ||
        length > max || r->count - r->at - NAME - sizeof length < length)
        goto fail;
    *size = length;
    r->at += NAME + sizeof length + length;
    return r->bytes + r->at - length;
fail:
    r->failed = true;
    return NULL;
}

/* ---- MSRs ----------------------------------------------------------------------------------- */

/* Which MSRs there are, KVM tells by a list. */
static int list_msrs(const struct kvm_vm *vm, struct msrs *msrs)
{
    struct {
        struct kvm_msr_list head;
        uint32_t index[MSRS_MAX];
    } list = {.head.nmsrs = MSRS_MAX};
    if (ioctl(vm->kvm, KVM_GET_MSR_INDEX_LIST, &list))
        return -errno;
    memset(msrs, 0, sizeof *msrs);
    msrs->head.nmsrs = list.head.nmsrs;
    for (uint32_t i = 0; i < list.head.nmsrs; i++)
        msrs->entry[i].index = list.index[i];
    return 0;
}

/* KVM stops at the first MSR that it does not want to tell: leave that one out and go on. */
static int save_msrs(const struct kvm_vcpu *v, struct state_buffer *buffer)
{
    static const size_t ENTRY = sizeof(struct kvm_msr_entry);
    struct msrs *msrs = malloc(sizeof *msrs);
    int error = msrs ? list_msrs(v->vm, msrs) : -ENOMEM;
    while (!error) {
        int done = ioctl(v->fd, KVM_GET_MSRS, msrs);
        if (done < 0)
            error = -errno;
        if (done < 0 || (uint32_t)done == msrs->head.nmsrs)
            break;
        memmove(&msrs->entry[done], &msrs->entry[done + 1],
                (msrs->head.nmsrs - (uint32_t)done - 1) * ENTRY);
        msrs->head.nmsrs--;
    }
    if (!error)
        put(buffer, "msrs", msrs->entry, (uint32_t)(msrs->head.nmsrs * ENTRY));
    free(msrs);
    return error;
}

/* Those that cannot be written (read-only ones among them) keep their value. */
static int load_msrs(const struct kvm_vcpu *v, const uint8_t *bytes, uint32_t size)
{
    struct msrs *one = calloc(1, sizeof *one);
    if (!one)
        return -ENOMEM;
    int error = 0;
    for (uint32_t at = 0; at + sizeof one->entry[0] <= size && !error; at += sizeof one->entry[0]) {
        one->head.nmsrs = 1;
        memcpy(&one->entry[0], bytes + at, sizeof one->entry[0]);
        if (ioctl(v->fd, KVM_SET_MSRS, one) < 0)
            error = -errno;
    }
    free(one);
    return error;
}

/* ---- save ----------------------------------------------------------------------------------- */

static int save_pieces(int fd, const struct piece *pieces, int count, struct state_buffer *buffer)
{
    for (int i = 0; i < count; i++) {
        union any any;
        memset(&any, 0, sizeof any);
        if (ioctl(fd, pieces[i].get, &any))
            return -errno;
        put(buffer, pieces[i].name, &any, pieces[i].size);
    }
    return 0;
}

/* An INIT or SIPI that a vCPU has been sent waits in its APIC until somebody looks:
 * KVM_GET_MP_STATE does, and changes the vCPU's registers by it (Linux, kvm_apic_accept_events()).
 * So it is called before anything is read. */
static int settle(const struct kvm_vm *vm)
{
    struct kvm_mp_state mp;
    for (unsigned i = 0; i < vm->vcpus; i++)
        if (ioctl(vm->vcpu[i].fd, KVM_GET_MP_STATE, &mp))
            return -errno;
    return 0;
}

int kvm_state_save(struct kvm_vm *vm, struct state_buffer *buffer)
{
    uint32_t vcpus = vm->vcpus;
    put(buffer, "vcpus", &vcpus, sizeof vcpus);
    int error = settle(vm);
    error = error ? error : save_pieces(vm->fd, VM_PIECES, VM_COUNT, buffer);
    for (uint32_t chip = 0; chip < CHIPS && !error; chip++) {
        struct kvm_irqchip irqchip = {.chip_id = chip};
        error = ioctl(vm->fd, KVM_GET_IRQCHIP, &irqchip) ? -errno : 0;
        put(buffer, "irqchip", &irqchip, sizeof irqchip);
    }
    for (unsigned i = 0; i < vm->vcpus && !error; i++) {
        error = save_pieces(vm->vcpu[i].fd, VCPU_PIECES, VCPU_COUNT, buffer);
        if (!error)
            error = save_msrs(&vm->vcpu[i], buffer);
    }
    return error ? error : buffer->failed ? -ENOMEM : 0;
}

/* ---- load ----------------------------------------------------------------------------------- */

/* A processor without XSAVE has no XCR0: KVM tells of none then, and takes none, not even none. */
static bool is_absent(const struct piece *piece, const union any *any)
{
    return piece->set == KVM_SET_XCRS && any->xcrs.nr_xcrs == 0;
}

/* Reads through the pieces, with the system calls (`apply`) or without, to see whether all are
 * there. */
static int load_pieces(struct reader *r, int fd, const struct piece *pieces, int count, bool apply)
{
    int error = 0;
    for (int i = 0; i < count; i++) {
        union any any;
        uint32_t size = pieces[i].size;
        const uint8_t *bytes = take(r, pieces[i].name, &size, sizeof any);
        if (!bytes)
            return -EINVAL;
        memcpy(&any, bytes, size);
        if (pieces[i].set == KVM_SET_CLOCK)
            any.clock.flags = 0; /* what KVM_GET_CLOCK tells there, KVM_SET_CLOCK does not take */
        if (apply && !is_absent(&pieces[i], &any) && ioctl(fd, pieces[i].set, &any) && !error)
            error = -errno;
    }
    return error;
}

static int load_chips(struct reader *r, struct kvm_vm *vm, bool apply)
{
    for (uint32_t chip = 0; chip < CHIPS; chip++) {
        struct kvm_irqchip irqchip;
        uint32_t size = sizeof irqchip;
        const uint8_t *bytes = take(r, "irqchip", &size, size);
        if (!bytes)
            return -EINVAL;
        memcpy(&irqchip, bytes, size);
        if (irqchip.chip_id != chip)
            return -EINVAL;
        if (apply && ioctl(vm->fd, KVM_SET_IRQCHIP, &irqchip))
            return -errno;
    }
    return 0;
}

static int load_vcpu(struct reader *r, struct kvm_vcpu *v, bool apply)
{
    uint32_t size = 0;
    int error = load_pieces(r, v->fd, VCPU_PIECES, VCPU_COUNT, apply);
    const uint8_t *msrs =
        error ? NULL : take(r, "msrs", &size, MSRS_MAX * sizeof(struct kvm_msr_entry));
    if (error || !msrs)
        return error ? error : -EINVAL;
    if (apply)
        v->unfinished = false; /* whatever access it was in belongs to another time */
    return apply ? load_msrs(v, msrs, size) : 0;
}

static int load(struct kvm_vm *vm, struct reader *r, bool apply)
{
    uint32_t vcpus, size = sizeof vcpus;
    const uint8_t *bytes = take(r, "vcpus", &size, size);
    if (!bytes)
        return -EINVAL;
    memcpy(&vcpus, bytes, sizeof vcpus);
    if (vcpus != vm->vcpus)
        return -EINVAL;
    int error = load_pieces(r, vm->fd, VM_PIECES, VM_COUNT, apply);
    if (!error)
        error = load_chips(r, vm, apply);
    for (unsigned i = 0; i < vm->vcpus && !error; i++)
        error = load_vcpu(r, &vm->vcpu[i], apply);
    return error;
}

int kvm_state_load(struct kvm_vm *vm, const uint8_t *bytes, size_t count, size_t *at)
{
    struct reader look = {bytes, count, *at, false}, apply = look;
    int error = load(vm, &look, false);
    if (!error)
        error = load(vm, &apply, true);
    if (!error)
        *at = apply.at;
    return error;
}
