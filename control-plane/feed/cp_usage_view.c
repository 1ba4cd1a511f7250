/*
 * Usage by quarters of an hour, with less detail.
 */

#include <stdlib.h>
#include <string.h>

#include "feed/cp_usage.h"


/* What each tells apart, beside publisher and consumer; their number is the
 * column view. */
static const unsigned  cp_usage_views[CP_USAGE_VIEWS] = {
    0, CP_USAGE_BY_API, CP_USAGE_BY_APPLICATION
};

enum { V_TENANT, V_CONSUMER, V_APPLICATION, V_API, V_KEYS };

typedef struct {
    const char       *key[V_KEYS];
    const cp_json_t  *row;
} cp_usage_viewed_t;


int
cp_usage_view(unsigned by)
{
    int  i;

    by &= ~(unsigned) (CP_USAGE_BY_TENANT | CP_USAGE_BY_STATUS);

    for (i = 0; i < CP_USAGE_VIEWS; i++) {
        if ((by & ~cp_usage_views[i]) == 0) {
            return i;
        }
    }

    return -1;
}


void
cp_usage_numbers(const cp_json_t *row, int64_t *numbers)
{
    unsigned          i;
    const cp_json_t  *list, *v;

    static const char *const  names[CP_USAGE_COUNTS] = {
        "c2xx", "c3xx", "c4xx", "c5xx", "bytes_in", "bytes_out", "tokens_in",
        "tokens_out", "tokens_cached"
    };

    for (i = 0; i < CP_USAGE_COUNTS; i++) {
        numbers[i] = cp_json_num(row, names[i], 0);
    }

    list = cp_json_get(row, "latency_us");
    v = list ? list->first : NULL;

    for ( ; i < CP_USAGE_NUMBERS; i++) {
        numbers[i] = v ? v->i : 0;
        v = v ? v->next : NULL;
    }
}


static int
cp_usage_viewed_cmp(const void *one, const void *two)
{
    int                       rc;
    unsigned                  i;
    const cp_usage_viewed_t  *a = one, *b = two;

    for (i = 0, rc = 0; i < V_KEYS && rc == 0; i++) {
        rc = strcmp(a->key[i], b->key[i]);
    }

    return rc;
}


static cp_rc_t
cp_usage_view_put(cp_op_t *op, cp_tx_t *tx, unsigned view,
    int64_t start_ms, const cp_usage_viewed_t *of, const int64_t *sum)
{
    unsigned  i, n;
    cp_val_t  args[2 + V_KEYS + CP_USAGE_NUMBERS];

    args[0] = cp_int(view);
    args[1] = cp_int(start_ms);

    for (i = 0, n = 2; i < V_KEYS; i++) {
        args[n++] = cp_text(of->key[i]);
    }

    for (i = 0; i < CP_USAGE_NUMBERS; i++) {
        args[n++] = cp_int(sum[i]);
    }

    return cp_tx_query(tx, op->arena, "INSERT INTO usage_view AS k (view,"
                       " start_ms, tenant, consumer, application, api, "
                       CP_USAGE_COUNTED(CP_USAGE_NAME) ") VALUES ($1, $2, $3,"
                       " $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,"
                       " $16, $17, $18, $19, $20, $21, $22, $23, $24, $25,"
                       " $26, $27, $28, $29, $30, $31, $32, $33, $34, $35,"
                       " $36, $37, $38, $39, $40, $41) ON CONFLICT (view,"
                       " tenant, start_ms, consumer, application, api)"
                       " DO UPDATE SET "
                       CP_USAGE_COUNTED(CP_USAGE_PLUS), args, n, NULL,
                       &op->err);
}


/* One write per key of a view, in one order everywhere, after all other rows
 * of the batch: two batches never wait for each other in a circle. */
cp_rc_t
cp_usage_view_add(cp_op_t *op, cp_tx_t *tx, cp_json_t *const *rows,
    const char *const *consumer, unsigned n, int64_t start_ms)
{
    cp_rc_t             rc;
    int64_t             sum[CP_USAGE_NUMBERS], more[CP_USAGE_NUMBERS];
    unsigned            i, j, k, m, view;
    cp_usage_viewed_t  *list;

    list = cp_arena_alloc(op->arena, (n + 1) * sizeof(cp_usage_viewed_t));
    if (list == NULL) {
        return cp_err_set(&op->err, "internal", "out of memory");
    }

    start_ms -= start_ms % CP_USAGE_QUARTER_MS;

    for (view = 0, rc = CP_OK; view < CP_USAGE_VIEWS && rc == CP_OK; view++) {

        for (i = 0, m = 0; i < n; i++) {
            if (consumer[i]) {
                list[m].key[V_TENANT] = cp_report_text(rows[i], "tenant");
                list[m].key[V_CONSUMER] = consumer[i];
                list[m].key[V_APPLICATION] = cp_usage_views[view]
                    & CP_USAGE_BY_APPLICATION
                    ? cp_report_text(rows[i], "application") : "";
                list[m].key[V_API] = cp_usage_views[view] & CP_USAGE_BY_API
                    ? cp_report_text(rows[i], "api") : "";
                list[m++].row = rows[i];
            }
        }

        qsort(list, m, sizeof(cp_usage_viewed_t), cp_usage_viewed_cmp);

        for (i = 0; i < m && rc == CP_OK; i = j) {
            memset(sum, 0, sizeof(sum));

            for (j = i; j < m && cp_usage_viewed_cmp(&list[i], &list[j]) == 0;
                 j++)
            {
                cp_usage_numbers(list[j].row, more);

                for (k = 0; k < CP_USAGE_NUMBERS; k++) {
                    sum[k] += more[k];
                }
            }

            rc = cp_usage_view_put(op, tx, view, start_ms, &list[i], sum);
        }
    }

    return rc;
}
