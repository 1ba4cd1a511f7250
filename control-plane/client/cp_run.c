/*
 * A program that is run for a moment.  What bounds it is set between fork and
 * exec, where nothing but calls of the system is allowed.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cp_util.h"
#include "client/cp_run.h"


#define CP_RUN_MEMORY   ((rlim_t) 2 * 1024 * 1024 * 1024)  /* of addresses   */
#define CP_RUN_CPU_S    5
#define CP_RUN_FILES    64
#define CP_RUN_FAILED   127            /* the program is not there           */
#define CP_RUN_OPEN     126            /* files cannot be kept from it       */

#if defined(__x86_64__)
#define CP_RUN_ARCH     AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define CP_RUN_ARCH     AUDIT_ARCH_AARCH64
#else
#error "which architecture is it, for the filter of system calls?"
#endif

/* Of files, what the first Landlock knows: all of it that is not given. */
#define CP_RUN_READS    (LANDLOCK_ACCESS_FS_EXECUTE                          \
                         | LANDLOCK_ACCESS_FS_READ_FILE)
#define CP_RUN_LISTS    (CP_RUN_READS | LANDLOCK_ACCESS_FS_READ_DIR)
#define CP_RUN_ALL      ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

#define CP_RUN_X32      0x40000000     /* other numbers for the same calls   */

#define CP_BPF(code, k)          { (code), 0, 0, (k) }
#define CP_BPF_IF(op, k, t, f)   { BPF_JMP | (op) | BPF_K, (t), (f), (k) }


static atomic_int  cp_run_now;

/* No sockets, nor what makes them by another way. */
static struct sock_filter  cp_run_filter[] = {
    CP_BPF(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
    CP_BPF_IF(BPF_JEQ, CP_RUN_ARCH, 1, 0),
    CP_BPF(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    CP_BPF(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    CP_BPF_IF(BPF_JGE, CP_RUN_X32, 3, 0),
    CP_BPF_IF(BPF_JEQ, SYS_socket, 2, 0),
    CP_BPF_IF(BPF_JEQ, SYS_io_uring_setup, 1, 0),
    CP_BPF(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    CP_BPF(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES)
};

static const struct {
    int     resource;
    rlim_t  max;
} cp_run_limits[] = {
    { RLIMIT_AS, CP_RUN_MEMORY },
    { RLIMIT_CPU, CP_RUN_CPU_S },
    { RLIMIT_NOFILE, CP_RUN_FILES },
    { RLIMIT_FSIZE, 0 },
    { RLIMIT_CORE, 0 }
};

/* Go's own bounds, below ours, so that it says what is wrong. */
static const char *const  cp_run_env[] = { "HOME=/nonexistent", "LANG=C",
    "GOMEMLIMIT=512MiB", "GOMAXPROCS=2", NULL };


/* What programs consist of, beside their own file; some may not be there. */
static const char *const  cp_run_system[] = { "/usr", "/lib", "/lib64",
    "/etc/ld.so.cache", NULL };


static void cp_run_child(const char *const *argv, int in, int out)
    __attribute__((noreturn));
static bool cp_run_files(const char *program);
static bool cp_run_file(int ruleset, const char *path);


/* What is evaluated may name files (references of schemas, certificates): it
 * reads none of ours. */
static bool
cp_run_files(const char *program)
{
    int                            ruleset;
    bool                           ok;
    const char *const             *path;
    struct landlock_ruleset_attr   attr;

    memset(&attr, 0, sizeof(attr));
    attr.handled_access_fs = CP_RUN_ALL;
    ruleset = (int) syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr),
                            0);

    if (ruleset < 0) {
        return false;
    }

    ok = cp_run_file(ruleset, program);

    for (path = cp_run_system; ok && *path; path++) {
        ok = cp_run_file(ruleset, *path);
    }

    ok = ok && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    (void) close(ruleset);

    return ok;
}


static bool
cp_run_file(int ruleset, const char *path)
{
    bool                               ok;
    struct stat                        st;
    struct landlock_path_beneath_attr  rule;

    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);

    if (rule.parent_fd < 0) {
        return true;
    }

    ok = fstat(rule.parent_fd, &st) == 0;
    rule.allowed_access = ok && S_ISDIR(st.st_mode) ? CP_RUN_LISTS
                                                    : CP_RUN_READS;
    ok = ok && syscall(SYS_landlock_add_rule, ruleset,
                       LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    (void) close(rule.parent_fd);

    return ok;
}


static void
cp_run_child(const char *const *argv, int in, int out)
{
    unsigned            i;
    sigset_t            none;
    struct rlimit       limit;
    struct sock_fprog   filter;

    filter.len = sizeof(cp_run_filter) / sizeof(cp_run_filter[0]);
    filter.filter = cp_run_filter;

    (void) sigemptyset(&none);

    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0
        || close_range(3, ~0U, 0) != 0 || chdir("/") != 0
        || setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0
        || sigprocmask(SIG_SETMASK, &none, NULL) != 0)
    {
        _exit(CP_RUN_FAILED);
    }

    (void) signal(SIGPIPE, SIG_DFL);

    for (i = 0; i < sizeof(cp_run_limits) / sizeof(cp_run_limits[0]); i++) {
        limit.rlim_cur = cp_run_limits[i].max;
        limit.rlim_max = cp_run_limits[i].max;

        if (setrlimit(cp_run_limits[i].resource, &limit) != 0) {
            _exit(CP_RUN_FAILED);
        }
    }

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        _exit(CP_RUN_FAILED);
    }

