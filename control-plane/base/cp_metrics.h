/*
 * A small registry of Prometheus metrics.
 *
 * Series are registered once (usually at start, or at first use) and never
 * removed; label values must come from a bounded set, at most
 * CP_METRICS_MAX series in all.  Thread safe; adding is one atomic operation,
 * finding a series a search: keep the pointer where it matters.
 */

#ifndef CP_METRICS_H
#define CP_METRICS_H


#include "base/cp_util.h"


#define CP_METRICS_MAX  2048

typedef struct cp_metric_s  cp_metric_t;

typedef enum { CP_METRIC_COUNTER, CP_METRIC_GAUGE, CP_METRIC_HISTOGRAM }
    cp_metric_type_e;

/* name: "stoa_control_...", labels: "" or "a=\"b\",c=\"d\""; all static
 * texts.  The same name and labels give the same series.  Never NULL: past
 * the maximum a series that is not printed is returned, and it is logged. */
cp_metric_t *cp_metric(cp_metric_type_e type, const char *name,
    const char *labels, const char *help);
void cp_metric_add(cp_metric_t *m, int64_t n);
void cp_metric_set(cp_metric_t *m, int64_t value);
/* Histograms: 100 us .. 30 s, printed in seconds. */
void cp_metric_time(cp_metric_t *m, int64_t us);

void cp_metrics_write(stoa_buf_t *b);


#endif /* CP_METRICS_H */
