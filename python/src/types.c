/*
 * types.c: the types that frazil/ is written on: Lake, Session, Result, Batch. They are plain: what is pleasant is added in Python.
 */
#include "py_int.h"

#include <stdio.h>

static PyTypeObject *lake_type, *session_type, *result_type, *batch_type;

typedef struct { PyObject_HEAD lake_h *h; } lake_obj;

/* Notices of a running statement, collected by whichever thread has one. */
typedef struct notices {
    pthread_mutex_t lock;
    char **all;
    size_t n;
} notices;

typedef struct { PyObject_HEAD session_h *h; notices got; } session_obj;
typedef struct { PyObject_HEAD result_h *h; } result_obj;

typedef struct batch_h {
    _Atomic int refs;
    struct ArrowSchema schema;
    struct ArrowArray array;
} batch_h;
typedef struct { PyObject_HEAD batch_h *h; } batch_obj;

static void object_free(PyObject *self)
{
    PyTypeObject *t = Py_TYPE(self);
    freefunc f = (freefunc)PyType_GetSlot(t, Py_tp_free);
    f(self);
    Py_DECREF(t);
}

static PyObject *object_new(PyTypeObject *t)
{
    allocfunc alloc = (allocfunc)PyType_GetSlot(t, Py_tp_alloc);
    return alloc(t, 0);
}

/* A list of (key, value) pairs of str; the texts stay the list's. NULL with an exception; free() it. */
static fz_option *options_of(PyObject *list, size_t *n)
{
    Py_ssize_t len = list == Py_None ? 0 : PySequence_Size(list);
    fz_option *o = len < 0 ? NULL : calloc((size_t)len + 1, sizeof *o);
    if (!o) {
        if (len >= 0)
            PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < len; i++) {
        PyObject *pair = PyList_GetItem(list, i); /* borrowed, as its items */
        PyObject *k = pair && PyTuple_Check(pair) ? PyTuple_GetItem(pair, 0) : NULL, *v = k ? PyTuple_GetItem(pair, 1) : NULL;
        o[i].key = v ? PyUnicode_AsUTF8AndSize(k, NULL) : NULL;
        o[i].value = o[i].key && v != Py_None ? PyUnicode_AsUTF8AndSize(v, NULL) : NULL;
        if (!o[i].key || (!o[i].value && v != Py_None)) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_TypeError, "options are pairs of str");
            free(o);
            return NULL;
        }
    }
    *n = (size_t)len;
    return o;
}

/* ---- Lake ---- */

static PyObject *lake_make(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *location;
    PyObject *list;
    size_t n;
    lake_h *h = NULL;
    fz_error err;
    fz_status st;
    if (!PyArg_ParseTuple(args, "zO!", &location, &PyList_Type, &list))
        return NULL;
    fz_option *o = options_of(list, &n);
    if (!o)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    st = py_lake_open(location, o, n, &h, &err);
    Py_END_ALLOW_THREADS
    free(o);
    if (st)
        return py_raise_error(&err, NULL);
    lake_obj *self = (lake_obj *)object_new(type);
    if (self)
        self->h = h;
    else
        py_lake_unref(h);
    return (PyObject *)self;
}

static void lake_dealloc(PyObject *self)
{
    lake_h *h = ((lake_obj *)self)->h;
    Py_BEGIN_ALLOW_THREADS
    py_lake_unref(h);
    Py_END_ALLOW_THREADS
    object_free(self);
}

static PyObject *lake_close(PyObject *self, PyObject *unused)
{
    lake_h *h = ((lake_obj *)self)->h;
    atomic_store(&h->closed, true);
    Py_RETURN_NONE;
}

static PyObject *lake_closed(PyObject *self, void *unused)
{
    return PyBool_FromLong(atomic_load(&((lake_obj *)self)->h->closed));
}

static PyObject *lake_session(PyObject *self, PyObject *unused)
{
    session_h *h;
    fz_error err;
    if (py_session_open(((lake_obj *)self)->h, &h, &err))
        return py_raise_error(&err, NULL);
    session_obj *s = (session_obj *)object_new(session_type);
    if (!s) {
        py_session_unref(h);
        return NULL;
    }
    s->h = h;
    s->got = (notices){0};
    pthread_mutex_init(&s->got.lock, NULL);
    return (PyObject *)s;
}

