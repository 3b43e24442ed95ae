/*
 * A guest that writes to a disk and flushes, on a disk that two sessions share: what the tests of
 * disks that change hands have in common.
 */
#ifndef VITRINE_TESTS_DISK_PAIR_H
#define VITRINE_TESTS_DISK_PAIR_H

#include "tests/migrate-pair.h"
#include "tests/protect-pair.h"

/* CHAIN: an overlay on an overlay on a raw file. */
enum disk_kind { DISK_RAW, DISK_QCOW2, DISK_CHAIN, DISK_KINDS };

struct disk_pair {
    enum disk_kind kind;
    char folder[32], image[64], disk[64]; /* image: the guest's program */
};

void disk_pair_make(struct disk_pair *pair, enum disk_kind kind);
void disk_pair_remove(struct disk_pair *pair);
/* `away`: the disk is another's until the guest has come. */
struct session *disk_pair_session(const struct disk_pair *pair, enum session_under under,
                                  bool away);

/* Does the disk hold what a guest has written that has counted to `count`, and is the image clean but
 * for leaks? Nobody may have it open. NULL if all is well. */
const char *disk_pair_check_file(const struct disk_pair *pair, uint32_t count);
/* The image alone. */
const char *disk_pair_check_image(const struct disk_pair *pair);

/* Migrates as the plan says; then the one that has the guest goes on, the other one must not get the
 * disk, and the file must be as above. `calls`: how many the side of the plan has made. */
const char *disk_pair_migrate(enum disk_kind kind, enum session_under from, enum session_under to,
                              const struct fault_plan *plan, unsigned *calls);
/* The same of a protection. */
const char *disk_pair_protect(enum disk_kind kind, enum session_under from, enum session_under to,
                              const struct fault_plan *plan, unsigned *calls);
/* The side of the plan in a process of its own, which is killed. `*died`: it came to that. */
const char *disk_pair_kill_migration(enum disk_kind kind, const struct fault_plan *plan,
                                     bool *died);
const char *disk_pair_kill_protection(enum disk_kind kind, const struct fault_plan *plan,
                                      bool *died);

#endif
