/*
 * source.c: Python objects as tables of a statement. What an object is asked for, in this order: __arrow_c_stream__, __arrow_c_array__ (a
 * struct array), dicts and lists (build.c), and a pandas frame that can't hand out Arrow (without PyArrow) as a dict of its columns.
 */
#include "py_int.h"

#include <stdio.h>

static int from_stream(PyObject *capsule, struct ArrowArrayStream *out)
{
    struct ArrowArrayStream *s = capsule ? PyCapsule_GetPointer(capsule, "arrow_array_stream") : NULL;
    if (s && !s->release)
        PyErr_SetString(PyExc_ValueError, "the Arrow stream was released already");
    if (s && s->release) {
        *out = *s;
        s->release = NULL;
        Py_DECREF(capsule);
        return 0;
    }
    Py_XDECREF(capsule);
    return -1;
}

static int from_array(PyObject *pair, struct ArrowArrayStream *out)
{
    int rc = -1;
    PyObject *cs = pair ? PySequence_GetItem(pair, 0) : NULL, *ca = cs ? PySequence_GetItem(pair, 1) : NULL;
    struct ArrowSchema *s = ca ? PyCapsule_GetPointer(cs, "arrow_schema") : NULL;
    struct ArrowArray *a = s ? PyCapsule_GetPointer(ca, "arrow_array") : NULL;
    if (a && s->release && a->release) {
        rc = py_stream_of_array(s, a, out);
        s->release = NULL;
        a->release = NULL;
        if (rc)
            PyErr_NoMemory();
    } else if (a) {
        PyErr_SetString(PyExc_ValueError, "the Arrow array was released already");
    }
    Py_XDECREF(cs);
    Py_XDECREF(ca);
    Py_XDECREF(pair);
    return rc;
}

static int from_values(PyObject *o, struct ArrowArrayStream *out)
{
    struct ArrowSchema schema = {0};
    struct ArrowArray array = {0};
    if (py_build_table(o, &schema, &array))
        return -1;
    if (py_stream_of_array(&schema, &array, out)) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static bool is_pandas(PyObject *o)
{
    PyObject *module = PyObject_GetAttrString((PyObject *)Py_TYPE(o), "__module__");
    const char *m = module && PyUnicode_Check(module) ? PyUnicode_AsUTF8AndSize(module, NULL) : NULL;
    bool yes = m && strncmp(m, "pandas", 6) == 0;
    Py_XDECREF(module);
    PyErr_Clear();
    return yes;
}

static int from_pandas(PyObject *o, struct ArrowArrayStream *out)
{
    PyObject *d = PyObject_CallMethod(o, "to_dict", "s", "list");
    int rc = d ? from_values(d, out) : -1;
    Py_XDECREF(d);
    return rc;
}

int py_source_stream(PyObject *o, struct ArrowArrayStream *out)
{
    out->release = NULL;
    bool pandas = is_pandas(o); /* before there is an exception to lose */
    if (!PyType_Check(o) && PyObject_HasAttrString(o, "__arrow_c_stream__")) {
        PyObject *c = PyObject_CallMethod(o, "__arrow_c_stream__", NULL);
        if (!c && pandas && PyErr_ExceptionMatches(PyExc_ImportError)) {
            PyErr_Clear();
            return from_pandas(o, out);
        }
        return from_stream(c, out);
    }
    if (!PyType_Check(o) && PyObject_HasAttrString(o, "__arrow_c_array__"))
        return from_array(PyObject_CallMethod(o, "__arrow_c_array__", NULL), out);
    if (PyDict_Check(o) || PyList_Check(o) || PyTuple_Check(o))
        return from_values(o, out);
    if (pandas && PyObject_HasAttrString(o, "to_dict"))
        return from_pandas(o, out);
    PyErr_Format(PyExc_TypeError, "a %S can't be read as a table: it has neither __arrow_c_stream__ nor __arrow_c_array__, and isn't a list of dicts "
                 "or a dict of lists", (PyObject *)Py_TYPE(o));
    return -1;
}

/* Rows that are still to come from the very session that runs the statement: they would wait for each other. */
static bool own_rows(const source_ctx *x, const char *name, struct ArrowArrayStream *s)
{
    if (py_stream_session(s) != x->s)
        return false;
    s->release(s);
    PyErr_Format(PyExc_NotImplementedError, "%s is a result of the same transaction that is still being computed: execute() it first", name);
    return true;
}

fz_status py_source_find(void *ctx, const char *name, struct ArrowArrayStream *out, fz_error *err)
{
    source_ctx *x = ctx;
    if (!x || !x->lookup || x->lookup == Py_None)
        return FZ_NOT_FOUND;
    PyGILState_STATE g = PyGILState_Ensure();
    fz_status st = FZ_OK;
    PyObject *o = PyObject_CallFunction(x->lookup, "s", name);
    if (o == Py_None) {
        st = FZ_NOT_FOUND;
    } else if (!o || py_source_stream(o, out) || own_rows(x, name, out)) {
        PyObject *type, *value, *trace;
        PyErr_Fetch(&type, &value, &trace);
        PyErr_NormalizeException(&type, &value, &trace);
        PyObject *text = value ? PyObject_Str(value) : NULL;
        const char *z = text ? PyUnicode_AsUTF8AndSize(text, NULL) : NULL;
        st = FZ_INVALID;
        snprintf(err->message, sizeof err->message, "%.200s can't be read: %.700s", name, z ? z : "it failed");
        PyErr_Clear();
        if (trace && value)
            PyException_SetTraceback(value, trace);
        Py_XDECREF(text);
        Py_XDECREF(type);
        Py_XDECREF(trace);
        Py_XDECREF(x->failure);
        x->failure = value;
    }
    Py_XDECREF(o);
    PyGILState_Release(g);
    return st;
}
