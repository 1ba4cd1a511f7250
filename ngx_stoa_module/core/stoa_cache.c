/*
 * Cache-Control, and what follows from it.
 */

#include <string.h>

#include "stoa_cache.h"


static bool stoa_cache_named(const char *s, size_t len, const char *name);


void
stoa_cache_control_init(stoa_cache_control_t *cc)
{
    memset(cc, 0, sizeof(stoa_cache_control_t));

    cc->max_age = STOA_CACHE_NONE;
    cc->s_maxage = STOA_CACHE_NONE;
    cc->min_fresh = STOA_CACHE_NONE;
    cc->max_stale = STOA_CACHE_NONE;
    cc->while_revalidate = STOA_CACHE_NONE;
    cc->if_error = STOA_CACHE_NONE;
}


static void
stoa_cache_control_one(stoa_cache_control_t *cc, const char *s, size_t len)
{
    size_t   name, i, n;
    int64_t  value;

    struct {
        const char  *name;
        int64_t     *at;
    } numbers[] = {
        { "max-age", &cc->max_age },
        { "s-maxage", &cc->s_maxage },
        { "min-fresh", &cc->min_fresh },
        { "max-stale", &cc->max_stale },
        { "stale-while-revalidate", &cc->while_revalidate },
        { "stale-if-error", &cc->if_error }
    };

    struct {
        const char  *name;
        bool        *at;
    } words[] = {
        { "no-store", &cc->no_store },
        { "no-cache", &cc->no_cache },
        { "private", &cc->is_private },
        { "public", &cc->is_public },
        { "must-revalidate", &cc->strict },
        { "proxy-revalidate", &cc->strict },
        { "only-if-cached", &cc->only_if_cached }
    };

    for (name = 0; name < len && s[name] != '=' && s[name] != ' '
         && s[name] != '\t'; name++)
    { /* void */ }

    for (n = name; n < len && (s[n] == ' ' || s[n] == '\t'); n++)
    { /* void */ }

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (stoa_cache_named(s, name, words[i].name)) {
            *words[i].at = true;
            return;
        }
    }

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {

        if (!stoa_cache_named(s, name, numbers[i].name)) {
            continue;
        }

        value = n < len ? stoa_cache_seconds(s + n + 1, len - n - 1)
                : numbers[i].at == &cc->max_stale ? STOA_CACHE_MAX_S : 0;

        if (*numbers[i].at == STOA_CACHE_NONE || value < *numbers[i].at) {
            *numbers[i].at = value;
        }
    }
}


void
stoa_cache_control_add(stoa_cache_control_t *cc, const char *s, size_t len)
{
    size_t  i, from, end;
    bool    quoted;

    for (i = 0, from = 0, quoted = false; i <= len; i++) {

        if (i < len && s[i] == '\\' && quoted) {
            i++;
            continue;
        }

        if (i < len && s[i] == '"') {
            quoted = !quoted;
        }

        if (i < len && (quoted || s[i] != ',')) {
            continue;
        }

        if (i > len) {
            break;
        }

        for (end = i; end > from && (s[end - 1] == ' ' || s[end - 1] == '\t');
             end--) { /* void */ }

        while (from < end && (s[from] == ' ' || s[from] == '\t')) {
            from++;
        }

        stoa_cache_control_one(cc, s + from, end - from);
        from = i + 1;
    }
}


static bool
stoa_cache_named(const char *s, size_t len, const char *name)
{
    size_t  i;
    char    ch;

    for (i = 0; i < len && name[i]; i++) {
        ch = s[i] >= 'A' && s[i] <= 'Z' ? s[i] | 0x20 : s[i];

        if (ch != name[i]) {
            return false;
        }
    }

    return i == len && name[i] == '\0' && len > 0;
}


int64_t
stoa_cache_seconds(const char *s, size_t len)
{
    size_t   i;
    int64_t  n;

    while (len && (*s == ' ' || *s == '\t')) {
        s++;
        len--;
    }

    if (len >= 2 && s[0] == '"' && s[len - 1] == '"') {
        s++;
        len -= 2;
    }

    for (i = 0, n = 0; i < len; i++) {

        if (s[i] < '0' || s[i] > '9') {
            return 0;
        }

        n = n * 10 + (s[i] - '0');
        n = n > STOA_CACHE_MAX_S ? STOA_CACHE_MAX_S : n;
    }

    return n;
}


int64_t
stoa_cache_lifetime(const stoa_cache_control_t *cc, int64_t expires_s,
    int64_t otherwise_s)
{
    if (cc->s_maxage != STOA_CACHE_NONE) {
        return cc->s_maxage;
    }

    if (cc->max_age != STOA_CACHE_NONE) {
        return cc->max_age;
    }

    return expires_s != STOA_CACHE_NONE ? expires_s : otherwise_s;
}


stoa_cache_use_e
stoa_cache_use(const stoa_cache_kept_t *kept,
    const stoa_cache_control_t *request, int64_t now_ms)
{
    int64_t  age, fresh, stale;

    age = now_ms > kept->born_ms ? now_ms - kept->born_ms : 0;
    fresh = kept->fresh_ms;

    if (kept->ask || request->no_cache
        || (request->max_age != STOA_CACHE_NONE
            && age / 1000 >= request->max_age
            && request->max_stale == STOA_CACHE_NONE))
    {
        return STOA_CACHE_ASK;
    }

    if (request->min_fresh != STOA_CACHE_NONE) {
        return age + request->min_fresh * 1000 < fresh ? STOA_CACHE_USE
                                                       : STOA_CACHE_ASK;
    }

    if (age < fresh) {
        return STOA_CACHE_USE;
    }

    stale = age - fresh;

    if (kept->strict) {
        return STOA_CACHE_ASK;
    }

    if (request->max_stale != STOA_CACHE_NONE
        && stale / 1000 < request->max_stale)
    {
        return STOA_CACHE_USE;
    }

    return stale < kept->while_ms ? STOA_CACHE_USE_STALE : STOA_CACHE_ASK;
}


bool
stoa_cache_use_error(const stoa_cache_kept_t *kept, int64_t now_ms)
{
    int64_t  age;

    age = now_ms > kept->born_ms ? now_ms - kept->born_ms : 0;

    return !kept->ask && !kept->strict
           && age < kept->fresh_ms + kept->error_ms;
}


bool
stoa_cache_list(stoa_str_t *list, stoa_str_t *name)
{
    size_t  i;

    for ( /* void */ ; list->len; /* void */ ) {

        for (i = 0; i < list->len && list->data[i] != ','
             && list->data[i] != ' ' && list->data[i] != '\t'; i++)
        { /* void */ }

        name->data = list->data;
        name->len = i;

        i += i < list->len;
        list->data += i;
        list->len -= i;

        if (name->len) {
            return true;
        }
    }

    return false;
}
