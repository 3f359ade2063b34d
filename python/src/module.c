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

static PyMethodDef methods[] = {
    {"close_all", close_all, METH_NOARGS, "Ends every open result: called at the interpreter's exit."},
    {"on_progress", on_progress, METH_O, "Sets what draws progress: f(bytes_done, bytes_total, rows_done), f(None) at the end."},
    {"to_stream", to_stream, METH_O, "The rows of a frame, a list of dicts or a dict of lists as a capsule arrow_array_stream."},
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
