/* What `vitrine snapshot` prints: a directory as a list and as a tree, a snapshot, a difference. */
#ifndef VITRINE_HV_CMD_SNAPSHOT_SHOW_H
#define VITRINE_HV_CMD_SNAPSHOT_SHOW_H

#include <stdio.h>

#include "hv/snapshot.h"

void show_snapshot_list(FILE *out, const struct snapshot_dir *dir);
void show_snapshot_tree(FILE *out, const struct snapshot_dir *dir);
/* `own` is what the snapshot has itself, `whole` what it is. */
void show_one_snapshot(FILE *out, const struct snapshot_dir *dir, const struct snapshot_file *own,
                       const struct snapshot_file *whole);
/* Returns how many lines there were: 0, they are equal. */
int show_snapshot_diff(FILE *out, const struct snapshot_file *a, const struct snapshot_file *b);

#endif
