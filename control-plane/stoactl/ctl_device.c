/*
 * Logging in at the server's provider of identities from a terminal, by a code
 * that is typed in any browser (RFC 8628).
 *
 * Which provider that is the server says; who is asked later, with what is
 * kept, is whom it said at the login.
 */

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stoactl.h"


#define CTL_DEVICE_TYPE     "urn:ietf:params:oauth:grant-type:device_code"
#define CTL_DEVICE_EVERY    5          /* seconds, unless the provider says  */
#define CTL_DEVICE_MOST     60
#define CTL_DEVICE_EARLY    10         /* s before its end it is over        */


/* pairs: name, value ..., NULL.  CTL_DONE, CTL_REJECTED: *answer is set. */
static ctl_exit_e
ctl_device_ask(ctl_t *c, const char *url, const char *const *pairs,
    ctl_answer_t *answer)
{
    unsigned     i;
    const char  *form;
    ctl_call_t   call = { .method = "POST", .path = url, .quiet = true,
                          .type = "application/x-www-form-urlencoded",
                          .foreign = true };

    for (form = "", i = 0; pairs[i] != NULL; i += 2) {
        form = cp_arena_printf(c->arena, "%s%s%s=%s", form, i ? "&" : "",
                               pairs[i], ctl_escape(c, pairs[i + 1]));

        if (form == NULL) {
            return ctl_error("out of memory");
        }
    }

    call.body = form;
    call.len = strlen(form);

    return ctl_call(c, &call, answer);
}


static const char *
ctl_device_said(const ctl_answer_t *answer)
{
    const char  *error;

    error = answer->json != NULL && answer->json->type == CP_JSON_OBJECT
            ? cp_json_str(answer->json, "error") : NULL;

    return error != NULL ? error : "";
}


/* What a server reached by TLS says must not lead anywhere without. */
static bool
ctl_device_safe(ctl_t *c, const char *url)
{
    return url != NULL && strcmp(ctl_clean(c, url), url) == 0
           && (strncmp(url, "https://", 8) == 0
               || (strncmp(url, "http://", 7) == 0
                   && strncmp(c->url, "http://", 7) == 0));
}


/* What is kept of an answer of the token endpoint.  NULL: it is none. */
static cp_json_t *
ctl_device_kept(ctl_t *c, const ctl_answer_t *answer, const cp_json_t *before)
{
    unsigned          i;
    cp_json_t        *oidc;
    const char       *access, *refresh;

    static const char *const  names[] = { "client_id", "token_endpoint",
                                          "revocation_endpoint" };

    if (answer->json == NULL || answer->json->type != CP_JSON_OBJECT
        || (access = cp_json_str(answer->json, "access_token")) == NULL)
    {
        return NULL;
    }

    oidc = cp_json_object(c->arena);

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cp_json_put(c->arena, oidc, names[i], cp_json_str(before, names[i]));
    }

    refresh = cp_json_str(answer->json, "refresh_token");
    cp_json_put(c->arena, oidc, "access_token", access);
    cp_json_put(c->arena, oidc, "refresh_token",
                refresh ? refresh : cp_json_str(before, "refresh_token"));
    cp_json_put_int(c->arena, oidc, "expires_at", time(NULL)
                    + cp_json_num(answer->json, "expires_in", 60));

    return oidc;
}


/* Until the person has decided, or the code has ended. */
static ctl_exit_e
ctl_device_wait(ctl_t *c, const cp_json_t *way, const cp_json_t *begun,
    ctl_answer_t *answer)
{
    time_t       end;
    int64_t      every;
    ctl_exit_e   rc;
    const char  *said;

    every = cp_json_num(begun, "interval", CTL_DEVICE_EVERY);
    every = every < 1 || every > CTL_DEVICE_MOST ? CTL_DEVICE_EVERY : every;
    end = time(NULL) + cp_json_num(begun, "expires_in", 600);

    while (time(NULL) < end) {
        struct timespec  pause = { .tv_sec = every };

        (void) nanosleep(&pause, NULL);

        rc = ctl_device_ask(c, cp_json_str(way, "token_endpoint"),
            (const char *const []) {
                "grant_type", CTL_DEVICE_TYPE,
                "client_id", cp_json_str(way, "client_id"),
                "device_code", cp_json_str(begun, "device_code"), NULL },
            answer);

        if (rc == CTL_DONE) {
            return rc;
        }

        /* a provider that is away for a moment, a proxy's page: go on */

        said = rc == CTL_REJECTED ? ctl_device_said(answer) : "";

        if (strcmp(said, "slow_down") == 0) {
            every += 5;

        } else if (strcmp(said, "access_denied") == 0) {
            ctl_error("the login was refused");
            return CTL_REJECTED;

        } else if (strcmp(said, "expired_token") == 0) {
            break;

        } else if (said[0] != '\0'
                   && strcmp(said, "authorization_pending") != 0)
        {
            ctl_error("the provider says: %s", ctl_clean(c, said));
            return CTL_REJECTED;
        }
    }

    ctl_error("the code has ended, and nobody has typed it");

    return CTL_TIMEOUT;
}


/* How the server lets people in; NULL: not so. */
static const cp_json_t *
ctl_device_way(ctl_t *c)
{
    cp_json_t  *ways, *oidc, *way;

    if (ctl_get(c, "/v1/session/ways", &ways) != CTL_DONE) {
        return NULL;
    }

    oidc = cp_json_get(ways, "oidc");
    way = oidc != NULL ? cp_json_get(oidc, "device") : NULL;

    if (way == NULL || cp_json_str(way, "client_id") == NULL) {
        ctl_error("the server lets nobody in by a provider of identities%s;"
                  " --user is needed", oidc != NULL
                  && cp_json_get(oidc, "up") != NULL
                  && !cp_json_get(oidc, "up")->i ? ", which is away now" : "");
        return NULL;
    }

    if (!ctl_device_safe(c, cp_json_str(way, "token_endpoint"))
        || !ctl_device_safe(c, cp_json_str(way,
                                           "device_authorization_endpoint")))
    {
        ctl_error("the provider that the server names has no https");
        return NULL;
    }

    return way;
}


