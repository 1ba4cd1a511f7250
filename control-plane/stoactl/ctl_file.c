/*
 * Files: reading with a limit, listing a directory, writing privately.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stoactl.h"


static ctl_exit_e
ctl_file_read_fd(int fd, const char *path, stoa_buf_t *b)
{
    char     chunk[65536];
    ssize_t  n;

    for ( ;; ) {
        n = read(fd, chunk, sizeof(chunk));

        if (n == 0) {
            return CTL_DONE;
        }

        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }

            return ctl_error("%s: %s", path, strerror(errno));
        }

        stoa_buf_add(b, chunk, (size_t) n);

        if (b->rc != STOA_OK) {
            return ctl_error("%s: larger than %d bytes", path, CTL_FILE_MAX);
        }
    }
}


ctl_exit_e
ctl_file_read(ctl_t *c, const char *path, const char **text, size_t *len)
{
    int          fd;
    stoa_buf_t   b;
    ctl_exit_e   rc;

    fd = STDIN_FILENO;

    if (strcmp(path, "-") == 0) {
        path = "stdin";

    } else {
        fd = open(path, O_RDONLY|O_CLOEXEC);
    }

    if (fd == -1) {
        return ctl_error("%s: %s", path, strerror(errno));
    }

    stoa_buf_init(&b, CTL_FILE_MAX);
    rc = ctl_file_read_fd(fd, path, &b);

    if (fd != STDIN_FILENO) {
        close(fd);
    }

    if (rc == CTL_DONE) {
        *text = cp_arena_strndup(c->arena, b.len > 0 ? b.data : "", b.len);
        *len = b.len;

        if (*text == NULL) {
            rc = ctl_error("%s: out of memory", path);
        }
    }

    stoa_buf_free(&b);

    return rc;
}


static bool
ctl_file_is_document(const char *name)
{
    const char  *dot;

    dot = strrchr(name, '.');

    return name[0] != '.' && dot != NULL
           && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0
               || strcmp(dot, ".json") == 0);
}


static int
ctl_file_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}


ctl_exit_e
ctl_file_list(ctl_t *c, const char *path, const char **names, unsigned max,
    unsigned *n)
{
    DIR            *dir;
    ctl_exit_e      rc;
    struct stat     st;
    struct dirent  *e;

    *n = 0;

    if (strcmp(path, "-") == 0 || stat(path, &st) != 0
        || !S_ISDIR(st.st_mode))
    {
        names[(*n)++] = path;
        return CTL_DONE;
    }

    dir = opendir(path);

    if (dir == NULL) {
        return ctl_error("%s: %s", path, strerror(errno));
    }

    rc = CTL_DONE;

    while ((e = readdir(dir)) != NULL) {

        if (!ctl_file_is_document(e->d_name)) {
            continue;
        }

        if (*n == max) {
            rc = ctl_error("%s: more than %u files", path, max);
            break;
        }

        names[(*n)++] = cp_arena_printf(c->arena, "%s/%s", path, e->d_name);
    }

    closedir(dir);

    if (rc == CTL_DONE && *n == 0) {
        rc = ctl_error("%s: no *.yaml, *.yml or *.json file", path);
    }

    qsort(names, *n, sizeof(names[0]), ctl_file_compare);

    return rc;
}


/* The directories above a file, like mkdir -p, 0700. */

static void
ctl_file_make_dirs(const char *path)
{
    char   dir[4096];
    char  *p;

    if (strlen(path) >= sizeof(dir)) {
        return;
    }

    strcpy(dir, path);

    for (p = dir + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';

        /* a failure shows when the file is opened */
        if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
            return;
        }

        *p = '/';
    }
}


ctl_exit_e
ctl_file_private(const char *path)
{
    int          fd;
    char         tmp[4096 + 16];
    struct stat  st;

    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        return ctl_error("%s: is no file", path);
    }

    if (snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= (int) sizeof(tmp)) {
        return ctl_error("%s: name too long", path);
    }

    fd = mkstemp(tmp);

    if (fd == -1) {
        return ctl_error("%s: %s", path, strerror(errno));
    }

    (void) close(fd);
    (void) unlink(tmp);

    return CTL_DONE;
}


ctl_exit_e
ctl_file_write_private(const char *path, const char *text, size_t len)
{
    int      fd;
    char     tmp[4096 + 16];
    ssize_t  n;
    size_t   sent;

    ctl_file_make_dirs(path);

    if (snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= (int) sizeof(tmp)) {
        return ctl_error("%s: name too long", path);
    }

    fd = mkstemp(tmp);                     /* mode 0600 */

    if (fd == -1) {
        return ctl_error("%s: %s", path, strerror(errno));
    }

    for (sent = 0; sent < len; sent += (size_t) n) {
        n = write(fd, text + sent, len - sent);

        if (n < 0 && errno == EINTR) {
            n = 0;

        } else if (n < 0) {
            break;
        }
    }

    if (sent < len || fsync(fd) != 0 || close(fd) != 0
        || rename(tmp, path) != 0)
    {
        ctl_error("%s: %s", path, strerror(errno));
        (void) unlink(tmp);
        return CTL_FAILED;
    }

    return CTL_DONE;
}