static PyMethodDef lake_methods[] = {
    {"close", lake_close, METH_NOARGS, "Refuses further statements; the handle goes with its last result."},
    {"session", lake_session, METH_NOARGS, "A new session."},
    {0},
};
static PyGetSetDef lake_getset[] = {{"closed", lake_closed}, {0}};
static PyType_Slot lake_slots[] = {{Py_tp_new, lake_make}, {Py_tp_dealloc, lake_dealloc}, {Py_tp_methods, lake_methods}, {Py_tp_getset, lake_getset}, {0}};
static PyType_Spec lake_spec = {"frazil._frazil.Lake", sizeof(lake_obj), 0, Py_TPFLAGS_DEFAULT, lake_slots};

/* ---- Session ---- */

static void session_dealloc(PyObject *self)
{
    session_obj *s = (session_obj *)self;
    session_h *h = s->h;
    for (size_t i = 0; i < s->got.n; i++)
        free(s->got.all[i]);
    free(s->got.all);
    pthread_mutex_destroy(&s->got.lock);
    Py_BEGIN_ALLOW_THREADS
    py_session_unref(h);
    Py_END_ALLOW_THREADS
    object_free(self);
}

static void notice_keep(void *ctx, const char *message)
{
    notices *x = ctx;
    size_t n = strlen(message) + 1;
    char *copy = malloc(n);
    if (!copy)
        return;
    memcpy(copy, message, n);
    pthread_mutex_lock(&x->lock);
    char **all = x->n < 1000 ? realloc(x->all, (x->n + 1) * sizeof *all) : NULL;
    if (all) {
        x->all = all;
        x->all[x->n++] = copy;
    } else {
        free(copy);
    }
    pthread_mutex_unlock(&x->lock);
}

static PyObject *session_notices(PyObject *self, PyObject *unused)
{
    notices *x = &((session_obj *)self)->got;
    pthread_mutex_lock(&x->lock);
    char **all = x->all;
    size_t n = x->n;
    x->all = NULL;
    x->n = 0;
    pthread_mutex_unlock(&x->lock);
    PyObject *list = PyList_New(0);
    for (size_t i = 0; i < n; i++) {
        PyObject *text = list ? PyUnicode_DecodeUTF8(all[i], (Py_ssize_t)strlen(all[i]), "replace") : NULL;
        if (list && (!text || PyList_Append(list, text) < 0))
            Py_CLEAR(list);
        Py_XDECREF(text);
        free(all[i]);
    }
    free(all);
    return list;
}

typedef struct work {
    session_obj *s;
    const char *sql, *at;      /* the statement that runs */
    bool params;
    struct ArrowSchema schema;
    struct ArrowArray row;
    const char *const *files;
    size_t n_files, n_options;
    const char *table;
    const fz_option *options;
    source_ctx source;
    fz_result *r;
    fz_error err;
    fz_status st;
} work;

static void params_drop(work *w)
{
    if (w->schema.release)
        w->schema.release(&w->schema);
    if (w->row.release)
        w->row.release(&w->row);
}

/* A script's statements one after the other; the last one's result stays. */
static void execute_run(void *arg)
{
    work *w = arg;
    fz_session *s = w->s->h->s;
    if ((w->st = py_lake_usable(w->s->h->lake, &w->err)))
        return;
    fz_session_on_unknown_table(s, py_source_find, &w->source);
    fz_session_on_notice(s, notice_keep, &w->s->got);
    for (const char *rest = w->sql; rest;) {
        fz_params p = {&w->schema, &w->row};
        fz_result_release(w->r);
        w->r = NULL;
        w->at = rest;
        w->st = fz_execute(s, rest, &rest, w->params ? &p : NULL, &w->r, &w->err);
        if (w->st)
            break;
        if (rest && w->params) {
            w->err = (fz_error){.status = FZ_INVALID, .sqlstate = "42601", .offset = -1, .line = -1, .column = -1,
                                .message = "parameters go with a single statement; only the first one of these was run"};
            w->st = FZ_INVALID;
            fz_result_release(w->r);
            w->r = NULL;
            break;
        }
    }
    fz_session_on_unknown_table(s, NULL, NULL);
    fz_session_on_notice(s, NULL, NULL);
}

static void load_run(void *arg)
{
    work *w = arg;
    fz_session *s = w->s->h->s;
    if ((w->st = py_lake_usable(w->s->h->lake, &w->err)))
        return;
    fz_session_on_notice(s, notice_keep, &w->s->got);
    w->st = fz_load(s, w->files, w->n_files, w->table, w->options, w->n_options, &w->r, &w->err);
    fz_session_on_notice(s, NULL, NULL);
}

