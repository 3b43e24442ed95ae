/* Canned views, as a session would hand them out, for tests that need no session. */
#ifndef VITRINE_TESTS_GUI_FAKE_VIEWS_H
#define VITRINE_TESTS_GUI_FAKE_VIEWS_H

#include "gui/draw/chart.h"
#include "hv/view.h"

/* One address through all three tables, each in two levels; the guest's D bit is set by this walk
 * and the shadow entry was upgraded for it. */
struct view_translation fake_translation(void);
/* The same, but the guest's leaf entry is invalid: its store faults. */
struct view_translation fake_guest_fault(void);
/* The guest's table is fine, the shadow table has nothing yet. */
struct view_translation fake_not_filled(void);
/* A device: the monitor's map has no frame. */
struct view_translation fake_device(void);
/* A 4 MiB page of the guest. */
struct view_translation fake_superpage(void);
/* Translation is off in the guest, and there is no shadow set yet. */
struct view_translation fake_off(void);
/* A bare machine: one table, and it refuses at the root. */
struct view_translation fake_bare_fault(void);

/* `runs` regions, every third next to its neighbour. */
void fake_table(struct view_table *table, enum view_table_kind kind, unsigned runs);
struct view_exit_stats fake_stats(unsigned reasons);
/* Three series an engine; some values are missing, some very small, one is above native. */
void fake_chart(struct speed_chart *chart, unsigned engines, unsigned kernels, unsigned traps);

/* An x86 guest with so many levels of tables (0: paging is off, 2, 3, 4, 5), whose leaf is of level
 * `leaf` (0: a page of 4 KiB, 1: 2 or 4 MiB, 2: 1 GiB). It writes and may, but not execute. */
struct view_translation fake_x86(unsigned levels, unsigned leaf, uint64_t va);
/* The walk ends after `steps` of four tables. */
struct view_translation fake_x86_fault(unsigned steps);
struct view_translation fake_x86_not_canonical(void);
/* Five levels, and no memory behind the gPA. */
struct view_translation fake_x86_device(void);
/* So many regions in the lower and in the upper half of the address space. */
void fake_x86_table(struct view_table *table, unsigned levels, unsigned low, unsigned high);
/* 16 GiB in two slots. */
void fake_x86_map(struct view_table *table);
/* As fake_stats(), with times; the most frequent is not the one that takes longest. */
struct view_exit_stats fake_timed_stats(unsigned reasons);
/* Every fifth cell is warm or hot. */
void fake_dirty(struct view_dirty *view, uint64_t memory);

/* A run of that many instructions with so many checkpoints, denser towards its end; the guest
 * stands at `here`. Some input, three snapshots. */
void fake_timeline(struct view_timeline *view, uint64_t end, uint64_t here, unsigned checkpoints);
/* `checkpoints` below each of `snapshots` snapshots; layer number `answer` has the page (0: the
 * top; -1: the guest has no such page). The last snapshot has a branch beside it. */
void fake_layers(struct view_layers *view, unsigned snapshots, unsigned checkpoints, int answer);
/* Of a disk: `snapshots` in memory, and below them `files`. */
void fake_disk_layers(struct view_layers *view, unsigned snapshots, unsigned files, int answer);

/* A protection in this phase, whose last epochs are in the log; each third one has printed
 * something. The guest stands for `pause` seconds in each, and an epoch is on its way for `delay`. */
void fake_protection(struct view_protection *view, enum view_protection_phase phase, unsigned recent,
                     double pause, double delay);
/* So many rounds, each with a quarter of the pages of the one before. */
void fake_migration(struct view_migration *view, enum view_migration_phase phase, unsigned rounds);

#endif
