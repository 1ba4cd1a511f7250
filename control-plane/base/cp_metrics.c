/*
 * The registry of metrics: an array that only grows, found by name and
 * labels; the same literals are found by their addresses first.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/cp_metrics.h"


#define CP_METRICS_BUCKETS  18


/* Upper bounds in microseconds; beyond the last one: +Inf. */

static const int64_t  cp_metrics_bounds[CP_METRICS_BUCKETS] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
    500000, 1000000, 2500000, 5000000, 10000000, 20000000, 30000000
};

struct cp_metric_s {
    cp_metric_type_e  type;
    const char       *name;
    const char       *labels;
    const char       *help;
    _Atomic int64_t   value;       /* of a histogram: the sum               */
    _Atomic uint64_t  bucket[CP_METRICS_BUCKETS + 1];
};

static cp_metric_t         cp_metrics[CP_METRICS_MAX];
static atomic_uint         cp_metrics_n;
static cp_metric_t         cp_metrics_spare;
static pthread_mutex_t     cp_metrics_mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *const   cp_metrics_types[] = { "counter", "gauge",
                                                  "histogram" };


static cp_metric_t *
cp_metric_find(const char *name, const char *labels)
{
    unsigned      i, n;
    cp_metric_t  *m;

    n = atomic_load_explicit(&cp_metrics_n, memory_order_acquire);

    for (i = 0; i < n; i++) {

        m = &cp_metrics[i];

        if ((m->name == name && m->labels == labels)
            || (strcmp(m->name, name) == 0 && strcmp(m->labels, labels) == 0))
        {
            return m;
        }
    }

    return NULL;
}


cp_metric_t *
cp_metric(cp_metric_type_e type, const char *name, const char *labels,
    const char *help)
{
    unsigned      n;
    cp_metric_t  *m;

    m = cp_metric_find(name, labels);

    if (m != NULL) {
        return m;
    }

    (void) pthread_mutex_lock(&cp_metrics_mutex);

    m = cp_metric_find(name, labels);
    n = atomic_load(&cp_metrics_n);

    if (m == NULL && n < CP_METRICS_MAX) {
        m = &cp_metrics[n];
        m->type = type;
        m->name = name;
        m->labels = labels;
        m->help = help;
        atomic_store_explicit(&cp_metrics_n, n + 1, memory_order_release);
    }

    (void) pthread_mutex_unlock(&cp_metrics_mutex);

    if (m == NULL) {
        cp_log(CP_LOG_WARN, "metrics", "too many series name:%s labels:%s",
               name, labels);
        return &cp_metrics_spare;
    }

    return m;
}


void
cp_metric_add(cp_metric_t *m, int64_t n)
{
    (void) atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}


void
cp_metric_set(cp_metric_t *m, int64_t value)
{
    atomic_store_explicit(&m->value, value, memory_order_relaxed);
}


static int64_t
cp_metric_value(cp_metric_t *m)
{
    return atomic_load_explicit(&m->value, memory_order_relaxed);
}


void
cp_metric_time(cp_metric_t *m, int64_t us)
{
    unsigned  i;

    if (us < 0) {
        us = 0;
    }

    for (i = 0; i < CP_METRICS_BUCKETS && us > cp_metrics_bounds[i]; i++) {
        /* void */
    }

    (void) atomic_fetch_add_explicit(&m->bucket[i], 1, memory_order_relaxed);
    cp_metric_add(m, us);
}


static void
cp_metrics_histogram(stoa_buf_t *b, cp_metric_t *m)
{
    unsigned     i;
    uint64_t     sum;
    const char  *comma, *open, *close;

    comma = (m->labels[0] != '\0') ? "," : "";
    open = (m->labels[0] != '\0') ? "{" : "";
    close = (m->labels[0] != '\0') ? "}" : "";

    for (sum = 0, i = 0; i <= CP_METRICS_BUCKETS; i++) {

        sum += atomic_load_explicit(&m->bucket[i], memory_order_relaxed);

        stoa_buf_addf(b, "%s_bucket{%s%sle=\"", m->name, m->labels, comma);

        if (i < CP_METRICS_BUCKETS) {
            stoa_buf_addf(b, "%g", (double) cp_metrics_bounds[i] / 1e6);

        } else {
            stoa_buf_addz(b, "+Inf");
        }

        stoa_buf_addf(b, "\"} %llu\n", (unsigned long long) sum);
    }

    stoa_buf_addf(b, "%s_sum%s%s%s %.6f\n", m->name, open, m->labels, close,
                  (double) cp_metric_value(m) / 1e6);
    stoa_buf_addf(b, "%s_count%s%s%s %llu\n", m->name, open, m->labels, close,
                  (unsigned long long) sum);
}


static void
cp_metrics_series(stoa_buf_t *b, cp_metric_t *m)
{
    if (m->type == CP_METRIC_HISTOGRAM) {
        cp_metrics_histogram(b, m);
        return;
    }

    if (m->labels[0] != '\0') {
        stoa_buf_addf(b, "%s{%s} %lld\n", m->name, m->labels,
                      (long long) cp_metric_value(m));

    } else {
        stoa_buf_addf(b, "%s %lld\n", m->name,
                      (long long) cp_metric_value(m));
    }
}


void
cp_metrics_write(stoa_buf_t *b)
{
    unsigned      i, k, n;
    cp_metric_t  *m;

    n = atomic_load_explicit(&cp_metrics_n, memory_order_acquire);

    /* series of one name stand together, whenever they were registered */

    for (i = 0; i < n; i++) {

        m = &cp_metrics[i];

        for (k = 0; k < i && strcmp(cp_metrics[k].name, m->name) != 0; k++) {
            /* void */
        }

        if (k < i) {
            continue;
        }

        stoa_buf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help,
                      m->name, cp_metrics_types[m->type]);

        for (k = i; k < n; k++) {
            if (strcmp(cp_metrics[k].name, m->name) == 0) {
                cp_metrics_series(b, &cp_metrics[k]);
            }
        }
    }
}
