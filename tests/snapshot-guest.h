/*
 * What the tests of session directories share: a folder of its own for each test, and guests of
 * random programs in it.
 */
#ifndef VITRINE_TESTS_SNAPSHOT_GUEST_H
#define VITRINE_TESTS_SNAPSHOT_GUEST_H

#include "hv/session.h"

enum { STEP = 3000 }; /* instructions */

/* `disk` is "" unless the test has made one; `image` and `dir_path` are what guests are made of,
 * and where their snapshots are. */
extern char folder[64], image[64], dir_path[80], disk[80];

/* Fixture of every test. */
void snapshot_set_up(void);
void snapshot_tear_down(void);

void random_guest(uint64_t seed);
struct session_config config_for(const char *engine, enum session_under under);
/* A session whose snapshots are in the directory; one that begins at a snapshot of it. */
struct session *start(const char *engine, enum session_under under);
struct session *open_at(int id, const char *engine);
/* So many instructions, if the guest lives as long. */
void run_on(struct session *s, uint64_t count);
/* Takes a snapshot: its id. */
int keep(struct session *s, const char *name);

/* The name of a snapshot's file. */
void file_of(int id, char path[120]);

/* What a session looks like; and that two look the same. */
struct seen {
    uint64_t digest, exits;
};
struct seen see(struct session *s);
void same(struct seen a, struct seen b);

#endif
