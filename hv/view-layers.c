/* The stack of layers as a view: what is told of each, and what is told of many at once. */
#include "hv/view-layers.h"

#include <stdio.h>
#include <string.h>

/* Whoever answers has the next row, and the base has the last. */
enum { NEARLY_FULL = VIEW_LAYERS - 3 };

static struct view_layer *newest(struct view_layers *out)
{
    return out->count ? &out->layer[out->count - 1] : NULL;
}

/* Has nobody answered yet? Then all above were asked. */
static bool is_asked(struct view_layers *out)
{
    const struct view_layer *last = newest(out);
    return out->there && out->asked == out->layers && !(last && last->answered);
}

static bool is_checkpoint(const struct view_layer *l)
{
    return (l->kind == LAYER_CHECKPOINT || l->kind == LAYER_MANY) && !*l->beside;
}

static bool joins(const struct view_layers *out, const struct view_layer *last,
                  const struct view_layer *l, uint64_t pitch)
{
    if (!last || last->kind == LAYER_TOP || l->kind == LAYER_BASE || last->answered ||
        l->answered || last->asked != l->asked)
        return false;
    return out->count >= NEARLY_FULL ||
           (is_checkpoint(last) && is_checkpoint(l) && last->layers < pitch);
}

void view_layers_add(struct view_layers *out, const struct view_layer *layer, bool has,
                     uint64_t pitch)
{
    struct view_layer l = *layer, *last = newest(out);
    l.layers = 1;
    l.asked = is_asked(out);
    l.answered = l.asked && has;
    out->layers++;
    out->asked += l.asked;
    if (joins(out, last, &l, pitch)) {
        last->kind = LAYER_MANY;
        last->layers++;
        last->pages += l.pages;
    } else if (out->count < VIEW_LAYERS) {
        out->layer[out->count++] = l;
    }
}

/* Of a path. */
static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void view_layers_add_base(struct view_layers *out, const struct view_layer *base, struct disk *disk)
{
    struct view_layer l = *base;
    const char *path;
    int answer = disk && out->there ? disk_find(disk, out->address / DISK_SECTOR) : -1;
    for (unsigned n = 0; disk && (path = disk_file(disk, n)); n++) {
        l.kind = LAYER_FILE;
        snprintf(l.name, sizeof l.name, "%.63s", last_part(path));
        view_layers_add(out, &l, (int)n == answer, 1);
        l = (struct view_layer){.kind = LAYER_BASE};
    }
    l.kind = LAYER_BASE;
    view_layers_add(out, &l, true, 1);
}

void view_layers_disk(struct view_layers *out, struct disk *disk)
{
    if (!disk || !disk_file(disk, 0))
        return;
    out->present = true;
    out->there = out->address / DISK_SECTOR < disk_sectors(disk);
    snprintf(out->base, sizeof out->base, "zeros");
    snprintf(out->why, sizeof out->why, "%s", out->there ? "" : "the disk ends before");
    view_layers_add_base(out, &(struct view_layer){.kind = LAYER_BASE}, disk);
}

void view_layer_beside(struct view_layer *l, const char *name)
{
    size_t length = strlen(l->beside);
    snprintf(l->beside + length, sizeof l->beside - length, "%s%s", length ? ", " : "", name);
}
