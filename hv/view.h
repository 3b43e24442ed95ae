/*
 * What a session hands out: plain data, copied out of the machine between two slices.
 *
 * Nothing here points into a running machine; a view stays as it was taken, whatever the guest does
 * afterwards, and may be kept, compared and drawn by any thread. Sizes are bounded by the constants
 * below: a view that had more to tell sets `truncated`.
 *
 * Addresses: va = virtual address, pa = physical address of the hart in question. Of the three
 * translations of a virtual machine, gVA -> gPA is the guest's own, gPA -> hPA the monitor's map,
 * gVA -> hPA the shadow table that the hardware walks.
 */
#ifndef VITRINE_HV_VIEW_H
#define VITRINE_HV_VIEW_H

#include <stdbool.h>
#include <stdint.h>

/* Which hart a question is about. On a session without a monitor only VIEW_REAL exists. */
enum view_hart_kind {
    VIEW_REAL,    /* the computer's hart: what the hardware really does */
    VIEW_VIRTUAL, /* the virtual machine's hart: what the guest believes */
};

enum {
    VIEW_CSRS = 96,
    VIEW_WALK_STEPS = 2, /* Sv32 has two levels */
    VIEW_TLB = 512,
    VIEW_REGIONS = 4096,
    VIEW_SYMBOL = 64,
    VIEW_FILE = 192,
    VIEW_TEXT = 96,
    VIEW_DEVICES = 16,
    VIEW_DEVICE_REGS = 64,
};

/* ---- registers ---------------------------------------------------------------------------- */

struct view_csr {
    uint16_t number;
    uint8_t privilege; /* lowest mode that may touch it: 0 U, 1 S, 3 M */
    char name[16];
    uint32_t value;
    bool changed; /* since the session last stopped before this stop */
};

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

/* ---- instructions ------------------------------------------------------------------------- */

struct view_insn {
    uint32_t va;
    uint32_t word;
    bool readable; /* false: no memory there, `text` says why */
    char text[VIEW_TEXT];
    char symbol[VIEW_SYMBOL]; /* "main" at its first instruction, "main+0x10" within; "" if none */
    bool symbol_start;        /* this is the symbol's first address */
    char file[VIEW_FILE];     /* source file, "" without debug information */
    int line;                 /* 1-based, 0 if unknown */
    char meaning[VIEW_TEXT];  /* isa.def's line of prose */
    bool breakpoint;
    bool sensitive; /* traps to the monitor when run in a virtual machine */
};

/* ---- translation -------------------------------------------------------------------------- */

struct view_walk_step {
    uint8_t level;     /* 1 = root table, 0 = leaf table */
    uint32_t table_pa; /* of the table */
    uint32_t index;    /* entry within it, 0..1023 */
    uint32_t pte_pa;   /* of the entry */
    uint32_t pte;      /* as read */
    uint32_t pte_new;  /* after the A/D update of this walk (equal to pte if none) */
    bool leaf;
    bool updated; /* A or D was set by this walk */
};

/* One translation of one address by one table. */
struct view_walk {
    bool present;    /* false: this kind of table does not exist here */
    bool bare;       /* translation is off: pa = va */
    bool ok;         /* the address translates */
    uint32_t va, pa; /* pa valid if ok */
    uint32_t root_pa;
    uint16_t asid;
    uint8_t mode;     /* effective privilege of the access */
    char access;      /* 'r', 'w' or 'x' */
    uint8_t step_count;
    struct view_walk_step step[VIEW_WALK_STEPS];
    uint32_t page_size;   /* bytes: 4096 or 4 MiB (4 KiB in the monitor's map); 0 if not ok */
    uint32_t permissions; /* PTE_R|W|X|U|A|D bits of the leaf (pa side) */
    char why[VIEW_TEXT];  /* if !ok: the reason in words ("level 0 entry is not valid") */
    char fault[32];       /* if !ok: name of the trap, e.g. "store page fault" */
};

enum shadow_change_kind { SHADOW_NONE, SHADOW_FILLED, SHADOW_UPGRADED, SHADOW_DROPPED };

