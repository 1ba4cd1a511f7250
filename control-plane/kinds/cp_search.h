/*
 * What the catalogue finds: a row per api and server in the table
 * `catalogue`, written in the transaction of what it tells of.
 *
 * marks are words of one index with the text: v<tenant>, vpublic, vall (who
 * sees it), k<kind>, c<category>, t<tag>, a<audience>, o<tenant>, s<state>.
 * Limits: CP_SEARCH_TEXT_MAX bytes of words of a row; of a question
 * CP_SEARCH_WORDS words.
 */

#ifndef CP_SEARCH_H
#define CP_SEARCH_H


#include "kinds/cp_kinds.h"


#define CP_SEARCH_TEXT_MAX  (32 * 1024)
#define CP_SEARCH_WORDS     8
#define CP_SEARCH_ABOUT     300
#define CP_SEARCH_PARTS     200        /* operations or tools of an api      */


/* Writes the row of an api or a server again; what is gone goes. */
cp_rc_t cp_search_put(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_err_t *err) CP_MUST_CHECK;

/* One word of marks: a name's own characters may not part it. */
const char *cp_search_mark(cp_arena_t *a, char what, const char *name);

/* The words of a text in lower case with blanks between; at most max bytes. */
const char *cp_search_words(cp_arena_t *a, const char *text, size_t max);


#endif /* CP_SEARCH_H */
