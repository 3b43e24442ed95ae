/*
 * The protection of a guest by a second host: its last epochs on a ruler. The guest runs ahead;
 * what it has done is on its way meanwhile, and the world sees it only when the backup has it.
 *
 *     guest        [ 510 ]|[ 511 ]|[ 512 ]|[ 513 - -        |: it stands, and is copied
 *     on its way           [510]   [511]   [512]
 *     output held  [  17 B        ][ 3 B          ]
 *     seen up to               [   510     ][   511     ]
 *                 -400 ms    -300     -200     -100     now
 *
 * Each line of the ruler is drawn to scale, but nothing narrower than can be seen.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gui/draw/scene_priv.h"

/* In em. */
static const double COLUMNS = 52, ROWS = 16.2;
static const double MARGIN = 1, LABELS = 7.4, HEAD = 3.5, FACTS = 2.9, GAP = .4;
static const double LANE = 1.45, THIN = .9, EPOCH = 4.2, LARGEST = 2.2;
static const double LEAST = 3; /* pixels that a part of an epoch is wide */

struct ruler {
    struct scene *s;
    const struct view_protection *v;
    double em, x, w, y;
    double lane;     /* height of most lanes */
    unsigned first;  /* of view_protection.log */
    double from, to; /* seconds */
    bool live;       /* an epoch that is not in the log yet is being run */
};

/* Places of an epoch, in pixels. */
struct marks {
    double began, stood, copied;
};

/* ---- words -------------------------------------------------------------------------------- */

static void ms_text(double seconds, char *text, size_t size)
{
    double ms = seconds * 1e3;
    snprintf(text, size, "%.*f ms", ms < 10 ? 2 : ms < 100 ? 1 : 0, ms);
}

/* A few bytes are told as such. */
static void bytes_text(uint64_t bytes, char *text, size_t size)
{
    if (bytes < 1024)
        snprintf(text, size, "%" PRIu64 " B", bytes);
    else
        draw_size_text(bytes, text, size);
}

static const char *to_of(const struct view_protection *v)
{
    return *v->to ? v->to : "the other host";
}

void draw_protection_text(const struct view_protection *v, char *text, size_t size)
{
    char epochs[32];
    draw_number_text(v->acknowledged, epochs, sizeof epochs);
    switch (v->phase) {
    case PROTECTION_COPYING: snprintf(text, size, "Memory is being copied to %s", to_of(v)); break;
    case PROTECTION_ON:
        snprintf(text, size, "Protected by %s: it has epoch %s", to_of(v), epochs);
        break;
    case PROTECTION_ALONE:
        snprintf(text, size, "The backup is lost: the guest runs unprotected");
        break;
    case PROTECTION_TAKEN:
        snprintf(text, size, "The primary is lost: the guest goes on here, unprotected");
        break;
    case PROTECTION_OVER:
        snprintf(text, size, "No longer protected: it was ended after epoch %s", epochs);
        break;
    case PROTECTION_FENCED: snprintf(text, size, "%s has taken the guest over", to_of(v)); break;
    case PROTECTION_DOUBT:
        snprintf(text, size, "The guest stands: %s may have taken it over", to_of(v));
        break;
    case PROTECTION_ENDED: snprintf(text, size, "No guest has come"); break;
    case PROTECTION_NONE:
    default: snprintf(text, size, "This guest is not protected"); break;
    }
}

/* Most reasons begin with the address. */
static void search_text(const struct view_protection *v, char *text, size_t size)
{
    size_t length = strlen(v->to);
    if (!*v->why)
        snprintf(text, size, "Looking for a backup at %.90s", v->to);
    else if (strncmp(v->why, v->to, length) == 0)
        snprintf(text, size, "Looking for a backup at %.95s", v->why);
    else
        snprintf(text, size, "Looking for a backup at %.50s: %.50s", v->to, v->why);
}

/* What stands below that. */
static void second_line(const struct view_protection *v, char *text, size_t size)
{
    char sent[32], fence[48] = "without a fence";
    draw_size_text(v->bytes, sent, sizeof sent);
    if (v->generation)
        snprintf(fence, sizeof fence, "generation %" PRIu64 " of the fence", v->generation);
    if (v->searching)
        search_text(v, text, size);
    else if (v->phase != PROTECTION_COPYING && v->seconds > 0 && !*v->why)
        snprintf(text, size, "%s sent in %.1f s; the guest stood for %.1f %% of the time; %s", sent,
                 v->seconds, 100 * v->pause / v->seconds, fence);
    else if (v->phase == PROTECTION_COPYING)
        snprintf(text, size, "%s sent; %s", sent, fence);
    else
        snprintf(text, size, "%s%.90s",
                 v->phase == PROTECTION_NONE && *v->why ? "The last attempt: " : "", v->why);
}