/* Runs the work and makes its result an object; None: there was no statement. */
static PyObject *work_do(work *w, call_fn fn)
{
    session_h *s = w->s->h;
    py_call_begin(s);
    int bad = py_call_run(s, false, fn, w);
    bool rows = !bad && !w->st && w->r && fz_result_has_rows(w->r);
    if (!rows)
        py_call_over(s);
    PyObject *out = NULL;
    if (bad || w->st) {
        if (w->r) {
            Py_BEGIN_ALLOW_THREADS
            fz_result_release(w->r);
            Py_END_ALLOW_THREADS
        }
        if (!bad && w->source.failure)
            PyErr_SetObject((PyObject *)Py_TYPE(w->source.failure), w->source.failure);
        else if (!bad)
            py_raise_error(&w->err, w->at);
    } else if (!w->r) {
        Py_INCREF(Py_None);
        out = Py_None;
    } else {
        result_h *h = py_result_new(s, w->r);
        result_obj *r = h ? (result_obj *)object_new(result_type) : NULL;
        if (r)
            r->h = h;
        else if (h)
            py_result_unref(h);
        else
            PyErr_NoMemory();
        out = (PyObject *)r;
    }
    Py_XDECREF(w->source.failure);
    return out;
}

/* Positional parameters: a struct of one row with columns "1", "2", … */
static int params_build(PyObject *params, work *w)
{
    Py_ssize_t n = PySequence_Size(params);
    PyObject **names = n < 0 ? NULL : calloc((size_t)n * 2 + 1, sizeof *names), **columns = names ? names + n : NULL;
    int rc = names ? 0 : -1;
    if (!names && n >= 0)
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < n && !rc; i++) {
        PyObject *v = PySequence_GetItem(params, i);
        columns[i] = v ? PyTuple_New(1) : NULL;
        if (columns[i])
            PyTuple_SetItem(columns[i], 0, v);
        else
            Py_XDECREF(v);
        names[i] = PyUnicode_FromFormat("%zd", i + 1);
        rc = names[i] && columns[i] ? 0 : -1;
    }
    if (!rc)
        rc = py_build_columns(n, names, columns, &w->schema, &w->row);
    if (!rc)
        w->row.length = 1; /* also where there are no columns */
    for (Py_ssize_t i = 0; names && i < 2 * n; i++)
        Py_XDECREF(names[i]);
    free(names);
    w->params = rc == 0;
    return rc;
}

static PyObject *session_execute(PyObject *self, PyObject *args)
{
    PyObject *params = Py_None, *lookup = Py_None;
    const char *sql;
    work w = {.s = (session_obj *)self};
    if (!PyArg_ParseTuple(args, "s|OO", &sql, &params, &lookup))
        return NULL;
    if (params != Py_None && params_build(params, &w))
        return NULL;
    w.sql = w.at = sql;
    w.source.lookup = lookup;
    w.source.s = w.s->h;
    PyObject *out = work_do(&w, execute_run);
    params_drop(&w);
    return out;
}

static PyObject *session_load(PyObject *self, PyObject *args)
{
    PyObject *files, *options, *out = NULL;
    work w = {.s = (session_obj *)self};
    if (!PyArg_ParseTuple(args, "O!sO!", &PyList_Type, &files, &w.table, &PyList_Type, &options))
        return NULL;
    w.n_files = (size_t)PyList_Size(files);
    const char **paths = calloc(w.n_files + 1, sizeof *paths);
    fz_option *o = paths ? options_of(options, &w.n_options) : NULL;
    bool ok = o != NULL;
    for (size_t i = 0; i < w.n_files && ok; i++)
        ok = (paths[i] = PyUnicode_AsUTF8AndSize(PyList_GetItem(files, (Py_ssize_t)i), NULL)) != NULL;
    if (ok) {
        w.files = paths;
        w.options = o;
        out = work_do(&w, load_run);
    } else if (!paths) {
        PyErr_NoMemory();
    }
    free(paths);
    free(o);
    return out;
}

/* ---- the catalog ---- */

typedef struct request {
    session_h *s;
    const char *method, *path, *body;
    char *answer;              /* NULL: none */
    size_t n;
    fz_error err;
    fz_status st;
} request;

static int answer_keep(void *ctx, const char *text, size_t n)
{
    request *r = ctx;
    r->answer = malloc(n ? n : 1);
    if (!r->answer)
        return 1;
    memcpy(r->answer, text, n);
    r->n = n;
    return 0;
}

static void request_run(void *arg)
{
    request *r = arg;
    r->st = py_lake_usable(r->s->lake, &r->err);
    if (!r->st)
        r->st = fz_catalog_request(r->s->s, r->method, r->path, r->body, answer_keep, r, &r->err);
}

