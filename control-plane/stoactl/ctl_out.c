/*
 * Output: tables for people, JSON and YAML for programs, a bare secret for
 * scripts.  Control characters of a server's text never reach a terminal.
 */

#include <ctype.h>
#include <string.h>

#include "stoactl.h"


#define CTL_COLUMNS_MAX  16
#define CTL_WIDTH_MAX    60


/* One value of a path such as "discovery.state" as text for a cell. */

const char *
ctl_cell_text(ctl_t *c, const cp_json_t *row, const char *column)
{
    char              name[64];
    size_t            len;
    const char       *p, *text;
    const cp_json_t  *v;

    v = row;

    for (p = column; v != NULL && *p != '\0'; p += len + (p[len] == '.')) {
        len = strcspn(p, ".");
        snprintf(name, sizeof(name), "%.*s", (int) len, p);
        v = (v->type == CP_JSON_OBJECT) ? cp_json_get(v, name) : NULL;
    }

    if (v == NULL) {
        return "";
    }

    switch (v->type) {
    case CP_JSON_NULL:
        return "";
    case CP_JSON_STRING:
    case CP_JSON_REAL:
        return v->s;
    case CP_JSON_BOOL:
        return v->i ? "yes" : "no";
    case CP_JSON_INT:
        text = cp_arena_printf(c->arena, "%lld", (long long) v->i);
        break;
    case CP_JSON_OBJECT:
        text = cp_json_str(v, "name");     /* {id, name}: a reference */

        if (text != NULL) {
            return text;
        }

        /* fall through */
    default:
        text = cp_arena_printf(c->arena, "%u", v->n);
    }

    return (text != NULL) ? text : "";
}


static size_t
ctl_columns(const char *columns, char names[][64])
{
    size_t  n, len;

    for (n = 0; *columns != '\0' && n < CTL_COLUMNS_MAX; n++) {
        columns += strspn(columns, " ");
        len = strcspn(columns, " ");
        snprintf(names[n], 64, "%.*s", (int) len, columns);
        columns += len;
    }

    return n;
}


/* Characters, not bytes: continuation bytes of UTF-8 have no width. */

static size_t
ctl_width(const char *s)
{
    size_t  n;

    for (n = 0; *s != '\0'; s++) {
        n += (((unsigned char) *s & 0xc0) != 0x80);
    }

    return (n > CTL_WIDTH_MAX) ? CTL_WIDTH_MAX : n;
}


static void
ctl_put_cell(const char *s, size_t width, bool last)
{
    bool    cut;
    size_t  n, control;

    cut = false;

    for (n = 0; *s != '\0'; s++) {

        if (((unsigned char) *s & 0xc0) != 0x80) {
            cut = (n == CTL_WIDTH_MAX);

            if (cut) {
                break;
            }

            n++;
        }

        control = cp_text_control(s);
        putchar(control ? ' ' : *s);
        s += control ? control - 1 : 0;
    }

    if (last) {
        fputs(cut ? "..." : "", stdout);
        return;
    }

    for ( /* void */ ; n < width + 2; n++) {
        putchar(' ');
    }
}


static void
ctl_put_header(const char *column, size_t width, bool last)
{
    char         text[64];
    size_t       i;
    const char  *name;

    name = column;

    if (strncmp(column, "definition.", 11) == 0) {
        name = column + 11;

    } else if (strcmp(column, "discovery.state") == 0) {
        name = "discovery";
    }

    for (i = 0; name[i] != '\0' && i < sizeof(text) - 1; i++) {
        text[i] = (char) (name[i] == '_' || name[i] == '.'
                              ? ' ' : toupper((unsigned char) name[i]));
    }

    text[i] = '\0';
    ctl_put_cell(text, width, last);
}


