/* Tests for what answers of language models say of tokens, in every cut. */

#include "stoa_llm.h"
#include "tap.h"


#define NAN  UINT64_MAX


/* in / out / cached; est: one of the first two had to be estimated, from a
 * request of 40 tokens. */

static const struct {
    const char  *what;
    bool         events;
    const char  *in;
    uint64_t     input, output, cached;
    bool         estimated;
} answers[] = {
    { "chat", false, "{\"choices\":[{\"message\":{\"content\":\"hi\"}}],"
      "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":12,"
      "\"total_tokens\":21,\"prompt_tokens_details\":{\"cached_tokens\":4}}}",
      9, 12, 4, false },
    { "responses", false, "{\"output\":[],\"usage\":{\"input_tokens\":36,"
      "\"input_tokens_details\":{\"cached_tokens\":6},\"output_tokens\":87,"
      "\"output_tokens_details\":{\"reasoning_tokens\":64},"
      "\"total_tokens\":123}}", 36, 87, 6, false },
    { "messages", false, "{\"type\":\"message\",\"usage\":{\"input_tok"
      "ens\":5,"
      "\"cache_creation_input_tokens\":100,\"cache_read_input_tokens\":30,"
      "\"output_tokens\":7}}", 135, 7, 30, false },
    { "gemini", false, "[{\"usageMetadata\":{\"promptTokenCount\":4,"
      "\"totalTokenCount\":4}},\n{\"usageMetadata\":{\"promptTokenCount\":4,"
      "\"candidatesTokenCount\":5,\"thoughtsTokenCount\":3,"
      "\"totalTokenCount\":12}}]", 4, 8, 0, false },
    { "embeddings", false, "{\"data\":[{\"embedding\":[-0.1,2e-3]}],"
      "\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}", 8, 0, 0, false },
    { "output and total", false, "{\"usage\":{\"completion_tokens\":8,"
      "\"total_tokens\":20}}", 12, 8, 0, false },
    { "a space here and there", false, " {\n\"usage\" : {\"prompt_toke"
      "ns\" : 1"
      " ,\"completion_tokens\"\t:\r\n2\n} } ", 1, 2, 0, false },

    { "in a text", false, "{\"choices\":[{\"text\":\"a\\\",\\\"usage\\\":"
      "{\\\"prompt_tokens\\\":1,\\\"completion_tokens\\\":1}\"}]}",
      40, 15, 0, true },
    { "in what a tool is called with", false, "{\"content\":[{\"input\":"
      "{\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}],\"metadata\":"
      "{\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}",
      40, 0, 0, true },
    { "in details", false, "{\"usage\":{\"x\":{\"prompt_tokens\":1,"
      "\"completion_tokens\":1},\"y\":[{\"prompt_tokens\":1}]}}",
      40, 0, 0, true },
    { "negative", false, "{\"usage\":{\"prompt_tokens\":-9,"
      "\"completion_tokens\":-1,\"total_tokens\":-10}}", 40, 0, 0, true },
    { "huge", false, "{\"usage\":{\"prompt_tokens\":100000001,"
      "\"completion_tokens\":18446744073709551617}}", 40, 0, 0, true },
    { "as much as there may be", false, "{\"usage\":{\"prompt_tokens\":"
      "100000000,\"completion_tokens\":0}}", 100000000, 0, 0, false },
    { "strings", false, "{\"usage\":{\"prompt_tokens\":\"9\","
      "\"completion_tokens\":\"1\"}}", 40, 0, 0, true },
    { "no whole numbers", false, "{\"usage\":{\"prompt_tokens\":1.5,"
      "\"completion_tokens\":1e3}}", 40, 0, 0, true },
    { "twice", false, "{\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":"
      "5,\"prompt_tokens\":1},\"usage\":{\"completion_tokens\":2}}",
      9, 5, 0, false },
    { "no object", false, "{\"usage\":[1,2],\"usage\":7,\"usage\":null}",
      40, 0, 0, true },
    { "a name with an escape", false, "{\"us\\u0061ge\":{\"prompt_toke"
      "ns\":1}}",
      40, 0, 0, true },
    { "more cached than there is", false, "{\"usage\":{\"prompt_tokens\":3,"
      "\"completion_tokens\":1,\"prompt_tokens_details\":{\"cached_tokens\":"
      "9}}}", 3, 1, 3, false },
    { "brackets that do not match", false, "}}]]{\"usage\":{\"prompt_t"
      "okens\":3"
      ",\"completion_tokens\":1}", 3, 1, 0, false },
    { "deep", false, "{\"a\":[[[[[[[[[[{\"usage\":{\"prompt_token"
      "s\":3}}]]]]]]"
      "]]]],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}",
      2, 1, 0, false },
    { "nothing", false, "", 40, 0, 0, true },
    { "no JSON", false, "<html>\"usage\": {\"prompt_tokens\": 1}</html>",
      40, 0, 0, true },

    { "chat, streamed", true, "data: {\"choices\":[{\"delta\":{\"role\":"
      "\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n"
      "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}],\"usag"
      "e\":null}"
      "\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,"
      "\"completion_tokens\":2,\"total_tokens\":13}}\n\ndata: [DONE]\n\n",
      11, 2, 0, false },
    { "usage in each event", true, "data: {\"usage\":{\"prompt_tokens\":11,"
      "\"completion_tokens\":1}}\r\n\r\ndata: {\"usage\":{\"prompt_tok"
      "ens\":11,"
      "\"completion_tokens\":2}}\r\n\r\n", 11, 2, 0, false },
    { "chat, streamed without usage", true, "data: {\"choices\":[{\"delta\":"
      "{\"content\":\"Hell\"}}]}\n\n: c\n\ndata: {\"choices\":[{\"delta\":"
      "{\"content\":\"o wo\"}}]}\n\ndata: [DONE]\n\n", 40, 2, 0, true },
    { "messages, streamed", true, "event: message_start\ndata: {\"type\":"
      "\"message_start\",\"message\":{\"content\":[],\"usage\":{"
      "\"input_tokens\":25,\"cache_read_input_tokens\":5,\"output_toke"
      "ns\":1}}}"
      "\n\nevent: content_block_delta\ndata: {\"type\":\"content_bloc"
      "k_delta\","
      "\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n"
      "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},"
      "\"usage\":{\"output_tokens\":15}}\n\n", 30, 15, 5, false },
    { "messages, cut off", true, "data: {\"type\":\"message_star"
      "t\",\"message\""
      ":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n"
      "data: {\"delta\":{\"text\":\"12345678\"}}\n\n", 25, 2, 0, true },
    { "responses, streamed", true, "event: response.created\ndat"
      "a: {\"response"
      "\":{\"usage\":null}}\n\ndata: {\"type\":\"response.output_tex"
      "t.delta\","
      "\"delta\":\"Hi\"}\n\ndata: {\"type\":\"response.completed\",\"r"
      "esponse\""
      ":{\"output\":[{\"content\":[{\"text\":\"Hi\"}]}],\"usage\":{"
      "\"input_tokens\":37,\"output_tokens\":11,\"total_tokens\":48}}}\n\n",
      37, 11, 0, false },
    { "responses, what comes again", true, "data: {\"delt"
      "a\":\"12345678\"}\n\n"
      "data: {\"text\":\"12345678\"}\n\ndata: {\"part\":{\"tex"
      "t\":\"12345678\"}}"
      "\n\ndata: {\"item\":{\"content\":[{\"text\":\"12345678\"}]}}\n\n"
      "data: {\"delta\":\"1234\"}\n\n", 40, 3, 0, true },
    { "an event in two lines", true, "data: {\"usage\":{\"prompt_tokens\":\r"
      "data: 3,\"completion_tokens\":4}}\r\r", 3, 4, 0, false },
    { "other fields", true, "id: {\"usage\":{\"prompt_tokens\":3}}\nda"
      "t: {\"us"
      "age\":{\"prompt_tokens\":3}}\n\n", 40, 0, 0, true },
    { "a broken event", true, "data: {\"a\":\"\n\ndata: {\"usag"
      "e\":{\"prompt_t"
      "okens\":3,\"completion_tokens\":4}}\n\n", 3, 4, 0, false },
};

