/*
 * Reading the answers of language models.
 */

#include <string.h>

#include "stoa_llm.h"


typedef enum { VALUE = 0, STRING, ESCAPE, NUMBER } stoa_llm_state_e;

/* Past these five bytes a line is data, or of no interest. */
#define DATA   5
#define OTHER  6

/* Objects; what is from SAID on is a number. */

typedef enum {
    NONE = 0, LIST, ROOT, WRAP, START, USAGE, BEGUN, DETAILS, AGAIN, MODEL,
    SAID
} stoa_llm_node_e;


typedef struct {
    uint8_t      in;
    uint8_t      to;
    const char  *name;
} stoa_llm_member_t;

#define TELLS(what)  SAID + STOA_LLM_SAID_##what

static const stoa_llm_member_t  stoa_llm_members[] = {
    { ROOT, USAGE, "usage" },
    { ROOT, USAGE, "usageMetadata" },
    { ROOT, WRAP, "response" },
    { ROOT, START, "message" },
    { ROOT, AGAIN, "item" },
    { ROOT, AGAIN, "part" },
    { ROOT, MODEL, "model" },
    { ROOT, MODEL, "modelVersion" },
    { WRAP, USAGE, "usage" },
    { WRAP, MODEL, "model" },
    { START, BEGUN, "usage" },
    { START, MODEL, "model" },
    { USAGE, TELLS(PROMPT), "prompt_tokens" },
    { USAGE, TELLS(PROMPT), "promptTokenCount" },
    { USAGE, TELLS(INPUT), "input_tokens" },
    { USAGE, TELLS(CACHE_NEW), "cache_creation_input_tokens" },
    { USAGE, TELLS(CACHE_READ), "cache_read_input_tokens" },
    { USAGE, TELLS(CACHED), "cachedContentTokenCount" },
    { USAGE, TELLS(OUTPUT), "completion_tokens" },
    { USAGE, TELLS(OUTPUT), "output_tokens" },
    { USAGE, TELLS(OUTPUT), "candidatesTokenCount" },
    { USAGE, TELLS(TOTAL), "total_tokens" },
    { USAGE, TELLS(TOTAL), "totalTokenCount" },
    { USAGE, DETAILS, "prompt_tokens_details" },
    { USAGE, DETAILS, "input_tokens_details" },
    { DETAILS, TELLS(CACHED), "cached_tokens" },

    /* before anything was generated: its output is none */

    { BEGUN, TELLS(INPUT), "input_tokens" },
    { BEGUN, TELLS(CACHE_NEW), "cache_creation_input_tokens" },
    { BEGUN, TELLS(CACHE_READ), "cache_read_input_tokens" },
    { NONE, NONE, NULL }
};

/* What is generated; in the root of an event only the first is new. */

static const char *const  stoa_llm_texts[] = {
    "delta", "content", "text", "arguments", "partial_json", "thinking",
    "reasoning", "reasoning_content", "refusal", "transcript", NULL
};


static void stoa_llm_json(stoa_llm_t *m, const char *p, const char *end);
static const char *stoa_llm_string(stoa_llm_t *m, const char *p,
    const char *end);
static void stoa_llm_mark(stoa_llm_t *m, char c);
static void stoa_llm_name(stoa_llm_t *m);
static bool stoa_llm_named(const stoa_llm_t *m, const char *name);
static void stoa_llm_model(stoa_llm_t *m);
static void stoa_llm_open(stoa_llm_t *m, bool object);
static void stoa_llm_close(stoa_llm_t *m);
static void stoa_llm_number(stoa_llm_t *m, char c);
static uint8_t stoa_llm_node(const stoa_llm_t *m);
static void stoa_llm_fresh(stoa_llm_t *m);


void
stoa_llm_init(stoa_llm_t *m, bool events)
{
    memset(m, 0, sizeof(stoa_llm_t));
    m->events = events;
}


