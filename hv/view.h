/*
 * What a session hands out: plain data, copied out of the machine between two slices.
 *
 * Nothing here points into a running machine; a view stays as it was taken, whatever the guest does
 * afterwards, and may be kept, compared and drawn by any thread. Sizes are bounded by the constants
 * below: a view that had more to tell sets `truncated`.
 *
 * Addresses: va = virtual address, pa = physical address of the hart in question. Of the three
 * translations of a virtual machine, gVA -> gPA is the guest's own, gPA -> hPA the monitor's map,
 * gVA -> hPA the shadow table that the hardware walks. Addresses and page table entries have 64
 * bits in every view; those of a 32-bit guest have zeros above.
 */
#ifndef VITRINE_HV_VIEW_H
#define VITRINE_HV_VIEW_H

#include <stdbool.h>
#include <stdint.h>

/* What the guest's processor is: which views are filled in, and how wide its addresses are. */
enum view_isa {
    ISA_RV32, /* the simulated computer: 32 bits, Sv32 */
    ISA_X86,  /* the host's own processor through KVM: 16 to 64 bits */
};

/* Which hart a question is about. On a session without a monitor only VIEW_REAL exists. */
enum view_hart_kind {
    VIEW_REAL,    /* the computer's hart: what the hardware really does */
    VIEW_VIRTUAL, /* the virtual machine's hart: what the guest believes */
};

enum {
    VIEW_CSRS = 96,
    VIEW_WALK_STEPS = 5, /* Sv32 has two levels, x86-64 four or five */
    VIEW_TLB = 512,
    VIEW_REGIONS = 4096,
    VIEW_SYMBOL = 64,
    VIEW_FILE = 192,
    VIEW_TEXT = 96,
    VIEW_DETAIL = 1024,
    VIEW_DEVICES = 16,
    VIEW_DEVICE_REGS = 64,
    VIEW_REGISTERS = 256,
    VIEW_DIRTY_CELLS = 4096,
    VIEW_CHECKPOINTS = 512,
    VIEW_MOMENTS = 1024,
    VIEW_INPUTS = 512,
    VIEW_SNAPSHOTS = 64,
    VIEW_LAYERS = 256,
};

/* ---- registers ---------------------------------------------------------------------------- */

struct view_csr {
    uint16_t number;
    uint8_t privilege; /* lowest mode that may touch it: 0 U, 1 S, 3 M */
    char name[16];
    uint32_t value;
    bool changed; /* since the session last stopped before this stop */
};

/* An RV32 hart. On a guest with another ISA it is not present: see struct view_registers. */
struct view_hart {
    bool present; /* false: there is no such hart in this session */
    enum view_hart_kind kind;
    uint32_t pc;
    uint32_t x[32];
    uint32_t x_changed; /* bit n: x[n] differs from the previous stop */
    bool pc_changed;
    uint8_t mode; /* 0 U, 1 S, 3 M */
    bool mode_changed;
    bool waiting;          /* in WFI */
    uint64_t instructions; /* executed since reset, those that trapped included */
    uint64_t mtime;        /* ticks of 10 MHz */
    unsigned csr_count;
    struct view_csr csr[VIEW_CSRS];
};

/* One register of any processor, for those who only want to list them. */
struct view_register {
    char name[16];  /* "a0", "rip", "cs", "satp": what session_write_register64() takes */
    char group[16]; /* "general", "segment", "control", "msr" ...; its registers stand together */
    uint16_t bits;  /* width: 1 to 128 */
    uint64_t value;
    uint64_t high;        /* bits 64..127 of a wide one, else 0 */
    bool changed;         /* since the session last stopped before this stop */
    char text[VIEW_TEXT]; /* the value in words: flags, fields, the symbol there; may be "" */
};

struct view_registers {
    /* Of the processor, in words: "long mode, 64 bit, CPL 3". RV32: "", see struct view_hart. */
    char mode[64];
    unsigned count;
    struct view_register reg[VIEW_REGISTERS];
};

