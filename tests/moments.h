/*
 * For tests that go back in time: sessions with a history, all that can be asked of a moment, and
 * guests.
 */
#ifndef VITRINE_TESTS_MOMENTS_H
#define VITRINE_TESTS_MOMENTS_H

#include "hv/session.h"

/* The guest that was written, and the disk that sessions get ("": none). */
extern char moments_image[64], moments_disk[64];
extern char moments_minios[512], moments_rom[512];
/* Bytes that the session's guest has printed. */
extern size_t moments_printed;

/* `make check` does a part of what `make torture` does (VITRINE_TORTURE is set there). */
int moments_share(int all);

/* Check's loop index: engine and whether under the monitor. */
int moments_ways(void);
struct session *moments_start(int way, const char *path, uint64_t history);
struct session *moments_open(const char *path, const char *engine, enum session_under under,
                             uint64_t history);
/* To the stop of what was begun with this result, which must be 0. */
struct view_status moments_wait(struct session *s, int failed);
/* Ends the session and removes its guest. */
void moments_finish(struct session *s);

/* All that can be asked of a moment. */
struct seen {
    uint64_t at, all, guest, exits, log, counts;
    size_t printed;
};
struct seen moments_look(struct session *s);
/* The guest is what it was then. */
void moments_check(struct session *s, const struct seen *then);

enum { MOMENTS = 60 };
/* Runs in steps of random length, and takes down what is there after each; returns how many. */
int moments_along(struct session *s, struct seen *seen, uint64_t *seed, uint32_t most,
                  void (*between)(struct session *s, uint64_t *seed));
/* Goes there and back again at random. */
void moments_visit(struct session *s, const struct seen *seen, int count, uint64_t *seed,
                   int visits);

/* ---- guests --------------------------------------------------------------------------------- */

void moments_random(uint64_t seed, unsigned options);
void moments_find_minios(void);
void moments_copy_disk(void);
void moments_make_disk(void);
uint64_t moments_disk_hash(void);
void moments_type(struct session *s, uint64_t *seed);

enum { COUNTER_LOOP = 3, COUNTER_STORE = COUNTER_LOOP + 1 }; /* words of the counter's code */
void moments_make_counter(void);
void moments_make_writer(void);
struct session *moments_start_counter(int under);

/* Register 0..31 of the guest, or 32: its pc. */
uint32_t moments_register(struct session *s, int number);
uint32_t moments_word(struct session *s, uint32_t address);

#endif