    if (!cp_run_files(argv[0])) {
        _exit(CP_RUN_OPEN);
    }

    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        _exit(CP_RUN_FAILED);
    }

    (void) execve(argv[0], (char *const *) argv, (char *const *) cp_run_env);
    _exit(CP_RUN_FAILED);
}


/* false: more than may be, or not in time. */
static bool
cp_run_read(int fd, stoa_buf_t *out, int64_t until)
{
    char           text[4096];
    int64_t        left;
    ssize_t        n;
    struct pollfd  p = { .fd = fd, .events = POLLIN };

    for ( ;; ) {
        left = until - cp_time_mono_ms();
        p.revents = 0;                 /* an interrupted poll leaves it      */

        if (left <= 0 || (poll(&p, 1, (int) left) < 0 && errno != EINTR)) {
            return false;
        }

        if (p.revents == 0) {
            continue;
        }

        n = read(fd, text, sizeof(text));

        if (n == 0) {
            return true;
        }

        if (n < 0) {
            return false;
        }

        stoa_buf_add(out, text, (size_t) n);

        if (out->rc != STOA_OK) {
            return false;
        }
    }
}


/* Nobody is left behind, whatever it has started. */
static int
cp_run_end(pid_t pid, bool ok, int64_t until)
{
    int              status;
    pid_t            got;
    struct timespec  pause = { 0, 2000000 };

    while (ok) {
        got = waitpid(pid, &status, WNOHANG);

        if (got == pid) {
            (void) kill(-pid, SIGKILL);
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        }

        ok = got == 0 && cp_time_mono_ms() < until;
        (void) nanosleep(&pause, NULL);
    }

    (void) kill(-pid, SIGKILL);
    (void) kill(pid, SIGKILL);

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) { /* void */ }

    return -1;
}


/* Memory, not a file: whatever ends us, nothing has to be removed. */
static int
cp_run_input(const char *p, size_t len)
{
    int      fd;
    ssize_t  n;

    fd = memfd_create("stoa-run", MFD_CLOEXEC);

    while (fd >= 0 && len) {
        n = write(fd, p, len);

        if (n <= 0) {
            (void) close(fd);
            return -1;
        }

        p += n;
        len -= (size_t) n;
    }

    if (fd >= 0) {
        (void) lseek(fd, 0, SEEK_SET);
    }

    return fd;
}


static cp_rc_t
cp_run_with(int in, const char *const *argv, stoa_buf_t *out, int *code,
    cp_err_t *err)
{
    int      fd[2];
    bool     ok;
    pid_t    pid;
    int64_t  until;

    if (pipe2(fd, O_CLOEXEC) != 0) {
        return cp_err_set(err, "unavailable", "no pipe: %s", strerror(errno));
    }

    until = cp_time_mono_ms() + CP_RUN_MS;
    pid = fork();

    if (pid == 0) {
        cp_run_child(argv, in, fd[1]);
    }

    (void) close(fd[1]);

    if (pid > 0) {
        ok = cp_run_read(fd[0], out, until);
        *code = cp_run_end(pid, ok, until);
    }

    (void) close(fd[0]);

    if (pid < 0 || *code == CP_RUN_FAILED) {
        cp_log(CP_LOG_ERROR, "run", "cannot run program:%s", argv[0]);

        return cp_err_set(err, "unavailable", "the program that checks cannot"
                          " be run here");
    }

    if (*code == CP_RUN_OPEN) {
        cp_log(CP_LOG_ERROR, "run", "cannot run program:%s, the kernel has no"
               " Landlock to keep files from it", argv[0]);

        return cp_err_set(err, "unavailable", "the program that checks cannot"
                          " be kept from files here");
    }

    return CP_OK;
}


cp_rc_t
cp_run(const char *const *argv, const void *data, size_t len, int atonce,
    stoa_buf_t *out, int *code, cp_err_t *err)
{
    int      in;
    cp_rc_t  rc;

    if (atomic_fetch_add(&cp_run_now, 1) >= atonce) {
        (void) atomic_fetch_sub(&cp_run_now, 1);

        return cp_err_set(err, "unavailable", "others are being checked, try"
                          " again");
    }

    in = cp_run_input(data, len);

    if (in < 0) {
        rc = cp_err_set(err, "unavailable", "no memory for it: %s",
                        strerror(errno));

    } else {
        rc = cp_run_with(in, argv, out, code, err);
        (void) close(in);
    }

    (void) atomic_fetch_sub(&cp_run_now, 1);

    return rc;
}
