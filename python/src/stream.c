/*
 * stream.c: a result as an Arrow stream, in a capsule.
 *
 * The consumer may ask from any thread, with the interpreter's lock or without, and after the interpreter is gone. Where the thread
 * belongs to Python the call goes through py_call_run, so that Ctrl-C works and other threads of Python go on; else it is made directly.
 * An exception that comes meanwhile (KeyboardInterrupt) can't be raised through the interface: the stream fails with ECANCELED and the
 * result keeps the exception, for who began the conversion (relation.py).
 *
 * A requested schema may ask for text and binary columns as large or view layouts instead of plain ones; everything else has
 * to be as it is.
 */
#include "py_int.h"

#include <errno.h>
#include <time.h>

typedef struct stream {
    result_h *r;
    fz_error err;
    int64_t n;
    char *as;                  /* per column: 0 as it is, 'L' large, 'V' views */
} stream;

static int64_t tick_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- other layouts of text ---- */

typedef struct relaid {
    struct ArrowArray old;
    const void *buffers[4];
    int64_t sizes[1];
    void *made;
} relaid;

static void relaid_release(struct ArrowArray *a)
{
    relaid *x = a->private_data;
    if (x->old.release)
        x->old.release(&x->old);
    free(x->made);
    free(x);
    a->release = NULL;
}

static bool column_relay(struct ArrowArray *a, char as)
{
    relaid *x = calloc(1, sizeof *x);
    size_t n = (size_t)a->length;
    const int32_t *o = a->n_buffers == 3 && a->buffers[1] ? (const int32_t *)a->buffers[1] + a->offset : NULL;
    const char *bytes = a->n_buffers == 3 ? a->buffers[2] : NULL;
    void *made = x ? malloc(as == 'L' ? (n + 1) * 8 : n * 16 + 1) : NULL;
    if (!made || a->offset != 0) { /* ours have none: the bitmap stays as it is */
        free(made);
        free(x);
        return false;
    }
    if (as == 'L') {
        for (size_t i = 0; i <= n; i++)
            ((int64_t *)made)[i] = o ? o[i] : 0;
    } else {
        for (size_t i = 0; i < n; i++) {
            struct { int32_t len; char rest[12]; } v = {0};
            int32_t at = o ? o[i] : 0;
            v.len = o ? o[i + 1] - at : 0;
            if (v.len <= 12) {
                if (v.len)
                    memcpy(v.rest, bytes + at, (size_t)v.len);
            } else {
                memcpy(v.rest, bytes + at, 4);
                memcpy(v.rest + 8, &at, 4); /* buffer 0 */
            }
            memcpy((char *)made + i * 16, &v, 16);
        }
    }
    x->old = *a;
    x->made = made;
    x->buffers[0] = a->buffers[0];
    x->buffers[1] = made;
    x->buffers[2] = bytes;
    x->sizes[0] = o ? o[n] : 0;
    x->buffers[3] = x->sizes;
    *a = (struct ArrowArray){.length = x->old.length, .null_count = x->old.null_count, .n_buffers = as == 'L' ? 3 : 4, .buffers = x->buffers,
                             .release = relaid_release, .private_data = x};
    return true;
}

/* What a column of format `have` is to become; -1: it can't be. */
static int layout_wanted(const struct ArrowSchema *have, const struct ArrowSchema *want)
{
    if (!want->format || want->dictionary || strcmp(have->format, want->format) == 0) {
        bool same = want->format && !want->dictionary && have->n_children == want->n_children;
        for (int64_t i = 0; same && i < have->n_children; i++)
            same = layout_wanted(have->children[i], want->children[i]) == 0;
        return same ? 0 : -1;
    }
    bool text = strcmp(have->format, "u") == 0, bytes = strcmp(have->format, "z") == 0;
    if ((text && strcmp(want->format, "U") == 0) || (bytes && strcmp(want->format, "Z") == 0))
        return 'L';
    if ((text && strcmp(want->format, "vu") == 0) || (bytes && strcmp(want->format, "vz") == 0))
        return 'V';
    return -1;
}

bool py_request_fits(const struct ArrowSchema *have, const struct ArrowSchema *want, int64_t *bad)
{
    *bad = -1;
    if (!want->format || strcmp(want->format, "+s") != 0 || have->n_children != want->n_children)
        return false;
    for (int64_t i = 0; i < have->n_children; i++)
        if (layout_wanted(have->children[i], want->children[i]) < 0) {
            *bad = i;
            return false;
        }
    return true;
}

