/*
 * A GDB remote stub: lets gdb-multiarch drive a session over TCP.
 *
 * It is an ordinary client of session.h. The debugger sees the guest's own hart (in a virtual
 * machine: the virtual one) or its vCPUs as threads, registers by a target description, guest
 * memory by virtual address, breakpoints and watchpoints, step, continue and interrupt. `monitor
 * help` in gdb lists what else it answers. An x86 guest is always shown as x86-64, also in 32- and
 * 16-bit code.
 *
 *     struct gdb *gdb = gdb_new(session, "1234", why);   // 127.0.0.1:1234
 *     gdb_serve(gdb);                                    // on a thread of its own
 *     ...
 *     gdb_quit(gdb);                                     // from another thread
 *     gdb_free(gdb);
 *
 * Whoever owns the session calls gdb_stopped() from session_config.stopped. Whatever arrives from
 * the network, the stub answers with an error or ignores it; it never ends the program.
 *
 * Protocol: "Debugging with GDB", appendix E.
 */
#ifndef VITRINE_HV_GDB_H
#define VITRINE_HV_GDB_H

#include <stddef.h>

struct gdb;
struct session;

enum { GDB_ERROR = 256 };

/* Listens at "[ADDRESS:]PORT" or "[ADDRESS]:PORT": 127.0.0.1 without an address, any free port for
 * port 0. NULL on failure, and `why` (GDB_ERROR bytes) is one line. The session outlives the stub.
 */
struct gdb *gdb_new(struct session *session, const char *where, char *why);
/* "127.0.0.1:1234", as gdb's `target remote` takes it; valid as long as the stub. */
const char *gdb_address(const struct gdb *gdb);

/* Serves one debugger after the other. When one goes away, the guest runs on, and the next one may
 * come. Returns when the debugger kills the guest, when the guest has stopped for good with nobody
 * connected, or after gdb_quit(). */
void gdb_serve(struct gdb *gdb);

/* The session has stopped. From any thread; takes no locks. */
void gdb_stopped(struct gdb *gdb);
/* Makes gdb_serve() return soon. From any thread. */
void gdb_quit(struct gdb *gdb);
/* Not while gdb_serve() is under way. NULL is allowed. */
void gdb_free(struct gdb *gdb);

#endif