static const struct {
    const char  *what;
    const char  *body;
    uint64_t     input, output;
} asks[] = {
    { "a maximum", "{\"max_tokens\":50,\"messages\":[]}", 8, 50 },
    { "the larger one", "{\"max_tokens\":5,\"max_completion_tokens\":70}",
      NAN, 70 },
    { "responses", "{\"max_output_tokens\":9,\"input\":\"x\"}", NAN, 9 },
    { "gemini", "{\"generationConfig\":{\"maxOutputTokens\":8,"
      "\"candidateCount\":2}}", NAN, 16 },
    { "several", "{\"n\":5,\"max_tokens\":10}", NAN, 50 },
    { "very many", "{\"n\":5000000,\"max_tokens\":10}", NAN, 1280 },
    { "negative", "{\"n\":-5,\"max_tokens\":-10}", NAN, 0 },
    { "huge", "{\"max_tokens\":99999999999999999999}", NAN, 0 },
    { "large", "{\"max_tokens\":99999999999}", NAN, STOA_LLM_MOST },
    { "none", "{}", 1, 0 },
    { "no JSON", "max_tokens=5", 3, 0 },
    { "twice is none", "{\"max_tokens\":5,\"max_tokens\":1}", 8, 0 },
};


static const struct {
    bool         events;
    const char  *in;
    const char  *model;
} models[] = {
    { false, "{\"id\":\"x\",\"model\":\"gpt-4o-2024-08-06\",\"choices\":["
      "{\"model\":\"no\"}]}", "gpt-4o-2024-08-06" },
    { false, "[{\"modelVersion\":\"gemini-2.0\"}]", "gemini-2.0" },
    { true, "data: {\"message\":{\"model\":\"claude:1/a@b+c\"}}\n\n"
      "data: {\"model\":\"later\"}\n\n", "claude:1/a@b+c" },
    { true, "data: {\"response\":{\"model\":\"o3\"}}\n\n", "o3" },
    { false, "{\"model\":\"a\\\"b\"}", "" },
    { false, "{\"model\":\"a b\"}", "" },
    { false, "{\"model\":\"\",\"usage\":{\"model\":\"x\"}}", "" },
    { false, "{\"model\":[\"x\"],\"a\":{\"model\":\"x\"}}", "" },
    { false, "{\"model\":\"0123456789012345678901234567890123456789"
      "012345678901234\"}", "0123456789012345678901234567890123456789"
      "012345678901234" },
    { false, "{\"model\":\"0123456789012345678901234567890123456789"
      "0123456789012345\"}", "" },
};