void
stoa_llm_feed(stoa_llm_t *m, const char *s, size_t len)
{
    char         c;
    const char  *p, *end;

    static const char  data[] = "data:";

    end = s + len;

    if (!m->events) {
        stoa_llm_json(m, s, end);
        return;
    }

    while (s < end) {
        c = *s;

        if (c == '\n' || c == '\r') {
            s++;

            if (c == '\n' && m->cr) {
                m->cr = false;
                continue;
            }

            m->cr = c == '\r';

            if (m->line == 0) {
                stoa_llm_fresh(m);                  /* the event is over     */
            }

            m->line = 0;
            continue;
        }

        m->cr = false;

        if (m->line < DATA) {
            m->line = c == data[m->line] ? m->line + 1 : OTHER;
            s++;
            continue;
        }

        for (p = s; p < end && *p != '\n' && *p != '\r'; p++) { /* void */ }

        if (m->line == DATA) {
            stoa_llm_json(m, s, p);
        }

        s = p;
    }
}


static void
stoa_llm_json(stoa_llm_t *m, const char *p, const char *end)
{
    while (p < end) {

        switch (m->state) {

        case STRING:
            p = stoa_llm_string(m, p, end);
            break;

        case ESCAPE:
            m->len += 2;
            m->escaped = true;                      /* no name that we know  */
            m->state = STRING;
            p++;
            break;

        case NUMBER:
            stoa_llm_number(m, *p);
            p += m->state == NUMBER;
            break;

        default:
            stoa_llm_mark(m, *p++);
        }
    }
}


static const char *
stoa_llm_string(stoa_llm_t *m, const char *p, const char *end)
{
    size_t       n;
    const char  *from;

    for (from = p; p < end && *p != '"' && *p != '\\'; p++) { /* void */ }

    n = (size_t) (p - from);

    if (m->len + n <= STOA_LLM_NAME) {
        memcpy(m->name + m->len, from, n);
    }

    m->len += n;

    if (p == end) {
        return p;
    }

    m->state = *p == '"' ? VALUE : ESCAPE;
    m->pending = *p == '"';

    return p + 1;
}


/* A byte outside of strings and numbers. */

static void
stoa_llm_mark(stoa_llm_t *m, char c)
{
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        return;
    }

    if (m->pending) {
        m->pending = false;

        if (c == ':') {
            stoa_llm_name(m);
            return;
        }

        m->text += m->counts ? m->len : 0;

        if (m->to == MODEL) {
            stoa_llm_model(m);
        }
    }

    switch (c) {

    case '"':
        m->state = STRING;
        m->len = 0;
        m->escaped = false;
        break;

    case '{':
    case '[':
        stoa_llm_open(m, c == '{');
        break;

    case '}':
    case ']':
        stoa_llm_close(m);
        break;

    case ',':
        m->to = NONE;        /* of a list of texts each counts           */
        break;

    default:
        if (m->to >= SAID && ((c >= '0' && c <= '9') || c == '-')) {
            m->state = NUMBER;
            m->number = 0;
            m->broken = false;
            stoa_llm_number(m, c);
        }
    }
}


static void
stoa_llm_name(stoa_llm_t *m)
{
    uint8_t                   in;
    const char *const        *text;
    const stoa_llm_member_t  *row;

    in = stoa_llm_node(m);
    m->to = NONE;

    for (row = stoa_llm_members; in && row->name; row++) {
        if (row->in == in && stoa_llm_named(m, row->name)) {
            m->to = row->to;
            break;
        }
    }

    m->counts = false;

    for (text = stoa_llm_texts; *text && m->mute == 0; text++) {
        if (stoa_llm_named(m, *text)) {
            m->counts = !m->events || in != ROOT || text == stoa_llm_texts;
            break;
        }
    }
}


static bool
stoa_llm_named(const stoa_llm_t *m, const char *name)
{
    return !m->escaped && m->len <= STOA_LLM_NAME
           && strlen(name) == m->len && memcmp(m->name, name, m->len) == 0;
}