/* ---- places ------------------------------------------------------------------------------- */

static bool is_live(const struct view_protection *v)
{
    return v->phase == PROTECTION_ON || v->phase == PROTECTION_COPYING;
}

/* As many of the last epochs as have room for their numbers. */
static void init(struct ruler *r, struct scene *s, const struct view_protection *v)
{
    *r = (struct ruler){.s = s, .v = v, .em = s->em, .live = is_live(v)};
    r->x = (MARGIN + LABELS) * r->em;
    r->w = s->width - r->x - 1.6 * MARGIN * r->em;
    r->y = (HEAD + FACTS) * r->em;
    r->lane = LANE * r->em * fmin(LARGEST, 1 + (s->height / r->em - ROWS) / (4 * LANE));
    unsigned room = (unsigned)fmax(2, r->w / (EPOCH * r->em)) - 1;
    r->first = v->recent > room ? v->recent - room : 0;
    if (!v->recent)
        return;
    const struct view_epoch *last = &v->log[v->recent - 1];
    r->from = v->log[r->first].began;
    r->to = fmax(fmax(last->copied, last->released), fmax(last->acknowledged, v->seconds));
    if (r->live) /* the epoch that is being run now has its place, too */
        r->to = fmax(r->to, last->copied + .6 * (last->stood - last->began));
    if (r->to <= r->from)
        r->to = r->from + 1e-3;
}

static double place(const struct ruler *r, double seconds)
{
    double part = (seconds - r->from) / (r->to - r->from);
    return r->x + r->w * fmin(1, fmax(0, part));
}

/* The guest's times follow each other, so their marks must not overlap. */
static struct marks marks_of(const struct ruler *r, unsigned i, double left)
{
    const struct view_epoch *e = &r->v->log[i];
    double end = r->x + r->w;
    struct marks m = {fmin(fmax(left, place(r, e->began)), end - 2 * LEAST), place(r, e->stood), 0};
    m.stood = fmin(fmax(m.stood, m.began + LEAST), end - LEAST);
    m.copied = fmin(fmax(place(r, e->copied), m.stood + LEAST), end);
    return m;
}

/* ---- lanes -------------------------------------------------------------------------------- */

static int add_lane(struct ruler *r, const char *id, const char *name, double height)
{
    double em = r->em;
    char label[SCENE_ID];
    snprintf(label, sizeof label, "%s.name", id);
    scene_label(r->s, SCENE_CANVAS, ROLE_PLAIN, FONT_TEXT, .95 * em, ALIGN_RIGHT, MARGIN * em, r->y,
                (LABELS - .6) * em, fmax(height, 1.2 * em), label, "%s", name);
    int lane = scene_box(r->s, SCENE_CANVAS, ROLE_DIM, r->x, r->y, r->w, height, id);
    scene_at(r->s, lane)->radius = 0;
    r->y += height + GAP * em;
    return lane;
}

/* A part of a lane, with a text where there is room. */
static int add_part(struct ruler *r, int lane, enum scene_role role, double from, double to,
                    double top, double height, const char *id, const char *text)
{
    double em = r->em, end = r->x + r->w;
    from = fmin(from, end - LEAST);
    to = fmin(fmax(to, from + LEAST), end);
    int part = scene_box(r->s, lane, role, from, top, to - from, height, id);
    scene_at(r->s, part)->radius = 0;
    double w = scene_text_width(r->s, FONT_TEXT, .85 * em, text);
    if (*text && w + .4 * em < to - from)
        scene_label(r->s, part, role, FONT_TEXT, .85 * em, ALIGN_CENTRE, from, top, to - from,
                    height, scene_name(r->s, id, "text"), "%s", text);
    return part;
}

static const char *name_of(char *id, size_t size, const char *lane, uint64_t number)
{
    snprintf(id, size, "%s.%" PRIu64, lane, number);
    return id;
}

static void add_guest(struct ruler *r)
{
    const struct view_protection *v = r->v;
    char id[SCENE_ID], text[32];
    double top = r->y, h = r->lane, left = r->x;
    int lane = add_lane(r, "guest", "guest", h);
    for (unsigned i = r->first; i < v->recent; i++) {
        const struct view_epoch *e = &v->log[i];
        struct marks m = marks_of(r, i, left);
        draw_number_text(e->number, text, sizeof text);
        add_part(r, lane, ROLE_EXEC, m.began, m.stood, top, h,
                 name_of(id, sizeof id, "runs", e->number), text);
        add_part(r, lane, ROLE_NEW, m.stood, m.copied, top, h,
                 name_of(id, sizeof id, "stands", e->number), "");
        left = m.copied;
    }
    if (!r->live || r->x + r->w - left < LEAST)
        return;
    uint64_t next = v->log[v->recent - 1].number + 1;
    draw_number_text(next, text, sizeof text);
    int part = add_part(r, lane, ROLE_EXEC, left, r->x + r->w, top, h,
                        name_of(id, sizeof id, "runs", next), text);
    scene_at(r->s, part)->dashed = true;
}

