/*
 * Recording a run of the simulated backend, and following one that was recorded (record.h).
 *
 * While it records, the guest's digest is taken every RECORD_DIGESTS instructions; what was typed is
 * in the session's log anyway. While it follows, what was typed comes from the record, and each digest
 * is compared: the first that differs ends the run.
 */
#ifndef VITRINE_HV_RECORDER_H
#define VITRINE_HV_RECORDER_H

#include "hv/backend.h"
#include "hv/record.h"

struct simulated;

struct recorder {
    enum { RECORDER_OFF, RECORDER_RECORDS, RECORDER_FOLLOWS } mode;
    struct record *record;
    char *path;          /* where it will be written */
    const char *spoilt;  /* why the run cannot be had from a record; NULL: it can */
    size_t from;         /* entries of runs before the newest reset of the guest */
    size_t at;           /* FOLLOWS: the next digest, reset or end */
};

/* Begins to record; the guest stands at its first instruction. 0 or -errno with `why`. */
int recorder_start(struct simulated *s, const char *path, char *why);
/* Writes the file, and records no longer. */
int recorder_finish(struct simulated *s, char *why);
/* Begins to follow; the record becomes the recorder's. 0 or -errno with `why`. */
int recorder_follow(struct simulated *s, struct record *record, char *why);
void recorder_free(struct simulated *s);

/* Is what the guest gets to read that of a record, and nothing else? */
bool recorder_follows(const struct simulated *s);

/* The guest is about to reset itself, and has done so. False: the record knows nothing of it (then
 * `stop` says so), or the host has no memory left. */
bool recorder_reset(struct simulated *s, struct backend_stop *stop);
bool recorder_restarted(struct simulated *s);
/* Something has happened to the guest that no record can tell. */
void recorder_spoil(struct simulated *s, const char *why);
/* From here on the run is another one: what was recorded behind is void. */
void recorder_cut(struct simulated *s);

/* For how many instructions at most the guest may run before recorder_look(). */
uint64_t recorder_bound(const struct simulated *s);
/* Between two slices: takes a digest, or compares one. True: the run is over. */
bool recorder_look(struct simulated *s, struct backend_stop *stop);
/* The machine has stopped by itself, as `told` says: does the record end so, too? */
void recorder_ended(struct simulated *s, struct backend_stop *told);

#endif