static PyObject *session_catalog_request(PyObject *self, PyObject *args)
{
    request r = {.s = ((session_obj *)self)->h};
    PyObject *out = NULL;
    if (!PyArg_ParseTuple(args, "ss|z", &r.method, &r.path, &r.body))
        return NULL;
    py_call_begin(r.s);
    bool bad = py_call_run(r.s, false, request_run, &r) != 0;
    py_call_over(r.s);
    if (!bad && r.st) {
        py_raise_error(&r.err, NULL);
    } else if (!bad && r.answer) {
        out = PyUnicode_DecodeUTF8(r.answer, (Py_ssize_t)r.n, "strict");
    } else if (!bad) {
        Py_INCREF(Py_None);
        out = Py_None;
    }
    free(r.answer);
    return out;
}

static PyObject *session_cancel(PyObject *self, PyObject *unused)
{
    session_h *h = ((session_obj *)self)->h;
    if (py_lake_usable(h->lake, NULL) == FZ_OK)
        fz_session_cancel(h->s);
    Py_RETURN_NONE;
}

static PyObject *session_progress(PyObject *self, PyObject *unused)
{
    fz_progress p = {0};
    session_h *h = ((session_obj *)self)->h;
    if (py_lake_usable(h->lake, NULL) == FZ_OK)
        fz_session_progress(h->s, &p);
    return Py_BuildValue("(LLL)", (long long)p.bytes_done, (long long)p.bytes_total, (long long)p.rows_done);
}

static PyObject *session_busy(PyObject *self, void *unused) { return PyBool_FromLong(atomic_load(&((session_obj *)self)->h->busy)); }

static PyObject *session_idle(PyObject *self, void *unused)
{
    session_h *h = ((session_obj *)self)->h;
    return PyBool_FromLong(!atomic_load(&h->busy) && !atomic_load(&h->open));
}

static PyObject *session_transaction(PyObject *self, void *unused)
{
    session_h *h = ((session_obj *)self)->h;
    return PyBool_FromLong(h->lake->pid == getpid() && !atomic_load(&h->busy) && fz_session_transaction(h->s));
}

static PyMethodDef session_methods[] = {
    {"execute", session_execute, METH_VARARGS, "execute(sql, params=None, lookup=None): the result of the last statement, or None."},
    {"load", session_load, METH_VARARGS, "load(files, table, options)"},
    {"catalog_request", session_catalog_request, METH_VARARGS, "catalog_request(method, path, body=None): the answer's JSON, or None."},
    {"cancel", session_cancel, METH_NOARGS, "Stops the running statement."},
    {"progress", session_progress, METH_NOARGS, "(bytes done, bytes in all or 0, rows)"},
    {"notices", session_notices, METH_NOARGS, "What the statements had to say since the last call."},
    {0},
};
static PyGetSetDef session_getset[] = {{"busy", session_busy, NULL, "Whether a call runs."}, {"idle", session_idle, NULL, "Neither that, nor are there results with rows to come."},
                                       {"transaction", session_transaction, NULL, "Whether a transaction is open."}, {0}};
static PyType_Slot session_slots[] = {{Py_tp_dealloc, session_dealloc}, {Py_tp_methods, session_methods}, {Py_tp_getset, session_getset}, {0}};
static PyType_Spec session_spec = {"frazil._frazil.Session", sizeof(session_obj), 0, Py_TPFLAGS_DEFAULT, session_slots};

/* ---- Result ---- */

static void result_dealloc(PyObject *self)
{
    result_h *h = ((result_obj *)self)->h;
    PyObject *failure = h->failure;
    h->failure = NULL;
    Py_XDECREF(failure);
    Py_BEGIN_ALLOW_THREADS
    py_result_unref(h);
    Py_END_ALLOW_THREADS
    object_free(self);
}

static PyObject *result_has_rows(PyObject *self, void *unused)
{
    result_h *h = ((result_obj *)self)->h;
    return PyBool_FromLong(h->r && fz_result_has_rows(h->r));
}

static PyObject *result_affected(PyObject *self, void *unused)
{
    result_h *h = ((result_obj *)self)->h;
    return PyLong_FromLongLong(h->r ? fz_result_rows_affected(h->r) : -1);
}

static PyObject *result_tag(PyObject *self, void *unused)
{
    result_h *h = ((result_obj *)self)->h;
    return PyUnicode_FromString(h->r ? fz_result_tag(h->r) : "");
}

static int schema_get(PyObject *self, struct ArrowSchema *out)
{
    fz_error err;
    if (!py_result_schema(((result_obj *)self)->h, out, &err))
        return 0;
    py_raise_error(&err, NULL);
    return -1;
}