static void
stoa_llm_model(stoa_llm_t *m)
{
    static const char  fit[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        "._:/@+-";

    if (m->model[0] || m->escaped || m->len > STOA_LLM_MODEL) {
        return;
    }

    memcpy(m->model, m->name, m->len);

    if (strspn(m->model, fit) != m->len) {
        memset(m->model, 0, sizeof(m->model));
    }
}


/* A root that is a list has one message after the other in it. */

static void
stoa_llm_open(stoa_llm_t *m, bool object)
{
    uint8_t  node;

    node = m->to < SAID ? m->to : NONE;

    if (!object) {
        node = m->depth ? NONE : LIST;

    } else if (m->depth == 0 || stoa_llm_node(m) == LIST) {
        node = ROOT;
    }

    if (m->depth < STOA_LLM_DEPTH) {
        m->node[m->depth] = node;
    }

    m->depth++;
    m->to = NONE;
    m->counts = m->counts && !object;

    if (m->events && m->mute == 0 && (node == WRAP || node == AGAIN)) {
        m->mute = m->depth;
    }
}


static void
stoa_llm_close(stoa_llm_t *m)
{
    if (m->mute == m->depth) {
        m->mute = 0;
    }

    m->depth -= m->depth > 0;
    m->to = NONE;
    m->counts = false;
}


static uint8_t
stoa_llm_node(const stoa_llm_t *m)
{
    return m->depth && m->depth <= STOA_LLM_DEPTH ? m->node[m->depth - 1]
                                                  : NONE;
}


/* The byte behind a number ends it, and is looked at again. */

static void
stoa_llm_number(stoa_llm_t *m, char c)
{
    unsigned  what;

    if (c >= '0' && c <= '9') {
        m->number = m->number * 10 + (uint64_t) (c - '0');
        m->broken |= m->number > STOA_LLM_MOST;
        m->number = m->broken ? 0 : m->number;
        return;
    }

    if (c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E') {
        m->broken = true;
        return;
    }

    m->state = VALUE;
    what = m->to - SAID;
    m->to = NONE;

    if (!m->broken) {
        m->told |= 1u << what;

        if (m->number > m->said[what]) {
            m->said[what] = m->number;
        }
    }
}


/* The next event. */

static void
stoa_llm_fresh(stoa_llm_t *m)
{
    m->state = VALUE;
    m->to = NONE;
    m->counts = false;
    m->pending = false;
    m->depth = 0;
    m->mute = 0;
    m->len = 0;
}


#define SAYS(what)  (m->told & 1u << STOA_LLM_SAID_##what)
#define N(what)     m->said[STOA_LLM_SAID_##what]

void
stoa_llm_used(const stoa_llm_t *m, const stoa_llm_ask_t *ask, bool whole,
    stoa_llm_used_t *used)
{
    bool      in, out;
    uint64_t  input, output, guess, cached;

    /* a cache's part is one of the first, but is added to the other */

    input = SAYS(PROMPT) ? N(PROMPT) : N(INPUT) + N(CACHE_NEW) + N(CACHE_READ);
    output = N(OUTPUT);
    guess = (m->text + 3) / 4;
    in = SAYS(PROMPT) || SAYS(INPUT);
    out = SAYS(OUTPUT) != 0;

    if (SAYS(TOTAL) && N(TOTAL) >= input) {

        /* what it has beside both was generated, too */

        if (in && N(TOTAL) > input + output) {
            output = N(TOTAL) - input;

        } else if (!in && out && N(TOTAL) > output) {
            input = N(TOTAL) - output;
            in = true;
        }

        out |= in;
    }

    used->estimated = false;
    used->model = m->model;

    if (!in) {
        input = ask->input;
        used->estimated = true;
    }

    if (!out || (!whole && guess > output)) {
        output = guess;
        used->estimated = true;
    }

    cached = N(CACHED) > N(CACHE_READ) ? N(CACHED) : N(CACHE_READ);

    used->n[STOA_LLM_INPUT] = input;
    used->n[STOA_LLM_OUTPUT] = output;
    used->n[STOA_LLM_CACHED] = cached < input ? cached : input;
}
