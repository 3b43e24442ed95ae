/*
 * What changes whole images, and every crash that can happen to it: commit, repair, rebase, resize,
 * creation.
 *
 * Each is done once with the image, and for commit with its backing file too, in memory, where each
 * write and flush is recorded (storage-trace.h). Then every state that a crash may leave is put
 * into files, which must be consistent and show the disk of before or of after; and doing it again
 * must end well.
 */
#ifndef VITRINE_TESTS_QCOW2_CHANGE_H
#define VITRINE_TESTS_QCOW2_CHANGE_H

#include "tests/qcow2-crash.h"

extern const char *const change_names[];
extern const unsigned change_count;

/* Runs change `which` in `folder`, which is there, empty, and is left with files. False: it could
 * not be done, and `first` says why. */
bool change_run(unsigned which, const char *folder, const struct crash_effort *effort,
                struct crash_result *result);

#endif