/* SQL's name of a type. */
static PyObject *type_name(const struct ArrowSchema *s)
{
    static const struct { const char *format, *name; } names[] = {
        {"b", "boolean"}, {"i", "integer"}, {"l", "bigint"}, {"f", "real"}, {"g", "double precision"}, {"u", "text"}, {"z", "bytea"}, {"tdD", "date"},
        {"ttu", "time"}, {"tsu:", "timestamp"}, {"tsu:UTC", "timestamp with time zone"}, {"n", "unknown"},
    };
    const char *f = s->format;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i].format, f) == 0)
            return PyUnicode_FromString(names[i].name);
    if (f[0] == 'd')
        return PyUnicode_FromFormat("decimal(%s)", f + 2);
    if (f[0] == 'w')
        return s->metadata && strcmp(f, "w:16") == 0 ? PyUnicode_FromString("uuid") : PyUnicode_FromFormat("fixed(%s)", f + 2);
    if (f[0] == '+' && f[1] == 'l') {
        PyObject *t = type_name(s->children[0]), *l = t ? PyUnicode_FromFormat("%U[]", t) : NULL;
        Py_XDECREF(t);
        return l;
    }
    const struct ArrowSchema *of = f[0] == '+' && f[1] == 'm' ? s->children[0] : s;
    PyObject *parts = PyList_New(0);
    for (int64_t i = 0; parts && i < of->n_children; i++) {
        PyObject *t = type_name(of->children[i]), *p = t && f[1] == 's' ? PyUnicode_FromFormat("%s %U", of->children[i]->name, t) : t;
        if (p != t)
            Py_XDECREF(t);
        if (!p || PyList_Append(parts, p) < 0)
            Py_CLEAR(parts);
        Py_XDECREF(p);
    }
    PyObject *comma = parts ? PyUnicode_FromString(", ") : NULL, *inner = comma ? PyUnicode_Join(comma, parts) : NULL;
    PyObject *out = inner ? PyUnicode_FromFormat(f[1] == 's' ? "struct(%U)" : "map(%U)", inner) : NULL;
    Py_XDECREF(parts);
    Py_XDECREF(comma);
    Py_XDECREF(inner);
    return out;
}

static PyObject *schema_list(PyObject *self, bool types)
{
    struct ArrowSchema s;
    if (schema_get(self, &s))
        return NULL;
    PyObject *list = PyList_New(0);
    for (int64_t i = 0; list && i < s.n_children; i++) {
        PyObject *x = types ? type_name(s.children[i]) : PyUnicode_FromString(s.children[i]->name);
        if (!x || PyList_Append(list, x) < 0)
            Py_CLEAR(list);
        Py_XDECREF(x);
    }
    s.release(&s);
    return list;
}

static PyObject *result_columns(PyObject *self, void *unused) { return schema_list(self, false); }
static PyObject *result_types(PyObject *self, void *unused) { return schema_list(self, true); }

static PyObject *result_stream(PyObject *self, PyObject *args)
{
    PyObject *requested = Py_None;
    fz_error err;
    result_h *h = ((result_obj *)self)->h;
    if (!PyArg_ParseTuple(args, "|O", &requested))
        return NULL;
    if (py_lake_usable(h->s->lake, &err))
        return py_raise_error(&err, NULL);
    if (h->closed)
        return py_raise_closed("the result is closed");
    return py_stream_capsule(h, requested);
}

static PyObject *result_arrow_schema(PyObject *self, PyObject *unused)
{
    struct ArrowSchema s;
    return schema_get(self, &s) ? NULL : py_schema_capsule(&s);
}

typedef struct pull {
    result_h *h;
    int64_t rows;              /* wanted; -1: all */
    struct ArrowArray a;
    fz_error err;
    fz_status st;
} pull;

static void pull_one(void *arg)
{
    pull *p = arg;
    p->st = py_result_next(p->h, &p->a, &p->err);
}

/* Reads all rows, or as many as are wanted, into what is read ahead. */
static void pull_many(void *arg)
{
    pull *p = arg;
    array_node *all = p->h->head, *tail = p->h->tail;
    int64_t have = 0;
    for (array_node *n = all; n; n = n->next)
        have += n->a.length;
    p->h->head = p->h->tail = NULL; /* py_result_next is to ask the query */
    array_node *more = NULL, **end = &more, *last = NULL;
    while (p->rows < 0 || have < p->rows) {
        struct ArrowArray a;
        p->st = py_result_next(p->h, &a, &p->err);
        if (p->st || !a.release)
            break;
        array_node *n = malloc(sizeof *n);
        if (!n) {
            a.release(&a);
            p->err = (fz_error){.status = FZ_NOMEM, .message = "out of memory", .offset = -1, .line = -1, .column = -1};
            p->st = FZ_NOMEM;
            break;
        }
        *n = (array_node){NULL, a};
        have += a.length;
        *end = last = n;
        end = &n->next;
    }
    p->h->head = all ? all : more;
    if (all && more)
        tail->next = more;
    p->h->tail = last ? last : tail;
}

