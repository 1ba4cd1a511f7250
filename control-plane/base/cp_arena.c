/*
 * Arenas: blocks that grow up to 64 KiB, larger pieces in blocks of their own,
 * all freed together.
 */

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cp_util.h"


#define CP_ARENA_FIRST  4096
#define CP_ARENA_BLOCK  65536
#define CP_ARENA_ALIGN  16


typedef struct cp_arena_block_s  cp_arena_block_t;

struct cp_arena_block_s {
    cp_arena_block_t  *next;
    size_t             size;
    size_t             used;
    size_t             pad;        /* keeps data[] aligned                  */
    unsigned char      data[];
};

#define CP_ARENA_MAGIC  0xa3e4a001u

struct cp_arena_s {
    uint32_t           magic;      /* CP_ARENA_MAGIC while it lives         */
    cp_arena_block_t  *blocks;     /* the first one is filled               */
    size_t             max;
    size_t             total;
    size_t             next_size;
    bool               failed;     /* once, and for good                    */
};


cp_arena_t *
cp_arena_create(size_t max)
{
    cp_arena_t  *a;

    a = calloc(1, sizeof(cp_arena_t));
    if (a == NULL) {
        return NULL;
    }

    a->magic = CP_ARENA_MAGIC;
    a->max = max;
    a->next_size = CP_ARENA_FIRST;

    return a;
}


void
cp_arena_destroy(cp_arena_t *a)
{
    cp_arena_block_t  *b, *next;

    if (a == NULL) {
        return;
    }

    stoa_assert(a->magic == CP_ARENA_MAGIC);

    for (b = a->blocks; b != NULL; b = next) {
        next = b->next;
        free(b);
    }

    a->magic = 0;
    free(a);
}


bool
cp_arena_failed(const cp_arena_t *a)
{
    return a->failed;
}


static cp_arena_block_t *
cp_arena_grow(cp_arena_t *a, size_t size)
{
    size_t             len;
    cp_arena_block_t  *b;

    len = (size > a->next_size) ? size : a->next_size;

    if (len > a->max - a->total) {
        len = size;
    }

    if (len > a->max - a->total) {
        return NULL;
    }

    b = malloc(sizeof(cp_arena_block_t) + len);
    if (b == NULL) {
        return NULL;
    }

    b->size = len;
    b->used = 0;
    a->total += len;

    if (len > CP_ARENA_BLOCK / 2 && a->blocks != NULL) {

        /* a large piece goes behind, the block being filled stays in use */

        b->next = a->blocks->next;
        a->blocks->next = b;
        return b;
    }

    b->next = a->blocks;
    a->blocks = b;

    if (a->next_size < CP_ARENA_BLOCK / 2) {
        a->next_size *= 2;
    }

    return b;
}


static void *
cp_arena_take(cp_arena_t *a, size_t size)
{
    size_t             len;
    cp_arena_block_t  *b;

    stoa_assert(a->magic == CP_ARENA_MAGIC);

    if (size > a->max || size > SIZE_MAX / 2) {
        a->failed = true;
        return NULL;
    }

    len = (size + CP_ARENA_ALIGN - 1) & ~(size_t) (CP_ARENA_ALIGN - 1);
    if (len == 0) {
        len = CP_ARENA_ALIGN;
    }

    b = a->blocks;

    if (b == NULL || b->size - b->used < len) {
        b = cp_arena_grow(a, len);
        if (b == NULL) {
            a->failed = true;
            return NULL;
        }
    }

    b->used += len;

    return b->data + b->used - len;
}


void *
cp_arena_alloc(cp_arena_t *a, size_t size)
{
    void  *p;

    p = cp_arena_take(a, size);
    if (p != NULL) {
        memset(p, 0, size);
    }

    return p;
}


char *
cp_arena_strndup(cp_arena_t *a, const char *s, size_t len)
{
    char  *p;

    if (len == SIZE_MAX) {
        a->failed = true;
        return NULL;
    }

    p = cp_arena_take(a, len + 1);
    if (p == NULL) {
        return NULL;
    }

    if (len > 0) {
        memcpy(p, s, len);
    }

    p[len] = '\0';

    return p;
}


char *
cp_arena_strdup(cp_arena_t *a, const char *s)
{
    return cp_arena_strndup(a, s, strlen(s));
}


char *
cp_arena_printf(cp_arena_t *a, const char *fmt, ...)
{
    int      n;
    char    *p;
    char     buf[256];
    va_list  args;

    va_start(args, fmt);
    n = vsnprintf(buf, sizeof(buf), fmt, args);
    va_end(args);

    if (n < 0) {
        return NULL;
    }

    if ((size_t) n < sizeof(buf)) {
        return cp_arena_strndup(a, buf, (size_t) n);
    }

    p = cp_arena_take(a, (size_t) n + 1);
    if (p == NULL) {
        return NULL;
    }

    va_start(args, fmt);
    (void) vsnprintf(p, (size_t) n + 1, fmt, args);
    va_end(args);

    return p;
}
