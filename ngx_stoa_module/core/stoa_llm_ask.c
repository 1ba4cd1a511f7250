/*
 * What a request to a language model may use.
 */

#include <string.h>

#include "stoa_json.h"
#include "stoa_llm.h"


#define STOA_LLM_BINARY_LEN  256         /* a string that is shorter is text */
#define STOA_LLM_CHOICES     128


static uint64_t stoa_llm_input(const char *s, size_t len);
static bool stoa_llm_base64(const char *s, size_t len);
static uint64_t stoa_llm_number_of(const stoa_json_val_t *root,
    const char *const *names);


void
stoa_llm_ask(const char *s, size_t len, stoa_llm_ask_t *ask)
{
    uint64_t         most, choices, n;
    stoa_json_val_t  root, config;

    static const char *const  outputs[] = {
        "max_tokens", "max_completion_tokens", "max_output_tokens",
        "maxOutputTokens", NULL
    };
    static const char *const  several[] = {
        "n", "best_of", "candidateCount", NULL
    };

    ask->output = 0;
    ask->input = (len + 3) / 4;

    if (stoa_json_check(s, len, STOA_JSON_DEPTH_MAX, &root, NULL) != STOA_OK
        || root.type != STOA_JSON_OBJECT)
    {
        return;
    }

    ask->input = stoa_llm_input(s, len);
    most = stoa_llm_number_of(&root, outputs);
    choices = stoa_llm_number_of(&root, several);

    if (stoa_json_get(&root, "generationConfig", &config)) {
        n = stoa_llm_number_of(&config, outputs);
        most = n > most ? n : most;
        n = stoa_llm_number_of(&config, several);
        choices = n > choices ? n : choices;
    }

    choices = choices > STOA_LLM_CHOICES ? STOA_LLM_CHOICES
              : choices ? choices : 1;
    ask->output = most * choices;
}


/* The largest of them. */

static uint64_t
stoa_llm_number_of(const stoa_json_val_t *root, const char *const *names)
{
    uint64_t  n, most;

    for (most = 0; *names; names++) {
        if (stoa_json_get_uint(root, *names, &n) && n > most) {
            most = n < STOA_LLM_MOST ? n : STOA_LLM_MOST;
        }
    }

    return most;
}


/* Of a checked text: pictures, sounds and files have no length in tokens. */

static uint64_t
stoa_llm_input(const char *s, size_t len)
{
    bool         data;
    size_t       n;
    uint64_t     binaries;
    const char  *p, *from, *end;

    end = s + len;
    data = false;
    binaries = 0;

    for (p = s; p < end; p++) {
        if (*p != '"') {
            continue;
        }

        for (from = ++p; *p != '"'; p++) {
            p += *p == '\\';
        }

        n = (size_t) (p - from);

        if (n >= STOA_LLM_BINARY_LEN && memchr(from, ' ', n) == NULL
            && (data || stoa_llm_base64(from, n)))
        {
            binaries++;
            len -= n;
        }

        while (p + 1 < end && (p[1] == ' ' || p[1] == '\t' || p[1] == '\n'
                               || p[1] == '\r'))
        {
            p++;
        }

        data = p + 1 < end && p[1] == ':' && n == 4
               && memcmp(from, "data", 4) == 0;
    }

    return (len + 3) / 4 + binaries * STOA_LLM_BINARY;
}


/* data:image/png;base64, */

static bool
stoa_llm_base64(const char *s, size_t len)
{
    const char  *p;

    if (memcmp(s, "data:", 5) != 0) {
        return false;
    }

    p = memchr(s, ',', len < 128 ? len : 128);

    return p && p - s >= 12 && memcmp(p - 7, ";base64", 7) == 0;
}
