/* Attempts while pages are elsewhere. See absent.h. */
#include "cpu/absent.h"

#include "cpu/dev/virtio-console.h"
#include "cpu/machine.h"
#include "cpu/sbi.h"

/* Output that nobody has seen yet. */
struct absent_output {
    struct state_buffer bytes;
};

struct attempt {
    bool guarded; /* some pages are elsewhere */
    struct state_buffer before, overwritten;
    struct absent_output unsaid;
};

void machine_absent(struct machine *m, uint32_t index)
{
    m->absent = true;
    m->absent_page = index;
    machine_stop(m, STOP_ABSENT);
}

/* false: the host has no memory to keep the state in; then nothing is attempted. */
static bool begin(struct machine *m, struct attempt *a)
{
    struct state_object object[MACHINE_OBJECTS];
    *a = (struct attempt){.guarded = m->ram.absent};
    if (!a->guarded)
        return true;
    unsigned count = machine_objects(m, object);
    for (unsigned i = 0; i < count; i++)
        state_save(object[i], &a->before);
    if (a->before.failed) {
        m->stuck = "the host has no memory left";
        machine_stop(m, STOP_STUCK);
        state_buffer_free(&a->before);
        return false;
    }
    m->unsaid = &a->unsaid;
    m->ram.absent->undo = &a->overwritten;
    return true;
}

static void undo(struct machine *m, const struct attempt *a)
{
    struct state_object object[MACHINE_OBJECTS];
    unsigned count = machine_objects(m, object);
    size_t at = 0;
    ram_undo(&m->ram);
    for (unsigned i = 0; i < count; i++)
        state_load(object[i], a->before.bytes, a->before.count, &at);
}

/* Did it succeed? */
static bool end(struct machine *m, struct attempt *a)
{
    if (!a->guarded)
        return true;
    struct state_buffer *said = &a->unsaid.bytes;
    m->unsaid = NULL;
    if (m->absent)
        undo(m, a);
    else if (said->count)
        absent_print(m, said->bytes, said->count);
    m->ram.absent->undo = NULL;
    if (said->failed || a->overwritten.failed) { /* it can be neither done nor undone */
        m->stuck = "the host has no memory left";
        machine_stop(m, STOP_STUCK);
    }
    state_buffer_free(said);
    state_buffer_free(&a->overwritten);
    state_buffer_free(&a->before);
    return !m->absent;
}

bool absent_device_write(struct machine *m, uint32_t pa, unsigned size, uint32_t value)
{
    struct attempt a;
    bool answered = begin(m, &a) && bus_write(&m->bus, pa, size, value);
    return end(m, &a) && answered;
}

bool absent_firmware_call(struct machine *m)
{
    struct attempt a;
    if (begin(m, &a))
        sbi_call(m);
    return end(m, &a);
}

/* Whatever did not fit is offered again. */
size_t absent_console_input(struct machine *m, const uint8_t *bytes, size_t count)
{
    struct attempt a;
    size_t taken = begin(m, &a) ? virtio_console_input(m->console, bytes, count) : 0;
    return end(m, &a) ? taken : 0;
}

void absent_print(struct machine *m, const uint8_t *bytes, size_t count)
{
    if (m->unsaid)
        state_buffer_add(&m->unsaid->bytes, bytes, count);
    else if (m->config.console)
        m->config.console(m->config.console_context, bytes, count);
}