/* ---- instructions ------------------------------------------------------------------------- */

struct view_insn {
    uint64_t va;
    uint32_t word;     /* RISC-V: the instruction; else its first four bytes, lowest first */
    uint8_t length;    /* bytes: RISC-V 4, x86 1 to 15; never 0, so that va + length goes on */
    uint8_t bytes[15]; /* as they stand in memory; all 0 if not readable */
    bool readable;     /* false: no memory there, `text` says why */
    char text[VIEW_TEXT];
    char symbol[VIEW_SYMBOL]; /* "main" at its first instruction, "main+0x10" within; "" if none */
    bool symbol_start;        /* this is the symbol's first address */
    char file[VIEW_FILE];     /* source file, "" without debug information */
    int line;                 /* 1-based, 0 if unknown */
    char meaning[VIEW_TEXT];  /* a line of prose (isa.def), "" if there is none */
    bool breakpoint;
    bool sensitive; /* traps to the monitor when run in a virtual machine */
};

/* ---- translation -------------------------------------------------------------------------- */

struct view_walk_step {
    uint8_t level;     /* root table: levels - 1 (Sv32: 1), leaf table: 0 */
    uint64_t table_pa; /* of the table */
    uint32_t index;    /* entry within it: 0..1023, or 0..511 of 8 bytes */
    uint64_t pte_pa;   /* of the entry */
    uint64_t pte;      /* as read */
    uint64_t pte_new;  /* after the A/D update of this walk (equal to pte if none) */
    bool leaf;
    bool updated;        /* A or D was set by this walk */
    uint8_t entry_bytes; /* 4 (Sv32, 32-bit x86) or 8 */
    uint64_t next_pa;    /* of the next table or of the page; 0 if the entry is not valid */
    uint32_t flags;      /* what the entry says by itself, as PTE_V|R|W|X|U|G|A|D on every ISA */
};

/* One translation of one address by one table. */
struct view_walk {
    bool present;    /* false: this kind of table does not exist here */
    bool bare;       /* translation is off: pa = va */
    bool ok;         /* the address translates */
    uint64_t va, pa; /* pa valid if ok */
    uint64_t root_pa;
    uint16_t asid;
    uint8_t mode; /* effective privilege of the access */
    char access;  /* 'r', 'w' or 'x' */
    uint8_t step_count;
    struct view_walk_step step[VIEW_WALK_STEPS];
    uint32_t page_size; /* bytes: 4 KiB, 2 MiB, 4 MiB, 1 GiB (monitor's map: 4 KiB); 0 if not ok */
    uint32_t permissions; /* PTE_R|W|X|U|G|A|D (cpu/rv.h), whatever the ISA calls them. Sv32: of the
                           * leaf; x86: what all levels together allow, R if present, X if not NX */
    char why[VIEW_TEXT];  /* if !ok: the reason in words ("level 0 entry is not valid") */
    char fault[32];       /* if !ok: name of the trap, e.g. "store page fault" */
};

enum shadow_change_kind { SHADOW_NONE, SHADOW_FILLED, SHADOW_UPGRADED, SHADOW_DROPPED };

/* The last thing that happened to shadow entries, for marking them in the drawing. */
struct view_shadow_change {
    enum shadow_change_kind kind;
    uint64_t va;    /* page; meaningless if `count` entries went at once */
    uint32_t count; /* entries concerned */
    uint64_t pte_old, pte_new;
    uint64_t exit_seq;      /* the exit that did it */
    char reason[VIEW_TEXT]; /* "first access", "guest wrote for the first time", "sfence.vma" ... */
};

/* The three translations of one guest virtual address, side by side. Under KVM the third is not
 * there: the hardware walks the guest's table itself, and from gPA on a second one of KVM's, which
 * the kernel keeps to itself. */
