/*
 * Replays the seeds of a fuzzer: calls the target with each file of a
 * directory and prints TAP.  A crash ends the program, which is the failure.
 */

#define _DEFAULT_SOURCE

#include <dirent.h>
#include <stdio.h>

#include "fuzz.h"

#define REPLAY_MAX  (1 << 20)


static void replay(const char *dir, const char *name);


int
main(int argc, char **argv)
{
    int              i, n, ran;
    struct dirent  **names;

    n = (argc == 2) ? scandir(argv[1], &names, NULL, alphasort) : -1;

    if (n < 0) {
        printf("Bail out! usage: %s <directory of seeds>\n", argv[0]);
        return 1;
    }

    for (i = 0, ran = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.') {
            replay(argv[1], names[i]->d_name);
            printf("ok %d - %s\n", ++ran, names[i]->d_name);
            (void) fflush(stdout);
        }

        free(names[i]);
    }

    free(names);
    printf("1..%d\n", ran);

    return ran ? 0 : 1;
}


static void
replay(const char *dir, const char *name)
{
    FILE     *f;
    char      path[4096];
    size_t    n;
    uint8_t  *data, *exact;

    (void) snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "rb");
    data = malloc(REPLAY_MAX);

    if (f == NULL || data == NULL) {
        printf("Bail out! %s\n", path);
        exit(1);
    }

    /* memory of just its size, for the sanitizers */

    n = fread(data, 1, REPLAY_MAX, f);
    (void) fclose(f);
    exact = malloc(n ? n : 1);

    if (exact == NULL) {
        abort();
    }

    memcpy(exact, data, n);
    free(data);
    (void) LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}
