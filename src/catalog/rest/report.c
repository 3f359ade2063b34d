/*
 * report.c: tells the server what a commit did, where that was asked for (rest-metrics-reporting-enabled: true, by the user or the server):
 * a CommitReport, whose numbers are those of the snapshot's summary. Nobody waits long for it, and nothing depends on it.
 */
#include "catalog/rest/rest_int.h"

#define REPORT_MS 3000

static const struct { const char *metric, *summary, *unit; } counters[] = {
    {"added-data-files", "added-data-files", "count"}, {"removed-data-files", "deleted-data-files", "count"},
    {"total-data-files", "total-data-files", "count"}, {"added-delete-files", "added-delete-files", "count"},
    {"removed-delete-files", "removed-delete-files", "count"}, {"total-delete-files", "total-delete-files", "count"},
    {"added-records", "added-records", "count"}, {"removed-records", "deleted-records", "count"}, {"total-records", "total-records", "count"},
    {"added-files-size-bytes", "added-files-size", "bytes"}, {"removed-files-size-bytes", "removed-files-size", "bytes"},
    {"total-files-size-bytes", "total-files-size", "bytes"},
};

static void counter(json_writer *w, const char *name, const char *unit, int64_t value)
{
    jw_key(w, name);
    jw_begin(w, '{');
    jw_key(w, "unit");
    jw_str(w, str_of(unit));
    jw_key(w, "value");
    jw_i64(w, value);
    jw_end(w, '}');
}

static void body_of(ib_ident id, const ib_snapshot *s, int attempts, int64_t ms, sbuf *name, sbuf *out)
{
    json_writer writer = json_writer_on(out), *w = &writer;
    sbuf_str(name, id.ns);
    sbuf_addc(name, '.');
    sbuf_str(name, id.name);
    jw_begin(w, '{');
    jw_key(w, "report-type");
    jw_str(w, STR("commit-report"));
    jw_key(w, "table-name");
    jw_str(w, (str){name->p, name->n});
    jw_key(w, "snapshot-id");
    jw_i64(w, s->snapshot_id);
    jw_key(w, "sequence-number");
    jw_i64(w, s->sequence_number);
    jw_key(w, "operation");
    jw_str(w, ib_prop(&s->summary, "operation"));
    jw_key(w, "metrics");
    jw_begin(w, '{');
    jw_key(w, "total-duration");
    jw_begin(w, '{');
    jw_key(w, "count");
    jw_i64(w, 1);
    jw_key(w, "time-unit");
    jw_str(w, STR("nanoseconds"));
    jw_key(w, "total-duration");
    jw_i64(w, ms * 1000000);
    jw_end(w, '}');
    counter(w, "attempts", "count", attempts);
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
        int64_t v;
        if (str_to_i64(ib_prop(&s->summary, counters[i].summary), &v) && v >= 0)
            counter(w, counters[i].metric, counters[i].unit, v);
    }
    jw_end(w, '}');
    jw_key(w, "metadata");
    jw_begin(w, '{');
    jw_key(w, "engine-name");
    jw_str(w, STR("frazil"));
    jw_key(w, "engine-version");
    jw_str(w, STR(FRAZIL_VERSION));
    jw_end(w, '}');
    jw_end(w, '}');
}

void rest_report_commit(rest_catalog *c, ib_ident id, const ib_snapshot *s, int attempts, int64_t ms)
{
    rest_call k;
    sbuf name;
    bool asked = false;
    if (!s || rest_prop_bool(c->c, "rest-metrics-reporting-enabled", false, &asked, NULL) != FZ_OK || !asked || !rest_can(c->c, REST_REPORT_METRICS))
        return;
    sbuf_init(&name, c->base.m);
    if (rest_call_begin(c->c, &k, "POST", NULL) == FZ_OK) {
        rest_path_table(&k, id);
        rest_path(&k, "/metrics");
        body_of(id, s, attempts, ms, &name, &k.body);
        k.once = true;
        k.r.timeout_ms = REPORT_MS;
        if (!name.failed)
            rest_send(&k, NULL);
    }
    rest_call_end(&k);
    sbuf_free(&name);
}