struct view_translation {
    enum view_isa isa;
    uint8_t levels; /* of tables, as the guest has set up its processor; 0: translation is off */
    uint64_t va;
    char access;
    struct view_walk guest;  /* gVA -> gPA by the guest's table (on a bare machine: the only one) */
    struct view_walk map;    /* gPA -> hPA by the monitor's map; step_count is 0 */
    struct view_walk shadow; /* gVA -> hPA by the shadow table in the hardware's memory */
    char shadow_class[24];   /* which of the shadow tables: "U", "S", "S+SUM", "bare" ... */
    uint32_t shadow_sets;    /* alive for this VM */
    struct view_shadow_change change; /* newest */
};

enum view_table_kind { VIEW_GUEST_TABLE, VIEW_MAP, VIEW_SHADOW_TABLE };

/* A run of pages that translate in the same way, for "page tables of the three kinds". */
struct view_region {
    uint64_t va, pa;
    uint64_t size;        /* bytes */
    uint32_t permissions; /* PTE bits, as in struct view_walk */
    uint32_t page_size;
};

struct view_table {
    enum view_isa isa;
    enum view_table_kind kind;
    bool present;
    uint8_t levels; /* VIEW_GUEST_TABLE: as in struct view_translation */
    uint64_t root_pa;
    unsigned count;
    bool truncated;
    struct view_region region[VIEW_REGIONS];
};

struct view_tlb_entry {
    uint64_t va, pa;
    uint32_t permissions; /* PTE bits that the entry allows */
    uint32_t satp;        /* address space that it belongs to; 0: bare */
    uint8_t mode;         /* effective privilege it was filled for */
};

struct view_tlb {
    unsigned count;
    uint64_t hits, misses; /* hits is 0 unless counted: the fast path counts nothing */
    struct view_tlb_entry entry[VIEW_TLB];
};

/* ---- memory ------------------------------------------------------------------------------- */

struct view_memory {
    uint64_t address; /* of data[0] */
    uint32_t length;  /* bytes asked for, at most sizeof data */
    uint8_t data[4096];
    uint8_t valid[4096 / 8]; /* bit n: data[n] is there (bit clear: unmapped or a device) */
};

/* How hot each run of the guest's pages is, from the hardware's log of pages written. */
struct view_dirty {
    bool present;    /* false: this guest's writes are not logged */
    uint64_t memory; /* bytes of guest memory, which the cells cover from address 0 of RAM on */
    uint32_t pages_per_cell; /* 4 KiB pages */
    uint32_t cells;          /* at most VIEW_DIRTY_CELLS; the last may cover less than the others */
    uint8_t heat[VIEW_DIRTY_CELLS]; /* 255: written in the newest interval; fades to 0 */
    uint64_t dirty_now;             /* pages written in the newest interval */
    uint64_t dirty_total;           /* sum of that over all intervals since reset */
};

/* ---- snapshots ---------------------------------------------------------------------------- */

/* A state of the whole virtual machine that was kept. They form a tree: each knows the one that the
 * guest had been restored from, or that was taken before it. */
struct view_snapshot {
    int id;     /* > 0, never used again in this session */
    int parent; /* 0: none */
    char name[64];
    uint64_t pages; /* of guest memory that it does not share with its parent */
    uint64_t bytes; /* of host memory or disk that it takes */
    uint64_t exits; /* view_status.exits when it was taken */
    bool current;   /* the guest goes on from this one */
    int depth;      /* by session_snapshot_tree(): how many it stands on */
    bool last;      /* by the same: none below stands on the same parent */
};

/* How two snapshots differ. */
enum view_difference_kind {
    DIFFERENCE_VALUE,  /* an element of the state: `a` in the one, `b` in the other */
    DIFFERENCE_PIECE,  /* something that is only known to differ */
    DIFFERENCE_ABSENT, /* something that is not in both; what follows is not compared */
    DIFFERENCE_MEMORY, /* guest memory from address `a` to `b`, whole pages */
    DIFFERENCE_DISK,   /* the disk from byte `a` to `b`, whole blocks of 4 KiB */
    DIFFERENCE_KINDS,
};

