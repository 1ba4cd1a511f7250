/*
 * Values.
 */

#include <string.h>

#include "store/cp_db.h"


cp_val_t
cp_text(const char *s)
{
    return (s == NULL) ? cp_null()
                       : (cp_val_t) { CP_VAL_TEXT, 0, s, strlen(s) };
}


cp_val_t
cp_blob(const void *p, size_t len)
{
    return (cp_val_t) { CP_VAL_BLOB, 0, (p != NULL) ? p : "", len };
}


void
cp_val_copy(char *dst, size_t size, const cp_val_t *v)
{
    size_t  len;

    len = v->type == CP_VAL_TEXT && v->len < size ? v->len : 0;

    if (len) {
        memcpy(dst, v->p, len);
    }

    dst[len] = '\0';
}
