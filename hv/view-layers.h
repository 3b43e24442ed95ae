/* Filling in a struct view_layers, for backends: see hv/view.h. */
#ifndef VITRINE_HV_VIEW_LAYERS_H
#define VITRINE_HV_VIEW_LAYERS_H

#include "hv/view.h"

/* Adds the next layer of the stack, from the top down, and says whether the scan comes to it.
 * `has`: it has the page. Neighbours that are nothing but checkpoints become LAYER_MANY, up to
 * `pitch` of them; 1: each stands alone. Where the view is nearly full, all that have nothing to
 * tell do. */
void view_layers_add(struct view_layers *out, const struct view_layer *layer, bool has,
                     uint64_t pitch);
/* Adds a snapshot's name to those of the layer that it stands on. */
void view_layer_beside(struct view_layer *layer, const char *name);

#endif
