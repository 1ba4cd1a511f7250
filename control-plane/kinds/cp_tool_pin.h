/*
 * Pins of what mcp apis show: the digest of the definition that was approved,
 * for apis whose changes, or what speaks to models, are kept in quarantine.
 *
 * Owner: the database, a row per name that was ever on; ends with the api.
 * Process: stoa-control, inside the transaction of the write.
 * Limits: CP_TOOL_PINS_MAX names of a kind; what is new past them is not shown
 * before it is approved.
 */

#ifndef CP_TOOL_PIN_H
#define CP_TOOL_PIN_H


#include "resource/cp_resource.h"


#define CP_TOOL_PINS_MAX  20000


/* Of one that was found or has changed: is it still what was approved, or does
 * it need to be?  Sets the state. */
cp_rc_t cp_pin_judge(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after) CP_MUST_CHECK;

/* It is approved as it is. */
cp_rc_t cp_pin_set(const cp_write_t *w, const cp_json_t *item) CP_MUST_CHECK;

/* The same of one that vanishes and was on, unless it has a pin. */
cp_rc_t cp_pin_keep(const cp_write_t *w) CP_MUST_CHECK;


#endif /* CP_TOOL_PIN_H */
