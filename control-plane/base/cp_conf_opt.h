/*
 * What the files of the configuration share: the form of an option, and its
 * value out of a text.
 */

#ifndef CP_CONF_OPT_H
#define CP_CONF_OPT_H


#include "base/cp_conf.h"


typedef enum { CP_OPT_TEXT, CP_OPT_WORDS, CP_OPT_INT, CP_OPT_BOOL,
    CP_OPT_ALLOW } cp_opt_type_e;

typedef struct {
    const char     *name;
    cp_opt_type_e   type;
    size_t          offset;
    const char     *dflt;
    int64_t         min;               /* TEXT: of the length               */
    int64_t         max;
    const char     *values;            /* " a b " or NULL                   */
    const char     *doc;
} cp_opt_t;

/* The places a value can come from, for messages. */

typedef struct {
    cp_arena_t  *arena;
    cp_conf_t   *conf;
    cp_err_t    *err;
    const char  *place;                /* "conf/x.yaml:3", "--listen" ...   */
} cp_conf_reader_t;

/* CP_DECLINED: the text is no value of it; err says where it stands. */
cp_rc_t cp_conf_set(cp_conf_reader_t *rd, const cp_opt_t *opt,
    const char *value) CP_MUST_CHECK;


#endif /* CP_CONF_OPT_H */
