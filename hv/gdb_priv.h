/*
 * Inside the GDB stub: the connection (gdb.c), what the packets mean (gdb-packet.c,
 * gdb-registers.c), and what gdb expects of each ISA (gdb-riscv.c, gdb-x86.c).
 */
#ifndef VITRINE_HV_GDB_PRIV_H
#define VITRINE_HV_GDB_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "hv/gdb.h"
#include "hv/session.h"

enum { GDB_PACKET = 16384 }; /* payload bytes, in and out */

/* Where the receiver is within "$payload#checksum". */
enum gdb_receive { RECEIVE_NOTHING, RECEIVE_PAYLOAD, RECEIVE_SUM_HIGH, RECEIVE_SUM_LOW };

/* A breakpoint that the debugger has set, so that `z` finds the session's number for it. */
struct gdb_point {
    int id; /* 0: free */
    char type;
    uint64_t address;
    uint32_t length;
};

/* A register as gdb sees it. */
struct gdb_register {
    const char *feature; /* of the target description; those of a feature stand together */
    char name[16];
    const char *type;  /* gdb's type, NULL: by its width */
    const char *group; /* gdb's group, NULL: gdb knows */
    uint32_t number;   /* gdb's */
    uint16_t bits;     /* a multiple of 8, at most 128 */
    bool known;        /* false: the session does not tell its value */
    uint64_t value, high;
};

enum { GDB_REGISTERS = 384 };

/* What gdb expects of an ISA. */
struct gdb_isa {
    const char *architecture; /* gdb's name */
    const char *cpu;          /* what a thread is called: "hart", "vCPU" */
    const char *pc;           /* the session's name of the program counter */
    uint64_t address_max;
    int general; /* so many of the list are what `g` and `G` are about */
    /* The registers with their values now, in order; returns how many, at most GDB_REGISTERS. */
    int (*list)(struct session *session, struct gdb_register *out);
    /* Writes gdb's register `number`. 0, or -errno: -EINVAL if there is no such register. */
    int (*write)(struct session *session, uint32_t number, uint64_t value);
    /* Types that the description of a feature needs, as XML. NULL: none. */
    void (*types)(const char *feature, FILE *out);
};

extern const struct gdb_isa gdb_riscv, gdb_x86;

struct gdb {
    struct session *session;
    const struct gdb_isa *isa;
    int listener, client, waker; /* client is -1 when nobody is connected */
    atomic_bool quit;
    char address[80];
    bool killed;   /* by the debugger: serve no more */
    bool detached; /* the debugger has said goodbye */
    bool served;   /* somebody was connected before */

    enum gdb_receive receive;
    bool escaped, overflow, no_ack;
    uint8_t sum, sum_sent;
    size_t count;
    char packet[GDB_PACKET + 1]; /* ends with a NUL behind `count` */

    size_t reply_count;
    char reply[GDB_PACKET];

    bool resumed;   /* the guest runs for the debugger, who waits for a stop reply */
    bool back;      /* ... into the past, to a breakpoint or watchpoint */
    uint64_t stops; /* view_status.stops when it was resumed */
    struct gdb_point point[SESSION_BREAKS];
};

/* ---- gdb.c -------------------------------------------------------------------------------- */

/* Sends one packet; what is lost with the connection is lost. */
void gdb_send(struct gdb *gdb, const char *payload, size_t count);

/* ---- gdb-packet.c ------------------------------------------------------------------------- */

/* Answers gdb->packet. */
void gdb_answer(struct gdb *gdb);
/* If a resumed guest has stopped, tells the debugger. */
void gdb_report_stop(struct gdb *gdb);
/* Takes away all breakpoints that the debugger has set. */
void gdb_clear_points(struct gdb *gdb);

/* Adds to the reply; what does not fit any more is left out. */
void gdb_reply(struct gdb *gdb, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gdb_reply_error(struct gdb *gdb, int error);   /* errno, or -errno */
void gdb_reply_result(struct gdb *gdb, int result); /* "OK" for 0 */

/* Reading arguments: each moves on behind what it has read, or returns false. */
bool gdb_take_number(const char **at, uint32_t *out); /* hexadecimal, of at most 32 bits */
bool gdb_take_char(const char **at, char wanted);
bool gdb_take_byte(const char **at, uint8_t *out); /* two hexadecimal digits */
bool gdb_take_range(const char **at, uint32_t *offset, uint32_t *length); /* "OFFSET,LENGTH" */

/* ---- gdb-registers.c ---------------------------------------------------------------------- */

/* The packets g, G, p, P, and the target description. */
void gdb_answer_registers(struct gdb *gdb, const char *at);
void gdb_answer_set_registers(struct gdb *gdb, const char *at);
void gdb_answer_register(struct gdb *gdb, const char *at);
void gdb_answer_set_register(struct gdb *gdb, const char *at);
void gdb_answer_description(struct gdb *gdb, const char *at);

#endif
