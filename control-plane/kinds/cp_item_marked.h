/*
 * Words that speak to a model in what an upstream shows: its tools, prompts
 * and resources, whole, as clients are given them.
 *
 * Process: any.  Limits: of an item (CP_DISCOVERY_ITEM_BYTES).
 */

#ifndef CP_ITEM_MARKED_H
#define CP_ITEM_MARKED_H


#include "base/cp_json.h"


/* Has its text (JSON) some?  Without memory it has. */
bool cp_item_marked(cp_arena_t *a, const cp_json_t *item);

/* Writes over them in titles and descriptions, wherever these are; false:
 * there are others, in names, keys or values that a call needs. */
bool cp_item_mask(cp_arena_t *a, cp_json_t *item);


#endif /* CP_ITEM_MARKED_H */
