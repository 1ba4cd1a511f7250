/* Tests for Cache-Control and what follows from it. */

#include <string.h>

#include "stoa_cache.h"
#include "tap.h"


static stoa_cache_control_t
control(const char *s)
{
    stoa_cache_control_t  cc;

    stoa_cache_control_init(&cc);
    stoa_cache_control_add(&cc, s, strlen(s));

    return cc;
}


static void
lifetimes(void)
{
    size_t                i;
    stoa_cache_control_t  cc;

    static const struct {
        const char  *value;
        int64_t      lifetime;
    } rows[] = {
        { "", 7 },
        { "max-age=60", 60 },
        { "max-age=60, s-maxage=5", 5 },
        { "Max-Age=\"60\"", 60 },
        { "max-age=60,max-age=3", 3 },
        { "max-age=-1", 0 },
        { "max-age=1.5", 0 },
        { "max-age", 0 },
        { "max-age=99999999999999999999999", STOA_CACHE_MAX_S },
        { "ext=\"max-age=1, s-maxage=2\"", 7 },
        { "ext=\"a\\\", max-age=1\"", 7 },
        { "xmax-age=1, max-agex=2", 7 },
        { ",,  max-age=4 ,", 4 },
        { "max-age =4", 4 }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cc = control(rows[i].value);
        tap_ok(stoa_cache_lifetime(&cc, STOA_CACHE_NONE, 7)
               == rows[i].lifetime,
           "lifetime of \"%s\"", rows[i].value);
    }

    cc = control("");
    tap_ok(stoa_cache_lifetime(&cc, 9, 7) == 9, "Expires");
    cc = control("private=\"a\", no-cache=\"b\", must-revalidate");
    tap_ok(cc.is_private && cc.no_cache && cc.strict, "named fields are all");
    cc = control("no-store\\");
    tap_ok(!cc.no_store, "what is no word");
}


static void
uses(void)
{
    size_t                i;
    stoa_cache_kept_t     kept;
    stoa_cache_control_t  cc;

    static const struct {
        const char  *asked;
        int64_t      age;
        int          strict;
        int          use;
    } rows[] = {
        { "", 0, 0, STOA_CACHE_USE },
        { "", 59, 0, STOA_CACHE_USE },
        { "", 60, 0, STOA_CACHE_USE_STALE },
        { "", 69, 0, STOA_CACHE_USE_STALE },
        { "", 70, 0, STOA_CACHE_ASK },
        { "", 60, 1, STOA_CACHE_ASK },
        { "no-cache", 0, 0, STOA_CACHE_ASK },
        { "max-age=0", 0, 0, STOA_CACHE_ASK },
        { "max-age=10", 9, 0, STOA_CACHE_USE },
        { "max-age=10", 10, 0, STOA_CACHE_ASK },
        { "min-fresh=10", 49, 0, STOA_CACHE_USE },
        { "min-fresh=10", 50, 0, STOA_CACHE_ASK },
        { "max-stale", 1000, 0, STOA_CACHE_USE },
        { "max-stale=20", 79, 0, STOA_CACHE_USE },
        { "max-stale=20", 80, 0, STOA_CACHE_ASK },
        { "max-stale", 1000, 1, STOA_CACHE_ASK }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(&kept, 0, sizeof(kept));
        kept.born_ms = 1000000;
        kept.fresh_ms = 60000;
        kept.while_ms = 10000;
        kept.error_ms = 30000;
        kept.strict = (uint32_t) rows[i].strict;
        cc = control(rows[i].asked);

        tap_ok((int) stoa_cache_use(&kept, &cc,
                                1000000 + rows[i].age * 1000) == rows[i].use,
           "\"%s\" at %d s%s", rows[i].asked, (int) rows[i].age,
           rows[i].strict ? ", strict" : "");
    }

    kept.strict = 0;
    tap_ok(stoa_cache_use_error(&kept, 1089999)
       && !stoa_cache_use_error(&kept, 1090000), "if it fails");
    kept.strict = 1;
    tap_ok(!stoa_cache_use_error(&kept, 1000000 + 61000), "strict: never");
}


int
main(void)
{
    lifetimes();
    uses();

    return tap_done();
}
