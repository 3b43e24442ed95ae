/*
 * A machine: hart, memory, bus, devices, and an engine that runs them.
 *
 * This is the façade of cpu/. A bare guest runs on a machine with the interpreter as its engine; a
 * virtual machine is the same struct with the monitor as its engine and memory that is allotted
 * from the hardware below. So everything that asks a machine something (digest, views, firmware,
 * debugger) works on both.
 *
 *     struct machine_config config;
 *     machine_config_init(&config);
 *     struct machine *m = machine_new(&config, why);
 *     machine_load(m, image, why);
 *     while (machine_run(m, 100000) == STOP_NONE) ...
 *     machine_free(m);
 *
 * Errors: functions return 0 or -errno; those with a `why` (MACHINE_ERROR bytes) explain themselves
 * in one line. A guest's errors are traps of the hart or stops of the machine, never errors here.
 */
#ifndef VITRINE_CPU_MACHINE_H
#define VITRINE_CPU_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/bus.h"
#include "cpu/dev/disk.h"
#include "cpu/engine.h"
#include "cpu/event.h"
#include "cpu/hart.h"
#include "cpu/mmu.h"
#include "cpu/ram.h"
#include "cpu/state.h"
#include "cpu/tlb.h"

enum { MACHINE_ERROR = 512, MACHINE_BREAKS = 66, MACHINE_OBJECTS = 24 };

enum stop_reason {
    STOP_NONE,       /* the budget is used up */
    STOP_TRAP,       /* a monitor is fitted and the hart has trapped: see machine->trap */
    STOP_BREAKPOINT, /* in front of an instruction with a breakpoint */
    STOP_WATCHPOINT, /* behind an instruction that touched a watched address: see machine->watch */
    STOP_IDLE,       /* in WFI and no timer will ever end it: only input from outside can */
    STOP_POWEROFF,   /* finisher, SBI or HTIF: see machine->exit_code */
    STOP_RESET,      /* the guest asks for a reset */
    STOP_STUCK,      /* cannot go on: machine->stuck says why */
    STOP_REQUEST,    /* machine_stop() from a callback, e.g. after a VM exit */
    STOP_ABSENT,     /* in front of an instruction for which page machine->absent_page is missing */
};

/* Breakpoints and watchpoints, kept by whoever debugs. Addresses are the machine's. */
struct machine_break {
    uint32_t address, length;
    bool execute, read, write;
    bool device; /* writes of devices, at physical addresses */
    bool physical;
    uint8_t zero[3]; /* fills it up, so that comparing two is comparing bytes */
};

/* A device's way to memory, so that it is known who writes. */
struct machine_port {
    struct machine *machine;
    const char *name;
};

struct machine_debug {
    unsigned count;
    struct machine_break point[MACHINE_BREAKS];
    uint64_t skip; /* no breakpoint in front of the instruction when this many are executed, so
                    * that a run can leave the breakpoint it stands at; UINT64_MAX: none */
};

struct machine_config {
    uint32_t memory;      /* bytes, a multiple of 4 MiB from 4 MiB to 1 GiB */
    bool misaligned_trap; /* misaligned loads and stores trap instead of being done */
    bool ad_trap;         /* clear A/D bits page-fault instead of being set by hardware */
    bool host_clock;
    const struct engine *engine;
    const char *disk;     /* image for virtio-blk, or NULL */
    bool disk_readonly;
    disk_open_fn disk_open; /* who opens it; NULL: disk_open(), for raw images */
    bool rng;             /* virtio entropy device ... */
    uint64_t rng_seed;    /* ... whose numbers follow from this */
    bool virtio_console;  /* a console beside the UART, which is typed at in its place */
    bool balloon;         /* virtio memory balloon ... */
    uint32_t balloon_pages; /* ... and what it asks for at power-on */
    const char *kernel_args; /* device tree's bootargs, or NULL */
    bool no_devices;      /* only the hart and memory: the computer below a monitor */
    ram_allot_fn allot;   /* memory from elsewhere (ram_init_allotted), or NULL */
    void *allot_context;
    void (*console)(void *context, const uint8_t *bytes, size_t count); /* output; may be NULL */
    void *console_context;
};

struct insn;
struct symbols;
struct uart;
struct plic;
struct clint;
struct finisher;
struct rtc;
struct virtio_blk;
struct virtio_console;
struct virtio_rng;
struct virtio_balloon;

struct machine {
    /* --- state: in the tables --- */
    struct hart hart;
    struct ram ram;
    bool firmware; /* the built-in SBI firmware answers ecalls from S mode */

