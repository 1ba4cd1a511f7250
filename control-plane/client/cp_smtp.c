/*
 * SMTP.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "client/cp_smtp.h"


#define CP_SMTP_CONNECT_MS   5000
#define CP_SMTP_TIMEOUT_MS   30000
#define CP_SMTP_AUTH_MAX     1024
#define CP_SMTP_LOCAL_MAX    64
#define CP_SMTP_ADDRESS_MAX  254
#define CP_SMTP_WORD         39          /* bytes of an encoded word         */
#define CP_SMTP_LINE         57          /* bytes of a line of base64        */


struct cp_smtp_s {
    cp_app_t    *app;
    cp_arena_t  *arena;
    CURL        *curl;
    stoa_buf_t   message;
    size_t       sent;             /* of it                                  */
};


bool
cp_smtp_address(const char *s)
{
    size_t       n, label;
    const char  *p;

    n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                  "0123456789!#$%&'*+-/=?^_`{|}~.");

    if (n == 0 || n > CP_SMTP_LOCAL_MAX || s[n] != '@' || s[0] == '.'
        || s[n - 1] == '.' || strnlen(s, CP_SMTP_ADDRESS_MAX + 1)
                              > CP_SMTP_ADDRESS_MAX)
    {
        return false;
    }

    for (p = s + n + 1, label = 0; *p != '\0'; p++) {

        if (*p == '.') {
            if (label == 0 || p[-1] == '-') {
                return false;
            }

            label = 0;

        } else if (isalnum((unsigned char) *p) || (*p == '-' && label)) {
            if (++label > 63) {
                return false;
            }

        } else {
            return false;
        }
    }

    return label > 0 && p[-1] != '-';
}


static void
cp_smtp_base64(stoa_buf_t *b, const char *s, size_t len, const char *end)
{
    size_t   n;
    uint8_t  line[4 * CP_SMTP_LINE / 3 + 4];

    for ( /* void */ ; len > 0; s += n, len -= n) {
        n = (len < CP_SMTP_LINE) ? len : CP_SMTP_LINE;

        stoa_buf_add(b, (char *) line,
                     (size_t) EVP_EncodeBlock(line, (const uint8_t *) s,
                                              (int) n));
        stoa_buf_addz(b, end);
    }
}


/* RFC 2047: as it is, or words of base64 that cut no character in two. */

static void
cp_smtp_subject(stoa_buf_t *b, const char *s)
{
    size_t       n, len;
    const char  *p;

    for (p = s; *p != '\0' && (unsigned char) *p < 0x7f; p++) { /* void */ }

    len = strlen(s);

    if (*p == '\0' && len < 60 && strstr(s, "=?") == NULL) {
        stoa_buf_addz(b, s);
        return;
    }

    for ( /* void */ ; len > 0; s += n, len -= n) {
        n = (len < CP_SMTP_WORD) ? len : CP_SMTP_WORD;

        while (n < len && ((unsigned char) s[n] & 0xc0) == 0x80) {
            n--;
        }

        stoa_buf_addz(b, "=?UTF-8?B?");
        cp_smtp_base64(b, s, n, "");
        stoa_buf_addz(b, (n < len) ? "?=\r\n " : "?=");
    }
}


static bool
cp_smtp_message(cp_smtp_t *s, const cp_smtp_mail_t *mail)
{
    char         date[64];
    time_t       now;
    struct tm    tm;
    stoa_buf_t  *b;
    const char  *from;

    b = &s->message;
    from = s->app->conf.smtp_from;
    now = time(NULL);
    s->sent = 0;
    stoa_buf_reset(b);

    (void) gmtime_r(&now, &tm);
    (void) strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);

    stoa_buf_addz(b, cp_arena_printf(s->arena, "Date: %s\r\nFrom: <%s>\r\n"
                                     "To: <%s>\r\nMessage-ID: <%s%s>\r\n"
                                     "Subject: ", date, from, mail->to,
                                     mail->id, strchr(from, '@')));
    cp_smtp_subject(b, mail->subject);
    stoa_buf_addz(b, "\r\nMIME-Version: 1.0\r\n"
                     "Content-Type: text/plain; charset=utf-8\r\n"
                     "Content-Transfer-Encoding: base64\r\n"
                     "Auto-Submitted: auto-generated\r\n\r\n");
    cp_smtp_base64(b, mail->text, strlen(mail->text), "\r\n");

    return b->rc == STOA_OK;
}


static size_t
cp_smtp_read(char *dst, size_t size, size_t n, void *ctx)
{
    size_t      len;
    cp_smtp_t  *s = ctx;

    len = s->message.len - s->sent;
    len = (len < size * n) ? len : size * n;
    memcpy(dst, s->message.data + s->sent, len);
    s->sent += len;

    return len;
}


