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

#endif
