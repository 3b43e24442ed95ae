/* Filling in a struct view_layers, for backends: see hv/view.h. */
#ifndef VITRINE_HV_VIEW_LAYERS_H
#define VITRINE_HV_VIEW_LAYERS_H

#include "cpu/dev/disk.h"
#include "hv/view.h"

/* Adds the next layer of the stack, from the top down, and says whether the scan comes to it.
 * `has`: it has the page. Neighbours that are nothing but checkpoints become LAYER_MANY, up to
 * `pitch` of them; 1: each stands alone. Where the view is nearly full, all that have nothing to
 * tell do. */
void view_layers_add(struct view_layers *out, const struct view_layer *layer, bool has,
                     uint64_t pitch);
/* Adds what is below all layers in memory: the files of the disk (NULL: it is not about one), if it
 * is in layers, and the base. `base` has what there is to say of the first of these. */
void view_layers_add_base(struct view_layers *out, const struct view_layer *base,
                          struct disk *disk);
/* All of a view of a disk of which nothing is kept in memory. */
void view_layers_disk(struct view_layers *out, struct disk *disk);
/* Adds a snapshot's name to those of the layer that it stands on. */
void view_layer_beside(struct view_layer *layer, const char *name);

#endif
