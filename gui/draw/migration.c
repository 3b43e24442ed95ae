/*
 * A migration, round by round: how many pages each has sent and how many the guest has written
 * meanwhile, and how long the guest would stand if it were handed over then, against the limit.
 *
 *     round 1   ===================  16,384     900 written   ======|====  41 ms
 *     round 2   =                       900      60 written   ===   |     2.9 ms
 *     handed over                                             ==    |     2.1 ms
 *                                                                 limit
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gui/draw/scene_priv.h"

/* In em. */
static const double COLUMNS = 52, ROWS = 15;
static const double MARGIN = 1, HEAD = 5, FOOT = 2, NAME = 6.4, NUMBER = 5.4, DIRTY = 5.4,
                    TIME = 5.2, ROW = 1.5, LARGE = 2.3, GAP = .6;

struct chart {
    struct scene *s;
    const struct view_migration *v;
    double em, row, y;
    double bars, bar_width;   /* of pages */
    double times, time_width; /* of downtimes */
    unsigned first, count;    /* of view_migration.log */
    uint64_t most;
    double longest; /* seconds */
    bool stood;     /* a row for the hand-over */
};

static void ms_text(double seconds, char *text, size_t size)
{
    double ms = seconds * 1e3;
    snprintf(text, size, "%.*f ms", ms < 10 ? 1 : 0, ms);
}

static const char *to_of(const struct view_migration *v)
{
    return *v->to ? v->to : "another host";
}

void draw_migration_text(const struct view_migration *v, char *text, size_t size)
{
    char ms[24], missing[32];
    ms_text(v->downtime, ms, sizeof ms);
    draw_number_text(v->missing, missing, sizeof missing);
    const char *to = to_of(v);
    switch (v->phase) {
    case MIGRATION_COPYING:
        snprintf(text, size, v->incoming ? "The guest is coming" : "Moving to %s: round %u", to,
                 v->round + (v->rounds == v->round));
        break;
    case MIGRATION_HANDOVER:
        snprintf(text, size, "Moving to %s: the guest stands, and is handed over", to);
        break;
    case MIGRATION_MOVED:
        if (v->incoming)
            snprintf(text, size, "The guest has come here");
        else
            snprintf(text, size, "Moved to %s: the guest stood for %s", to, ms);
        break;
    case MIGRATION_STAYED:
        snprintf(text, size, "The guest has stayed here: it was not moved to %s", to);
        break;
    case MIGRATION_DOUBT: snprintf(text, size, "The guest stands: it may run at %s", to); break;
    case MIGRATION_POSTCOPY:
        snprintf(text, size,
                 v->incoming ? "The guest runs here: %s pages of it are still at %s"
                             : "The guest runs: %s pages of it follow to %s",
                 missing, to);
        break;
    case MIGRATION_TORN:
        snprintf(text, size,
                 v->incoming ? "The link is lost: %s pages of the guest are only at %s"
                             : "The link is lost: %s pages are only here, the guest is at %s",
                 missing, to);
        break;
    case MIGRATION_NONE: snprintf(text, size, "This guest has not moved"); break;
    default: snprintf(text, size, "The guest moves"); break;
    }
}

static void second_line(const struct view_migration *v, char *text, size_t size)
{
    char pages[32], sent[32], rate[32];
    draw_number_text(v->pages, pages, sizeof pages);
    draw_size_text(v->bytes, sent, sizeof sent);
    draw_size_text((uint64_t)fmax(0, v->rate), rate, sizeof rate);
    bool brief = v->seconds < 1;
    int count =
        snprintf(text, size, "%s pages of memory; %s sent in %.*f %s, %s a second", pages, sent,
                 brief ? 0 : 1, v->seconds * (brief ? 1e3 : 1), brief ? "ms" : "s", rate);
    if (v->throttle && count > 0 && (size_t)count < size)
        snprintf(text + count, size - (size_t)count, "; the guest is slowed down by %u %%",
                 v->throttle);
}

/* ---- places ------------------------------------------------------------------------------- */

