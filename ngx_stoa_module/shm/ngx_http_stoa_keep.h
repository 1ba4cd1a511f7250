/*
 * Answers that are kept, for all workers of a node.
 *
 * Process: laid out in the master, used by workers.  Lifetime: zones of their
 * own, which survive reloads with the same size.  Limits: pieces of 1 kB, an
 * entry for two of them.  When they are used up, the oldest entry of
 * the owner that has the most goes: so no tenant pushes out all others.
 *
 * In the other zone what is kept is lasting: it goes by its time alone, there
 * is an entry for each piece, no room where an owner has as much as is free,
 * and what a dead process was to make stays, as BUSY, for whoever asks to
 * judge.
 *
 * One lock; who dies with it in the middle of a change leaves a mark, and the
 * next one empties the store, but for what is lent.  Contents are copied
 * without the lock, and count if the entry is still there afterwards.
 *
 * What is lent has pins, each of a process: it may be taken away, and its
 * pieces are free when the last pin is.  Those of dead processes are found
 * where there is no room.  Half of the pieces may be lent, KEEP_PINS times.
 */

#ifndef NGX_HTTP_STOA_KEEP_H
#define NGX_HTTP_STOA_KEEP_H


#include "ngx_http_stoa_lock.h"


#define NGX_HTTP_STOA_KEEP_SIZE   (16 * 1024 * 1024)   /* of the zone        */
#define NGX_HTTP_STOA_KEEP_KEY    8192                 /* a longer one is not
                                                          kept               */
#define NGX_HTTP_STOA_KEEP_NOTE   96

/* What an entry is; BUSY: somebody makes what it is to be. */

typedef enum {
    NGX_HTTP_STOA_KEPT_BUSY = 0,
    NGX_HTTP_STOA_KEPT_ANSWER,
    NGX_HTTP_STOA_KEPT_MARK           /* its note says all                   */
} ngx_http_stoa_kept_e;

typedef struct {
    ngx_str_t   text;
    stoa_id_t   owner;                /* a tenant                            */
    stoa_id_t   group;                /* of owners, where what is kept lasts */
} ngx_http_stoa_keep_key_t;

/* A copy of what is known of an entry. */

typedef struct {
    uint64_t    gen;                  /* no other one ever has it            */
    uint64_t    holder;               /* BUSY: a pid                         */
    uint64_t    state;                /* ngx_http_stoa_kept_e                */
    uint64_t    entry;
    int64_t     until_ms;             /* wall clock                          */
    size_t      len;                  /* of the content                      */
    uint64_t    note[NGX_HTTP_STOA_KEEP_NOTE / sizeof(uint64_t)];
} ngx_http_stoa_kept_t;


/* Directives, of either zone. */
char *ngx_http_stoa_keep_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
/* The zones, of their usual size where none was said. */
ngx_int_t ngx_http_stoa_keep_default(ngx_conf_t *cf,
    ngx_http_stoa_main_conf_t *mcf);

/* NGX_DECLINED: there is none, or its time is over. */
ngx_int_t ngx_http_stoa_keep_find(ngx_shm_zone_t *zone,
    ngx_http_stoa_keep_key_t *key, ngx_http_stoa_kept_t *kept);
/* Its content from off on; NGX_DECLINED: it has gone. */
ngx_int_t ngx_http_stoa_keep_read(ngx_shm_zone_t *zone,
    const ngx_http_stoa_kept_t *kept, size_t off, u_char *dst, size_t len);
/* Is a process there?  One of that number may be another. */
ngx_uint_t ngx_http_stoa_keep_held(uint64_t holder);
/* The same for an answer that goes out: buffers that lead to where it lies,
 * which stays as it is until the pool dies, *out NULL where there is nothing.
 * What is small, or for who wants it in one buffer, is copied, and what would
 * leave too little to change. */
ngx_int_t ngx_http_stoa_keep_lend(ngx_shm_zone_t *zone,
    const ngx_http_stoa_kept_t *kept, size_t off, ngx_pool_t *pool,
    ngx_uint_t one, ngx_chain_t **out);
/* A worker begins: what one of its number was lent is free. */
void ngx_http_stoa_keep_start(ngx_http_stoa_main_conf_t *mcf);
/* Makes a BUSY one, with the note of kept, where there is none, or one whose
 * holder is dead or whose time is over: NGX_OK, its gen in kept.  NGX_BUSY:
 * what is there.  NGX_DECLINED: no room. */
ngx_int_t ngx_http_stoa_keep_take(ngx_shm_zone_t *zone,
    ngx_http_stoa_keep_key_t *key, int64_t until_ms,
    ngx_http_stoa_kept_t *kept);
/* In the place of whatever has this key, or, where kept->gen is one, of that;
 * pieces: one behind the other.  What lasts and has no room for them becomes a
 * MARK. */
ngx_int_t ngx_http_stoa_keep_put(ngx_shm_zone_t *zone,
    ngx_http_stoa_keep_key_t *key, ngx_http_stoa_kept_t *kept,
    const ngx_str_t *pieces, ngx_uint_t n);
/* Its note is that of kept, if it is still there. */
void ngx_http_stoa_keep_note(ngx_shm_zone_t *zone,
    const ngx_http_stoa_kept_t *kept);
/* Takes it away; gen 0: whichever it is. */
void ngx_http_stoa_keep_drop(ngx_shm_zone_t *zone,
    ngx_http_stoa_keep_key_t *key, uint64_t gen);


#endif /* NGX_HTTP_STOA_KEEP_H */