static uint64_t
guess(const char *format, char c, size_t n)
{
    int              len;
    static char      body[4096], text[3000];
    stoa_llm_ask_t   ask;

    memset(text, c, n);
    text[n] = '\0';
    len = snprintf(body, sizeof(body), format, text);
    stoa_llm_ask(body, (size_t) len, &ask);

    return ask.input;
}


static void
named(void)
{
    bool             same;
    size_t           i, cut, len;
    stoa_llm_t       m;
    stoa_llm_ask_t   ask;
    stoa_llm_used_t  used;

    memset(&ask, 0, sizeof(ask));

    for (i = 0; i < tap_count(models); i++) {
        len = strlen(models[i].in);
        same = true;

        for (cut = 0; cut <= len && same; cut++) {
            stoa_llm_init(&m, models[i].events);
            stoa_llm_feed(&m, models[i].in, cut);
            stoa_llm_feed(&m, models[i].in + cut, len - cut);
            stoa_llm_used(&m, &ask, true, &used);
            same = strcmp(used.model, models[i].model) == 0;
        }

        tap_ok(same, "the model \"%s\" of row %zu", models[i].model, i);
    }
}


int
main(void)
{
    bool             same;
    size_t           i, cut, len;
    stoa_llm_t       m;
    stoa_llm_ask_t   ask;
    stoa_llm_used_t  used;

    for (i = 0; i < tap_count(answers); i++) {
        len = strlen(answers[i].in);
        same = true;
        ask.input = 40;
        ask.output = 0;

        for (cut = 0; cut <= len && same; cut++) {
            stoa_llm_init(&m, answers[i].events);
            stoa_llm_feed(&m, answers[i].in, cut);
            stoa_llm_feed(&m, answers[i].in + cut, len - cut);
            stoa_llm_used(&m, &ask, true, &used);

            same = used.n[STOA_LLM_INPUT] == answers[i].input
                   && used.n[STOA_LLM_OUTPUT] == answers[i].output
                   && used.n[STOA_LLM_CACHED] == answers[i].cached
                   && used.estimated == answers[i].estimated;
        }

        if (!tap_ok(same, "%s", answers[i].what)) {
            printf("# cut at %zu: %llu %llu %llu %d\n", cut - 1,
                   (unsigned long long) used.n[0],
                   (unsigned long long) used.n[1],
                   (unsigned long long) used.n[2], used.estimated);
        }

        stoa_llm_init(&m, answers[i].events);

        for (cut = 0; cut < len; cut++) {
            stoa_llm_feed(&m, answers[i].in + cut, 1);
        }

        stoa_llm_used(&m, &ask, true, &used);
        tap_ok(used.n[STOA_LLM_INPUT] == answers[i].input
               && used.n[STOA_LLM_OUTPUT] == answers[i].output,
               "%s, byte by byte", answers[i].what);
    }

    named();

    /* what was told so far, and what came since */

    stoa_llm_init(&m, true);
    stoa_llm_feed(&m, "data: {\"usage\":{\"prompt_tokens\":3,\"complet"
      "ion_token"
                      "s\":1}}\n\ndata: {\"delta\":{\"content\":\"123456789"
                      "\"}}\n\n", 100);
    stoa_llm_used(&m, &ask, false, &used);
    tap_int((long long) used.n[STOA_LLM_OUTPUT], 3, "cut off: what came");
    tap_ok(used.estimated, "... which is estimated");

    for (i = 0; i < tap_count(asks); i++) {
        stoa_llm_ask(asks[i].body, strlen(asks[i].body), &ask);

        tap_ok(ask.output == asks[i].output && (asks[i].input == NAN
               || ask.input == asks[i].input), "asks: %s", asks[i].what);
    }

    tap_int((long long) guess("{\"content\":\"%s\"}", 'a', 2000), 504,
            "a long text");
    tap_int((long long) guess("{\"data\":\"%s\"}", 'a', 2000), 1003,
            "a picture");
    tap_int((long long) guess("{\"url\":\"data:image/png;base64,%s\"}", 'a',
                              2000), 1003, "an inline picture");
    tap_int((long long) guess("{\"x\":\"data:,%s\"}", 'a', 2000), 504,
            "what only begins so");
    tap_int((long long) guess("{\"data\":\"%s\"}", ' ', 2000), 503,
            "blanks are no picture");

    return tap_done();
}
