/* Saved state and layers of memory: a VM that is put back goes on as it did before. */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "hv/kvm/dev/fwcfg.h"
#include "hv/kvm/layers.h"
#include "hv/kvm/state.h"
#include "hv/kvm/walk.h"
#include "tests/kvm-guest.h"

enum { MEMORY = 8 << 20 };

/* Adds a pseudo-random number to a pseudo-random word of the second MiB, 500 times; writes to a
 * port; and so on for ever. Nothing in it depends on time. */
static const uint8_t code[] = {
    0xb9, 0xf4, 0x01, 0x00, 0x00,       /* again: mov ecx, 500 */
    0x69, 0xc0, 0x6d, 0x4e, 0xc6, 0x41, /* next: imul eax, eax, 0x41c64e6d */
    0x05, 0x39, 0x30, 0x00, 0x00,       /* add eax, 12345 */
    0x89, 0xc3,                         /* mov ebx, eax */
    0xc1, 0xeb, 0x08,                   /* shr ebx, 8 */
    0x81, 0xe3, 0xfc, 0xff, 0x0f, 0x00, /* and ebx, 0xffffc */
    0x01, 0x83, 0x00, 0x00, 0x10, 0x00, /* add [ebx + 0x100000], eax */
    0xe2, 0xe2,                         /* loop next */
    0xe6, 0x80,                         /* out 0x80, al */
    0xeb, 0xd9,                         /* jmp again */
};

static struct kvm_vm vm;
static struct kvm_layers *layers;
static uint8_t *before;

static void setup(void)
{
    char why[256] = "";
    struct kvm_vm_config config = {.kvm_fd = -1, .memory = MEMORY, .vcpus = 1};
    ck_assert_msg(kvm_vm_init(&vm, &config, why) == 0, "%s", why);
    guest_protected_mode(&vm, code, sizeof code);
    layers = kvm_layers_new(&vm);
    before = malloc(MEMORY);
    ck_assert(layers && before);
    atomic_store(&vm.exit_wanted, true);
}

static void teardown(void)
{
    kvm_layers_free(layers);
    kvm_vm_free(&vm);
    free(before);
}

/* To the guest's next write to its port. */
static void round_trip(void)
{
    kvm_vm_arm(&vm);
    ck_assert_int_eq(kvm_vm_run(&vm, 1, 5000).kind, KVM_STOP_EXIT);
}

static void keep(struct state_buffer *state, uint8_t *memory)
{
    ck_assert_int_eq(kvm_state_save(&vm, state), 0);
    memcpy(memory, vm.memory.host, MEMORY);
}

static void go_back(int layer, const struct state_buffer *state)
{
    size_t at = 0;
    ck_assert_int_eq(kvm_layers_restore(layers, layer), 0);
    ck_assert_int_eq(kvm_state_load(&vm, state->bytes, state->count, &at), 0);
    ck_assert_uint_eq(at, state->count);
}

START_TEST(goes_on_as_before)
{
    struct state_buffer start = {0};
    for (int i = 0; i < 3; i++)
        round_trip();
    int layer = kvm_layers_freeze(layers);
    ck_assert_int_gt(layer, 0);
    keep(&start, before);
    for (int i = 0; i < 5; i++)
        round_trip();
    struct kvm_regs end = guest_regs(&vm);
    uint8_t *after = malloc(MEMORY);
    ck_assert_ptr_nonnull(after);
    memcpy(after, vm.memory.host, MEMORY);
    ck_assert(memcmp(before, after, MEMORY));
    for (int again = 0; again < 3; again++) {
        go_back(layer, &start);
        ck_assert(!memcmp(before, vm.memory.host, MEMORY));
        for (int i = 0; i < 5; i++)
            round_trip();
        struct kvm_regs now = guest_regs(&vm);
        ck_assert(!memcmp(&now, &end, sizeof now));
        ck_assert(!memcmp(after, vm.memory.host, MEMORY));
    }
    free(after);
    state_buffer_free(&start);
}
END_TEST

/* A tree of layers, visited at random, with branches and deletions: memory is always what it was.
 */
