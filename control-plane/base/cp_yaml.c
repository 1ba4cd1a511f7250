/*
 * Reading YAML: libyaml's events become a tree of JSON values.
 *
 * Plain scalars follow the core schema of YAML 1.2, so "no", "on" and "yes"
 * are texts.  Refused: duplicate and compound keys, tags beyond the standard
 * ones, values that JSON has no form for, depth over STOA_JSON_DEPTH_MAX.
 * Aliases are copies; what they make is counted, which stops an alias bomb.
 */

#include <stdlib.h>
#include <string.h>

#include "core/stoa_json.h"
#include "core/stoa_key.h"
#include "base/cp_yaml.h"


#define CP_YAML_COPIES_MAX   100000    /* nodes made by aliases             */
#define CP_YAML_TEXT_MAX     (8 * 1024 * 1024)  /* bytes of texts in them   */
#define CP_YAML_ANCHORS_MAX  1000


/* The names of an object's keys, for objects with many. */

typedef struct {
    const char  **slot;            /* open addressing, size a power of two  */
    size_t        size;
    size_t        n;
} cp_yaml_keys_t;


static cp_rc_t cp_yaml_node(cp_yaml_t *y, unsigned depth, cp_json_t **out);


/* The reader of bytes knows an offset, the others a line. */

static unsigned
cp_yaml_problem_line(cp_yaml_t *y)
{
    size_t    i;
    unsigned  line;

    if (y->parser.error != YAML_READER_ERROR) {
        return (unsigned) y->parser.problem_mark.line + 1;
    }

    for (line = 1, i = 0; i < y->parser.problem_offset && i < y->len; i++) {
        line += (y->text[i] == '\n');
    }

    return line;
}


static cp_rc_t
cp_yaml_next(cp_yaml_t *y)
{
    char         why[256];
    const char  *problem;

    if (yaml_parser_parse(&y->parser, &y->event)) {
        return CP_OK;
    }

    memset(&y->event, 0, sizeof(yaml_event_t));

    if (y->parser.error == YAML_MEMORY_ERROR) {
        return cp_err_set(y->err, "internal", "out of memory");
    }

    problem = (y->parser.problem != NULL) ? y->parser.problem : "no YAML";

    (void) snprintf(why, sizeof(why), "%s%s%s", problem,
                    (y->parser.context != NULL) ? ", " : "",
                    (y->parser.context != NULL) ? y->parser.context : "");

    return cp_yaml_fail(y, cp_yaml_problem_line(y), why);
}


/* Forgets the event at hand and reads the next one. */

static cp_rc_t
cp_yaml_step(cp_yaml_t *y)
{
    yaml_event_delete(&y->event);

    return cp_yaml_next(y);
}


static cp_json_t *
cp_yaml_make(cp_yaml_t *y, cp_json_type_e type, unsigned line)
{
    cp_json_t  *v;

    v = cp_arena_alloc(y->arena, sizeof(cp_json_t));

    if (v == NULL) {
        (void) cp_err_set(y->err, "body_too_large",
                          "the document needs too much memory");
        return NULL;
    }

    v->type = type;
    v->line = line;

    return v;
}


static cp_rc_t
cp_yaml_anchor(cp_yaml_t *y, const char *name, cp_yaml_anchor_t **out)
{
    cp_yaml_anchor_t  *anchor;

    *out = NULL;

    if (name == NULL) {
        return CP_OK;
    }

    if (y->nanchors++ == CP_YAML_ANCHORS_MAX) {
        return cp_yaml_here(y, "too many anchors");
    }

    anchor = cp_arena_alloc(y->arena, sizeof(cp_yaml_anchor_t));
    if (anchor == NULL) {
        return CP_ERROR;
    }

    anchor->name = cp_arena_strdup(y->arena, name);
    anchor->next = y->anchors;     /* a later one of the same name hides it */
    y->anchors = anchor;
    *out = anchor;

    return (anchor->name != NULL) ? CP_OK : CP_ERROR;
}


/* Texts are shared with the original; nodes cannot be, they have a `next`. */

static cp_json_t *
cp_yaml_copy(cp_yaml_t *y, const cp_json_t *v, unsigned depth)
{
    cp_json_t        *dup, *child;
    const cp_json_t  *p;

    if (y->copies++ == CP_YAML_COPIES_MAX || depth > STOA_JSON_DEPTH_MAX) {
        return NULL;
    }

    /* shared here, but whoever takes the value over copies it */

    y->copied += v->len;

    if (y->copied > CP_YAML_TEXT_MAX) {
        return NULL;
    }

    dup = cp_arena_alloc(y->arena, sizeof(cp_json_t));
    if (dup == NULL) {
        return NULL;
    }

    *dup = *v;
    dup->first = NULL;
    dup->last = NULL;
    dup->next = NULL;
    dup->n = 0;

    for (p = v->first; p != NULL; p = p->next) {

        child = cp_yaml_copy(y, p, depth + 1);
        if (child == NULL) {
            return NULL;
        }

        cp_json_push(dup, child);
    }

    return dup;
}


