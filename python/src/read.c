/*
 * read.c: rows of Arrow arrays as tuples of Python values: the formats that the library hands out (arrow/bridge.h there).
 * bigint is int, decimal Decimal, timestamps datetime (UTC where zoned), uuid UUID, structs and maps dict, lists list.
 */
#include "py_int.h"

#include <stdio.h>

typedef __int128 i128;
typedef unsigned __int128 u128;

PyObject *py_class_get(py_class c)
{
    static PyObject *got[PY_CLASSES];
    static const char *const where[][2] = {{"datetime", "date"}, {"datetime", "time"}, {"datetime", "datetime"}, {"datetime", "timedelta"},
                                           {"datetime", "timezone"}, {"datetime", "datetime"}, {"datetime", "datetime"}, {"decimal", "Decimal"},
                                           {"uuid", "UUID"}};
    if (got[c])
        return got[c];
    PyObject *m = PyImport_ImportModule(where[c][0]), *x = m ? PyObject_GetAttrString(m, where[c][1]) : NULL;
    if (x && c == PY_UTC) {
        PyObject *utc = PyObject_GetAttrString(x, "utc");
        Py_DECREF(x);
        x = utc;
    } else if (x && (c == PY_EPOCH || c == PY_EPOCH_UTC)) {
        PyObject *utc = c == PY_EPOCH_UTC ? py_class_get(PY_UTC) : Py_None;
        PyObject *e = utc ? PyObject_CallFunction(x, "iiiiiiiO", 1970, 1, 1, 0, 0, 0, 0, utc) : NULL;
        Py_DECREF(x);
        x = e;
    }
    Py_XDECREF(m);
    return got[c] = x; /* kept for the process's life */
}

PyObject *py_class_loaded(py_class c)
{
    static const char *const module[] = {"datetime", "datetime", "datetime", "datetime", "datetime", "datetime", "datetime", "decimal", "uuid"};
    PyObject *modules = PyImport_GetModuleDict(), *m = modules ? PyDict_GetItemString(modules, module[c]) : NULL;
    PyObject *t = m ? py_class_get(c) : NULL;
    if (!t)
        PyErr_Clear();
    return t;
}

static bool is_null(const struct ArrowArray *a, int64_t at)
{
    const uint8_t *bits = a->n_buffers ? a->buffers[0] : NULL;
    return bits && a->null_count != 0 && !(bits[at >> 3] >> (at & 7) & 1);
}

static PyObject *read_decimal(const char *format, const i128 *p)
{
    unsigned precision, scale = 0;
    char digits[48], *at = digits + sizeof digits;
    i128 v;
    memcpy(&v, p, 16);
    if (sscanf(format, "d:%u,%u", &precision, &scale) < 1)
        scale = 0;
    u128 u = v < 0 ? -(u128)v : (u128)v;
    *--at = 0;
    for (unsigned i = 0; u || i <= scale; i++) {
        if (i == scale && scale)
            *--at = '.';
        *--at = (char)('0' + (int)(u % 10));
        u /= 10;
    }
    if (v < 0)
        *--at = '-';
    PyObject *t = py_class_get(PY_DECIMAL);
    return t ? PyObject_CallFunction(t, "s", at) : NULL;
}

static PyObject *read_stamp(const char *format, int64_t us)
{
    PyObject *delta = py_class_get(PY_TIMEDELTA), *epoch = py_class_get(format[4] ? PY_EPOCH_UTC : PY_EPOCH);
    PyObject *d = delta && epoch ? PyObject_CallFunction(delta, "iiL", 0, 0, (long long)us) : NULL;
    PyObject *r = d ? PyNumber_Add(epoch, d) : NULL;
    Py_XDECREF(d);
    return r;
}

static PyObject *read_time(int64_t us)
{
    PyObject *t = py_class_get(PY_TIME);
    int64_t s = us / 1000000;
    return t ? PyObject_CallFunction(t, "iiii", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60), (int)(us % 1000000)) : NULL;
}

static PyObject *read_date(int32_t day)
{
    PyObject *t = py_class_get(PY_DATE);
    return t ? PyObject_CallMethod(t, "fromordinal", "i", (int)day + 719163) : NULL;
}

static PyObject *read_uuid(const char *p)
{
    PyObject *t = py_class_get(PY_UUID), *none = Py_None;
    return t ? PyObject_CallFunction(t, "OOy#", none, none, p, (Py_ssize_t)16) : NULL;
}

static PyObject *read_value(const struct ArrowSchema *s, const struct ArrowArray *a, int64_t i, int depth);