static void
ctl_print_table(ctl_t *c, const cp_json_t *rows, const char *columns)
{
    char              names[CTL_COLUMNS_MAX][64];
    size_t            i, n, len, width[CTL_COLUMNS_MAX];
    const cp_json_t  *row;

    n = ctl_columns(columns, names);

    for (i = 0; i < n; i++) {
        width[i] = strlen(names[i]);

        for (row = rows->first; row != NULL; row = row->next) {
            len = ctl_width(ctl_cell_text(c, row, names[i]));
            width[i] = (len > width[i]) ? len : width[i];
        }
    }

    for (i = 0; i < n; i++) {
        ctl_put_header(names[i], width[i], i == n - 1);
    }

    putchar('\n');

    for (row = rows->first; row != NULL; row = row->next) {

        for (i = 0; i < n; i++) {
            ctl_put_cell(ctl_cell_text(c, row, names[i]), width[i],
                         i == n - 1);
        }

        putchar('\n');
    }
}


ctl_exit_e
ctl_print(ctl_t *c, const cp_json_t *v, const char *columns)
{
    cp_json_t   *rows;
    stoa_rc_t    rc;
    stoa_buf_t   b;

    if (c->out == CTL_OUT_TABLE && columns != NULL) {
        rows = (cp_json_t *) v;

        if (v->type != CP_JSON_ARRAY) {
            rows = cp_json_array(c->arena);
            cp_json_push(rows, cp_json_copy(c->arena, v));
        }

        ctl_print_table(c, rows, columns);
        return CTL_DONE;
    }

    stoa_buf_init(&b, 2 * (size_t) CTL_ANSWER_MAX);

    if (c->out == CTL_OUT_JSON) {
        cp_json_write(&b, v);
        stoa_buf_addz(&b, "\n");

    } else {
        cp_yaml_write(&b, v, 0);
    }

    rc = b.rc;

    if (rc == STOA_OK) {
        fwrite(b.data, 1, b.len, stdout);

    } else {
        ctl_error("the output is too large");
    }

    stoa_buf_free(&b);

    return (rc == STOA_OK) ? CTL_DONE : CTL_FAILED;
}


/* It is in no other output then. */

static ctl_exit_e
ctl_keep_secret(ctl_t *c, const cp_json_t *v, const char *member,
    const char *path)
{
    cp_json_t        *shown;
    const char       *id, *line;
    const cp_json_t  *m;

    id = ctl_cell_text(c, v, "id");
    line = cp_arena_printf(c->arena, "%s\n", cp_json_str(v, member));

    if (line == NULL
        || ctl_file_write_private(path, line, strlen(line)) != CTL_DONE)
    {
        return ctl_error("the %s %s is made but lost: revoke it", member, id);
    }

    if (c->out == CTL_OUT_TABLE) {
        printf("%-6s in %s\nid     %s\n", member, path, id);
    }

    if (c->out != CTL_OUT_JSON && c->out != CTL_OUT_YAML) {
        return CTL_DONE;
    }

    shown = cp_json_object(c->arena);

    for (m = v->first; m != NULL; m = m->next) {
        if (strcmp(m->key, member) != 0) {
            cp_json_set(c->arena, shown, m->key, cp_json_copy(c->arena, m));
        }
    }

    return ctl_print(c, shown, NULL);
}


/* What is shown once: alone with -o key or -o token, else with a word about
 * it. */

ctl_exit_e
ctl_print_secret(ctl_t *c, const cp_json_t *v, const char *member)
{
    ctl_out_e    wanted;
    const char  *secret, *id;

    secret = cp_json_str(v, member);

    if (secret == NULL) {
        return ctl_error("the answer holds no %s", member);
    }

    if (ctl_opt(c, "output-file") != NULL) {
        return ctl_keep_secret(c, v, member, ctl_opt(c, "output-file"));
    }

    wanted = (strcmp(member, "key") == 0) ? CTL_OUT_KEY : CTL_OUT_TOKEN;

    if (c->out == wanted) {
        puts(secret);
        return CTL_DONE;
    }

    if (c->out != CTL_OUT_TABLE) {
        return ctl_print(c, v, NULL);
    }

    id = cp_json_str(v, "id");
    printf("%-6s %s\n", member, secret);
    printf("id     %s\n", id != NULL ? id : "");
    fprintf(stderr, "Keep the %s now: it is not shown again.\n", member);

    return CTL_DONE;
}
