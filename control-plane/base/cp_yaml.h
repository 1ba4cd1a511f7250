/*
 * Inside the reader of YAML: cp_yaml.c makes trees of libyaml's events,
 * cp_yaml_scalar.c values of their texts.
 * Process: stoa-control, stoactl; one document stream, its arena.
 */

#ifndef CP_YAML_H
#define CP_YAML_H


#include <yaml.h>

#include "base/cp_json.h"


#define CP_YAML_TAG          "tag:yaml.org,2002:"


typedef struct cp_yaml_anchor_s  cp_yaml_anchor_t;

struct cp_yaml_anchor_s {
    cp_yaml_anchor_t  *next;
    const char        *name;
    cp_json_t         *node;       /* NULL while it is being read           */
};

typedef struct {
    yaml_parser_t      parser;
    yaml_event_t       event;
    const char        *text;
    size_t             len;
    cp_arena_t        *arena;
    cp_err_t          *err;
    cp_yaml_anchor_t  *anchors;    /* of the document                       */
    unsigned           nanchors;
    unsigned           copies;
    size_t             copied;     /* bytes of texts                        */
} cp_yaml_t;


/* bad_request with the line; here: of the event at hand. */
cp_rc_t cp_yaml_fail(cp_yaml_t *y, unsigned line, const char *why);
cp_rc_t cp_yaml_here(cp_yaml_t *y, const char *why);
unsigned cp_yaml_line(cp_yaml_t *y);

/* The scalar of the event at hand. */
cp_rc_t cp_yaml_scalar(cp_yaml_t *y, cp_json_t *v);


#endif /* CP_YAML_H */