struct view_difference {
    enum view_difference_kind kind;
    char part[32]; /* whose state: "hart", "uart", "regs"; else "memory", "disk" */
    char name[48]; /* of the element: "a0", "pc"; may be empty */
    uint64_t a, b;
};

enum { VIEW_DIFFERENCES = 512 };

struct view_differences {
    uint64_t total[DIFFERENCE_KINDS]; /* how many there are of each kind */
    uint64_t pages, blocks;           /* of 4 KiB, in all ranges */
    unsigned count;                   /* of these: of each kind those that come first */
    struct view_difference difference[VIEW_DIFFERENCES];
};

/* ---- exits -------------------------------------------------------------------------------- */

/* One VM exit (on a bare session: one trap taken), oldest dropped first. */
struct view_exit {
    uint64_t seq;         /* 1 = the first since reset */
    uint64_t instruction; /* guest instructions executed before it; 0 where they are not counted */
    uint64_t since;       /* guest instructions run directly since the exit before; 0 likewise */
    uint64_t pc;          /* guest's */
    uint32_t insn;        /* the word there, 0 if it could not be read */
    uint8_t mode;         /* guest's virtual mode: 0 U, 1 S, 3 M; x86: 0 CPL 3, 1 CPL 0 to 2 */
    uint8_t reason;       /* enum exit_reason, see exit.def (bare: cause.def row) */
    uint32_t cause;       /* the real hart's mcause; x86: KVM's exit reason */
    uint64_t tval;        /* the real hart's mtval; x86: port or guest-physical address, if any */
    uint32_t cost;        /* monitor's work in nominal instructions (docs: the cost model), or 0 */
    uint64_t ns;          /* host time the monitor took; 0 where time is counted in instructions */
    uint8_t vcpu;         /* which one has left the guest */
    char access;          /* x86: 'r' or 'w' of the port or address `tval`; 0: neither, or RV32 */
    uint8_t size;         /* ... bytes of it */
    uint64_t data;        /* ... what was written, or what the guest got */
    char device[24];      /* ... which device has answered; "": none */
    char reason_name[24]; /* "CSR write", "shadow fault", "MMIO" ... */
    char text[VIEW_TEXT]; /* the guest's instruction, disassembled */
    char action[VIEW_TEXT];           /* what the monitor did, in one line */
    struct view_shadow_change shadow; /* kind SHADOW_NONE if none */
};

struct view_exit_count {
    char name[24];
    char meaning[VIEW_TEXT];
    uint64_t count;
    uint64_t cost;
    uint64_t ns; /* sum of view_exit.ns */
};

struct view_exit_stats {
    uint64_t total;
    uint64_t instructions; /* guest's; 0 where they are not counted */
    uint64_t ns;           /* host time of all exits together; 0 where time is counted */
    unsigned count;
    struct view_exit_count by_reason[64];
};

/* ---- devices ------------------------------------------------------------------------------ */

struct view_device_register {
    char name[24];
    uint32_t offset;
    uint8_t size;   /* bytes */
    char access[4]; /* "r", "w", "rw" */
    uint64_t value; /* without the side effects of a read; 0 for write-only registers */
    char meaning[VIEW_TEXT];
};

struct view_device {
    char name[24];
    char about[VIEW_TEXT];
    uint64_t base, size; /* guest-physical; an x86 port if `ports` */
    bool ports;          /* x86: base and size are in I/O space */
    int irq;             /* interrupt line at the controller, 0 if none */
    unsigned count;
    struct view_device_register reg[VIEW_DEVICE_REGS];
};

struct view_devices {
    unsigned count;
    struct view_device device[VIEW_DEVICES];
};

/* ---- the session -------------------------------------------------------------------------- */

enum session_state {
    SESSION_STOPPED, /* between two instructions, waiting for a command */
    SESSION_RUNNING,
    SESSION_ENDED, /* the guest switched itself off; only views and reset are left */
};

