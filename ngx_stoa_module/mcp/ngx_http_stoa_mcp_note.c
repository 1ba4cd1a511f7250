
/*
 * What a view lacks, and shows though its upstream is down.
 */

#include "ngx_http_stoa_seen.h"


static const char *const  ngx_http_stoa_mcp_left[] = {
    "it was never read",
    "the name is longer than 128 characters",
    "x-mcp-header is not valid",
    "there are more than " ngx_value(NGX_HTTP_STOA_MCP_LIST_MAX)
};


static void ngx_http_stoa_mcp_note_api(stoa_buf_t *text,
    ngx_http_stoa_store_t *store, const stoa_id_t *id);


void
ngx_http_stoa_mcp_note_left(ngx_http_stoa_mcp_notes_t *notes,
    const stoa_id_t *api, ngx_uint_t why, ngx_uint_t n)
{
    ngx_uint_t                 i;
    ngx_http_stoa_mcp_note_t  *note;

    for (i = 0; i < notes->nleft; i++) {
        note = &notes->left[i];

        if (note->why == why
            && ngx_memcmp(&note->api, api, STOA_ID_LEN) == 0)
        {
            note->n += n;
            return;
        }
    }

    if (notes->nleft < NGX_HTTP_STOA_MCP_NOTES) {
        note = &notes->left[notes->nleft++];
        note->api = *api;
        note->why = why;
        note->n = n;
    }
}


void
ngx_http_stoa_mcp_note_stale(ngx_http_stoa_mcp_notes_t *notes,
    const stoa_rec_api_t *api)
{
    ngx_uint_t  i;

    if (!api->stale || notes->nstale == NGX_HTTP_STOA_MCP_NOTES) {
        return;
    }

    for (i = 0; i < notes->nstale; i++) {
        if (ngx_memcmp(&notes->stale[i], &api->id, STOA_ID_LEN) == 0) {
            return;
        }
    }

    notes->stale[notes->nstale++] = api->id;
}


/* As members of _meta. */

ngx_int_t
ngx_http_stoa_mcp_note_text(ngx_http_stoa_mcp_notes_t *notes,
    ngx_http_stoa_store_t *store, ngx_http_stoa_mcp_view_t *view)
{
    ngx_uint_t                 i;
    stoa_buf_t                 text;
    ngx_http_stoa_mcp_note_t  *note;

    view->stale = notes->nstale > 0;
    ngx_str_null(&view->notes);

    if (notes->nleft + notes->nstale == 0) {
        return NGX_OK;
    }

    stoa_buf_init(&text, 65536);

    for (i = 0; i < notes->nleft; i++) {
        note = &notes->left[i];

        stoa_buf_addz(&text, i ? ",{\"api\":"
                                 : "\"gateway.stoa/left_out\":[{\"api\":");
        ngx_http_stoa_mcp_note_api(&text, store, &note->api);

        if (note->n) {
            stoa_buf_addf(&text, ",\"items\":%u", (unsigned) note->n);
        }

        stoa_buf_addf(&text, ",\"reason\":\"%s\"}",
                      ngx_http_stoa_mcp_left[note->why]);
    }

    stoa_buf_addz(&text, notes->nleft ? (notes->nstale ? "]," : "]") : "");

    for (i = 0; i < notes->nstale; i++) {
        stoa_buf_addz(&text, i ? "," : "\"gateway.stoa/stale\":[");
        ngx_http_stoa_mcp_note_api(&text, store, &notes->stale[i]);
    }

    stoa_buf_addz(&text, notes->nstale ? "]" : "");

    if (text.rc == STOA_OK) {
        view->notes.data = ngx_pnalloc(view->pool, text.len);
    }

    if (view->notes.data) {
        ngx_memcpy(view->notes.data, text.data, text.len);
        view->notes.len = text.len;
    }

    stoa_buf_free(&text);

    return view->notes.data ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_stoa_mcp_note_api(stoa_buf_t *text, ngx_http_stoa_store_t *store,
    const stoa_id_t *id)
{
    stoa_str_t             name;
    const stoa_rec_api_t  *api;

    api = ngx_http_stoa_store_api(store, id);
    name = api ? stoa_rec_str(api, api->name) : stoa_str("");

    stoa_buf_add_json(text, name.data, name.len);
}