    /* --- how it goes on --- */
    const struct engine *engine;
    void *engine_data;          /* the engine's own */
    struct decoder *decoder;    /* the interpreter's: what it has fetched and decoded */
    enum stop_reason stop;
    int exit_code;              /* STOP_POWEROFF: 0..255 */
    const char *stuck;          /* STOP_STUCK: static text */
    struct machine_break watch; /* STOP_WATCHPOINT: what was touched */
    const char *watch_device;   /* the device that has written there; NULL: an instruction */
    bool monitored;             /* every trap stops the machine instead of entering M mode */
    struct {
        uint32_t cause, tval, pc, insn; /* insn: 0 if it was not fetched */
        bool reserved;                  /* LR's reservation before the trap ended it */
    } trap;                     /* STOP_TRAP */
    uint32_t cause, tval;       /* of the exception being raised by the current instruction */
    uint32_t interrupt;         /* cause of the interrupt that the last poll took, 0: none */
    uint32_t insn;              /* word of the current instruction, 0 if it was not fetched */
    bool absent;                /* this instruction is to be executed again: cpu/absent.h */
    uint32_t absent_page;       /* STOP_ABSENT: its index */
    struct absent_output *unsaid; /* console output of an attempt that may have to be made again */
    bool inspected;             /* breakpoints or per-instruction events: see machine_inspect() */

    /* --- parts --- */
    struct machine_config config;
    struct tlb tlb;
    struct {
        uint32_t page, size; /* size 0: closed */
        const uint8_t *host;
    } window;                   /* where instructions are fetched from, until the translation may
                                 * have changed: whatever changes it closes the window */
    uint32_t code_epoch;        /* ram.code->epoch that the TLB takes account of */
    uint32_t context[3];        /* the TLB context's number, as in tags, by enum access */
    unsigned fetch_context, data_context; /* their indices in tlb.context */
    struct bus bus;
    struct events events;
    struct machine_debug debug;
    struct symbols *symbols;    /* of the image, or NULL */
    struct uart *uart;
    struct plic *plic;
    struct clint *clint;
    struct finisher *finisher;
    struct rtc *rtc;
    struct virtio_blk *disk;
    struct disk *disk_image;
    struct virtio_console *console; /* these three: NULL if not asked for */
    struct virtio_rng *rng;
    struct virtio_balloon *balloon;
    struct device slot[VIRT_VIRTIO_SLOTS]; /* the empty virtio-mmio slots */
    struct machine_port port[VIRT_VIRTIO_SLOTS]; /* the others' ways to memory */

    /* --- what was loaded, for reset --- */
    uint32_t entry, dtb;
    uint32_t tohost, fromhost;  /* HTIF, 0: none */
    uint32_t signature_begin, signature_end;

    /* Told of every sfence.vma, also those that firmware does for its kernel. May be NULL. */
    void (*on_fence)(struct machine *machine, const uint32_t *va, const uint32_t *asid);
    void *on_fence_context;
};

extern const struct state_table machine_state;

void machine_config_init(struct machine_config *config);

/* Builds the machine and opens the disk. NULL and `why` on failure. */
struct machine *machine_new(const struct machine_config *config, char *why);
void machine_free(struct machine *machine);

/* Loads an ELF (or, if it is none, a flat binary for S mode at VIRT_KERNEL), places the device
 * tree, resets. -ENOENT..., -EINVAL with `why`. May be called again: it is also the reset. */
int machine_load(struct machine *machine, const char *path, char *why);

/* Power-on: memory zero, devices reset, the hart in M mode at the start of RAM, nothing loaded. */
void machine_clear(struct machine *machine);

/* Runs exactly `budget` instructions or up to a stop; see engine.h. */
enum stop_reason machine_run(struct machine *machine, uint64_t budget);

/* Goes on with another engine, between two runs. Not for virtual machines, whose engine is the
 * monitor: there it is the computer's that can be changed. */
void machine_set_engine(struct machine *machine, const struct engine *engine);

/* From a callback during machine_run(): stop after the current instruction. */
void machine_stop(struct machine *machine, enum stop_reason reason);

/* Console input. Returns how many bytes the UART (or the virtio console) took. */
size_t machine_input(struct machine *machine, const uint8_t *bytes, size_t count);

/* Asks the guest to give back so many pages. -ENOTSUP: it has no balloon. */
int machine_set_balloon(struct machine *machine, uint32_t pages);

/* After the observers (or `debug`) were changed. */
void machine_debug_changed(struct machine *machine);
/* Other breakpoints and watchpoints; to change only `skip` costs nothing. What the engine has
 * derived from memory stays where it can. */
void machine_set_debug(struct machine *machine, const struct machine_debug *debug);

