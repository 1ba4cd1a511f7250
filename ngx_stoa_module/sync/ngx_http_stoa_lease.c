/*
 * The lease of the threads: whose they are, and whether they go on.
 */

#include "ngx_http_stoa_sync.h"


ngx_uint_t
ngx_http_stoa_lease_owns(ngx_http_stoa_agent_t *agent)
{
    return ngx_http_stoa_load(&agent->mcf->dir->lease) == agent->lease;
}


ngx_uint_t
ngx_http_stoa_lease_over(ngx_http_stoa_agent_t *agent)
{
    return ngx_http_stoa_load(&agent->stop)
           || !ngx_http_stoa_lease_owns(agent);
}