/* As many of the last rounds as fit. */
static void init(struct chart *c, struct scene *s, const struct view_migration *v)
{
    *c = (struct chart){.s = s, .v = v, .em = s->em, .y = HEAD * s->em};
    double em = c->em, left = (MARGIN + NAME) * em;
    c->stood = v->downtime > 0;
    unsigned room = (unsigned)fmax(1, (s->height - c->y - FOOT * em) / (ROW * em));
    room = c->stood && room > 1 ? room - 1 : room;
    c->count = v->rounds < room ? v->rounds : room;
    c->first = v->rounds - c->count;
    c->row = fmin(LARGE * em, (s->height - c->y - FOOT * em) / (c->count + c->stood));
    double w = s->width - left - MARGIN * em - (NUMBER + DIRTY + TIME + 3 * GAP) * em;
    c->bars = left;
    c->bar_width = w / 2;
    c->times = left + w / 2 + (NUMBER + DIRTY + 2 * GAP) * em;
    c->time_width = w / 2;
    c->longest = fmax(v->limit * 1.25, v->downtime);
    for (unsigned i = c->first; i < v->rounds; i++) {
        c->most = v->log[i].pages > c->most ? v->log[i].pages : c->most;
        c->most = v->log[i].dirty > c->most ? v->log[i].dirty : c->most;
        c->longest = fmax(c->longest, v->log[i].expected);
    }
}

static void add_bar(struct chart *c, enum scene_role role, double x, double y, double w, double h,
                    double value, double most, const char *id)
{
    if (value > 0 && most > 0)
        scene_box(c->s, SCENE_CANVAS, role, x, y, fmax(2, w * fmin(1, value / most)), h, id);
}

static void add_number(struct chart *c, enum scene_role role, double x, double y, double w,
                       const char *id, const char *text)
{
    scene_label(c->s, SCENE_CANVAS, role, FONT_MONO, .9 * c->em, ALIGN_RIGHT, x, y, w, c->row, id,
                "%s", text);
}

/* How long the guest would stand, or stood; green when that is short enough. */
static void add_time(struct chart *c, double y, double seconds, const char *row)
{
    double em = c->em, h = fmin(c->row - .5 * em, 1.1 * em);
    bool good = seconds <= c->v->limit;
    char text[24], id[SCENE_ID];
    ms_text(seconds, text, sizeof text);
    snprintf(id, sizeof id, "%s.time", row);
    add_bar(c, good ? ROLE_ALONE : ROLE_COST, c->times, y + (c->row - h) / 2, c->time_width, h,
            seconds, c->longest, id);
    snprintf(id, sizeof id, "%s.time.text", row);
    add_number(c, good ? ROLE_GOOD : ROLE_COST, c->times + c->time_width + GAP * em, y, TIME * em,
               id, text);
}

static void add_round(struct chart *c, unsigned i, double y)
{
    const struct view_round *r = &c->v->log[i];
    double em = c->em, h = fmin(c->row - .4 * em, 1.4 * em) / 2, top = y + c->row / 2 - h;
    double numbers = c->bars + c->bar_width + GAP * em;
    char row[24], text[32];
    unsigned number = c->v->round - c->v->rounds + 1 + i;
    snprintf(row, sizeof row, "round.%u", number);
    scene_label(c->s, SCENE_CANVAS, ROLE_PLAIN, FONT_TEXT, em, ALIGN_LEFT, MARGIN * em, y,
                (NAME - .4) * em, c->row, scene_name(c->s, row, "name"), "round %u", number);
    add_bar(c, ROLE_COUNT, c->bars, top, c->bar_width, h, (double)r->pages, (double)c->most,
            scene_name(c->s, row, "pages"));
    add_bar(c, ROLE_COST, c->bars, top + h, c->bar_width, h, (double)r->dirty, (double)c->most,
            scene_name(c->s, row, "dirty"));
    draw_number_text(r->pages, text, sizeof text);
    add_number(c, ROLE_COUNT, numbers, y, NUMBER * em, scene_name(c->s, row, "pages.text"), text);
    draw_number_text(r->dirty, text, sizeof text);
    add_number(c, ROLE_COST, numbers + NUMBER * em, y, DIRTY * em,
               scene_name(c->s, row, "dirty.text"), text);
    add_time(c, y, r->expected, row);
}