/* All objects with state (hart, clock, each device ...), in a fixed order, without the RAM. */
unsigned machine_objects(struct machine *machine, struct state_object out[MACHINE_OBJECTS]);
/* Digest of everything the guest can see: objects and RAM. */
uint64_t machine_digest(struct machine *machine);
/* Everything into a buffer, and back into a machine of the same configuration. 0, -ENOMEM,
 * -EINVAL, -EPROTO as state_load(). */
int machine_save(struct machine *machine, struct state_buffer *buffer);
int machine_restore(struct machine *machine, const uint8_t *bytes, size_t count);

/* After the state was replaced by other means: what follows from it is found anew. Code that engines
 * have derived from memory stays: whoever changes memory tells by ram_changed(). */
void machine_loaded(struct machine *machine);

/* ---- for engines and instructions --------------------------------------------------------- */

/* Notes an exception of the current instruction; always returns false, so that an instruction can
 * say `return machine_raise(...)`. */
bool machine_raise(struct machine *machine, uint32_t cause, uint32_t tval);
/* Ends the current instruction with the exception that was raised: to the monitor, the firmware, or
 * the hart's own trap vector. Counts the instruction. */
void machine_exception(struct machine *machine);
/* Between two instructions: timers, interrupts, WFI. Returns false if the machine has stopped. */
bool machine_poll(struct machine *machine);
/* Before an instruction, if `inspected`: breakpoints. Returns false if it must stop here. */
bool machine_inspect(struct machine *machine);
/* Are there watchpoints? */
bool machine_watches_data(const struct machine_debug *debug);
/* Is there a breakpoint at this instruction? */
bool machine_has_point(const struct machine *machine, uint32_t va, uint32_t pa);
/* Is there one where the machine stands, whether it is to be skipped or not? */
bool machine_at_point(struct machine *machine);
/* sfence.vma: `va` NULL: all addresses; `asid` NULL: all address spaces. */
void machine_fence(struct machine *machine, const uint32_t *va, const uint32_t *asid);
/* After the mode, satp or what else translation depends on has changed: also looks for interrupts. */
void machine_mode_changed(struct machine *machine);
/* After a CSR write: enum csr_effect. */
void machine_csr_effects(struct machine *machine, unsigned effects);
/* Is va (and pa) .. + size watched for this access? Then stops behind the instruction. */
void machine_watch(struct machine *machine, uint32_t va, uint32_t pa, unsigned size,
                   enum access access);
/* A device has written to memory. If that is watched the machine stops behind the instruction that
 * has made the device do so; between two runs `watch_device` tells it alone. */
void machine_watch_device(struct machine *machine, uint32_t pa, uint32_t size, const char *name);
/* What the device in this virtio-mmio slot accesses memory by. */
struct dma;
struct dma machine_dma(struct machine *machine, unsigned slot, const char *name);
/* The engine has derived code from `size` bytes at `host` (within one page): from now on it hears of
 * changes by ram.code->changed. */
void machine_derive(struct machine *machine, const uint8_t *host, unsigned size);
/* These pages of memory have become clean (struct ram_track): whoever writes to them must be heard
 * of. `page` are indices from the start of the mapping. */
void machine_pages_cleaned(struct machine *machine, const uint32_t *page, uint32_t count);
/* A store to `tohost` has happened. */
void machine_htif(struct machine *machine);

static inline void machine_publish(struct machine *m, enum event_type type, uint32_t a, uint32_t b,
                                   uint32_t c, uint32_t d)
{
    if (events_wanted(&m->events, type)) {
        struct event e = {m->hart.executed, m->hart.pc, (uint16_t)type, m->events.source,
                          a, b, c, d};
        events_publish(&m->events, &e);
    }
}

/* Drops what the engine has derived from memory and settings. */
static inline void machine_invalidate(struct machine *m)
{
    if (m->engine->invalidate)
        m->engine->invalidate(m);
}

/* All translations are void but for those that the engine finds to be true still. */
static inline void machine_flush(struct machine *m)
{
    if (m->engine->flush)
        m->engine->flush(m);
    else
        mmu_flush(m);
}

/* What the interpreter keeps for a machine. false: the host has no memory left. */
bool interp_init(struct machine *machine);
/* isa_decode(), remembered. Valid until the next call for this machine. */
const struct insn *interp_decode(struct machine *machine, uint32_t word);
/* This instruction word, which is the one at pc, by the interpreter: as interp_step(), but for the
 * fetch. */
void interp_execute(struct machine *machine, uint32_t word);
/* One instruction by the interpreter, whatever the engine is; counts and takes traps like run(). */
void interp_step(struct machine *machine);
/* Frees what the interpreter keeps for this machine. */
void interp_free(struct machine *machine);

#endif
