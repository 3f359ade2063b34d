/* errors.c: failures of the library as exceptions; the classes are in frazil/errors.py. */
#include "py_int.h"

typedef struct text { char p[4096]; size_t n; } text;

static int text_add(void *ctx, const char *p, size_t n)
{
    text *t = ctx;
    size_t room = sizeof t->p - t->n;
    n = n < room ? n : room;
    memcpy(t->p + t->n, p, n);
    t->n += n;
    return 0;
}

static PyObject *errors_call(const char *function, PyObject *args)
{
    PyObject *m = args ? PyImport_ImportModule("frazil.errors") : NULL;
    PyObject *f = m ? PyObject_GetAttrString(m, function) : NULL;
    PyObject *e = f ? PyObject_CallObject(f, args) : NULL;
    if (e)
        PyErr_SetObject((PyObject *)Py_TYPE(e), e);
    Py_XDECREF(m);
    Py_XDECREF(f);
    Py_XDECREF(e);
    Py_XDECREF(args);
    return NULL;
}

static PyObject *decode(const char *p, size_t n) { return PyUnicode_DecodeUTF8(p, (Py_ssize_t)n, "replace"); }

PyObject *py_raise_error(const fz_error *err, const char *sql)
{
    text t = {.n = 0};
    fz_error_text(err, sql, text_add, &t);
    while (t.n && t.p[t.n - 1] == '\n')
        t.n--;
    return errors_call("make", Py_BuildValue("(sNNsNNLLL)", fz_status_name(err->status), decode(t.p, t.n), decode(err->message, strlen(err->message)),
                                             err->sqlstate, decode(err->hint, strlen(err->hint)), decode(err->where, strlen(err->where)),
                                             (long long)err->offset, (long long)err->line, (long long)err->column));
}

PyObject *py_raise_closed(const char *message)
{
    return errors_call("closed", Py_BuildValue("(s)", message));
}