/* ---- all of it ---------------------------------------------------------------------------- */

/* Over each column what it is, in its colour. */
static void add_legend(struct chart *c)
{
    double em = c->em, y = 3.5 * em, numbers = c->bars + c->bar_width + GAP * em;
    scene_label(c->s, SCENE_CANVAS, ROLE_COUNT, FONT_BOLD, .9 * em, ALIGN_RIGHT, numbers, y,
                NUMBER * em, 1.3 * em, "legend.pages", "sent");
    scene_label(c->s, SCENE_CANVAS, ROLE_COST, FONT_BOLD, .9 * em, ALIGN_RIGHT,
                numbers + NUMBER * em, y, DIRTY * em, 1.3 * em, "legend.dirty", "written");
    scene_label(c->s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, .9 * em, ALIGN_RIGHT, c->times, y,
                c->time_width + (GAP + TIME) * em, 1.3 * em, "legend.time", "would stand");
}

static void add_limit(struct chart *c, double bottom)
{
    double em = c->em, x = c->times + c->time_width * c->v->limit / c->longest, w = 7 * em;
    char text[24];
    int line = scene_arrow(c->s, ROLE_NEEDLE, 2, (double[]){x, x},
                           (double[]){c->y, bottom + .2 * em}, "limit");
    scene_at(c->s, line)->plain = true;
    ms_text(c->v->limit, text, sizeof text);
    double left = fmin(x - w / 2, c->s->width - w - .2 * em);
    scene_label(c->s, SCENE_CANVAS, ROLE_NEEDLE, FONT_TEXT, .85 * em, ALIGN_CENTRE, left,
                bottom + .3 * em, w, 1.2 * em, "limit.text", "limit %s", text);
}

static void add_head(struct scene *s, const struct view_migration *v)
{
    double em = s->em, x = MARGIN * em, w = s->width - 2 * x;
    char text[SCENE_TEXT];
    draw_migration_text(v, text, sizeof text);
    scene_label(s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, 1.05 * em, ALIGN_LEFT, x, .3 * em, w,
                1.6 * em, "title", "%s", text);
    second_line(v, text, sizeof text);
    scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .9 * em, ALIGN_LEFT, x, 1.9 * em, w, 1.3 * em,
                "more", "%s", text);
}

static void add_nothing(struct scene *s)
{
    double em = s->em;
    scene_label(s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, 1.1 * em, ALIGN_CENTRE, em,
                s->height / 2 - 1.8 * em, s->width - 2 * em, 1.6 * em, "none", "%s",
                "This guest has not moved");
    scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, em, ALIGN_CENTRE, em, s->height / 2,
                s->width - 2 * em, 1.5 * em, "hint", "%s",
                "It can go on at another host, where a vitrine run --incoming waits for it.");
}

void scene_migration(struct scene *s, const struct view_migration *v, double width, double height)
{
    struct chart c;
    scene_init_least(s, width, height, DRAW_MIN_WIDTH, MIGRATION_MIN_HEIGHT, COLUMNS, ROWS);
    if (v->phase == MIGRATION_NONE) {
        add_nothing(s);
        return;
    }
    add_head(s, v);
    if (!v->rounds)
        return;
    init(&c, s, v);
    add_legend(&c);
    for (unsigned i = 0; i < c.count; i++)
        add_round(&c, c.first + i, c.y + i * c.row);
    double bottom = c.y + c.count * c.row;
    if (c.stood) {
        scene_label(s, SCENE_CANVAS, ROLE_PLAIN, FONT_TEXT, c.em, ALIGN_LEFT, MARGIN * c.em, bottom,
                    NAME * c.em + c.bar_width, c.row, "stood.name", "handed over");
        add_time(&c, bottom, v->downtime, "stood");
        bottom += c.row;
    }
    add_limit(&c, bottom);
}
