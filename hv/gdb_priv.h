/*
 * Inside the GDB stub: the connection (gdb.c) and what the packets mean (gdb-packet.c).
 */
#ifndef VITRINE_HV_GDB_PRIV_H
#define VITRINE_HV_GDB_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/gdb.h"
#include "hv/session.h"

enum { GDB_PACKET = 16384 }; /* payload bytes, in and out */

/* Where the receiver is within "$payload#checksum". */
enum gdb_receive { RECEIVE_NOTHING, RECEIVE_PAYLOAD, RECEIVE_SUM_HIGH, RECEIVE_SUM_LOW };

/* A breakpoint that the debugger has set, so that `z` finds the session's number for it. */
struct gdb_point {
    int id; /* 0: free */
    char type;
    uint32_t address, length;
};

struct gdb {
    struct session *session;
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

#endif