static int pulled(pull *p, bool quick, call_fn fn)
{
    session_h *s = p->h->s;
    int bad = py_call_run(s, quick, fn, p);
    if (bad || p->st || p->h->ended)
        py_call_over(s);
    if (bad) {
        if (p->a.release)
            p->a.release(&p->a);
        return -1;
    }
    if (p->st)
        py_raise_error(&p->err, NULL);
    return p->st ? -1 : 0;
}

static PyObject *result_read_all(PyObject *self, PyObject *unused)
{
    pull p = {.h = ((result_obj *)self)->h, .rows = -1};
    if (pulled(&p, false, pull_many))
        return NULL;
    Py_RETURN_NONE;
}

/* fetch(n): at most n rows (all where n < 0) as a list of tuples. */
static PyObject *result_fetch(PyObject *self, PyObject *args)
{
    result_h *h = ((result_obj *)self)->h;
    long long want;
    struct ArrowSchema schema;
    if (!PyArg_ParseTuple(args, "L", &want) || schema_get(self, &schema))
        return NULL;
    PyObject *list = PyList_New(0);
    int64_t have = 0;
    while (list && (want < 0 || have < want)) {
        pull p = {.h = h, .rows = 1}; /* the first call may take long: it computes; what is there already comes at once */
        if ((!h->head && pulled(&p, false, pull_many)) || pulled(&p, true, pull_one)) {
            Py_CLEAR(list);
            break;
        }
        if (!p.a.release)
            break;
        int64_t n = want >= 0 && want - have < p.a.length ? want - have : p.a.length;
        if (py_read_rows(&schema, &p.a, 0, n, list))
            Py_CLEAR(list);
        have += n;
        p.a.offset += n; /* of the struct, whose members follow */
        p.a.length -= n;
        if (list && p.a.length > 0) {
            fz_error err;
            if (py_result_keep(h, &p.a, true, &err)) {
                py_raise_error(&err, NULL);
                Py_CLEAR(list);
            }
        } else {
            p.a.release(&p.a);
        }
    }
    schema.release(&schema);
    return list;
}

/* ---- Batch ---- */

static void batch_unref(batch_h *b)
{
    if (!b || atomic_fetch_sub(&b->refs, 1) != 1)
        return;
    if (b->schema.release)
        b->schema.release(&b->schema);
    if (b->array.release)
        b->array.release(&b->array);
    free(b);
}

static void shared_release(struct ArrowArray *a)
{
    for (int64_t i = 0; i < a->n_children; i++) {
        if (a->children[i]->release)
            a->children[i]->release(a->children[i]);
        free(a->children[i]);
    }
    free(a->children);
    batch_unref(a->private_data);
    a->release = NULL;
}

/* The same buffers behind structures of their own. */
static bool array_share(const struct ArrowArray *from, batch_h *b, struct ArrowArray *out)
{
    *out = *from;
    out->children = calloc((size_t)from->n_children + 1, sizeof *out->children);
    out->n_children = 0;
    out->release = shared_release;
    out->private_data = b;
    atomic_fetch_add(&b->refs, 1);
    for (int64_t i = 0; out->children && i < from->n_children; i++) {
        struct ArrowArray *c = calloc(1, sizeof *c);
        if (!c || !array_share(from->children[i], b, c)) {
            free(c);
            break;
        }
        out->children[i] = c;
        out->n_children++;
    }
    if (out->children && out->n_children == from->n_children)
        return true;
    shared_release(out);
    return false;
}

static PyObject *result_batch(PyObject *self, PyObject *unused)
{
    result_h *h = ((result_obj *)self)->h;
    pull p = {.h = h};
    if (pulled(&p, h->quick || h->head, pull_one))
        return NULL;
    if (!p.a.release)
        Py_RETURN_NONE;
    batch_h *b = calloc(1, sizeof *b);
    batch_obj *o = NULL;
    if (!b) {
        p.a.release(&p.a);
        return PyErr_NoMemory();
    }
    atomic_init(&b->refs, 1);
    b->array = p.a;
    if (schema_get(self, &b->schema) == 0)
        o = (batch_obj *)object_new(batch_type);
    else
        b->schema.release = NULL;
    if (o)
        o->h = b;
    else
        batch_unref(b);
    return (PyObject *)o;
}

