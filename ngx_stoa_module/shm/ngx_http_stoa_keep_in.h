/*
 * The inside of the store of answers: its layout, and what is done under its
 * lock (_keep_entry.c).
 */

#ifndef NGX_HTTP_STOA_KEEP_IN_H
#define NGX_HTTP_STOA_KEEP_IN_H


#include "ngx_http_stoa_keep.h"


#define KEEP_PIECE   1024
#define KEEP_OWNERS  256
#define KEEP_MIN     (1024 * 1024)
#define KEEP_PINS    2048


typedef struct {
    uint64_t   gen;                   /* 0: free                             */
    uint64_t   hash;
    uint64_t   holder;
    uint64_t   state;
    int64_t    until_ms;
    uint64_t   note[NGX_HTTP_STOA_KEEP_NOTE / sizeof(uint64_t)];
    uint32_t   next;                  /* of its hash, or free; index + 1     */
    uint32_t   newer;
    uint32_t   older;
    uint32_t   owner;
    uint32_t   first;                 /* piece, index + 1                    */
    uint32_t   pieces;
    uint32_t   key_len;
    uint32_t   len;                   /* without the key                     */
    uint32_t   pins;
    uint32_t   spare;
} ngx_http_stoa_keep_entry_t;

typedef struct {
    stoa_id_t  id;
    stoa_id_t  group;
    uint64_t   pieces;
    uint32_t   newest;                /* entry, index + 1; 0: a free place   */
    uint32_t   oldest;
} ngx_http_stoa_keep_owner_t;

typedef struct {
    uint64_t   holder;                /* a pid; 0: free                      */
    uint32_t   entry;                 /* index + 1                           */
    uint32_t   next;
} ngx_http_stoa_keep_pin_t;

typedef struct {
    uint64_t                     lock;
    uint64_t                     changing;
    uint64_t                     seed;
    uint64_t                     gen;
    uint64_t                     npieces;
    uint64_t                     free;         /* pieces                     */
    uint32_t                     free_piece;
    uint32_t                     free_entry;
    uint32_t                     nentries;
    uint32_t                     lasting;
    uint32_t                     hand;         /* of who looks for room      */
    uint32_t                     free_pin;     /* index + 1                  */
    uint64_t                     lent;         /* pieces                     */
    uint64_t                     reaped_ms;
    ngx_http_stoa_keep_pin_t     pin[KEEP_PINS];
    ngx_http_stoa_keep_owner_t   owner[KEEP_OWNERS];
    ngx_http_stoa_keep_entry_t  *entry;        /* all of them at one address */
    uint32_t                    *bucket;       /* in all workers: the zone   */
    uint32_t                    *next;         /* is mapped before the fork  */
    u_char                      *used;         /* one for each piece         */
    u_char                      *piece;
} ngx_http_stoa_keep_t;


/* All begins anew. */
void ngx_http_stoa_keep_empty(ngx_http_stoa_keep_t *k);
/* An entry, index + 1; 0: there is none.  What is over is taken away, and what
 * its holder has died with. */
uint32_t ngx_http_stoa_keep_get(ngx_http_stoa_keep_t *k,
    ngx_http_stoa_keep_key_t *key, uint64_t *hash);
void ngx_http_stoa_keep_copy(ngx_http_stoa_keep_t *k, uint32_t i,
    ngx_http_stoa_kept_t *kept);
/* One that has no other with its key; NGX_DECLINED: there is no room. */
ngx_int_t ngx_http_stoa_keep_make(ngx_http_stoa_keep_t *k,
    ngx_http_stoa_keep_key_t *key, uint64_t hash, ngx_http_stoa_kept_t *kept,
    const ngx_str_t *pieces, ngx_uint_t n);
/* One that is there becomes a MARK, with the note and the time of kept; of its
 * content nobody reads more. */
void ngx_http_stoa_keep_mark(ngx_http_stoa_keep_t *k, uint32_t i,
    ngx_http_stoa_kept_t *kept);
void ngx_http_stoa_keep_remove(ngx_http_stoa_keep_t *k, uint32_t i);
/* A pin, index + 1; 0: there is none. */
uint32_t ngx_http_stoa_keep_pin(ngx_http_stoa_keep_t *k, uint32_t i);
void ngx_http_stoa_keep_unpin(ngx_http_stoa_keep_t *k, uint32_t pin);
/* Those of holder, or of the dead where it is 0. */
void ngx_http_stoa_keep_reap(ngx_http_stoa_keep_t *k, uint64_t holder);
/* It is the newest of its owner. */
void ngx_http_stoa_keep_touch(ngx_http_stoa_keep_t *k, uint32_t i);


#endif /* NGX_HTTP_STOA_KEEP_IN_H */
