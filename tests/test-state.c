/*
 * State tables: nothing is forgotten, and what is saved comes back.
 *
 * The first test compares every table with the debug information of this very program: each member
 * of the struct must have a row of the right place and size. So a member that somebody adds without
 * a row fails here. (Built without -g there is nothing to compare with, which is said.)
 */
#include "config.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_KVM
#include "hv/kvm/dev/cmos.h"
#include "hv/kvm/dev/debugport.h"
#include "hv/kvm/dev/fwcfg.h"
#include "hv/kvm/dev/i8042.h"
#include "hv/kvm/dev/pm.h"
#endif
#include "hv/session-state.h"
#include "hv/trap-log.h"
#include "hv/vm.h"
#include "tests/random-program.h"
#include "tests/tap.h"

/* ---- tables against debug information ----------------------------------------------------- */

static Dwarf *open_self(int *fd)
{
    *fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    return *fd < 0 ? NULL : dwarf_begin(*fd, DWARF_C_READ);
}

/* The definition of a struct by its name ("struct hart"), with this size. */
static bool find_struct(Dwarf *dwarf, const char *type_name, Dwarf_Word size, Dwarf_Die *out)
{
    const char *name = strncmp(type_name, "struct ", 7) ? type_name : type_name + 7;
    Dwarf_Off at = 0, next;
    size_t header;
    while (dwarf_nextcu(dwarf, at, &next, &header, NULL, NULL, NULL) == 0) {
        Dwarf_Die cu, die;
        if (dwarf_offdie(dwarf, at + header, &cu) && dwarf_child(&cu, &die) == 0) {
            do {
                const char *found = dwarf_diename(&die);
                if (dwarf_tag(&die) == DW_TAG_structure_type && found && !strcmp(found, name) &&
                    dwarf_bytesize(&die) == (int)size) {
                    *out = die;
                    return true;
                }
            } while (dwarf_siblingof(&die, &die) == 0);
        }
        at = next;
    }
    return false;
}

struct member {
    char name[128];
    Dwarf_Word offset, size;
    Dwarf_Die type;
};

static void read_member(Dwarf_Die *die, const char *prefix, Dwarf_Word base, struct member *out)
{
    Dwarf_Attribute attribute;
    Dwarf_Die type;
    *out = (struct member){.offset = base};
    snprintf(out->name, sizeof out->name, "%s%s", prefix, dwarf_diename(die));
    Dwarf_Word offset = 0;
    if (dwarf_attr(die, DW_AT_data_member_location, &attribute))
        dwarf_formudata(&attribute, &offset);
    out->offset += offset;
    if (dwarf_attr(die, DW_AT_type, &attribute) && dwarf_formref_die(&attribute, &type)) {
        dwarf_peel_type(&type, &out->type);
        dwarf_aggregate_size(&type, &out->size);
    }
}

static const struct state_field *row_of(const struct state_table *t, const char *name)
{
    for (unsigned i = 0; i < t->count; i++)
        if (!strcmp(t->fields[i].name, name))
            return &t->fields[i];
    return NULL;
}

static bool has_rows_below(const struct state_table *t, const char *name)
{
    size_t length = strlen(name);
    for (unsigned i = 0; i < t->count; i++)
        if (!strncmp(t->fields[i].name, name, length) && t->fields[i].name[length] == '.')
            return true;
    return false;
}

static unsigned row_size(const struct state_field *f)
{
    static const unsigned width[] = {[STATE_U8] = 1, [STATE_U16] = 2, [STATE_U32] = 4,
                                     [STATE_U64] = 8, [STATE_BOOL] = 1, [STATE_IS_NOT] = 1};
    return f->count * width[f->type];
}

