/* Frames of WebSocket, in one piece and in two: the same frames, the same
 * fault at the same place.  The first byte is who sends, the second the
 * cut. */

#include "fuzz.h"
#include "stoa_ws.h"


typedef struct {
    stoa_rc_t  rc;
    size_t     at;              /* of the head that is not good              */
    size_t     frames;
    uint64_t   sum;
} outcome_t;


/* As the gateway does: what is left of a head comes again. */

static void
run(stoa_ws_t *w, const uint8_t *data, size_t size, size_t *at, outcome_t *o)
{
    size_t       n, used;
    const char  *why;

    while (*at < size && o->rc == STOA_OK) {

        if (w->rest) {
            n = size - *at < w->rest ? size - *at : (size_t) w->rest;
            w->rest -= n;
            *at += n;
            continue;
        }

        why = NULL;
        o->rc = stoa_ws_head(w, data + *at, size - *at, &used, &why);
        o->at = *at;

        if (o->rc == STOA_OK) {
            must(used >= 2 && used <= STOA_WS_HEAD_MAX && used <= size - *at);
            must(w->rest >> 63 == 0);
            must(!(w->opcode & 0x8) || w->rest <= 125);
            *at += used;
            o->frames++;
            o->sum = o->sum * 31 + w->opcode + w->message;

        } else {
            must(o->rc == STOA_AGAIN || why != NULL);
        }
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t     at, cut;
    stoa_ws_t  w;
    outcome_t  whole, parts;

    if (size < 3) {
        return 0;
    }

    cut = data[1] % (size - 2);

    memset(&w, 0, sizeof(stoa_ws_t));
    memset(&whole, 0, sizeof(outcome_t));
    w.masked = data[0] & 1;
    w.deflate = (data[0] & 2) != 0;
    at = 0;
    run(&w, data + 2, size - 2, &at, &whole);

    memset(&w, 0, sizeof(stoa_ws_t));
    memset(&parts, 0, sizeof(outcome_t));
    w.masked = data[0] & 1;
    w.deflate = (data[0] & 2) != 0;
    at = 0;
    run(&w, data + 2, cut, &at, &parts);

    if (parts.rc == STOA_AGAIN) {
        parts.rc = STOA_OK;
    }

    run(&w, data + 2, size - 2, &at, &parts);

    must(whole.rc == parts.rc && whole.frames == parts.frames
         && whole.sum == parts.sum);
    must(whole.rc == STOA_OK || whole.at == parts.at);

    return 0;
}