static cp_rc_t
cp_yaml_alias(cp_yaml_t *y, unsigned depth, cp_json_t **out)
{
    const char        *name;
    cp_yaml_anchor_t  *anchor;

    name = (const char *) y->event.data.alias.anchor;

    for (anchor = y->anchors; anchor != NULL; anchor = anchor->next) {
        if (strcmp(anchor->name, name) == 0) {
            break;
        }
    }

    if (anchor == NULL) {
        return cp_yaml_here(y, "the alias has no anchor before it");
    }

    if (anchor->node == NULL) {
        return cp_yaml_here(y, "the alias is part of what it stands for");
    }

    *out = cp_yaml_copy(y, anchor->node, depth);

    if (*out == NULL) {
        return cp_yaml_here(y, "aliases make the document too large");
    }

    (*out)->key = NULL;
    (*out)->line = cp_yaml_line(y);

    return CP_OK;
}


static bool
cp_yaml_collection_tag(const char *tag, const char *standard)
{
    return tag == NULL || strcmp(tag, "!") == 0 || strcmp(tag, standard) == 0;
}


static cp_rc_t
cp_yaml_sequence(cp_yaml_t *y, unsigned depth, cp_json_t *v)
{
    cp_rc_t     rc;
    cp_json_t  *item;

    rc = cp_yaml_step(y);

    while (rc == CP_OK && y->event.type != YAML_SEQUENCE_END_EVENT) {

        rc = cp_yaml_node(y, depth + 1, &item);

        if (rc == CP_OK) {
            cp_json_push(v, item);
            rc = cp_yaml_step(y);
        }
    }

    return rc;
}


/* CP_DECLINED: the key is there already. */

static cp_rc_t
cp_yaml_keys_put(cp_yaml_keys_t *keys, const char *key)
{
    size_t        i, k, size;
    const char  **old;

    if (2 * (keys->n + 1) > keys->size) {

        old = keys->slot;
        size = keys->size;

        keys->size = (size == 0) ? 16 : size * 2;
        keys->slot = calloc(keys->size, sizeof(char *));

        if (keys->slot == NULL) {
            keys->slot = old;
            keys->size = size;
            return CP_ERROR;
        }

        for (keys->n = 0, k = 0; k < size; k++) {
            if (old[k] != NULL) {
                (void) cp_yaml_keys_put(keys, old[k]);
            }
        }

        free(old);
    }

    i = stoa_hash64(key, strlen(key), 0) & (keys->size - 1);

    while (keys->slot[i] != NULL) {

        if (strcmp(keys->slot[i], key) == 0) {
            return CP_DECLINED;
        }

        i = (i + 1) & (keys->size - 1);
    }

    keys->slot[i] = key;
    keys->n++;

    return CP_OK;
}


static cp_rc_t
cp_yaml_key(cp_yaml_t *y, cp_yaml_keys_t *keys, const char **out)
{
    cp_rc_t      rc;
    const char  *key;
    char         why[160];

    if (y->event.type != YAML_SCALAR_EVENT
        || y->event.data.scalar.anchor != NULL)
    {
        return cp_yaml_here(y, "a key must be a text");
    }

    key = (const char *) y->event.data.scalar.value;

    if (memchr(key, '\0', y->event.data.scalar.length) != NULL) {
        return cp_yaml_here(y, "a text holds the character U+0000");
    }

    /* whoever writes it means what it does elsewhere */

    if (y->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE
        && strcmp(key, "<<") == 0)
    {
        return cp_yaml_here(y, "merge keys (<<) are not supported");
    }

    key = cp_arena_strdup(y->arena, key);
    if (key == NULL) {
        return CP_ERROR;
    }

    rc = cp_yaml_keys_put(keys, key);

    if (rc == CP_DECLINED) {
        (void) snprintf(why, sizeof(why), "the key \"%.100s\" is there "
                        "twice", key);
        return cp_yaml_here(y, why);
    }

    *out = key;

    return rc;
}


