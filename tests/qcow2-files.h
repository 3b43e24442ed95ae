/* Images in a folder of the test's own, for Check suites: made, opened and looked at in one line.
 */
#ifndef VITRINE_TESTS_QCOW2_FILES_H
#define VITRINE_TESTS_QCOW2_FILES_H

#include "hv/qcow2.h"
#include "tests/storage-trace.h"

extern char folder[];         /* the test's: setup() makes it, teardown() removes it */
extern char why[QCOW2_ERROR]; /* the last reason */

void setup(void);
void teardown(void);
/* A path in the folder, good until the fourth call from now. */
const char *in(const char *name);

void make_raw(const char *name, size_t size, int fill);
void create(const char *name, uint64_t size, const char *backing);
/* With clusters of 4 KiB. */
void create_fine(const char *name, uint64_t size, const char *backing);
/* A disk of 1 MiB with clusters of 4 KiB, of which the first 40,000 bytes are 'o', in memory. */
void make_trace(struct trace *trace, bool recording);

/* These fail the test when they do not succeed. */
struct qcow2 *open_well(const char *name, unsigned flags);
void close_well(struct qcow2 *q);
void put(struct qcow2 *q, uint64_t at, int fill, size_t count);
int get(struct qcow2 *q, uint64_t at);
struct qcow2_verdict check_image(struct qcow2 *q);
void expect_clean(const char *name);

#endif