/* ---- the stream ---- */

static int code_of(const fz_error *e)
{
    switch (e->status) {
    case FZ_NOMEM:
        return ENOMEM;
    case FZ_CANCELLED:
        return ECANCELED;
    case FZ_UNSUPPORTED:
        return ENOTSUP;
    case FZ_IO:
        return EIO;
    default:
        return EINVAL;
    }
}

static int get_schema(struct ArrowArrayStream *s, struct ArrowSchema *out)
{
    stream *x = s->private_data;
    static const char *const large[] = {"U", "Z"}, *const views[] = {"vu", "vz"};
    out->release = NULL;
    if (py_result_schema(x->r, out, &x->err))
        return code_of(&x->err);
    for (int64_t i = 0; i < x->n && i < out->n_children; i++)
        if (x->as[i])
            out->children[i]->format = (x->as[i] == 'L' ? large : views)[out->children[i]->format[0] == 'z'];
    return 0;
}

typedef struct next_call { stream *x; struct ArrowArray *out; fz_status st; int64_t us; } next_call;

static void next_run(void *arg)
{
    next_call *c = arg;
    int64_t from = tick_us();
    c->st = py_result_next(c->x->r, c->out, &c->x->err);
    c->us = tick_us() - from;
}

static void keep_exception(result_h *r)
{
    PyObject *type, *value, *trace, *old = r->failure;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    r->failure = value;
    Py_XDECREF(old);
    Py_XDECREF(type);
    Py_XDECREF(trace);
}

/* In a thread of Python's. */
static void next_in_python(next_call *c)
{
    result_h *r = c->x->r;
    PyGILState_STATE g = PyGILState_Ensure();
    PyObject *before[3];
    PyErr_Fetch(&before[0], &before[1], &before[2]); /* the consumer's own, if any */
    if (py_call_run(r->s, r->quick, next_run, c)) {
        keep_exception(r);
        if (c->out->release)
            c->out->release(c->out);
        c->x->err = (fz_error){.status = FZ_CANCELLED, .message = "interrupted", .offset = -1, .line = -1, .column = -1};
        c->st = FZ_CANCELLED;
    }
    else if (c->st) { /* the same failure as an exception of ours */
        py_raise_error(&c->x->err, NULL);
        keep_exception(r);
    }
    r->quick = c->us < 2000;
    if (c->st || !c->out->release)
        py_call_over(r->s);
    PyErr_Restore(before[0], before[1], before[2]);
    PyGILState_Release(g);
}

static int get_next(struct ArrowArrayStream *s, struct ArrowArray *out)
{
    stream *x = s->private_data;
    next_call c = {x, out};
    out->release = NULL;
    if (Py_IsInitialized() && PyGILState_GetThisThreadState()) {
        next_in_python(&c);
    } else {
        py_session_lock(x->r->s);
        next_run(&c);
        py_session_unlock(x->r->s);
    }
    if (c.st)
        return code_of(&x->err);
    for (int64_t i = 0; out->release && i < x->n && i < out->n_children; i++)
        if (x->as[i] && !column_relay(out->children[i], x->as[i])) {
            out->release(out);
            x->err = (fz_error){.status = FZ_NOMEM, .message = "out of memory", .offset = -1, .line = -1, .column = -1};
            return ENOMEM;
        }
    return 0;
}

static const char *last_error(struct ArrowArrayStream *s)
{
    stream *x = s->private_data;
    return x->err.status ? x->err.message : NULL;
}

static void stream_release(struct ArrowArrayStream *s)
{
    stream *x = s->private_data;
    bool python = Py_IsInitialized() && PyGILState_GetThisThreadState();
    PyGILState_STATE g = PyGILState_UNLOCKED;
    PyThreadState *ts = NULL;
    if (python) { /* ending a query may wait for workers, who may want the interpreter's lock */
        g = PyGILState_Ensure();
        py_call_over(x->r->s);
        ts = PyEval_SaveThread();
    }
    py_result_unref(x->r);
    if (python) {
        PyEval_RestoreThread(ts);
        PyGILState_Release(g);
    }
    free(x->as);
    free(x);
    s->release = NULL;
}

const session_h *py_stream_session(const struct ArrowArrayStream *s)
{
    return s->release == stream_release ? ((stream *)s->private_data)->r->s : NULL;
}

