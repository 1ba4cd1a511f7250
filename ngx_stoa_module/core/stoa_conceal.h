/*
 * Keys and tokens in texts that are logged.
 * Process: any.  No allocation: the text is changed in place.
 */

#ifndef STOA_CONCEAL_H
#define STOA_CONCEAL_H


#include "stoa_core.h"


/* Masks the secret of what has the form of a key, also one that was typed
 * wrong or is percent-encoded, however often; true: there was one. */
bool stoa_conceal(char *text, size_t len);


#endif /* STOA_CONCEAL_H */
