/*
 * Checks what gateways send by tables of fields.
 */

#include <inttypes.h>
#include <string.h>

#include "feed/cp_feed.h"


static bool cp_report_valid(const cp_json_t *v, const cp_report_field_t *f);
static bool cp_report_text_valid(const char *s, size_t len);


/* What a value must be, for the message. */
static const char *const  cp_report_words[] = {
    [CP_REPORT_INT]   = "an integer from 0",
    [CP_REPORT_TEXT]  = "a text without control characters, bytes",
    [CP_REPORT_ID]    = "an id or an empty text, characters",
    [CP_REPORT_HEX]   = "lower-case hex, digits",
    [CP_REPORT_CODE]  = "lower-case letters, digits and _, bytes",
    [CP_REPORT_ARRAY] = "an array, items"
};


cp_rc_t
cp_report_check(const cp_json_t *obj, const cp_report_field_t *fields,
    const char *at, cp_err_t *err)
{
    char                      name[128];
    const cp_json_t          *v;
    const cp_report_field_t  *f;

    if (obj->type != CP_JSON_OBJECT) {
        return cp_err_field(err, -1, obj->line, at, "must be an object");
    }

    for (f = fields; f->name; f++) {
        v = cp_json_get(obj, f->name);

        if (v == NULL ? !f->required : cp_report_valid(v, f)) {
            continue;
        }

        snprintf(name, sizeof(name), "%s%s", at, f->name);

        if (v == NULL) {
            return cp_err_field(err, -1, obj->line, name, "is missing");
        }

        return cp_err_field(err, -1, v->line, name, "must be %s up to %"
                            PRId64, cp_report_words[f->type], f->max);
    }

    return CP_OK;
}


static bool
cp_report_valid(const cp_json_t *v, const cp_report_field_t *f)
{
    switch (f->type) {

    case CP_REPORT_INT:
        return v->type == CP_JSON_INT && v->i >= 0 && v->i <= f->max;

    case CP_REPORT_TEXT:
        return v->type == CP_JSON_STRING && v->len <= (size_t) f->max
               && cp_report_text_valid(v->s, v->len);

    case CP_REPORT_ID:
        return v->type == CP_JSON_STRING
               && (v->len == 0 || stoa_id_valid(v->s, v->len));

    case CP_REPORT_HEX:
        return v->type == CP_JSON_STRING && v->len == (size_t) f->max
               && strspn(v->s, "0123456789abcdef") == v->len;

    case CP_REPORT_CODE:
        return v->type == CP_JSON_STRING && v->len <= (size_t) f->max
               && strspn(v->s, "abcdefghijklmnopqrstuvwxyz0123456789_")
                  == v->len;

    case CP_REPORT_ARRAY:
        return v->type == CP_JSON_ARRAY && v->n <= (uint64_t) f->max;
    }

    return false;
}


static bool
cp_report_text_valid(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if ((unsigned char) s[i] < 0x20 || s[i] == 0x7f) {
            return false;
        }
    }

    return true;
}


const char *
cp_report_text(const cp_json_t *obj, const char *name)
{
    const char  *s;

    s = cp_json_str(obj, name);

    return s ? s : "";
}