ctl_exit_e
ctl_device_login(ctl_t *c)
{
    cp_json_t        *begun, *me, *oidc;
    ctl_exit_e        rc;
    const char       *url, *code, *whole;
    ctl_answer_t      answer;
    const cp_json_t  *way;

    c->token = NULL;
    c->session = NULL;
    way = ctl_device_way(c);

    if (way == NULL) {
        return CTL_FAILED;
    }

    rc = ctl_device_ask(c, cp_json_str(way, "device_authorization_endpoint"),
        (const char *const []) {
            "client_id", cp_json_str(way, "client_id"),
            "scope", cp_json_str(way, "scope"), NULL }, &answer);

    begun = rc == CTL_DONE && answer.json != NULL ? answer.json : NULL;
    code = begun ? cp_json_str(begun, "user_code") : NULL;
    url = begun ? cp_json_str(begun, "verification_uri") : NULL;
    whole = begun ? cp_json_str(begun, "verification_uri_complete") : NULL;

    if (code == NULL || url == NULL
        || cp_json_str(begun, "device_code") == NULL)
    {
        if (rc == CTL_REJECTED) {
            ctl_error("the provider says: %s",
                      ctl_clean(c, ctl_device_said(&answer)));
            return rc;
        }

        return rc == CTL_DONE ? ctl_error("the provider's answer is none of "
                                          "this login") : rc;
    }

    fprintf(stderr, "Open %s in a browser and type the code %s\n",
            ctl_clean(c, url), ctl_clean(c, code));

    if (whole != NULL) {
        fprintf(stderr, "or open %s\n", ctl_clean(c, whole));
    }

    (void) fflush(stderr);
    rc = ctl_device_wait(c, way, begun, &answer);

    if (rc != CTL_DONE) {
        return rc;
    }

    oidc = ctl_device_kept(c, &answer, way);

    if (oidc == NULL) {
        return ctl_error("the provider has sent no token");
    }

    /* who it is the server says, before anything is kept */

    c->token = cp_json_str(oidc, "access_token");
    rc = ctl_get(c, "/v1/whoami", &me);

    if (rc == CTL_DONE) {
        rc = ctl_config_oidc(c, oidc);
    }

    return rc == CTL_DONE ? ctl_print(c, me, "name kind role tenant") : rc;
}


ctl_exit_e
ctl_device_logout(ctl_t *c)
{
    ctl_exit_e    rc;
    const char   *refresh, *url;
    ctl_answer_t  answer;

    refresh = cp_json_str(c->oidc, "refresh_token");
    url = cp_json_str(c->oidc, "revocation_endpoint");

    /* it is forgotten here whatever becomes of it there */

    if (refresh != NULL && ctl_device_safe(c, url)) {
        rc = ctl_device_ask(c, url, (const char *const []) {
            "client_id", cp_json_str(c->oidc, "client_id"),
            "token", refresh, "token_type_hint", "refresh_token", NULL },
            &answer);

        if (rc != CTL_DONE) {
            ctl_error("the provider did not end its login; forgotten here");
        }
    }

    return ctl_config_oidc(c, NULL);
}


static bool
ctl_device_good(const cp_json_t *oidc)
{
    return oidc != NULL && cp_json_str(oidc, "access_token") != NULL
           && cp_json_num(oidc, "expires_at", 0)
              > time(NULL) + CTL_DEVICE_EARLY;
}


/* The next one, by the refresh token. */
static ctl_exit_e
ctl_device_next(ctl_t *c)
{
    cp_json_t     *next;
    ctl_exit_e     rc;
    const char    *refresh;
    ctl_answer_t   answer;

    refresh = c->oidc ? cp_json_str(c->oidc, "refresh_token") : NULL;

    if (refresh == NULL) {
        return ctl_error("the login has ended: stoactl login");
    }

    rc = ctl_device_ask(c, cp_json_str(c->oidc, "token_endpoint"),
        (const char *const []) {
            "grant_type", "refresh_token", "refresh_token", refresh,
            "client_id", cp_json_str(c->oidc, "client_id"), NULL }, &answer);

    if (rc == CTL_REJECTED) {
        if (strcmp(ctl_device_said(&answer), "invalid_grant") == 0
            && ctl_config_oidc(c, NULL) != CTL_DONE)
        {
            return CTL_FAILED;
        }

        ctl_error("the login has ended: stoactl login");
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    next = ctl_device_kept(c, &answer, c->oidc);

    if (next == NULL) {
        return ctl_error("the provider has sent no token");
    }

    c->oidc = next;

    return ctl_config_oidc(c, next);
}


/* A token that is good once is used by one run; the others find the next. */
ctl_exit_e
ctl_device_token(ctl_t *c)
{
    int         lock;
    ctl_exit_e  rc;

    if (!ctl_device_good(c->oidc)) {
        rc = ctl_config_alone(c, &c->oidc, &lock);

        if (rc == CTL_DONE && !ctl_device_good(c->oidc)) {
            rc = ctl_device_next(c);
        }

        if (lock != -1) {
            (void) close(lock);
        }

        if (rc != CTL_DONE) {
            return rc;
        }
    }

    c->token = cp_json_str(c->oidc, "access_token");

    return CTL_DONE;
}