static cp_rc_t
cp_yaml_mapping(cp_yaml_t *y, unsigned depth, cp_json_t *v)
{
    cp_rc_t          rc;
    unsigned         line;
    cp_json_t       *item;
    const char      *key;
    cp_yaml_keys_t   keys;

    key = NULL;
    memset(&keys, 0, sizeof(cp_yaml_keys_t));

    rc = cp_yaml_step(y);

    while (rc == CP_OK && y->event.type != YAML_MAPPING_END_EVENT) {

        line = cp_yaml_line(y);
        rc = cp_yaml_key(y, &keys, &key);

        if (rc == CP_OK) {
            rc = cp_yaml_step(y);
        }

        if (rc == CP_OK) {
            rc = cp_yaml_node(y, depth + 1, &item);
        }

        if (rc == CP_OK) {

            /* the line of the key is where a reader looks for a member */

            item->key = key;
            item->line = line;
            cp_json_push(v, item);
            rc = cp_yaml_step(y);
        }
    }

    free(keys.slot);

    return rc;
}


/* The event at hand begins a node; afterwards it is the node's last one. */

static cp_rc_t
cp_yaml_node(cp_yaml_t *y, unsigned depth, cp_json_t **out)
{
    bool               map;
    cp_rc_t            rc;
    cp_json_t         *v;
    const char        *name, *tag;
    cp_yaml_anchor_t  *anchor;

    if (depth > STOA_JSON_DEPTH_MAX) {
        return cp_yaml_here(y, "nested too deep");
    }

    if (y->event.type == YAML_ALIAS_EVENT) {
        return cp_yaml_alias(y, depth, out);
    }

    v = cp_yaml_make(y, CP_JSON_NULL, cp_yaml_line(y));
    if (v == NULL) {
        return CP_DECLINED;
    }

    *out = v;
    map = (y->event.type == YAML_MAPPING_START_EVENT);

    if (y->event.type == YAML_SCALAR_EVENT) {

        name = (const char *) y->event.data.scalar.anchor;

        rc = cp_yaml_anchor(y, name, &anchor);
        rc = (rc == CP_OK) ? cp_yaml_scalar(y, v) : rc;

    } else {

        /* both starts have their anchor and tag in the same places */

        name = (const char *) (map ? y->event.data.mapping_start.anchor
                                   : y->event.data.sequence_start.anchor);
        tag = (const char *) (map ? y->event.data.mapping_start.tag
                                  : y->event.data.sequence_start.tag);

        if (!cp_yaml_collection_tag(tag, map ? CP_YAML_TAG "map"
                                             : CP_YAML_TAG "seq"))
        {
            return cp_yaml_here(y, "only the standard tags are known");
        }

        v->type = map ? CP_JSON_OBJECT : CP_JSON_ARRAY;

        rc = cp_yaml_anchor(y, name, &anchor);

        if (rc == CP_OK) {
            rc = map ? cp_yaml_mapping(y, depth, v)
                     : cp_yaml_sequence(y, depth, v);
        }
    }

    if (rc == CP_OK && anchor != NULL) {
        anchor->node = v;
    }

    return rc;
}


static cp_rc_t
cp_yaml_stream(cp_yaml_t *y, cp_json_t *docs)
{
    cp_rc_t     rc;
    cp_json_t  *doc;

    rc = cp_yaml_next(y);

    while (rc == CP_OK && y->event.type != YAML_STREAM_END_EVENT) {

        if (y->event.type == YAML_DOCUMENT_START_EVENT) {

            y->anchors = NULL;
            rc = cp_yaml_step(y);

            if (rc == CP_OK) {
                rc = cp_yaml_node(y, 1, &doc);
            }

            if (rc == CP_OK) {
                cp_json_push(docs, doc);
            }
        }

        if (rc == CP_OK) {
            rc = cp_yaml_step(y);
        }
    }

    yaml_event_delete(&y->event);

    return rc;
}


cp_rc_t
cp_yaml_parse(cp_arena_t *a, const char *text, size_t len, cp_json_t **docs,
    cp_err_t *err)
{
    cp_rc_t    rc;
    cp_yaml_t  y;

    cp_text_skip_mark(&text, &len);

    memset(&y, 0, sizeof(cp_yaml_t));
    y.text = text;
    y.len = len;
    y.arena = a;
    y.err = err;

    *docs = cp_json_array(a);

    if (*docs == NULL || !yaml_parser_initialize(&y.parser)) {
        return cp_err_set(err, "internal", "out of memory");
    }

    yaml_parser_set_encoding(&y.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&y.parser, (const unsigned char *) text,
                                 len);

    rc = cp_yaml_stream(&y, *docs);

    if (rc == CP_ERROR && (err == NULL || err->status == 0)) {
        (void) cp_err_set(err, "internal", "out of memory");
    }

    yaml_parser_delete(&y.parser);

    return rc;
}
