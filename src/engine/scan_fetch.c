/*
 * scan_fetch.c: the files of a scan as they are held open, and what is fetched ahead of the workers where they are remote.
 *
 * All workers share one open file: what one asked for in advance, another may read. Of the next files the tail, or all of a small file, is
 * asked for before their turn comes. Neither waits: a file's size is known from the table's metadata, so that opening it is no request.
 */
#include "engine/file_scan_int.h"

#include <stdlib.h>

#define AHEAD_FILES 16
#define WHOLE_BYTES ((uint64_t)1 << 20)  /* a file of at most so many is fetched at once */
#define TAIL_BYTES  ((uint64_t)128 << 10) /* of others at least so many, and up to WHOLE_BYTES of a large one: the footer, most often the page indexes too */
#define TAIL_SHARE  256                   /* of a file's bytes, what footer and page indexes come to */
#define RANGES_MAX  256

struct held_file {
    held_file *next;
    uint32_t file, refs;
    bool ahead;              /* one of the references is of nobody yet */
    io_file *f;
};

int64_t scan_file_size(const scan_file *sf)
{
    return sf->planned && sf->planned->file->file_size_bytes > 0 ? sf->planned->file->file_size_bytes : -1;
}

static bool is_avro(const scan_file *sf)
{
    return sf->planned && str_eqz(sf->planned->file->file_format, "AVRO");
}

void scan_fetch_init(scan_fetch *x, const file_scan_options *o)
{
    *x = (scan_fetch){.o = o};
    pthread_mutex_init(&x->lock, NULL);
}

void scan_fetch_free(scan_fetch *x)
{
    while (x->held) {
        held_file *h = x->held;
        x->held = h->next;
        io_close(h->f);
        mem_free(x->o->m, h, sizeof *h);
    }
    pthread_mutex_destroy(&x->lock);
}

/* What of a file that was just opened is asked for. */
static void ask_first(const scan_fetch *x, const scan_file *sf, io_file *f)
{
    if (!f->ops->will_read || f->size == 0)
        return;
    uint64_t n = f->size / TAIL_SHARE < TAIL_BYTES ? TAIL_BYTES : f->size / TAIL_SHARE;
    n = f->size <= WHOLE_BYTES || is_avro(sf) ? f->size : n < WHOLE_BYTES ? n : WHOLE_BYTES;
    if (n == f->size || !footer_cache_has(x->o->footers, f, scan_file_size(sf) >= 0)) {
        io_range r = {f->size - n, n};
        io_will_read(f, &r, 1);
    }
}

/* Locked. */
static fz_status hold(scan_fetch *x, uint32_t file, bool ahead, held_file **out, fz_error *err)
{
    for (held_file *h = x->held; h; h = h->next)
        if (h->file == file) {
            h->refs += !h->ahead && !ahead;
            h->ahead = h->ahead && ahead;
            *out = h;
            return FZ_OK;
        }
    const scan_file *sf = &x->o->files[file];
    held_file *h = mem_zalloc(x->o->m, sizeof *h);
    if (!h)
        return error_nomem(err);
    fz_status st = io_open_sized(x->o->io, sf->path, scan_file_size(sf), x->o->m, &h->f, err);
    if (st != FZ_OK) {
        mem_free(x->o->m, h, sizeof *h);
        return st;
    }
    h->file = file;
    h->refs = 1;
    h->ahead = ahead;
    h->next = x->held;
    x->held = *out = h;
    ask_first(x, sf, h->f);
    return FZ_OK;
}

fz_status scan_fetch_get(scan_fetch *x, uint32_t file, held_file **out, io_file **f, fz_error *err)
{
    pthread_mutex_lock(&x->lock);
    fz_status st = hold(x, file, false, out, err);
    pthread_mutex_unlock(&x->lock);
    *f = st == FZ_OK ? (*out)->f : NULL;
    return st;
}

void scan_fetch_put(scan_fetch *x, held_file *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&x->lock);
    bool last = --h->refs == 0;
    if (last)
        for (held_file **at = &x->held; *at; at = &(*at)->next)
            if (*at == h) {
                *at = h->next;
                break;
            }
    pthread_mutex_unlock(&x->lock);
    if (last) {
        io_close(h->f);
        mem_free(x->o->m, h, sizeof *h);
    }
}

void scan_fetch_ahead(scan_fetch *x, uint32_t next)
{
    if (x->o->shares > 1)
        return; /* most of them are of others */
    pthread_mutex_lock(&x->lock);
    if (x->ahead < next)
        x->ahead = next;
    for (; x->ahead < x->o->n_files && x->ahead < next + AHEAD_FILES && !mem_over(x->o->m, (int64_t)WHOLE_BYTES); x->ahead++) {
        const scan_file *sf = &x->o->files[x->ahead];
        held_file *h;
        if (scan_file_size(sf) >= 0 && io_is_remote(x->o->io, sf->path) && hold(x, x->ahead, true, &h, NULL) != FZ_OK)
            break; /* whoever reads it will say what is wrong */
    }
    pthread_mutex_unlock(&x->lock);
}

static int range_cmp(const void *a, const void *b)
{
    const io_range *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

uint64_t scan_fetch_group(const scan_fetch *x, const prune_file *pf, uint32_t rg, uint32_t n, const column_def *const *cols)
{
    io_range r[RANGES_MAX];
    uint32_t k = 0, got;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < n && k < RANGES_MAX; i++) {
        int column = x->o->by_name ? pq_find_name(pf->p, cols[i]->name) : pq_find_field(pf->p, pf->how, cols[i]->field_id);
        if (column < 0)
            continue;
        pq_column_ranges(pf->p, rg, (uint32_t)column, RANGES_MAX - k, r + k, &got);
        k += got;
    }
    qsort(r, k, sizeof *r, range_cmp);
    for (uint32_t i = 0; i < k; i++)
        bytes += r[i].len;
    io_will_read(pf->f, r, k);
    return bytes;
}