START_TEST(any_layer_at_any_time)
{
    enum { MOST = 24, ROUNDS = 120 };
    struct {
        int id;
        uint8_t *memory;
        struct state_buffer state;
    } kept[MOST] = {0};
    int count = 0;
    srand(1);
    for (int i = 0; i < ROUNDS; i++) {
        round_trip();
        uint32_t typed = (uint32_t)rand(); /* what a device would write */
        ck_assert(kvm_memory_write(&vm.memory, 0x300000 + (typed & 0xffffc), &typed, sizeof typed));
        if (count < MOST && rand() % 3) {
            kept[count].memory = malloc(MEMORY);
            kept[count].id = kvm_layers_freeze(layers);
            ck_assert_int_gt(kept[count].id, 0);
            kept[count].state = (struct state_buffer){0};
            keep(&kept[count].state, kept[count].memory);
            count++;
        } else if (count && rand() % 4 == 0) {
            int gone = rand() % count;
            ck_assert_int_eq(kvm_layers_delete(layers, kept[gone].id), 0);
            free(kept[gone].memory);
            state_buffer_free(&kept[gone].state);
            kept[gone] = kept[--count];
        } else if (count) {
            int chosen = rand() % count;
            go_back(kept[chosen].id, &kept[chosen].state);
            ck_assert(!memcmp(kept[chosen].memory, vm.memory.host, MEMORY));
        }
    }
    for (int i = 0; i < count; i++) {
        go_back(kept[i].id, &kept[i].state);
        ck_assert(!memcmp(kept[i].memory, vm.memory.host, MEMORY));
        free(kept[i].memory);
        state_buffer_free(&kept[i].state);
    }
}
END_TEST

START_TEST(cost_grows_with_dirty_pages)
{
    uint64_t written;
    int first = kvm_layers_freeze(layers);
    ck_assert_uint_eq(kvm_layers_pages(layers, first), 0);
    uint8_t byte = 1;
    ck_assert(kvm_memory_write(&vm.memory, 0x400fff, &byte, 1));
    ck_assert_int_eq(kvm_layers_look(layers, &written), 0);
    ck_assert_uint_eq(written, 1);
    ck_assert_uint_eq(kvm_layers_heat(layers)[0x400], 255);
    int second = kvm_layers_freeze(layers);
    ck_assert_uint_eq(kvm_layers_pages(layers, second), 1);
    ck_assert_int_eq(kvm_layers_parent(layers, second), first);
    ck_assert_int_eq(kvm_layers_find(layers, 0x400000), second);
    ck_assert_int_eq(kvm_layers_find(layers, 0x500000), 0);
    ck_assert(kvm_memory_write(&vm.memory, 0x400000, &byte, 1));
    ck_assert_int_eq(kvm_layers_find(layers, 0x400000), -1);
    ck_assert_int_eq(kvm_layers_restore(layers, 99), -ENOENT);
    ck_assert_int_eq(kvm_layers_delete(layers, 99), -ENOENT);
}
END_TEST

static void put32(struct device *device, uint32_t offset, uint32_t value)
{
    ck_assert(device->ops->write(device->self, offset, 4, value));
}

/* KVM's log of dirty pages does not know what this program writes: a person by linear address, a
 * device by DMA. */
START_TEST(our_own_writes_are_taken_back)
{
    enum { REQUEST = 0x500000, TARGET = 0x600000, READ_SELECT = 2 | 8, DMA_LOW = 8 };
    struct kvm_paging paging = {.mode = KVM_PAGING_OFF};
    const uint32_t request[4] = {htobe32(READ_SELECT), htobe32(8000), 0, htobe32(TARGET)};
    struct fwcfg *fwcfg = fwcfg_new(&vm.memory);
    uint8_t bytes[8] = "changed", *at = vm.memory.host;
    memset(at + TARGET, 1, 8000);
    ck_assert_int_gt(kvm_layers_freeze(layers), 0);
    int layer = kvm_layers_freeze(layers);
    ck_assert_uint_eq(kvm_walk_write(&paging, &vm.memory, 0x4ffffc, bytes, 8), 8);
    ck_assert(kvm_memory_write(&vm.memory, REQUEST + 16, request, sizeof request));
    put32(fwcfg_device(fwcfg), DMA_LOW, htobe32(REQUEST + 16));
    ck_assert(!memcmp(at + TARGET, "QEMU\0\0\0", 8) && !at[TARGET + 7999]);
    ck_assert_int_eq(kvm_layers_restore(layers, layer), 0);
    ck_assert(!at[0x4ffffc] && !at[0x500000]);
    for (int i = 0; i < 8000; i++)
        ck_assert_uint_eq(at[TARGET + i], 1);
    fwcfg_device(fwcfg)->ops->free(fwcfg);
}
END_TEST