/* The last thing that happened to shadow entries, for marking them in the drawing. */
struct view_shadow_change {
    enum shadow_change_kind kind;
    uint32_t va;            /* page; meaningless if `count` entries went at once */
    uint32_t count;         /* entries concerned */
    uint32_t pte_old, pte_new;
    uint64_t exit_seq;      /* the exit that did it */
    char reason[VIEW_TEXT]; /* "first access", "guest wrote for the first time", "sfence.vma" ... */
};

/* The three translations of one guest virtual address, side by side. */
struct view_translation {
    uint32_t va;
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
    uint32_t va, pa;
    uint32_t size;        /* bytes */
    uint32_t permissions; /* PTE bits */
    uint32_t page_size;
};

struct view_table {
    enum view_table_kind kind;
    bool present;
    uint32_t root_pa;
    unsigned count;
    bool truncated;
    struct view_region region[VIEW_REGIONS];
};

struct view_tlb_entry {
    uint32_t va, pa;
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
    uint32_t address; /* of data[0] */
    uint32_t length;  /* bytes asked for, at most sizeof data */
    uint8_t data[4096];
    uint8_t valid[4096 / 8]; /* bit n: data[n] is there (bit clear: unmapped or a device) */
};

/* ---- exits -------------------------------------------------------------------------------- */

/* One VM exit (on a bare session: one trap taken), oldest dropped first. */
struct view_exit {
    uint64_t seq;         /* 1 = the first since reset */
    uint64_t instruction; /* guest instructions executed before it */
    uint64_t since;       /* guest instructions run directly since the exit before */
    uint32_t pc;          /* guest's */
    uint32_t insn;        /* the word there, 0 if it could not be read */
    uint8_t mode;         /* guest's virtual mode: 0 U, 1 S, 3 M */
    uint8_t reason;       /* enum exit_reason, see exit.def (bare: cause.def row) */
    uint32_t cause;       /* the real hart's mcause */
    uint32_t tval;        /* the real hart's mtval */
    uint32_t cost;        /* monitor's work in nominal instructions (docs: the cost model) */
    char reason_name[24]; /* "CSR write", "shadow fault", "MMIO" ... */
    char text[VIEW_TEXT]; /* the guest's instruction, disassembled */
    char action[VIEW_TEXT]; /* what the monitor did, in one line */
    struct view_shadow_change shadow; /* kind SHADOW_NONE if none */
};

struct view_exit_count {
    char name[24];
    char meaning[VIEW_TEXT];
    uint64_t count;
    uint64_t cost;
};

struct view_exit_stats {
    uint64_t total;
    uint64_t instructions; /* guest's */
    unsigned count;
    struct view_exit_count by_reason[32];
};

/* ---- devices ------------------------------------------------------------------------------ */

struct view_device_register {
    char name[24];
    uint32_t offset;
    uint8_t size;    /* bytes */
    char access[4];  /* "r", "w", "rw" */
    uint32_t value;  /* without the side effects of a read; 0 for write-only registers */
    char meaning[VIEW_TEXT];
};

struct view_device {
    char name[24];
    char about[VIEW_TEXT];
    uint32_t base, size;
    int irq; /* PLIC source, 0 if none */
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
    STOPPED_LIMIT,      /* the instruction limit of the configuration */
    STOPPED_IDLE,       /* sleeps in WFI for ever: no timer armed and no input can come */
    STOPPED_POWEROFF,   /* test finisher, SBI system reset or HTIF; see exit_code */
    STOPPED_STUCK,      /* firmware or monitor cannot go on: see text */
};

struct view_status {
    enum session_state state;
    enum session_stop stop;
    int exit_code; /* if STOPPED_POWEROFF */
    char text[VIEW_TEXT]; /* the stop in words, e.g. "watchpoint: write of 0x80401000" */
    uint32_t watch_address; /* if STOPPED_WATCHPOINT */
    char watch_access;      /* 'r', 'w', 'x' */
    uint64_t instructions;  /* guest's, since reset */
    uint64_t exits;         /* VM exits (bare: traps) since reset */
    uint64_t stops;         /* how often the session has stopped: changes when a view is stale */
    bool under_monitor;
    char guest[VIEW_FILE];
    char engine[16];
    uint32_t memory; /* bytes of guest memory */
    double mips;     /* million instructions per second of host time in the last second of running */
};

#endif