enum session_stop {
    STOPPED_RESET,      /* just created or reset */
    STOPPED_STEP,       /* the steps asked for are done */
    STOPPED_EXIT,       /* a VM exit (bare: a trap) happened, as asked for */
    STOPPED_BREAKPOINT, /* before executing it */
    STOPPED_WATCHPOINT, /* after the access */
    STOPPED_PAUSE,
    STOPPED_LIMIT,    /* the instruction limit of the configuration */
    STOPPED_IDLE,     /* sleeps in WFI for ever: no timer armed and no input can come */
    STOPPED_POWEROFF, /* test finisher, SBI system reset or HTIF; see exit_code */
    STOPPED_STUCK,    /* firmware or monitor cannot go on: see text */
    /* KVM has given the vCPU up, which is view_status.vcpu. Registers and memory can be looked at.
     */
    STOPPED_SHUTDOWN,   /* triple fault: a fault while the double fault was delivered */
    STOPPED_INTERNAL,   /* KVM cannot go on, e.g. its instruction emulator lacks the instruction */
    STOPPED_FAIL_ENTRY, /* the processor has refused the guest's state */
    STOPPED_BEGINNING,  /* going back, the beginning of what is recorded was reached */
    STOPPED_RECORD_END, /* following a record, its end was reached */
    STOPPED_DIFFERS,    /* following a record, the run came to something else */
    STOPPED_MOVED,      /* the guest runs on another host, or may: see struct view_migration */
    STOPPED_MISSING, /* before an instruction for which a page of memory has not come from the other
                      * host, to which the link is lost: see text. It goes on if it comes */
};

/* What is known of the run, see session_step_back(). */
struct view_history {
    bool present;          /* there is a history */
    bool in_past;          /* the guest stands before the end of it */
    uint64_t first, end;   /* instruction counts */
    uint64_t bytes, limit; /* of host memory: taken, and allowed */
    unsigned checkpoints;
};

/* A moment of the run. */
struct view_moment {
    uint64_t instruction;
    uint64_t exits; /* view_status.exits then */
};

struct view_kept {
    uint64_t instruction; /* first, as in struct view_moment */
    int id;               /* view_snapshot.id */
    char name[64];
};

/* The run from the beginning of what is recorded to its newest instruction. Everything is in the
 * order of the run; where there is more than fits, it is left out evenly. */
struct view_timeline {
    struct view_history history; /* not `present`: nothing else is filled in */
    uint64_t here;               /* where the guest stands: an instruction, as all below */
    unsigned checkpoints, inputs, moments, snapshots;
    uint64_t checkpoint[VIEW_CHECKPOINTS];
    uint64_t input[VIEW_INPUTS];               /* something that was typed was delivered there */
    struct view_moment moment[VIEW_MOMENTS];   /* whose exits are known */
    struct view_kept snapshot[VIEW_SNAPSHOTS]; /* those that are moments of this run */
};

/* ---- layers ------------------------------------------------------------------------------- */

enum view_layer_kind {
    LAYER_TOP,        /* what was written since the newest layer below */
    LAYER_SNAPSHOT,   /* what a snapshot has kept */
    LAYER_CHECKPOINT, /* what going back needs */
    LAYER_MANY,       /* several of these together */
    LAYER_FILE,       /* of the files that the disk is in layers of (docs/disks.md) */
    LAYER_BASE,       /* what was there before anything was written */
};

struct view_layer {
    enum view_layer_kind kind;
    uint64_t layers;      /* that it stands for: 1, but for LAYER_MANY */
    uint64_t pages;       /* of memory, disk and monitor, that it has itself; base: 0 */
    bool timed;           /* the next member is known */
    uint64_t instruction; /* when it was frozen (LAYER_MANY: the newest) */
    char name[64];        /* LAYER_SNAPSHOT; LAYER_FILE: the file's, without its folder */
    char beside[96];      /* snapshots that stand on it, but are not in this stack; "" if none */
    bool asked, answered; /* by the scan: it came here; the page is here */
};

