/*
 * Tokens of MCP sessions, and references to sessions of upstreams.
 */

#include "stoa_token.h"
#include "stoa_key.h"

#include <string.h>


#define STOA_MCP_TOKEN_FORMAT  1
#define STOA_MCP_CAP_MAX       100    /* of one, when there are too many    */


static void
stoa_mcp_number(stoa_buf_t *b, uint64_t n, unsigned bytes)
{
    uint8_t  byte;

    while (bytes-- > 0) {
        byte = (uint8_t) (n >> 8 * bytes);
        stoa_buf_add(b, &byte, 1);
    }
}


/* Takes n bytes; NULL: there are not as many. */

static const uint8_t *
stoa_mcp_take(const uint8_t **p, const uint8_t *end, size_t n)
{
    const uint8_t  *start;

    start = *p;

    if ((size_t) (end - start) < n) {
        return NULL;
    }

    *p += n;

    return start;
}


void
stoa_mcp_ref_write(stoa_buf_t *b, const stoa_mcp_ref_t *ref)
{
    uint8_t  id[STOA_MCP_ID_PACKED];

    stoa_id_pack(ref->api, id);
    stoa_buf_add(b, id, sizeof(id));
    stoa_mcp_number(b, ref->target, 1);
    stoa_mcp_number(b, ref->version, 1);
    stoa_mcp_number(b, ref->sid.len, 2);
    stoa_buf_add(b, ref->sid.data, ref->sid.len);
}


bool
stoa_mcp_ref_read(const uint8_t **p, const uint8_t *end, stoa_mcp_ref_t *ref)
{
    const uint8_t  *s;

    s = stoa_mcp_take(p, end, STOA_MCP_ID_PACKED + 4);
    if (s == NULL) {
        return false;
    }

    stoa_id_unpack(s, ref->api);
    s += STOA_MCP_ID_PACKED;

    ref->target = s[0];
    ref->version = s[1];
    ref->sid.len = (size_t) s[2] << 8 | s[3];
    ref->sid.data = (const char *) stoa_mcp_take(p, end, ref->sid.len);

    return ref->sid.data != NULL && ref->sid.len <= STOA_MCP_SID_MAX;
}


void
stoa_mcp_token_write(stoa_buf_t *b, const stoa_mcp_token_t *token)
{
    unsigned  i;

    stoa_mcp_number(b, STOA_MCP_TOKEN_FORMAT, 1);
    stoa_mcp_number(b, token->version, 1);
    stoa_mcp_number(b, 0, 2);
    stoa_mcp_number(b, token->issued_s, 4);
    stoa_buf_add(b, token->nonce, sizeof(token->nonce));
    stoa_mcp_number(b, token->caps.len, 2);
    stoa_buf_add(b, token->caps.data, token->caps.len);
    stoa_mcp_number(b, token->n, 1);

    for (i = 0; i < token->n; i++) {
        stoa_mcp_ref_write(b, &token->carried[i]);
    }
}


bool
stoa_mcp_token_read(const uint8_t *p, size_t len, stoa_mcp_token_t *token)
{
    unsigned        i;
    const uint8_t  *s, *end;

    end = p + len;
    s = stoa_mcp_take(&p, end, 8 + STOA_MCP_NONCE + 2);

    if (s == NULL || s[0] != STOA_MCP_TOKEN_FORMAT) {
        return false;
    }

    token->version = s[1];
    token->issued_s = (uint32_t) s[4] << 24 | (uint32_t) s[5] << 16
                      | (uint32_t) s[6] << 8 | s[7];
    s += 8;
    memcpy(token->nonce, s, STOA_MCP_NONCE);
    s += STOA_MCP_NONCE;
    token->caps.len = (size_t) s[0] << 8 | s[1];
    token->caps.data = (const char *) stoa_mcp_take(&p, end, token->caps.len);

    s = token->caps.data ? stoa_mcp_take(&p, end, 1) : NULL;

    if (s == NULL || *s > STOA_MCP_CARRIED) {
        return false;
    }

    token->n = *s;

    for (i = 0; i < token->n; i++) {
        if (!stoa_mcp_ref_read(&p, end, &token->carried[i])) {
            return false;
        }
    }

    return p == end;
}


void
stoa_mcp_caps(stoa_buf_t *b, const stoa_json_val_t *caps)
{
    size_t           start, member, i;
    stoa_json_val_t  val;

    static const char *const  known[] = {
        "roots", "sampling", "elicitation", "tasks"
    };

    if (caps == NULL || caps->start == NULL || caps->type != STOA_JSON_OBJECT)
    {
        stoa_buf_addz(b, "{}");
        return;
    }

    start = b->len;
    stoa_json_compact(caps, b);

    if (b->rc != STOA_OK || b->len - start <= STOA_MCP_CAPS_MAX) {
        return;
    }

    b->len = start;
    stoa_buf_addz(b, "{");

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {

        if (!stoa_json_get(caps, known[i], &val)) {
            continue;
        }

        stoa_buf_addf(b, "%s\"%s\":", b->len - start > 1 ? "," : "",
                      known[i]);
        member = b->len;
        stoa_json_compact(&val, b);

        if (b->rc == STOA_OK && b->len - member > STOA_MCP_CAP_MAX) {
            b->len = member;
            stoa_buf_addz(b, "{}");
        }
    }

    stoa_buf_addz(b, "}");
}