static int
cp_smtp_progress(void *ctx, curl_off_t dt, curl_off_t dn, curl_off_t ut,
    curl_off_t un)
{
    cp_smtp_t  *s = ctx;

    (void) dt;
    (void) dn;
    (void) ut;
    (void) un;

    return atomic_load(&s->app->stopping) ? 1 : 0;
}


/* user:password, read for each mail: it may be changed meanwhile. */

static const char *
cp_smtp_login(cp_smtp_t *s)
{
    FILE    *f;
    char     text[CP_SMTP_AUTH_MAX + 1], *colon;
    size_t   len;

    if (s->app->conf.smtp_auth_file[0] == '\0') {
        return NULL;
    }

    f = fopen(s->app->conf.smtp_auth_file, "re");

    if (f == NULL) {
        return "smtp_auth_file cannot be read";
    }

    len = fread(text, 1, CP_SMTP_AUTH_MAX, f);
    (void) fclose(f);
    text[len] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    colon = strchr(text, ':');

    if (colon != NULL) {
        *colon = '\0';
        (void) curl_easy_setopt(s->curl, CURLOPT_USERNAME, text);
        (void) curl_easy_setopt(s->curl, CURLOPT_PASSWORD, colon + 1);
    }

    OPENSSL_cleanse(text, sizeof(text));

    return (colon != NULL) ? NULL : "smtp_auth_file holds no user:password";
}


cp_smtp_t *
cp_smtp_create(cp_app_t *app, cp_arena_t *a)
{
    cp_smtp_t  *s;

    s = cp_arena_alloc(a, sizeof(cp_smtp_t));

    if (s == NULL) {
        return NULL;
    }

    s->app = app;
    s->arena = a;
    s->curl = curl_easy_init();
    stoa_buf_init(&s->message, 65536);

    return (s->curl != NULL) ? s : NULL;
}


void
cp_smtp_destroy(cp_smtp_t *s)
{
    if (s != NULL) {
        curl_easy_cleanup(s->curl);
        stoa_buf_free(&s->message);
    }
}


static CURLcode
cp_smtp_perform(cp_smtp_t *s, struct curl_slist *to)
{
    CURL             *h;
    bool              plain;
    const cp_conf_t  *conf;

    h = s->curl;
    conf = &s->app->conf;
    plain = strcmp(conf->smtp_tls, "none") == 0;

    curl_easy_setopt(h, CURLOPT_URL, conf->smtp_url);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(h, CURLOPT_PROXY, "");
    curl_easy_setopt(h, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_USE_SSL,
                     (long) (plain ? CURLUSESSL_NONE : CURLUSESSL_ALL));

    if (conf->smtp_ca_file[0] != '\0') {
        curl_easy_setopt(h, CURLOPT_CAINFO, conf->smtp_ca_file);
    }

    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long) CP_SMTP_CONNECT_MS);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long) CP_SMTP_TIMEOUT_MS);
    curl_easy_setopt(h, CURLOPT_MAIL_FROM,
                     cp_arena_printf(s->arena, "<%s>", conf->smtp_from));
    curl_easy_setopt(h, CURLOPT_MAIL_RCPT, to);
    curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(h, CURLOPT_READFUNCTION, cp_smtp_read);
    curl_easy_setopt(h, CURLOPT_READDATA, s);
    curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, cp_smtp_progress);
    curl_easy_setopt(h, CURLOPT_XFERINFODATA, s);
    curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);

    return curl_easy_perform(h);
}


const char *
cp_smtp_send(cp_smtp_t *s, const cp_smtp_mail_t *mail, bool *never)
{
    long                code;
    CURLcode            rc;
    const char         *why;
    struct curl_slist  *to;

    *never = false;
    curl_easy_reset(s->curl);
    why = cp_smtp_login(s);

    if (why != NULL) {
        return why;
    }

    to = curl_slist_append(NULL, cp_arena_printf(s->arena, "<%s>", mail->to));

    if (to == NULL || !cp_smtp_message(s, mail)) {
        curl_slist_free_all(to);
        return "no memory";
    }

    rc = cp_smtp_perform(s, to);
    code = 0;
    curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &code);
    curl_slist_free_all(to);

    if (rc == CURLE_OK) {
        return NULL;
    }

    /* what was said of the mail, not of us */

    *never = code >= 550 && code <= 554
             && (rc == CURLE_SEND_ERROR || rc == CURLE_WEIRD_SERVER_REPLY);

    return code >= 400
           ? cp_arena_printf(s->arena, "%s (%ld)", curl_easy_strerror(rc),
                             code)
           : curl_easy_strerror(rc);
}
