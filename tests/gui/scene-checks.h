/* Checks of what every scene promises (gui/draw/scene.h), for the suites of the drawings. They end
 * the test that calls them when they fail. */
#ifndef VITRINE_TESTS_GUI_SCENE_CHECKS_H
#define VITRINE_TESTS_GUI_SCENE_CHECKS_H

#include <stdbool.h>
#include <stdint.h>

#include "gui/draw/scene.h"

/* From the smallest to the largest: width, height. */
enum { CHECK_SIZES = 10 };
extern const double check_sizes[CHECK_SIZES][2];

/* Nothing sticks out, is cut off or overlaps. `what` names the scene in the message. */
void check_scene(const struct scene *scene, const char *what);
/* Every text stands out by 4.5:1 or more. */
void check_contrast(const struct scene *scene, bool dark);
/* Of a colour 0xrrggbb, 0 to 1 (WCAG 2.1). */
double luminance(uint32_t rgb);

/* The item of that name, which must be there; whose text must have this in it. */
const struct scene_item *must(const struct scene *scene, const char *id);
void must_say(const struct scene *scene, const char *id, const char *text);

#endif
