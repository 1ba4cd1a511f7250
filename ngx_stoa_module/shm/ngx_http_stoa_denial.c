/*
 * Refusals, counted by what and who was refused from where, for the audit log
 * of the control plane.
 *
 * A table of the zone, filled by workers where a call was refused, told by the
 * report thread.  What is being told stays in its rows beside what comes
 * meanwhile, under its number, until the control plane has answered: so the
 * next worker 0 tells the same again, and it counts once.  Of what finds no
 * row only the number is told.
 */

#include "ngx_http_stoa_zone.h"


void
ngx_http_stoa_denial_note(ngx_http_stoa_sh_t *sh,
    const ngx_http_stoa_denial_key_t *key)
{
    uint64_t                  now;
    ngx_uint_t                i;
    ngx_http_stoa_denial_t   *row, *free;
    ngx_http_stoa_denials_t  *t;

    t = &sh->denials;
    free = NULL;
    now = ngx_http_stoa_wall_ms();

    ngx_http_stoa_lock_take(&t->lock);

    for (i = 0; i < t->rows; i++) {
        row = &t->row[i];

        if (row->fresh.count == 0 && row->told.count == 0) {
            free = free ? free : row;

        } else if (ngx_memcmp(&row->key, key, sizeof(row->key)) == 0) {
            break;
        }
    }

    if (i < t->rows) {
        row = &t->row[i];

    } else if (free == NULL && t->rows < NGX_HTTP_STOA_DENIALS) {
        row = &t->row[t->rows++];

    } else {
        row = free;
    }

    if (row) {
        row->key = *key;

        if (row->fresh.count++ == 0) {
            row->fresh.first_ms = now;
        }

        row->fresh.last_ms = now;

    } else {
        t->lost++;
        t->lost_all++;
    }

    ngx_http_stoa_store(&t->noted, (uint64_t) 1);

    ngx_http_stoa_lock_drop(&t->lock);
}


ngx_uint_t
ngx_http_stoa_denial_take(ngx_http_stoa_sh_t *sh,
    ngx_http_stoa_denials_t *copy)
{
    ngx_uint_t                i;
    ngx_http_stoa_denial_t   *row;
    ngx_http_stoa_denials_t  *t;

    t = &sh->denials;

    if (!ngx_http_stoa_load(&t->noted)) {
        return 0;
    }

    ngx_http_stoa_lock_take(&t->lock);

    if (!t->telling) {

        for (i = 0; i < NGX_HTTP_STOA_DENIALS; i++) {
            row = &t->row[i];
            row->told = row->fresh;
            row->fresh.count = 0;
        }

        t->lost_told = t->lost;
        t->lost = 0;
        t->number++;
        t->telling = 1;
    }

    *copy = *t;

    ngx_http_stoa_lock_drop(&t->lock);

    return 1;
}


void
ngx_http_stoa_denial_told(ngx_http_stoa_sh_t *sh, ngx_uint_t taken)
{
    uint64_t                  noted;
    ngx_uint_t                i, last;
    ngx_http_stoa_denial_t   *row;
    ngx_http_stoa_denials_t  *t;

    t = &sh->denials;

    ngx_http_stoa_lock_take(&t->lock);

    noted = t->lost != 0;
    last = 0;

    for (i = 0; i < t->rows; i++) {
        row = &t->row[i];
        t->lost_all += taken ? 0 : row->told.count;
        row->told.count = 0;

        if (row->fresh.count) {
            noted = 1;
            last = i + 1;
        }
    }

    t->rows = last;

    t->telling = 0;
    ngx_http_stoa_store(&t->noted, noted);

    ngx_http_stoa_lock_drop(&t->lock);
}
