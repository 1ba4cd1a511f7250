/*
 * Zones of quotas.
 *
 * Process: workers.  Lifetime: a worker's, so that who has one may keep it.
 * Limits: CALENDAR_ZONES of them; a further one counts as UTC.
 */

#include "ngx_http_stoa_limits.h"


#define CALENDAR_ZONES  64


typedef struct {
    char         name[STOA_ZONE_NAME + 1];
    ngx_uint_t   good;
    stoa_zone_t  zone;
} ngx_http_stoa_calendar_zone_t;


static ngx_http_stoa_calendar_zone_t
                       *ngx_http_stoa_calendar_zones[CALENDAR_ZONES];


const stoa_zone_t *
ngx_http_stoa_calendar_zone(const char *name, size_t len)
{
    ngx_uint_t                      i;
    ngx_http_stoa_calendar_zone_t  *z;

    if (len == 0 || len > STOA_ZONE_NAME) {
        return NULL;
    }

    for (i = 0; i < CALENDAR_ZONES; i++) {
        z = ngx_http_stoa_calendar_zones[i];

        if (z == NULL) {
            break;
        }

        if (strlen(z->name) == len && ngx_memcmp(z->name, name, len) == 0) {
            return z->good ? &z->zone : NULL;
        }
    }

    z = i == CALENDAR_ZONES ? NULL
        : ngx_calloc(sizeof(ngx_http_stoa_calendar_zone_t), ngx_cycle->log);

    if (z == NULL) {
        return NULL;
    }

    ngx_memcpy(z->name, name, len);
    z->good = stoa_zone_open(&z->zone, z->name);
    ngx_http_stoa_calendar_zones[i] = z;

    if (!z->good) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "stoa: the system has "
                      "no time zone \"%s\" (tzdata): its quotas are counted "
                      "in UTC", z->name);
        return NULL;
    }

    return &z->zone;
}