static void add_link(struct ruler *r)
{
    const struct view_protection *v = r->v;
    char id[SCENE_ID];
    double top = r->y, h = THIN * r->em, left = r->x;
    int lane = add_lane(r, "link", "on its way", h);
    for (unsigned i = r->first; i < v->recent; i++) {
        const struct view_epoch *e = &v->log[i];
        bool there = e->acknowledged > 0;
        double from = fmax(left, place(r, e->copied));
        double to = there ? place(r, e->acknowledged) : r->x + r->w;
        if (!there && !r->live)
            continue;
        int part = add_part(r, lane, ROLE_OFFSET, from, to, top, h,
                            name_of(id, sizeof id, "flight", e->number), "");
        scene_at(r->s, part)->dashed = !there;
        left = scene_at(r->s, part)->x + scene_at(r->s, part)->w;
    }
}

/* Two rows, since two epochs are alive at any time. */
static void add_held(struct ruler *r)
{
    const struct view_protection *v = r->v;
    char id[SCENE_ID], text[32];
    double h = r->lane, top = r->y, left[2] = {r->x, r->x};
    bool some = false;
    int lane = add_lane(r, "held", "output held", 2 * h);
    for (unsigned i = r->first; i < v->recent; i++) {
        const struct view_epoch *e = &v->log[i];
        unsigned row = e->number % 2;
        double from = fmax(left[row], place(r, e->began));
        double to = e->released > 0 ? place(r, e->released) : r->x + r->w;
        if (!e->output || (e->released <= 0 && !r->live))
            continue;
        bytes_text(e->output, text, sizeof text);
        int part = add_part(r, lane, ROLE_WRITE, from, to, top + row * h, h,
                            name_of(id, sizeof id, "held", e->number), text);
        left[row] = scene_at(r->s, part)->x + scene_at(r->s, part)->w;
        some = true;
    }
    if (!some)
        scene_label(r->s, lane, ROLE_DIM, FONT_TEXT, .85 * r->em, ALIGN_CENTRE, r->x, top, r->w,
                    2 * h, "held.none", "nothing was printed");
}

static void add_world(struct ruler *r)
{
    const struct view_protection *v = r->v;
    char id[SCENE_ID], number[32];
    double top = r->y, h = r->lane, end = r->x + r->w;
    int lane = add_lane(r, "world", "seen up to", h);
    for (unsigned i = r->first; i < v->recent; i++) {
        const struct view_epoch *e = &v->log[i];
        bool next = i + 1 < v->recent && v->log[i + 1].released > 0;
        double from = place(r, e->released), to = next ? place(r, v->log[i + 1].released) : end;
        if (e->released <= 0 || end - from < LEAST || to - from < LEAST)
            continue;
        draw_number_text(e->number, number, sizeof number);
        add_part(r, lane, ROLE_GOOD, from, to, top, h, name_of(id, sizeof id, "seen", e->number),
                 number);
    }
}

/* ---- the axis ----------------------------------------------------------------------------- */

/* 1, 2 or 5 times a power of ten milliseconds, at least so many. */
static double step_of(double least)
{
    static const double factors[] = {1, 2, 5};
    for (double power = 1; power < 1e9; power *= 10)
        for (unsigned i = 0; i < 3; i++)
            if (power * factors[i] >= least)
                return power * factors[i];
    return 1e9;
}

static void add_axis(struct ruler *r)
{
    double em = r->em, w = 4.6 * em, ms = (r->to - r->from) * 1e3;
    double step = step_of(ms * w / r->w), y = r->y - GAP * em;
    char text[32], id[SCENE_ID];
    for (unsigned n = 0; n * step <= ms; n++) {
        double x = place(r, r->to - n * step * 1e-3), left = fmax(x - w / 2, 0);
        left = fmin(left, r->s->width - w);
        int tick =
            scene_arrow(r->s, ROLE_DIM, 2, (double[]){x, x}, (double[]){y, y + .35 * em}, "");
        scene_at(r->s, tick)->plain = true;
        snprintf(text, sizeof text, "\u2212%.0f ms", n * step);
        snprintf(id, sizeof id, "axis.%u", n);
        scene_label(r->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .85 * em,
                    n ? ALIGN_CENTRE : ALIGN_RIGHT, n ? left : r->s->width - 1.3 * w, y + .4 * em,
                    n ? w : 1.3 * w - .6 * em, 1.1 * em, id, "%s",
                    n         ? text
                    : r->live ? "now"
                              : "the end");
        if (place(r, r->to - (n + 1) * step * 1e-3) > r->s->width - 1.3 * w - w / 2)
            n++; /* would stand under "now" */
    }
}