static void batch_dealloc(PyObject *self)
{
    batch_unref(((batch_obj *)self)->h);
    object_free(self);
}

static void array_capsule_free(PyObject *c)
{
    struct ArrowArray *a = PyCapsule_GetPointer(c, "arrow_array");
    if (a && a->release)
        a->release(a);
    free(a);
}

static void schema_shared_free(PyObject *c)
{
    struct ArrowSchema *s = PyCapsule_GetPointer(c, "arrow_schema");
    if (s && s->release)
        s->release(s);
    free(s);
}

static void shared_schema_release(struct ArrowSchema *s)
{
    for (int64_t i = 0; i < s->n_children; i++) {
        if (s->children[i]->release)
            s->children[i]->release(s->children[i]);
        free(s->children[i]);
    }
    free(s->children);
    batch_unref(s->private_data);
    s->release = NULL;
}

static bool schema_share(const struct ArrowSchema *from, batch_h *b, struct ArrowSchema *out)
{
    *out = *from;
    out->children = calloc((size_t)from->n_children + 1, sizeof *out->children);
    out->n_children = 0;
    out->release = shared_schema_release;
    out->private_data = b;
    atomic_fetch_add(&b->refs, 1);
    for (int64_t i = 0; out->children && i < from->n_children; i++) {
        struct ArrowSchema *c = calloc(1, sizeof *c);
        if (!c || !schema_share(from->children[i], b, c)) {
            free(c);
            break;
        }
        out->children[i] = c;
        out->n_children++;
    }
    if (out->children && out->n_children == from->n_children)
        return true;
    shared_schema_release(out);
    return false;
}

static PyObject *batch_schema(PyObject *self, PyObject *unused)
{
    struct ArrowSchema *s = calloc(1, sizeof *s);
    if (!s || !schema_share(&((batch_obj *)self)->h->schema, ((batch_obj *)self)->h, s)) {
        free(s);
        return PyErr_NoMemory();
    }
    PyObject *c = PyCapsule_New(s, "arrow_schema", schema_shared_free);
    if (!c) {
        s->release(s);
        free(s);
    }
    return c;
}

static PyObject *batch_array(PyObject *self, PyObject *args)
{
    PyObject *requested = Py_None; /* best effort, as the protocol has it: a batch goes out as it is */
    if (!PyArg_ParseTuple(args, "|O", &requested))
        return NULL;
    PyObject *schema = batch_schema(self, NULL);
    struct ArrowArray *a = schema ? calloc(1, sizeof *a) : NULL;
    PyObject *c = NULL;
    if (a && array_share(&((batch_obj *)self)->h->array, ((batch_obj *)self)->h, a)) {
        c = PyCapsule_New(a, "arrow_array", array_capsule_free);
        if (!c)
            a->release(a);
    } else if (schema) {
        PyErr_NoMemory();
    }
    if (!c) {
        free(a);
        Py_XDECREF(schema);
        return NULL;
    }
    PyObject *pair = PyTuple_New(2);
    if (!pair) {
        Py_DECREF(schema);
        Py_DECREF(c);
        return NULL;
    }
    PyTuple_SetItem(pair, 0, schema);
    PyTuple_SetItem(pair, 1, c);
    return pair;
}

static PyObject *batch_rows(PyObject *self, PyObject *unused)
{
    batch_h *b = ((batch_obj *)self)->h;
    PyObject *list = PyList_New(0);
    if (list && py_read_rows(&b->schema, &b->array, 0, b->array.length, list))
        Py_CLEAR(list);
    return list;
}

static PyObject *batch_num_rows(PyObject *self, void *unused) { return PyLong_FromLongLong(((batch_obj *)self)->h->array.length); }

static PyMethodDef batch_methods[] = {
    {"__arrow_c_array__", batch_array, METH_VARARGS, "Capsules of schema and struct array."},
    {"__arrow_c_schema__", batch_schema, METH_NOARGS, "A capsule of the schema."},
    {"rows", batch_rows, METH_NOARGS, "The rows as a list of tuples."},
    {0},
};
static PyGetSetDef batch_getset[] = {{"num_rows", batch_num_rows, NULL, "The number of rows."}, {0}};
static PyType_Slot batch_slots[] = {{Py_tp_dealloc, batch_dealloc}, {Py_tp_methods, batch_methods}, {Py_tp_getset, batch_getset},
                                    {Py_tp_doc, (void *)"Some rows of a result, as Arrow."}, {0}};
static PyType_Spec batch_spec = {"frazil._frazil.Batch", sizeof(batch_obj), 0, Py_TPFLAGS_DEFAULT, batch_slots};

