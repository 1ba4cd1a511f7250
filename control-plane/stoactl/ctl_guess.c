/*
 * "Did you mean": the word of the tables that is nearest to a mistyped one.
 */


#include "stoactl.h"


#define CTL_GUESS_MAX   32           /* longer words are not guessed         */


/* How many letters are wrong, missing, too many, or in the place of their
 * neighbour. */

static unsigned
ctl_guess_distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t    i, j;
    unsigned  best, d[CTL_GUESS_MAX + 1][CTL_GUESS_MAX + 1];

    for (i = 0; i <= n; i++) {
        for (j = 0; j <= m; j++) {

            if (i == 0 || j == 0) {
                d[i][j] = (unsigned) (i + j);
                continue;
            }

            best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = (d[i - 1][j] + 1 < best) ? d[i - 1][j] + 1 : best;
            best = (d[i][j - 1] + 1 < best) ? d[i][j - 1] + 1 : best;

            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]
                && d[i - 2][j - 2] + 1 < best)
            {
                best = d[i - 2][j - 2] + 1;
            }

            d[i][j] = best;
        }
    }

    return d[n][m];
}


void
ctl_guess(ctl_guess_t *g, const char *word, size_t len)
{
    unsigned  n;

    if (g->len > CTL_GUESS_MAX || len > CTL_GUESS_MAX) {
        return;
    }

    n = ctl_guess_distance(g->word, g->len, word, len);

    /* half of the letters or more: that is another word */

    if (n > 2 || 2 * n >= g->len || (g->best != NULL && n >= g->distance)) {
        return;
    }

    g->best = word;
    g->best_len = len;
    g->distance = n;
}


void
ctl_guess_tell(const ctl_guess_t *g, const char *before)
{
    if (g->best != NULL) {
        ctl_error("did you mean \"%s%.*s\"?", before, (int) g->best_len,
                  g->best);
    }
}