/* Whatever the bytes are, loading takes them or leaves the VM as it is. */
START_TEST(torn_state_is_refused)
{
    struct state_buffer state = {0};
    round_trip();
    keep(&state, before);
    struct kvm_regs was = guest_regs(&vm);
    for (size_t count = 0; count < state.count; count += 61) {
        size_t at = 0;
        ck_assert_int_eq(kvm_state_load(&vm, state.bytes, count, &at), -EINVAL);
        ck_assert_uint_eq(at, 0);
    }
    for (int i = 0; i < 5; i++) { /* a piece's name */
        size_t at = 0;
        state.bytes[i] ^= 0x20;
        ck_assert_int_eq(kvm_state_load(&vm, state.bytes, state.count, &at), -EINVAL);
        state.bytes[i] ^= 0x20;
    }
    struct kvm_regs now = guest_regs(&vm);
    ck_assert(!memcmp(&was, &now, sizeof now));
    state_buffer_free(&state);
}
END_TEST

/* An INIT that another vCPU has sent and nobody has acted on yet: what is saved is one moment, and
 * not the registers from before it with the processor's state from after it. */
START_TEST(an_init_on_its_way_is_saved_whole)
{
    static const uint8_t sends_init[] = {
        0xc7, 0x05, 0x10, 0x03, 0xe0, 0xfe, 0, 0,    0, 1, /* mov dword [0xfee00310], 1 << 24 */
        0xc7, 0x05, 0x00, 0x03, 0xe0, 0xfe, 0, 0x45, 0, 0, /* mov dword [0xfee00300], 0x4500 */
        0xe6, 0x80,                                        /* out 0x80, al */
        0xeb, 0xfe,                                        /* jmp . */
    };
    static struct kvm_vm two;
    struct kvm_vm_config config = {.kvm_fd = -1, .memory = MEMORY, .vcpus = 2};
    struct kvm_regs regs = {.rip = 0x1234, .rflags = 2, .rbx = 77};
    struct kvm_mp_state mp = {KVM_MP_STATE_RUNNABLE};
    struct state_buffer state = {0};
    char why[256] = "";
    size_t at = 0;
    ck_assert_msg(kvm_vm_init(&two, &config, why) == 0, "%s", why);
    int second = two.vcpu[1].fd;
    guest_protected_mode(&two, sends_init, sizeof sends_init);
    ck_assert_int_eq(ioctl(second, KVM_SET_REGS, &regs), 0);
    ck_assert_int_eq(ioctl(second, KVM_SET_MP_STATE, &mp), 0);
    atomic_store(&two.exit_wanted, true);
    kvm_vm_arm(&two);
    ck_assert_int_eq(kvm_vm_run(&two, 1, 60000).kind, KVM_STOP_EXIT);
    ck_assert_int_eq(kvm_state_save(&two, &state), 0);

    ck_assert_int_eq(ioctl(second, KVM_SET_MP_STATE, &mp), 0);
    ck_assert_int_eq(ioctl(second, KVM_SET_REGS, &regs), 0);
    ck_assert_int_eq(kvm_state_load(&two, state.bytes, state.count, &at), 0);
    ck_assert_int_eq(ioctl(second, KVM_GET_REGS, &regs), 0);
    ck_assert_int_eq(ioctl(second, KVM_GET_MP_STATE, &mp), 0);
    ck_assert_uint_eq(mp.mp_state, KVM_MP_STATE_INIT_RECEIVED);
    ck_assert_uint_eq(regs.rip, 0xfff0);
    ck_assert_uint_eq(regs.rbx, 0);
    state_buffer_free(&state);
    kvm_vm_free(&two);
}
END_TEST

int main(void)
{
    if (kvm_is_missing())
        return 0;
    Suite *suite = suite_create("kvm-state");
    TCase *tests = tcase_create("state");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, goes_on_as_before);
    tcase_add_test(tests, any_layer_at_any_time);
    tcase_add_test(tests, cost_grows_with_dirty_pages);
    tcase_add_test(tests, our_own_writes_are_taken_back);
    tcase_add_test(tests, torn_state_is_refused);
    tcase_add_test(tests, an_init_on_its_way_is_saved_whole);
    suite_add_tcase(suite, tests);
    return tap_run(suite);
}