/* How many members of the struct have no row, or a wrong one. */
static int missing_rows(const struct state_table *t, Dwarf_Die *type, const char *prefix,
                        Dwarf_Word base, bool tell)
{
    Dwarf_Die die;
    int missing = 0;
    if (dwarf_child(type, &die))
        return 0;
    do {
        struct member m;
        if (dwarf_tag(&die) != DW_TAG_member)
            continue;
        read_member(&die, prefix, base, &m);
        const struct state_field *row = row_of(t, m.name);
        if (!row && has_rows_below(t, m.name)) {
            char below[132];
            snprintf(below, sizeof below, "%s.", m.name);
            missing += missing_rows(t, &m.type, below, m.offset, tell);
            continue;
        }
        if (row && row->offset == m.offset && row_size(row) == m.size)
            continue;
        if (tell)
            printf("# %s: member %s has %s\n", t->type_name, m.name,
                   row ? "a row of another place or size" : "no row in its state table");
        missing++;
    } while (dwarf_siblingof(&die, &die) == 0);
    return missing;
}

/* A machine with every device, and a disk. */
static struct machine *whole_machine(void)
{
    static char path[] = "/tmp/test-state-XXXXXX";
    char why[MACHINE_ERROR];
    struct machine_config config;
    machine_config_init(&config);
    config.memory = 4u << 20;
    strcpy(path, "/tmp/test-state-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, 4096), 0);
    close(fd);
    config.disk = path;
    config.virtio_console = config.rng = config.balloon = true;
    struct machine *m = machine_new(&config, why);
    unlink(path);
    ck_assert_msg(m != NULL, "%s", why);
    return m;
}

static int missing_in(Dwarf *dwarf, const struct state_table *t)
{
    Dwarf_Die type;
    if (!find_struct(dwarf, t->type_name, t->size, &type)) {
        printf("# %s is not in the debug information\n", t->type_name);
        return 1;
    }
    return missing_rows(t, &type, "", 0, true);
}

START_TEST(test_every_member_has_a_row)
{
    int fd, missing = 0;
    Dwarf *dwarf = open_self(&fd);
    if (!dwarf) {
        printf("# built without debug information: nothing to compare with\n");
        return;
    }
    struct machine *m = whole_machine();
    struct state_object object[MACHINE_OBJECTS];
    unsigned count = machine_objects(m, object);
    ck_assert_uint_ge(count, 14); /* machine, hart, clock, nine devices, two of them with more */
    for (unsigned i = 0; i < count; i++)
        missing += missing_in(dwarf, object[i].table);
    static const struct state_table *const monitor[] = {
        &vmm_state, &frames_state, &vm_state, &gpa_state, &shadow_state, &shadow_set_state,
        &trap_log_state, &console_state, &between_state,
        &simulated_state, &session_state};
    for (unsigned i = 0; i < sizeof monitor / sizeof *monitor; i++)
        missing += missing_in(dwarf, monitor[i]);
    machine_free(m);
    dwarf_end(dwarf);
    close(fd);
    fflush(stdout);
    ck_assert_int_eq(missing, 0);
}
END_TEST

#ifdef HAVE_KVM
static int64_t no_time(void *context)
{
    return 0;
}

static int missing_in_device(Dwarf *dwarf, struct device *d)
{
    int missing = missing_in(dwarf, d->state.table);
    d->ops->free(d->self);
    return missing;
}

/* A PC's devices of its own. */
START_TEST(test_every_member_of_a_pc_has_a_row)
{
    int fd, missing = 0;
    Dwarf *dwarf = open_self(&fd);
    if (!dwarf)
        return;
    struct kvm_memory memory = {.size = 1 << 20, .low = 1 << 20};
    struct cmos_config clock = {&memory, 1, no_time, NULL};
    struct debugport *debug = debugport_new((struct power){0}, NULL, NULL);
    struct pm *pm = pm_new((struct power){0});
    missing += missing_in_device(dwarf, cmos_device(cmos_new(&clock)));
    missing += missing_in_device(dwarf, fwcfg_device(fwcfg_new(&memory)));
    missing += missing_in_device(
        dwarf, i8042_device(i8042_new((struct power){0}, (struct irq_line){0})));
    missing += missing_in(dwarf, pm_device(pm)->state.table);
    missing += missing_in(dwarf, debugport_exit(debug)->state.table);
    for (int i = 0; i < 3; i++) {
        pm_device(pm)->ops->free(pm);
        debugport_exit(debug)->ops->free(debug);
    }
    dwarf_end(dwarf);
    close(fd);
    fflush(stdout);
    ck_assert_int_eq(missing, 0);
}
END_TEST
#endif

/* The comparison itself: a table that lacks the last row is found out. */
START_TEST(test_a_missing_row_is_found)
{
    int fd;
    Dwarf *dwarf = open_self(&fd);
    Dwarf_Die type;
    if (!dwarf)
        return;
    struct state_table cut = hart_state;
    ck_assert(find_struct(dwarf, cut.type_name, cut.size, &type));
    ck_assert_int_eq(missing_rows(&cut, &type, "", 0, false), 0);
    cut.count--;
    ck_assert_int_eq(missing_rows(&cut, &type, "", 0, false), 1);
    dwarf_end(dwarf);
    close(fd);
}
END_TEST

/* ---- save and load ------------------------------------------------------------------------ */

static struct machine *machine_in_the_middle(uint64_t seed)
{
    struct random_program program;
    struct machine *m = whole_machine();
    random_program_make(&program, seed);
    random_program_load(&program, m);
    machine_run(m, 2000);
    return m;
}

START_TEST(test_saved_state_comes_back)
{
    struct machine *a = machine_in_the_middle((uint64_t)_i), *b = whole_machine();
    struct state_buffer buffer = {0};
    ck_assert_int_eq(machine_save(a, &buffer), 0);
    ck_assert_int_eq(machine_restore(b, buffer.bytes, buffer.count), 0);
    ck_assert(machine_digest(a) == machine_digest(b));
    /* And it goes on in the same way. */
    machine_run(a, 3000);
    machine_run(b, 3000);
    ck_assert(machine_digest(a) == machine_digest(b));
    state_buffer_free(&buffer);
    machine_free(a);
    machine_free(b);
}
END_TEST

START_TEST(test_a_torn_save_changes_nothing)
{
    struct machine *a = machine_in_the_middle(7), *b = machine_in_the_middle(8);
    struct state_buffer buffer = {0};
    uint64_t before = machine_digest(b), lots = 1;
    ck_assert_int_eq(machine_save(a, &buffer), 0);
    for (int i = 0; i < 500; i++) {
        /* Every cut near the beginning, where the tables are; then anywhere. */
        size_t cut = i < 200 ? (size_t)i * 7 : random_below(&lots, (uint32_t)buffer.count);
        ck_assert_int_lt(machine_restore(b, buffer.bytes, cut), 0);
    }
    ck_assert(machine_digest(b) == before);
    state_buffer_free(&buffer);
    machine_free(a);
    machine_free(b);
}
END_TEST

START_TEST(test_damage_never_crashes)
{
    struct machine *a = machine_in_the_middle(9), *b = whole_machine();
    struct state_buffer buffer = {0};
    uint64_t lots = 2;
    ck_assert_int_eq(machine_save(a, &buffer), 0);
    for (int i = 0; i < 2000; i++) {
        size_t at = random_below(&lots, 6000);
        uint8_t old = buffer.bytes[at];
        buffer.bytes[at] = (uint8_t)random_next(&lots);
        machine_restore(b, buffer.bytes, buffer.count);
        machine_run(b, 50);
        buffer.bytes[at] = old;
    }
    state_buffer_free(&buffer);
    machine_free(a);
    machine_free(b);
}
END_TEST

/* Packed, the objects come back as they were, field for field. */
START_TEST(test_packed_state_comes_back)
{
    struct machine *a = machine_in_the_middle(3), *b = machine_in_the_middle(4);
    struct state_object from[MACHINE_OBJECTS], to[MACHINE_OBJECTS];
    unsigned count = machine_objects(a, from);
    ck_assert_uint_eq(machine_objects(b, to), count);
    for (unsigned i = 0; i < count; i++) {
        struct digest in_a, in_b;
        size_t size = state_packed_size(from[i].table);
        uint8_t *bytes = malloc(size + 1);
        bytes[size] = 0x5a;
        ck_assert_ptr_eq(state_pack(from[i], bytes), bytes + size);
        ck_assert_ptr_eq(state_unpack(to[i], bytes), bytes + size);
        ck_assert_int_eq(bytes[size], 0x5a);
        free(bytes);
        digest_init(&in_a);
        digest_init(&in_b);
        state_digest(from[i], &in_a);
        state_digest(to[i], &in_b);
        ck_assert(in_a.value == in_b.value);
    }
    machine_free(a);
    machine_free(b);
}
END_TEST

struct thing {
    uint32_t number;
    uint16_t list[3];
    bool flag;
};

static const struct state_field old_fields[] = {STATE(struct thing, U32, number)};
static const struct state_field new_fields[] = {
    STATE(struct thing, U32, number),
    STATE_SINCE(struct thing, U16, list, 2),
    STATE_SINCE(struct thing, BOOL, flag, 2),
};

START_TEST(test_versions)
{
    const struct state_table old = STATE_TABLE("thing", struct thing, 1, old_fields);
    const struct state_table new = STATE_TABLE("thing", struct thing, 2, new_fields);
    struct thing a = {7, {1, 2, 3}, true}, b = {0, {9, 9, 9}, false};
    struct state_buffer buffer = {0};
    size_t at = 0;
    ck_assert_int_eq(state_save((struct state_object){&old, &a}, &buffer), 0);
    ck_assert_int_eq(state_load((struct state_object){&new, &b}, buffer.bytes, buffer.count, &at), 0);
    ck_assert_uint_eq(b.number, 7);
    ck_assert_uint_eq(b.list[1], 9); /* not in the old version: kept */
    state_buffer_free(&buffer);

    ck_assert_int_eq(state_save((struct state_object){&new, &a}, &buffer), 0);
    at = 0;
    ck_assert_int_eq(state_load((struct state_object){&old, &b}, buffer.bytes, buffer.count, &at),
                     -EPROTO);
    ck_assert_int_eq(state_load((struct state_object){&new, &b}, buffer.bytes, buffer.count, &at), 0);
    ck_assert_uint_eq(b.list[2], 3);
    ck_assert(b.flag);
    state_buffer_free(&buffer);
}
END_TEST

/* A version has the fields that it had, each once. */
START_TEST(test_fields_are_counted)
{
    static const struct state_field twice[] = {STATE(struct thing, U32, number),
                                               STATE(struct thing, U16, list),
                                               STATE(struct thing, BOOL, flag),
                                               STATE(struct thing, BOOL, flag)};
    const struct state_table wanted = STATE_TABLE("thing", struct thing, 2, new_fields);
    const struct state_table wrong[] = {STATE_TABLE("thing", struct thing, 2, old_fields),
                                        STATE_TABLE("thing", struct thing, 2, twice)};
    struct thing a = {7, {1, 2, 3}, true}, b = {0, {9, 9, 9}, false};
    for (int i = 0; i < ROWS(wrong); i++) {
        struct state_buffer buffer = {0};
        size_t at = 0;
        ck_assert_int_eq(state_save((struct state_object){&wrong[i], &a}, &buffer), 0);
        ck_assert_int_eq(
            state_load((struct state_object){&wanted, &b}, buffer.bytes, buffer.count, &at),
            -EINVAL);
        ck_assert_uint_eq(b.number, 0);
        ck_assert_uint_eq(at, 0);
        state_buffer_free(&buffer);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state");
    TCase *tables = tcase_create("tables");
    tcase_add_test(tables, test_every_member_has_a_row);
#ifdef HAVE_KVM
    tcase_add_test(tables, test_every_member_of_a_pc_has_a_row);
#endif
    tcase_add_test(tables, test_a_missing_row_is_found);
    tcase_add_test(tables, test_versions);
    tcase_add_test(tables, test_fields_are_counted);
    suite_add_tcase(suite, tables);
    TCase *saves = tcase_create("saves");
    tcase_set_timeout(saves, 600);
    tcase_add_loop_test(saves, test_saved_state_comes_back, 0, 20);
    tcase_add_test(saves, test_a_torn_save_changes_nothing);
    tcase_add_test(saves, test_damage_never_crashes);
    tcase_add_test(saves, test_packed_state_comes_back);
    suite_add_tcase(suite, saves);
    return tap_run(suite);
}