/* The stack of layers under a running guest, and the scan for one page. */
struct view_layers {
    bool present;     /* false: nothing is kept in layers */
    bool disk;        /* a page of the disk, else of memory */
    uint64_t address; /* guest-physical, or byte of the disk */
    uint64_t page;    /* its page's beginning */
    bool there;       /* false: there is no such page, nobody was asked, and `why` says why */
    char why[VIEW_TEXT];
    char base[32];   /* what the base is, in words */
    uint64_t layers; /* in all, top and base included */
    uint64_t asked;  /* of these, until one answered */
    unsigned count;
    struct view_layer layer[VIEW_LAYERS]; /* from the top down */
};

struct view_status {
    enum session_state state;
    enum session_stop stop;
    int exit_code; /* if STOPPED_POWEROFF */
    /* More about the stop, in lines, if there is more: why KVM has given the vCPU up. */
    char detail[VIEW_DETAIL];
    char text[VIEW_TEXT];   /* the stop in words, e.g. "watchpoint: write of 0x80401000" */
    uint64_t watch_address; /* if STOPPED_WATCHPOINT */
    char watch_access;      /* 'r', 'w', 'x' */
    uint64_t instructions;  /* guest's, since reset; see `counted` */
    uint64_t exits;         /* VM exits (bare: traps) since reset */
    uint64_t stops;         /* how often the session has stopped: changes when a view is stale */
    bool under_monitor;     /* in a virtual machine: there are exits, not traps */
    enum view_isa isa;
    unsigned vcpus;   /* how many there are, at least 1 */
    unsigned vcpu;    /* the one that questions and steps mean, 0.. */
    bool counted;     /* `instructions` is exact; false: it may be 0, or an estimate */
    uint64_t exit_ns; /* host time of all exits together; 0 where time is counted in instructions */
    char guest[VIEW_FILE];
    char engine[16]; /* "kvm" where the host's processor runs the guest */
    uint64_t memory; /* bytes of guest memory */
    double mips; /* million instructions per second of host time in the last second of running */
};

/* ---- moving to another host ----------------------------------------------------------------- */

enum view_migration_phase {
    MIGRATION_NONE,     /* the guest has never moved */
    MIGRATION_COPYING,  /* it runs, and its pages are being sent (or are coming) */
    MIGRATION_HANDOVER, /* it stands; the rest is on its way */
    MIGRATION_MOVED,    /* it runs on the other side; or incoming: it came here */
    MIGRATION_STAYED,   /* the attempt has failed: it is where it was */
    MIGRATION_DOUBT,    /* it was handed over, and nobody has confirmed that */
    MIGRATION_POSTCOPY, /* it runs on the other side (or incoming: here), the rest of its memory is
                         * on the way */
    MIGRATION_TORN, /* the same, but the link is lost: some of its memory is only at the source */
};

/* One round of a migration. */
struct view_round {
    uint64_t pages;    /* sent in it */
    uint64_t dirty;    /* written meanwhile */
    double seconds;    /* that it took */
    double expected;   /* view_migration.expected after it */
    unsigned throttle; /* percent, during it */
};

enum { VIEW_ROUNDS = 32 };

