/*
 * Writing JSON with yajl's generator: no text of ours is ever pasted between
 * quotes.
 * Process: stoa-control, stoactl, any thread.
 */

#ifndef CP_JSON_GEN_H
#define CP_JSON_GEN_H


#include <yajl/yajl_gen.h>

#include "base/cp_json.h"


/* One that appends to b, for one value; NULL: no memory. */
yajl_gen cp_json_gen(stoa_buf_t *b);
yajl_gen_status cp_json_gen_text(yajl_gen g, const char *s, size_t len);


#endif /* CP_JSON_GEN_H */