static PyObject *read_nested(const struct ArrowSchema *s, const struct ArrowArray *a, int64_t at, int depth)
{
    PyObject *out = NULL;
    if (depth > 100) {
        PyErr_SetString(PyExc_RecursionError, "a value is nested too deeply");
        return NULL;
    }
    if (s->format[1] == 's') {
        out = PyDict_New();
        for (int64_t k = 0; out && k < s->n_children; k++) {
            PyObject *v = read_value(s->children[k], a->children[k], at, depth + 1);
            if (!v || PyDict_SetItemString(out, s->children[k]->name, v) < 0)
                Py_CLEAR(out);
            Py_XDECREF(v);
        }
        return out;
    }
    const int32_t *o = (const int32_t *)a->buffers[1];
    const struct ArrowSchema *cs = s->children[0];
    const struct ArrowArray *ca = a->children[0];
    if (s->format[1] == 'l') {
        out = PyList_New(0);
        for (int32_t k = o[at]; out && k < o[at + 1]; k++) {
            PyObject *v = read_value(cs, ca, k, depth + 1);
            if (!v || PyList_Append(out, v) < 0)
                Py_CLEAR(out);
            Py_XDECREF(v);
        }
        return out;
    }
    out = PyDict_New(); /* a map; of keys that can't be a dict's the pairs */
    for (int32_t k = o[at]; out && k < o[at + 1]; k++) {
        PyObject *key = read_value(cs->children[0], ca->children[0], ca->offset + k, depth + 1);
        PyObject *v = key ? read_value(cs->children[1], ca->children[1], ca->offset + k, depth + 1) : NULL;
        if (!v || PyDict_SetItem(out, key, v) < 0)
            Py_CLEAR(out);
        Py_XDECREF(key);
        Py_XDECREF(v);
    }
    return out;
}

static PyObject *unreadable(const struct ArrowSchema *s)
{
    PyErr_Format(PyExc_NotImplementedError, "column %s: values of the Arrow format '%s' have no Python type here", s->name, s->format);
    return NULL;
}

/* Row i, counted from the array's offset. */
static PyObject *read_value(const struct ArrowSchema *s, const struct ArrowArray *a, int64_t i, int depth)
{
    int64_t at = a->offset + i;
    const char *f = s->format;
    if (f[0] == 'n' || is_null(a, at))
        Py_RETURN_NONE;
    if (f[0] == '+')
        return f[1] == 's' || f[1] == 'l' || f[1] == 'm' ? read_nested(s, a, at, depth) : unreadable(s);
    const void *v = a->buffers[1];
    switch (f[0]) {
    case 'b':
        return PyBool_FromLong(((const uint8_t *)v)[at >> 3] >> (at & 7) & 1);
    case 'i':
        return PyLong_FromLong(((const int32_t *)v)[at]);
    case 'l':
        return PyLong_FromLongLong(((const int64_t *)v)[at]);
    case 'f':
        return PyFloat_FromDouble(((const float *)v)[at]);
    case 'g':
        return PyFloat_FromDouble(((const double *)v)[at]);
    case 'd':
        return read_decimal(f, (const i128 *)v + at);
    case 'u':
    case 'z': {
        const int32_t *o = (const int32_t *)v + at;
        const char *p = a->buffers[2] ? (const char *)a->buffers[2] + o[0] : "";
        return f[0] == 'u' ? PyUnicode_FromStringAndSize(p, o[1] - o[0]) : PyBytes_FromStringAndSize(p, o[1] - o[0]);
    }
    case 'w': {
        long width = strtol(f + 2, NULL, 10);
        const char *p = (const char *)v + at * width;
        return width == 16 && s->metadata ? read_uuid(p) : PyBytes_FromStringAndSize(p, width);
    }
    case 't':
        if (f[1] == 'd' && f[2] == 'D')
            return read_date(((const int32_t *)v)[at]);
        if (f[1] == 't' && f[2] == 'u')
            return read_time(((const int64_t *)v)[at]);
        if (f[1] == 's' && f[2] == 'u')
            return read_stamp(f, ((const int64_t *)v)[at]);
        break;
    }
    return unreadable(s);
}

int py_read_rows(const struct ArrowSchema *schema, const struct ArrowArray *a, int64_t from, int64_t n, PyObject *list)
{
    for (int64_t i = from; i < from + n; i++) {
        PyObject *row = PyTuple_New((Py_ssize_t)schema->n_children);
        for (int64_t c = 0; row && c < schema->n_children; c++) {
            PyObject *v = read_value(schema->children[c], a->children[c], a->offset + i, 0);
            if (!v)
                Py_CLEAR(row);
            else
                PyTuple_SetItem(row, (Py_ssize_t)c, v);
        }
        int rc = row ? PyList_Append(list, row) : -1;
        Py_XDECREF(row);
        if (rc)
            return -1;
    }
    return 0;
}
