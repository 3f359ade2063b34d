/*
 * csv_dump: what the CSV source reads, for tests: a line of types, then the rows as CSV.
 *
 *     csv_dump [-t] [-b BLOCK] [-w WORKERS] [-d DELIMITER] FILE      -t: all columns as text
 *
 * An error goes to standard output as "error LINE COLUMN OFFSET MESSAGE"; the exit code is 1.
 */
#include "csv_reference.h"

#include "format/csv/csv_write.h"

typedef struct dump {
    pthread_mutex_t lock;
    csv_source *s;
    struct { uint64_t morsel; uint32_t seq; sbuf text; } *p;
    size_t n;
    fz_status st;
    fz_error err;
} dump;

static void *dump_work(void *arg)
{
    dump *d = arg;
    csv_local *l = NULL;
    fz_error e = {0};
    batch b;
    batch_init(&b, NULL);
    csv_event ev = CSV_ROWS;
    fz_status st = csv_local_new(d->s, &l, &e);
    while (st == FZ_OK && (ev == CSV_ROWS || ev == CSV_MORSEL_END)) {
        st = csv_next(d->s, l, &b, &ev, &e);
        if (st != FZ_OK || ev != CSV_ROWS)
            continue;
        sbuf t;
        sbuf_init(&t, NULL);
        csv_write_batch(&t, &b);
        pthread_mutex_lock(&d->lock);
        d->p = realloc(d->p, (d->n + 1) * sizeof *d->p);
        d->p[d->n].morsel = b.morsel;
        d->p[d->n].seq = b.seq;
        d->p[d->n++].text = t;
        pthread_mutex_unlock(&d->lock);
    }
    pthread_mutex_lock(&d->lock);
    if (st != FZ_OK && d->st == FZ_OK) {
        d->st = st;
        d->err = e;
    }
    pthread_mutex_unlock(&d->lock);
    batch_free(&b);
    csv_local_free(l);
    return NULL;
}

static int dump_cmp(const void *a, const void *b)
{
    const struct { uint64_t morsel; uint32_t seq; sbuf text; } *x = a, *y = b;
    if (x->morsel != y->morsel)
        return x->morsel < y->morsel ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int fail(const fz_error *e)
{
    printf("error %lld %lld %lld %s\n", (long long)e->line, (long long)e->column, (long long)e->offset, e->message);
    return 1;
}

int main(int argc, char **argv)
{
    csv_options o;
    csv_options_default(&o);
    int text = 0, workers = 2, c;
    while ((c = getopt(argc, argv, "tb:w:d:")) != -1)
        switch (c) {
        case 't': text = 1; break;
        case 'b': o.block_bytes = strtoul(optarg, NULL, 10); break;
        case 'w': workers = (int)strtol(optarg, NULL, 10); break;
        case 'd': o.delimiter = optarg[0]; break;
        default: return 2;
        }
    if (optind >= argc || workers < 1 || workers > 8)
        return 2;
    dump d = {.st = FZ_OK};
    pthread_mutex_init(&d.lock, NULL);
    if (csv_open(argv[optind], &o, NULL, &d.s, &d.err) != FZ_OK)
        return fail(&d.err);
    if (text) { /* the names are known now */
        const row_schema *r = csv_schema(d.s);
        csv_type *types = calloc(r->n, sizeof *types);
        for (uint32_t i = 0; i < r->n; i++)
            types[i] = (csv_type){r->cols[i].name, TYPE(T_STRING)};
        o.types = types;
        o.ntypes = r->n;
        csv_source *again;
        if (csv_open(argv[optind], &o, NULL, &again, &d.err) != FZ_OK)
            return fail(&d.err);
        csv_close(d.s);
        free(types);
        d.s = again;
    }
    for (;;) {
        pthread_t th[8];
        for (int i = 0; i < workers; i++)
            pthread_create(&th[i], NULL, dump_work, &d);
        for (int i = 0; i < workers; i++)
            pthread_join(th[i], NULL);
        if (d.st != FZ_OK)
            return fail(&d.err);
        if (!csv_widened(d.s))
            break;
        d.n = 0;
        if (csv_restart(d.s, &d.err) != FZ_OK)
            return fail(&d.err);
    }
    sbuf head;
    sbuf_init(&head, NULL);
    const row_schema *r = csv_schema(d.s);
    for (uint32_t i = 0; i < r->n; i++) {
        if (i)
            sbuf_addc(&head, ';');
        type_sql_name(r->cols[i].t, &head);
    }
    sbuf_addc(&head, '\n');
    csv_write_header(&head, r);
    fwrite(head.p, 1, head.n, stdout);
    if (d.n)
        qsort(d.p, d.n, sizeof *d.p, dump_cmp);
    for (size_t i = 0; i < d.n; i++)
        fwrite(d.p[i].text.p, 1, d.p[i].text.n, stdout);
    csv_close(d.s);
    return 0;
}
