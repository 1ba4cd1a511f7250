/*
 * What the configured parts need of each other and of the disk: checked when
 * all of the configuration has been read.
 */

#include "ngx_http_stoa_conf.h"
#include "ngx_http_stoa_counters.h"
#include "ngx_http_stoa_file.h"


static ngx_int_t ngx_http_stoa_conf_directory(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle, ngx_uid_t user);
static ngx_int_t ngx_http_stoa_conf_owner(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle, ngx_uid_t user);


ngx_int_t
ngx_http_stoa_conf_check(ngx_conf_t *cf, ngx_http_stoa_main_conf_t *mcf)
{
    ngx_uint_t  i;

    struct {
        const char  *name;
        ngx_uint_t   set;
        const char  *why;
    } need[] = {
        { "stoa_control_plane", mcf->control_plane.len != 0,
          "configuration comes from there" },
        { "stoa_gateway_token_file", mcf->token.len != 0,
          "the control plane asks for it" },
        { "stoa_store", mcf->store_dir.len != 0,
          "configuration and counters are kept in it" },
        { "stoa_zone", mcf->zone != NULL,
          "rate limits are counted in it" }
    };

    for (i = 0; i < sizeof(need) / sizeof(need[0]); i++) {

        if (need[i].set) {
            continue;
        }

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%V\" in %V:%ui needs \"%s\" in the \"http\" block: "
                      "%s", &mcf->used_what, &mcf->used_file, mcf->used_line,
                      need[i].name, need[i].why);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * The rewrite module answers, or leads elsewhere, before anything is checked.
 * Its program for a location is an array of codes, each of which begins with
 * its function; that it is the first member of its configuration is true of
 * all nginx there are.
 */

void
ngx_http_stoa_conf_check_protect(ngx_conf_t *cf)
{
    u_char                        *p, *last;
    void                         **lcf;
    const char                    *what;
    ngx_uint_t                     i;
    ngx_array_t                   *codes;
    ngx_http_core_loc_conf_t      *clcf;
#if (NGX_PCRE)
    ngx_http_script_regex_code_t  *regex;
#endif

    for (i = 0; cf->cycle->modules[i]; i++) {
        if (ngx_strcmp(cf->cycle->modules[i]->name, "ngx_http_rewrite_module")
            == 0)
        {
            break;
        }
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (cf->cycle->modules[i] == NULL || clcf->noname) {
        return;
    }

    lcf = ((ngx_http_conf_ctx_t *) cf->ctx)
              ->loc_conf[cf->cycle->modules[i]->ctx_index];
    codes = lcf[0];

    if (codes == NULL || codes->size != 1) {
        return;
    }

    what = NULL;
    last = (u_char *) codes->elts + codes->nelts;

    for (p = codes->elts; last - p >= (ssize_t) sizeof(void *);
         p += sizeof(void *))
    {
        if (*(ngx_http_script_code_pt *) p == ngx_http_script_return_code) {
            what = "return";
            break;
        }

#if (NGX_PCRE)
        regex = (ngx_http_script_regex_code_t *) p;

        if (regex->code == ngx_http_script_regex_start_code
            && last - p >= (ssize_t) sizeof(ngx_http_script_regex_code_t)
            && !regex->test)
        {
            what = "rewrite";
            break;
        }
#endif
    }

    if (what) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"%s\" in location \"%V\" comes before "
                      "\"stoa_protect\": what it answers is not checked",
                      what, &clcf->name);
    }
}


ngx_int_t
ngx_http_stoa_conf_files(ngx_http_stoa_main_conf_t *mcf)
{
    ngx_uid_t         user;
    ngx_cycle_t      *cycle;
    ngx_core_conf_t  *ccf;

    if (!mcf->enabled) {
        return NGX_OK;
    }

    cycle = mcf->cycle;
    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    user = ccf->user;

    if (ngx_http_stoa_conf_directory(mcf, cycle, user) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_test_config ? NGX_OK
                           : ngx_http_stoa_counters_create(mcf, cycle, user);
}


/* For the workers alone: configuration holds digests of keys. */

static ngx_int_t
ngx_http_stoa_conf_directory(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle, ngx_uid_t user)
{
    char         *dir;
    struct stat   st;

    dir = (char *) mcf->store_dir.data;

    if (mkdir(dir, 0700) == -1 && ngx_errno != NGX_EEXIST) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "cannot create the directory \"%s\" of \"stoa_store\"",
                      dir);
        return NGX_ERROR;
    }

    if (stat(dir, &st) == -1 || !S_ISDIR(st.st_mode)) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "\"%s\" of \"stoa_store\" is no directory", dir);
        return NGX_ERROR;
    }

    if (geteuid() == 0) {

        if (user == 0 || user == (ngx_uid_t) NGX_CONF_UNSET_UINT) {
            return NGX_OK;
        }

        if (ngx_http_stoa_conf_owner(mcf, cycle, user) != NGX_OK) {
            return NGX_ERROR;
        }

        if (st.st_uid != user && chown(dir, user, (gid_t) -1) == -1)
        {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                          "cannot give the directory \"%s\" of "
                          "\"stoa_store\" to the workers' user", dir);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    if (access(dir, R_OK|W_OK|X_OK) == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "cannot write to the directory \"%s\" of "
                      "\"stoa_store\"", dir);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Another "user" than before: workers could not open what is there, and would
 * die one after the other.  The files are not given away here: the directory
 * was the former user's, who may have put anything into it.
 */

static ngx_int_t
ngx_http_stoa_conf_owner(ngx_http_stoa_main_conf_t *mcf, ngx_cycle_t *cycle,
    ngx_uid_t user)
{
    char         *path;
    ngx_uint_t    i;
    struct stat   st;

    static const char *const  files[] = { "counters", "sessions", "state",
                                          "usage.mdb" };

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        path = ngx_http_stoa_file_path(mcf, cycle->pool, files[i]);

        if (path == NULL) {
            return NGX_ERROR;
        }

        if (lstat(path, &st) == 0 && st.st_uid != user) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                          "\"%s\" belongs to the user %d, but workers run as "
                          "%d: give the files in \"%V\" to it, or set "
                          "\"user\" as it was",
                          path, (int) st.st_uid, (int) user,
                          &mcf->store_dir);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