/* The present or last migration of the session's guest: hv/migrate.h. */
struct view_migration {
    enum view_migration_phase phase;
    bool incoming;
    unsigned round;       /* 1: all pages, then those written meanwhile */
    unsigned throttle;    /* percent of the time that the guest is kept from running */
    uint64_t pages;       /* of the guest's memory, 4 KiB each */
    uint64_t dirty;       /* written while the last round was sent; sent next */
    uint64_t moved_pages; /* sent or got so far, each as often as it was */
    uint64_t zero_pages;  /* of them all zero: sent in five bytes */
    uint64_t bytes;       /* sent so far */
    double rate;          /* bytes a second, of the last round */
    double dirty_rate;    /* bytes that the guest has written to new pages a second, in that time */
    double expected;      /* seconds: how long the guest would stand if it were handed over now */
    double downtime;      /* seconds that it stood, as the source has seen it */
    double seconds;       /* since the migration began, or that it took */
    double limit;         /* seconds: it hands over when `expected` is no more than this */
    unsigned rounds;      /* in `log`: the last ones up to `round`, oldest first */
    struct view_round log[VIEW_ROUNDS];
    char to[VIEW_FILE]; /* the other side's name, or "" */
    /* Post-copy: */
    uint64_t missing;  /* pages that the destination has not yet */
    uint64_t demands;  /* pages that it could not wait for ... */
    double waited;     /* ... seconds from request to page, in all ... */
    double waited_max; /* ... and at most (both are known at the destination) */
};

/* ---- protection by a second host ------------------------------------------------------------ */

enum view_protection_phase {
    PROTECTION_NONE,    /* the guest was never protected */
    PROTECTION_COPYING, /* its memory is being sent for the first time (backup: is coming) */
    PROTECTION_ON,      /* the backup could go on from the last epoch (backup: it could) */
    PROTECTION_ALONE,   /* the backup is lost: the guest runs here, unprotected */
    PROTECTION_TAKEN,   /* backup: the primary is lost, and the guest goes on here */
    PROTECTION_OVER,    /* ended in order */
    PROTECTION_FENCED,  /* lost, and the other side has the guest: it is not run here */
    PROTECTION_DOUBT,   /* lost, and the other side may have it: it stands until a person decides */
    PROTECTION_ENDED,   /* backup: no guest has come, or not as a whole */
};

/* An epoch. Times are seconds since the protection began; 0: not yet. */
struct view_epoch {
    uint64_t number;
    uint64_t pages, blocks; /* of 4 KiB */
    uint64_t bytes;         /* sent for it */
    uint64_t output;        /* bytes of the console's text that wait for it */
    double began;           /* the guest began to run in it ... */
    double stood;           /* ... stood at its end ... */
    double copied;          /* ... and went on, into the next one; this one is on its way */
    double acknowledged;    /* the backup has it */
    double released;        /* the world has seen its output */
};

enum { VIEW_EPOCHS = 16 };

/* The present or last protection of the session's guest: hv/protect.h. */
struct view_protection {
    enum view_protection_phase phase;
    bool backup;           /* seen from there */
    uint64_t generation;   /* of the fence; 0: there is none */
    uint64_t epochs;       /* sent (backup: got) */
    uint64_t acknowledged; /* of these */
    uint64_t
        instruction;   /* guest instructions at the last one acknowledged, where they are counted */
    uint64_t pages;    /* sent in epochs (not those of the first copy), in all ... */
    uint64_t blocks;   /* ... and of the disk, 4 KiB each */
    uint64_t bytes;    /* sent in all */
    uint64_t released; /* bytes of console output that the world was shown */
    uint64_t shown_from; /* has been a backup: the first byte that it has shown has this number. The
                          * primary may have shown it, and some that follow, already */
    double pause;        /* seconds that the guest stood for epochs, in all ... */
    double pause_max;    /* ... and at most for one */
    double delay;        /* seconds from an epoch to its acknowledgement, in all */
    double seconds;      /* since the first epoch */
    uint64_t held;       /* bytes of console output that nobody has seen yet */
    int64_t since;       /* when this phase began: seconds since 1970, of the host's clock */
    unsigned losses;     /* how often a backup was lost */
    bool searching;      /* for a (next) backup: hv/guard.h */
    char to[VIEW_FILE];  /* the other side's name, or "" */
    char why[VIEW_TEXT]; /* the last loss; why the last search found nobody; or "" */
    unsigned recent;     /* in `log`: the last epochs, oldest first */
    struct view_epoch log[VIEW_EPOCHS];
};

#endif