/* ---- the rest of Result ---- */

typedef struct rendering {
    result_h *h;
    fz_text_format format;
    fz_text_options options;
    char *p;
    size_t n, cap;
    fz_error err;
    fz_status st;
} rendering;

static int render_add(void *ctx, const char *text, size_t n)
{
    rendering *x = ctx;
    if (x->cap - x->n < n) {
        size_t cap = (x->n + n) * 2;
        char *more = realloc(x->p, cap);
        if (!more)
            return 1;
        x->p = more;
        x->cap = cap;
    }
    memcpy(x->p + x->n, text, n);
    x->n += n;
    return 0;
}

static void render_run(void *arg)
{
    rendering *x = arg;
    x->st = py_lake_usable(x->h->s->lake, &x->err);
    if (x->st)
        return;
    if (x->h->closed || x->h->head || x->h->ended) {
        x->err = (fz_error){.status = FZ_INVALID, .message = "rows of this result were read already", .offset = -1, .line = -1, .column = -1};
        x->st = FZ_INVALID;
        return;
    }
    x->st = fz_result_text(x->h->r, x->format, &x->options, render_add, x, &x->err);
    x->h->ended = true;
}

static PyObject *result_text(PyObject *self, PyObject *args)
{
    int format, width;
    long long max_rows;
    if (!PyArg_ParseTuple(args, "iiL", &format, &width, &max_rows))
        return NULL;
    rendering x = {.h = ((result_obj *)self)->h, .format = (fz_text_format)format, .options = {width, max_rows}};
    int bad = py_call_run(x.h->s, false, render_run, &x);
    py_call_over(x.h->s);
    PyObject *out = bad ? NULL : x.st ? py_raise_error(&x.err, NULL) : PyUnicode_DecodeUTF8(x.p ? x.p : "", (Py_ssize_t)x.n, "replace");
    free(x.p);
    return out;
}

static PyObject *result_take_failure(PyObject *self, PyObject *unused)
{
    result_h *h = ((result_obj *)self)->h;
    PyObject *e = h->failure;
    h->failure = NULL;
    if (e)
        return e;
    Py_RETURN_NONE;
}

static PyObject *result_close_method(PyObject *self, PyObject *unused)
{
    result_h *h = ((result_obj *)self)->h;
    Py_BEGIN_ALLOW_THREADS
    py_result_close(h, false);
    Py_END_ALLOW_THREADS
    py_call_over(h->s);
    Py_RETURN_NONE;
}

static PyMethodDef result_methods[] = {
    {"stream", result_stream, METH_VARARGS, "stream(requested_schema=None): a capsule arrow_array_stream of the rows that are left."},
    {"schema", result_arrow_schema, METH_NOARGS, "A capsule arrow_schema."},
    {"fetch", result_fetch, METH_VARARGS, "fetch(n): the next n rows, all where n < 0, as tuples."},
    {"batch", result_batch, METH_NOARGS, "The next batch of rows, or None."},
    {"read_all", result_read_all, METH_NOARGS, "Computes the rest of the rows and keeps them."},
    {"text", result_text, METH_VARARGS, "text(format, width, max_rows): the rows as a table (0), CSV (1) or JSON (2)."},
    {"take_failure", result_take_failure, METH_NOARGS, "The exception that a consumer of a stream couldn't raise, or None."},
    {"close", result_close_method, METH_NOARGS, "Ends the query."},
    {0},
};
static PyGetSetDef result_getset[] = {
    {"has_rows", result_has_rows}, {"rows_affected", result_affected}, {"tag", result_tag}, {"columns", result_columns}, {"types", result_types}, {0},
};
static PyType_Slot result_slots[] = {{Py_tp_dealloc, result_dealloc}, {Py_tp_methods, result_methods}, {Py_tp_getset, result_getset}, {0}};
static PyType_Spec result_spec = {"frazil._frazil.Result", sizeof(result_obj), 0, Py_TPFLAGS_DEFAULT, result_slots};

int py_types_add(PyObject *module)
{
    static const struct { PyType_Spec *spec; PyTypeObject **type; const char *name; } all[] = {
        {&lake_spec, &lake_type, "Lake"}, {&session_spec, &session_type, "Session"}, {&result_spec, &result_type, "Result"}, {&batch_spec, &batch_type, "Batch"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        *all[i].type = (PyTypeObject *)PyType_FromSpec(all[i].spec);
        if (!*all[i].type || PyModule_AddObjectRef(module, all[i].name, (PyObject *)*all[i].type) < 0)
            return -1;
    }
    return 0;
}
