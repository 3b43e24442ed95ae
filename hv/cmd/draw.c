/*
 * `vitrine draw`: the window's drawings as files, at a point of the run.
 *
 * The drawings themselves are in gui/draw/, which needs cairo and no window.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "gui/draw/draw.h"
#include "hv/cmd/cmd.h"
#include "hv/cmd/draw-move.h"

/* What drawings of time show is kept in so much of the host's memory. */
enum { DRAW_HISTORY = 256 << 20 };

/* Everything that a drawing may point to. */
struct subject {
    struct view_translation translation;
    struct view_table tables[3];
    struct view_exit_stats exits;
    struct view_dirty dirty;
    struct view_timeline timeline;
    struct view_layers layers;
    struct view_migration migration;
    struct view_protection protection;
};

static int take_translation(const struct options *options, struct session *session,
                            struct subject *subject)
{
    uint64_t va;
    char access;
    session_last_access(session, &va, &access);
    if (options->va) {
        access = options->access;
        if (session_lookup(session, options->va, &va))
            return cmd_fail("--va %s: no such symbol, line or address", options->va);
    }
    session_translate(session, va, access, &subject->translation);
    return 0;
}

static int draw(const struct options *options, struct session *session)
{
    static const enum drawing_kind KINDS[] = {[DRAW_TRANSLATION] = DRAWING_TRANSLATION,
                                              [DRAW_TABLES] = DRAWING_TABLES,
                                              [DRAW_EXITS] = DRAWING_EXITS,
                                              [DRAW_HEAT] = DRAWING_HEAT,
                                              [DRAW_TIMELINE] = DRAWING_TIMELINE,
                                              [DRAW_LAYERS] = DRAWING_LAYERS,
                                              [DRAW_MIGRATION] = DRAWING_MIGRATION,
                                              [DRAW_PROTECTION] = DRAWING_PROTECTION};
    struct subject subject;
    struct view_status status;
    struct drawing drawing = {.kind = KINDS[options->what],
                              .translation = &subject.translation,
                              .exits = &subject.exits,
                              .dirty = &subject.dirty,
                              .timeline = &subject.timeline,
                              .layers = &subject.layers,
                              .migration = &subject.migration,
                              .protection = &subject.protection};
    if (take_translation(options, session, &subject))
        return EXIT_USAGE;
    for (int i = 0; i < 3; i++) {
        session_view_table(session, (enum view_table_kind)i, &subject.tables[i]);
        drawing.tables[i] = &subject.tables[i];
    }
    session_exit_stats(session, &subject.exits);
    if (options->what == DRAW_HEAT)
        session_view_dirty(session, &subject.dirty);
    session_view_timeline(session, &subject.timeline);
    const struct view_walk *walk = &subject.translation.guest;
    session_view_layers(session, false, walk->ok ? walk->pa : UINT64_MAX, &subject.layers);
    session_view_migration(session, &subject.migration);
    session_view_protection(session, &subject.protection);
    session_status(session, &status);
    drawing.bare = !status.under_monitor;
    int failed =
        draw_to_file(options->output, &drawing, options->width, options->height, options->dark);
    return failed ? cmd_fail("%s: cannot write: %s", options->output, strerror(-failed)) : 0;
}

static int check_output(const char *path)
{
    const char *dot = path ? strrchr(path, '.') : NULL;
    if (!path)
        return cmd_fail("draw: needs --output FILE (see vitrine draw --help)");
    if (!dot || (strcasecmp(dot, ".svg") && strcasecmp(dot, ".pdf") && strcasecmp(dot, ".png")))
        return cmd_fail("%s: the name of a drawing ends in .svg, .pdf or .png", path);
    return cmd_check_output(path);
}

/* The log of pages written begins with the first look. */
static int begin_log(struct session *session)
{
    struct view_dirty dirty;
    session_view_dirty(session, &dirty);
    return dirty.present ? 0 : cmd_fail("--what heat: which pages this guest writes is not logged");
}

int cmd_draw(const struct options *options, int argc, char **argv)
{
    if (check_output(options->output))
        return EXIT_USAGE;
    struct options with = *options;
    if (options->what == DRAW_TIMELINE || options->what == DRAW_LAYERS)
        with.config.history = DRAW_HISTORY;
    bool moves = options->what == DRAW_MIGRATION || options->what == DRAW_PROTECTION;
    with.config.disk_discard |= moves; /* two sessions have it */
    struct session *session = cmd_open(&with);
    if (!session)
        return EXIT_USAGE;
    int status = options->what == DRAW_HEAT ? begin_log(session) : 0;
    if (!status)
        status = cmd_run_to(session, options);
    if (!status && moves)
        status = draw_move(&with, session);
    if (!status)
        status = draw(options, session);
    session_free(session);
    return status;
}
