/* module.c: the module frazil._frazil; see py_int.h. */
#include "py_int.h"

static PyObject *close_all(PyObject *self, PyObject *unused)
{
    py_call_on_progress(NULL);
    Py_BEGIN_ALLOW_THREADS
    py_results_close_all();
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *on_progress(PyObject *self, PyObject *fn)
{
    py_call_on_progress(fn);
    Py_RETURN_NONE;
}

static void stream_free(PyObject *c)
{
    struct ArrowArrayStream *s = PyCapsule_GetPointer(c, "arrow_array_stream");
    if (s && s->release)
        s->release(s);
    free(s);
}

static PyObject *to_stream(PyObject *self, PyObject *o)
{
    struct ArrowArrayStream *s = calloc(1, sizeof *s);
    if (!s)
        return PyErr_NoMemory();
    PyObject *c = py_source_stream(o, s) ? NULL : PyCapsule_New(s, "arrow_array_stream", stream_free);
    if (!c) {
        if (s->release)
            s->release(s);
        free(s);
    }
    return c;
}

static PyObject *schema_formats(PyObject *self, PyObject *capsule)
{
    struct ArrowSchema *s = PyCapsule_GetPointer(capsule, "arrow_schema");
    PyObject *list = s && s->release ? PyList_New(0) : NULL;
    if (s && !s->release)
        PyErr_SetString(PyExc_ValueError, "the schema was released already");
    for (int64_t i = 0; list && i < s->n_children; i++) {
        const struct ArrowSchema *c = s->children[i];
        PyObject *f = PyUnicode_FromString(c->dictionary ? "dictionary" : c->format ? c->format : "");
        if (!f || PyList_Append(list, f) < 0)
            Py_CLEAR(list);
        Py_XDECREF(f);
    }
    return list;
}

#define DEPTH_MAX 64

/* A field as (name, format, nullable, keys and values of its metadata, fields below). What a dictionary's codes stand for is its type. */
static PyObject *field_tree(const struct ArrowSchema *s, int depth)
{
    if (depth > DEPTH_MAX) {
        PyErr_SetString(PyExc_ValueError, "the schema is nested too deeply");
        return NULL;
    }
    const struct ArrowSchema *t = s->dictionary ? s->dictionary : s;
    PyObject *kids = PyList_New(0), *meta = PyList_New(0);
    for (int64_t i = 0; kids && i < t->n_children; i++) {
        PyObject *kid = field_tree(t->children[i], depth + 1);
        if (!kid || PyList_Append(kids, kid) < 0)
            Py_CLEAR(kids);
        Py_XDECREF(kid);
    }
    const char *p = s->metadata;
    int32_t n = 0, len = 0;
    if (p) {
        memcpy(&n, p, sizeof n);
        p += sizeof n;
    }
    for (int64_t i = 0; meta && i < 2 * (int64_t)n; i++) { /* a length and so many bytes, for each key and each value */
        memcpy(&len, p, sizeof len);
        PyObject *text = PyUnicode_DecodeUTF8(p + sizeof len, len, "replace");
        p += sizeof len + (size_t)len;
        if (!text || PyList_Append(meta, text) < 0)
            Py_CLEAR(meta);
        Py_XDECREF(text);
    }
    PyObject *nullable = s->flags & ARROW_FLAG_NULLABLE ? Py_True : Py_False;
    PyObject *out = kids && meta ? Py_BuildValue("(ssOOO)", s->name ? s->name : "", t->format ? t->format : "", nullable, meta, kids) : NULL;
    Py_XDECREF(kids);
    Py_XDECREF(meta);
    return out;
}

static PyObject *schema_tree(PyObject *self, PyObject *capsule)
{
    struct ArrowSchema *s = PyCapsule_GetPointer(capsule, "arrow_schema");
    if (s && !s->release)
        PyErr_SetString(PyExc_ValueError, "the schema was released already");
    return s && s->release ? field_tree(s, 0) : NULL;
}

/* fz_setting_fn: ctx is a list. */
static int setting_keep(void *ctx, const char *catalog, const char *key, const char *value, const char *origin, const char *note)
{
    PyObject *row = Py_BuildValue("(ssss)", catalog, key, value, origin);
    int bad = !row || PyList_Append(ctx, row) < 0;
    Py_XDECREF(row);
    return bad;
}

static PyObject *config(PyObject *self, PyObject *unused)
{
    fz_error err;
    PyObject *list = PyList_New(0);
    if (list && fz_config_list(NULL, NULL, 0, setting_keep, list, &err)) { /* reads a few small files */
        Py_CLEAR(list);
        if (!PyErr_Occurred())
            py_raise_error(&err, NULL);
    }
    return list;
}

static PyMethodDef methods[] = {
    {"close_all", close_all, METH_NOARGS, "Ends every open result: called at the interpreter's exit."},
    {"on_progress", on_progress, METH_O, "Sets what draws progress: f(bytes_done, bytes_total, rows_done), f(None) at the end."},
    {"to_stream", to_stream, METH_O, "The rows of a frame, a list of dicts or a dict of lists as a capsule arrow_array_stream."},
    {"config", config, METH_NOARGS, "What is configured: (catalog, key, value, origin)."},
    {"schema_tree", schema_tree, METH_O, "A capsule arrow_schema as (name, format, nullable, metadata, fields)."},
    {"schema_formats", schema_formats, METH_O, "The Arrow formats of a schema's columns."},
    {0},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_frazil", "The library frazil, plainly; frazil/ makes it pleasant.", -1, methods};

PyMODINIT_FUNC PyInit__frazil(void); /* the interpreter's, declared nowhere */

PyMODINIT_FUNC PyInit__frazil(void)
{
    PyObject *m = PyModule_Create(&definition);
    if (m && (py_types_add(m) || PyModule_AddStringConstant(m, "version", fz_version()) < 0))
        Py_CLEAR(m);
    return m;
}