static void capsule_free(PyObject *capsule)
{
    struct ArrowArrayStream *s = PyCapsule_GetPointer(capsule, "arrow_array_stream");
    if (s && s->release)
        s->release(s);
    free(s);
}

static void schema_capsule_free(PyObject *capsule)
{
    struct ArrowSchema *s = PyCapsule_GetPointer(capsule, "arrow_schema");
    if (s && s->release)
        s->release(s);
    free(s);
}

PyObject *py_schema_capsule(struct ArrowSchema *moved)
{
    struct ArrowSchema *s = malloc(sizeof *s);
    if (s)
        *s = *moved;
    PyObject *c = s ? PyCapsule_New(s, "arrow_schema", schema_capsule_free) : PyErr_NoMemory();
    if (!c) {
        moved->release(moved);
        free(s);
    }
    return c;
}

/* Fills x->n and x->as. -1 with an exception. */
static int follow_request(stream *x, PyObject *requested)
{
    struct ArrowSchema have = {0}, *want = PyCapsule_GetPointer(requested, "arrow_schema");
    fz_error err;
    int64_t bad;
    if (!want)
        return -1;
    if (!want->release) {
        PyErr_SetString(PyExc_ValueError, "the requested schema was released already");
        return -1;
    }
    if (py_result_schema(x->r, &have, &err)) {
        py_raise_error(&err, NULL);
        return -1;
    }
    int rc = -1;
    if (!py_request_fits(&have, want, &bad)) {
        if (bad >= 0)
            PyErr_Format(PyExc_ValueError, "column %s has the Arrow format '%s', which can't be handed out as '%s': cast it in the query",
                         have.children[bad]->name, have.children[bad]->format,
                         want->children[bad]->dictionary ? "dictionary" : want->children[bad]->format ? want->children[bad]->format : "");
        else
            PyErr_Format(PyExc_ValueError, "the requested schema has %lld columns, the result %lld", (long long)want->n_children,
                         (long long)have.n_children);
    } else if (!(x->as = calloc((size_t)have.n_children + 1, 1))) {
        PyErr_NoMemory();
    } else {
        x->n = have.n_children;
        for (int64_t i = 0; i < x->n; i++)
            x->as[i] = (char)layout_wanted(have.children[i], want->children[i]);
        rc = 0;
    }
    have.release(&have);
    return rc;
}

PyObject *py_stream_capsule(result_h *r, PyObject *requested)
{
    struct ArrowArrayStream *s = calloc(1, sizeof *s);
    stream *x = calloc(1, sizeof *x);
    PyObject *c = NULL;
    if (!s || !x) {
        PyErr_NoMemory();
    } else {
        x->r = r;
        if (!requested || requested == Py_None || follow_request(x, requested) == 0)
            c = PyCapsule_New(s, "arrow_array_stream", capsule_free);
    }
    if (!c) {
        if (x)
            free(x->as);
        free(x);
        free(s);
        return NULL;
    }
    py_result_ref(r);
    *s = (struct ArrowArrayStream){get_schema, get_next, last_error, stream_release, x};
    return c;
}

/* ---- one array as a stream ---- */

typedef struct single { struct ArrowSchema schema; struct ArrowArray array; } single;

static int single_schema(struct ArrowArrayStream *s, struct ArrowSchema *out)
{
    single *x = s->private_data; /* asked once */
    *out = x->schema;
    x->schema.release = NULL;
    return out->release ? 0 : EINVAL;
}

static int single_next(struct ArrowArrayStream *s, struct ArrowArray *out)
{
    single *x = s->private_data;
    *out = x->array;
    x->array.release = NULL;
    return 0;
}

static const char *single_error(struct ArrowArrayStream *s) { return "the schema was taken already"; }

static void single_release(struct ArrowArrayStream *s)
{
    single *x = s->private_data;
    if (x->schema.release)
        x->schema.release(&x->schema);
    if (x->array.release)
        x->array.release(&x->array);
    free(x);
    s->release = NULL;
}

int py_stream_of_array(struct ArrowSchema *schema, struct ArrowArray *array, struct ArrowArrayStream *out)
{
    single *x = malloc(sizeof *x);
    if (!x) {
        schema->release(schema);
        array->release(array);
        return -1;
    }
    *x = (single){*schema, *array};
    schema->release = NULL;
    array->release = NULL;
    *out = (struct ArrowArrayStream){single_schema, single_next, single_error, single_release, x};
    return 0;
}
