/* What is told of an answer's tokens is the same wherever it is cut, no more
 * than there can be, and of a model whose name is one; a request asks for no
 * more than that either. */

#include "fuzz.h"
#include "stoa_llm.h"


static void
used(const uint8_t *data, size_t size, bool events, size_t cut,
    const stoa_llm_ask_t *ask, stoa_llm_t *m, stoa_llm_used_t *u)
{
    char    *piece;
    size_t   at, n;

    stoa_llm_init(m, events);

    for (at = 0; at < size; at += n) {
        n = size - at < cut ? size - at : cut;
        piece = malloc(n);                   /* so that no byte behind it   */
        must(piece != NULL);
        memcpy(piece, data + at, n);
        stoa_llm_feed(m, piece, n);
        free(piece);
    }

    stoa_llm_used(m, ask, true, u);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool              events;
    size_t            i, cut;
    stoa_llm_t        whole, parts;
    stoa_llm_ask_t    ask;
    stoa_llm_used_t   one, two;

    stoa_llm_ask((const char *) data, size, &ask);
    must(ask.input <= STOA_LLM_MOST && ask.output <= STOA_LLM_MOST);

    if (size < 2) {
        return 0;
    }

    events = data[0] & 1;
    cut = 1 + data[0] / 2;
    used(data + 1, size - 1, events, size, &ask, &whole, &one);
    used(data + 1, size - 1, events, cut, &ask, &parts, &two);

    must(memcmp(one.n, two.n, sizeof(one.n)) == 0);
    must(one.estimated == two.estimated);
    must(strcmp(one.model, two.model) == 0);
    must(strlen(one.model) <= STOA_LLM_MODEL);

    for (i = 0; i < STOA_LLM_SAID; i++) {
        must(!(whole.told >> i & 1) || whole.said[i] <= STOA_LLM_MOST);
        must(whole.said[i] == parts.said[i]);
    }

    for (i = 0; one.model[i]; i++) {
        must((one.model[i] >= 'a' && one.model[i] <= 'z')
             || (one.model[i] >= 'A' && one.model[i] <= 'Z')
             || (one.model[i] >= '0' && one.model[i] <= '9')
             || strchr("._:/@+-", one.model[i]));
    }

    return 0;
}