/* ---- numbers, which are the legend, too --------------------------------------------------- */

static void add_fact(struct ruler *r, unsigned column, enum scene_role role, const char *name,
                     const char *value)
{
    double em = r->em, w = (r->s->width - 2 * MARGIN * em) / 6, x = MARGIN * em + column * w;
    double y = HEAD * em;
    char id[SCENE_ID];
    snprintf(id, sizeof id, "fact.%s", name);
    if (role != ROLE_PLAIN)
        scene_box(r->s, SCENE_CANVAS, role, x, y + .1 * em, .35 * em, 2.1 * em, "");
    scene_label(r->s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .85 * em, ALIGN_LEFT, x + .7 * em, y,
                w - .9 * em, 1.1 * em, "", "%s", name);
    scene_label(r->s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, em, ALIGN_LEFT, x + .7 * em,
                y + 1.1 * em, w - .9 * em, 1.2 * em, id, "%s", value);
}

static void add_facts(struct ruler *r)
{
    const struct view_protection *v = r->v;
    const struct view_epoch *e = &v->log[v->recent - 1];
    if (!e->acknowledged && v->recent > 1)
        e--;
    char text[32];
    ms_text(e->stood - e->began, text, sizeof text);
    add_fact(r, 0, ROLE_EXEC, "epoch", text);
    ms_text(e->copied - e->stood, text, sizeof text);
    add_fact(r, 1, ROLE_NEW, "stood", text);
    if (e->acknowledged > 0)
        ms_text(e->acknowledged - e->copied, text, sizeof text);
    add_fact(r, 2, ROLE_OFFSET, "on its way", e->acknowledged > 0 ? text : "\u2013");
    bytes_text(v->held, text, sizeof text);
    add_fact(r, 3, ROLE_WRITE, "held now", text);
    draw_number_text(e->pages + e->blocks, text, sizeof text);
    add_fact(r, 4, ROLE_PLAIN, e->blocks ? "pages, blocks" : "pages", text);
    bytes_text(e->bytes, text, sizeof text);
    add_fact(r, 5, ROLE_PLAIN, "sent", text);
}

/* ---- all of it ---------------------------------------------------------------------------- */

static void add_head(struct scene *s, const struct view_protection *v)
{
    double em = s->em, x = MARGIN * em, w = s->width - 2 * x;
    char text[SCENE_TEXT];
    draw_protection_text(v, text, sizeof text);
    scene_label(s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, 1.05 * em, ALIGN_LEFT, x, .3 * em, w,
                1.6 * em, "title", "%s", text);
    second_line(v, text, sizeof text);
    if (*text)
        scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, .9 * em, ALIGN_LEFT, x, 1.9 * em, w,
                    1.3 * em, "more", "%s", text);
}

static void add_nothing(struct scene *s, const struct view_protection *v)
{
    double em = s->em;
    char text[SCENE_TEXT];
    draw_protection_text(v, text, sizeof text);
    scene_label(s, SCENE_CANVAS, ROLE_PLAIN, FONT_BOLD, 1.1 * em, ALIGN_CENTRE, em,
                s->height / 2 - 1.8 * em, s->width - 2 * em, 1.6 * em, "none", "%s", text);
    second_line(v, text, sizeof text);
    scene_label(s, SCENE_CANVAS, ROLE_DIM, FONT_TEXT, em, ALIGN_CENTRE, em, s->height / 2,
                s->width - 2 * em, 1.5 * em, "hint", "%s",
                *text || v->phase != PROTECTION_NONE
                    ? text
                    : "A vitrine backup on another host goes on with it if this one is lost.");
}

void scene_protection(struct scene *s, const struct view_protection *v, double width, double height)
{
    struct ruler r;
    scene_init_least(s, width, height, DRAW_MIN_WIDTH, PROTECTION_MIN_HEIGHT, COLUMNS, ROWS);
    if (!v->recent) {
        add_nothing(s, v);
        return;
    }
    init(&r, s, v);
    add_head(s, v);
    add_facts(&r);
    add_guest(&r);
    add_link(&r);
    add_held(&r);
    add_world(&r);
    add_axis(&r);
}
