/*
 * build.c: Python values to Arrow arrays, for parameters and for lists of dicts and dicts of lists. No other package is needed.
 *
 * A column is read twice: `infer` finds the type that all of its values have, `append` writes them. Types: bool, int (bigint;
 * past 64 bits decimal(38,0)), float, decimal.Decimal, str, bytes, date, time, datetime with and without zone, UUID, lists and
 * dicts of these, and scalars of NumPy, which say what they are by .item(). None is null, and so is NaN in a column that isn't
 * numeric, and NaT. An int among floats is a float, an int among decimals a decimal; anything else that is mixed is a
 * TypeError naming the column.
 */
#include "py_int.h"

#include <stdio.h>

#define DEPTH_MAX 32

typedef __int128 i128;
typedef unsigned __int128 u128;

typedef enum kind { K_NULL, K_BOOL, K_INT, K_FLOAT, K_DECIMAL, K_TEXT, K_BYTES, K_DATE, K_TIME, K_STAMP, K_STAMPTZ, K_UUID, K_LIST, K_STRUCT } kind;

static const char *const kind_names[] = {"None", "bool", "int", "float", "Decimal", "str", "bytes", "date", "time", "datetime without zone",
                                         "datetime with zone", "UUID", "list", "dict"};

typedef struct bytes { char *p; size_t n, cap; } bytes;

typedef struct node {
    kind k;
    bool nan;                 /* a float NaN was seen, which may mean null */
    bool wide;                /* an int past 64 bits */
    int whole, scale;         /* decimals: digits before and after the point */
    int64_t len, nulls;
    bytes valid, data, text;  /* data: values, or offsets */
    Py_ssize_t n;             /* members */
    struct node **kids;
    char **names;             /* of a dict's */
    PyObject *index;          /* of a dict: name to position */
} node;

static void node_free(node *x)
{
    if (!x)
        return;
    for (Py_ssize_t i = 0; i < x->n; i++) {
        node_free(x->kids[i]);
        if (x->names)
            free(x->names[i]);
    }
    free(x->kids);
    free(x->names);
    Py_XDECREF(x->index);
    free(x->valid.p);
    free(x->data.p);
    free(x->text.p);
    free(x);
}

static int no_memory(void)
{
    PyErr_NoMemory();
    return -1;
}

static int put(bytes *b, const void *p, size_t n)
{
    if (b->cap - b->n < n) {
        size_t cap = b->cap ? b->cap * 2 : 64;
        while (cap - b->n < n)
            cap *= 2;
        char *more = realloc(b->p, cap);
        if (!more)
            return no_memory();
        b->p = more;
        b->cap = cap;
    }
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    return 0;
}

/* ---- what a value is ---- */

static bool is_a(PyObject *v, py_class c)
{
    PyObject *t = py_class_loaded(c);
    return t && PyObject_IsInstance(v, t) == 1;
}

/* A NumPy scalar's Python value; a new reference in any case. */
static PyObject *plain(PyObject *v)
{
    PyObject *t = (PyObject *)Py_TYPE(v);
    if (v == Py_None || PyBool_Check(v) || t == (PyObject *)&PyLong_Type || t == (PyObject *)&PyFloat_Type || t == (PyObject *)&PyUnicode_Type ||
        t == (PyObject *)&PyList_Type || t == (PyObject *)&PyDict_Type) {
        Py_INCREF(v);
        return v;
    }
    PyObject *module = PyObject_GetAttrString(t, "__module__");
    const char *m = module && PyUnicode_Check(module) ? PyUnicode_AsUTF8AndSize(module, NULL) : NULL;
    bool numpy = m && strcmp(m, "numpy") == 0;
    Py_XDECREF(module);
    PyErr_Clear();
    if (!numpy) {
        Py_INCREF(v);
        return v;
    }
    PyObject *dim = PyObject_GetAttrString(v, "ndim");
    long d = dim ? PyLong_AsLong(dim) : 0;
    Py_XDECREF(dim);
    PyErr_Clear();
    return PyObject_CallMethod(v, d > 0 ? "tolist" : "item", NULL);
}

static bool is_nan(PyObject *v)
{
    double d = PyFloat_AsDouble(v);
    return d != d;
}

/* The kind of one value; -1 with a TypeError. */
static int kind_of(PyObject *v, const char *column)
{
    if (v == Py_None)
        return K_NULL;
    if (PyBool_Check(v))
        return K_BOOL;
    if (PyLong_Check(v))
        return K_INT;
    if (PyFloat_Check(v))
        return K_FLOAT;
    if (PyUnicode_Check(v))
        return K_TEXT;
    if (PyBytes_Check(v) || PyByteArray_Check(v))
        return K_BYTES;
    if (PyList_Check(v) || PyTuple_Check(v))
        return K_LIST;
    if (PyDict_Check(v))
        return K_STRUCT;
    if (is_a(v, PY_DATETIME)) {
        PyObject *odd = PyObject_RichCompare(v, v, Py_NE);
        bool nat = odd && PyObject_IsTrue(odd) == 1;
        Py_XDECREF(odd);
        PyErr_Clear();
        if (nat)
            return K_NULL; /* pandas' NaT */
        PyObject *zone = PyObject_GetAttrString(v, "tzinfo");
        bool zoned = zone && zone != Py_None;
        Py_XDECREF(zone);
        PyErr_Clear();
        return zoned ? K_STAMPTZ : K_STAMP;
    }
    if (is_a(v, PY_DATE))
        return K_DATE;
    if (is_a(v, PY_TIME))
        return K_TIME;
    if (is_a(v, PY_DECIMAL))
        return K_DECIMAL;
    if (is_a(v, PY_UUID))
        return K_UUID;
    PyObject *t = (PyObject *)Py_TYPE(v), *name = PyObject_GetAttrString(t, "__name__");
    const char *z = name ? PyUnicode_AsUTF8AndSize(name, NULL) : NULL;
    if (z && strcmp(z, "NAType") == 0) { /* pandas.NA */
        Py_DECREF(name);
        return K_NULL;
    }
    PyErr_Format(PyExc_TypeError, "%s: a value of type %s has no counterpart in a table", column, z ? z : "?");
    Py_XDECREF(name);
    return -1;
}

/* A Decimal's digits as a number, and how many of them lie before and behind the point. */
static int decimal_parts(PyObject *v, const char *column, i128 *out, int *whole, int *scale)
{
    int rc = -1;
    PyObject *t = PyObject_CallMethod(v, "as_tuple", NULL), *digits = t ? PySequence_GetItem(t, 1) : NULL, *e = t ? PySequence_GetItem(t, 2) : NULL,
             *sign = t ? PySequence_GetItem(t, 0) : NULL;
    if (!digits || !e || !sign)
        goto out;
    if (!PyLong_Check(e)) {
        PyErr_Format(PyExc_ValueError, "%s: the decimal %R is not a number", column, v);
        goto out;
    }
    Py_ssize_t n = PyTuple_Size(digits);
    long exponent = PyLong_AsLong(e);
    if (PyErr_Occurred())
        goto out;
    *scale = exponent < 0 && exponent >= -1000 ? (int)-exponent : 0;
    *whole = exponent > 38 || exponent < -1000 || n > 1000 ? 1000 : (int)(n + exponent > 0 ? n + exponent : 0);
    u128 x = 0;
    for (Py_ssize_t i = 0; i < n && *whole + *scale <= 38; i++)
        x = x * 10 + (unsigned)PyLong_AsLong(PyTuple_GetItem(digits, i));
    for (long i = 0; i < exponent && *whole <= 38; i++)
        x *= 10;
    if (x == 0 && exponent > 0)
        *whole = 1;
    if (*whole + *scale > 38) {
        PyErr_Format(PyExc_ValueError, "%s: the decimal %R has more than 38 digits", column, v);
        goto out;
    }
    *out = PyLong_AsLong(sign) ? -(i128)x : (i128)x;
    rc = 0;
out:
    Py_XDECREF(t);
    Py_XDECREF(digits);
    Py_XDECREF(e);
    Py_XDECREF(sign);
    return rc;
}

/* An int of at most 38 digits. */
static int int_parts(PyObject *v, const char *column, i128 *out, int *whole)
{
    int over;
    long long x = PyLong_AsLongLongAndOverflow(v, &over);
    if (!over) {
        *out = x;
        *whole = 1;
        for (long long y = x / 10; y; y /= 10)
            (*whole)++;
        return 0;
    }
    PyObject *s = PyNumber_ToBase(v, 16);
    Py_ssize_t n;
    const char *p = s ? PyUnicode_AsUTF8AndSize(s, &n) : NULL;
    if (!p) {
        Py_XDECREF(s);
        return -1;
    }
    bool minus = *p == '-';
    p += minus + 2;
    n -= minus + 2;
    static const u128 most = (u128)10000000000000000000ull * 10000000000000000000ull; /* 10^38 */
    u128 u = 0;
    for (Py_ssize_t i = 0; i < n && n <= 32; i++)
        u = u * 16 + (u128)(p[i] <= '9' ? p[i] - '0' : p[i] - 'a' + 10);
    Py_DECREF(s);
    if (n > 32 || u >= most) {
        PyErr_Format(PyExc_OverflowError, "%s: the integer %R has more than 38 digits", column, v);
        return -1;
    }
    *whole = 38;
    *out = minus ? -(i128)u : (i128)u;
    return 0;
}

/* ---- inferring ---- */

static node *child(node *x, PyObject *name)
{
    Py_ssize_t at = x->n;
    if (name) {
        PyObject *have = x->index ? PyDict_GetItemWithError(x->index, name) : NULL;
        if (have)
            return x->kids[PyLong_AsSsize_t(have)];
        if (PyErr_Occurred() || (!x->index && !(x->index = PyDict_New())))
            return NULL;
    }
    node **kids = realloc(x->kids, sizeof *kids * (size_t)(at + 1));
    if (kids)
        x->kids = kids;
    char **names = realloc(x->names, sizeof *names * (size_t)(at + 1));
    if (names)
        x->names = names;
    node *made = kids && names ? calloc(1, sizeof *made) : NULL;
    if (!made) {
        PyErr_NoMemory();
        return NULL;
    }
    kids[at] = made;
    names[at] = NULL;
    x->n++;
    if (name) {
        Py_ssize_t n;
        const char *z = PyUnicode_AsUTF8AndSize(name, &n);
        PyObject *pos = z ? PyLong_FromSsize_t(at) : NULL;
        if (!pos || PyDict_SetItem(x->index, name, pos) < 0) {
            Py_XDECREF(pos);
            return NULL;
        }
        Py_DECREF(pos);
        names[at] = malloc((size_t)n + 1);
        if (!names[at]) {
            PyErr_NoMemory();
            return NULL;
        }
        memcpy(names[at], z, (size_t)n + 1);
    }
    return made;
}

static int infer(node *x, PyObject *value, const char *column, int depth);

static int infer_members(node *x, PyObject *v, kind k, const char *column, int depth)
{
    if (depth >= DEPTH_MAX) {
        PyErr_Format(PyExc_ValueError, "%s: more than %d levels of lists and dicts", column, DEPTH_MAX);
        return -1;
    }
    if (k == K_LIST) {
        node *kid = x->n ? x->kids[0] : child(x, NULL);
        Py_ssize_t n = kid ? PySequence_Size(v) : -1;
        for (Py_ssize_t i = 0; i < n; i++) {
            PyObject *one = PySequence_GetItem(v, i);
            int rc = one ? infer(kid, one, column, depth + 1) : -1;
            Py_XDECREF(one);
            if (rc)
                return -1;
        }
        return n < 0 ? -1 : 0;
    }
    PyObject *key, *one;
    Py_ssize_t at = 0;
    while (PyDict_Next(v, &at, &key, &one)) {
        if (!PyUnicode_Check(key)) {
            PyErr_Format(PyExc_TypeError, "%s: the key %R of a dict is not a str", column, key);
            return -1;
        }
        node *kid = child(x, key);
        if (!kid || infer(kid, one, column, depth + 1))
            return -1;
    }
    return 0;
}

static int infer(node *x, PyObject *value, const char *column, int depth)
{
    PyObject *v = plain(value);
    int rc = -1, k = v ? kind_of(v, column) : -1;
    i128 ignored;
    int whole = 0, scale = 0;
    if (k < 0)
        goto out;
    if (k == K_FLOAT && is_nan(v)) {
        x->nan = true;
        rc = 0;
        goto out;
    }
    if (k == K_DECIMAL ? decimal_parts(v, column, &ignored, &whole, &scale) : k == K_INT ? int_parts(v, column, &ignored, &whole) : 0)
        goto out;
    x->wide |= k == K_INT && whole > 19;
    if (k == K_INT && whole == 19) { /* 64 bits or not? int_parts counts digits of what fits alone */
        int over;
        PyLong_AsLongLongAndOverflow(v, &over);
        x->wide |= over != 0;
    }
    x->whole = whole > x->whole ? whole : x->whole;
    x->scale = scale > x->scale ? scale : x->scale;
    if (k != K_NULL && x->k != (kind)k) {
        bool numbers = (x->k == K_INT && (k == K_FLOAT || k == K_DECIMAL)) || (k == K_INT && (x->k == K_FLOAT || x->k == K_DECIMAL));
        if (x->k != K_NULL && !numbers) {
            PyErr_Format(PyExc_TypeError, "%s: %s and %s in one column", column, kind_names[x->k], kind_names[k]);
            goto out;
        }
        if (!numbers || k != K_INT)
            x->k = (kind)k;
    }
    rc = k == K_LIST || k == K_STRUCT ? infer_members(x, v, (kind)k, column, depth) : 0;
out:
    Py_XDECREF(v);
    return rc;
}

/* What was seen is all there is: the type is settled. */
static int settle(node *x, const char *column)
{
    if ((x->k == K_NULL || x->k == K_INT) && x->nan)
        x->k = K_FLOAT;
    if (x->k == K_INT && x->wide) {
        x->k = K_DECIMAL;
        x->whole = 38;
    }
    if (x->k == K_DECIMAL && x->whole + x->scale > 38) {
        PyErr_Format(PyExc_ValueError, "%s: decimals of more than 38 digits, %d before the point and %d after it", column, x->whole, x->scale);
        return -1;
    }
    for (Py_ssize_t i = 0; i < x->n; i++)
        if (settle(x->kids[i], column))
            return -1;
    return 0;
}

/* ---- writing ---- */

static int put_valid(node *x, bool valid)
{
    uint8_t zero = 0;
    if (x->len % 8 == 0 && put(&x->valid, &zero, 1))
        return -1;
    if (valid)
        x->valid.p[x->len / 8] |= (char)(1 << x->len % 8);
    else
        x->nulls++;
    x->len++;
    return 0;
}

static size_t width_of(kind k)
{
    return k == K_DECIMAL || k == K_UUID ? 16 : k == K_DATE ? 4 : 8;
}

static int64_t attribute(PyObject *v, const char *name)
{
    PyObject *a = PyObject_GetAttrString(v, name);
    int64_t x = a ? PyLong_AsLongLong(a) : -1;
    Py_XDECREF(a);
    return x;
}

static int stamp_us(PyObject *v, bool zoned, int64_t *out)
{
    PyObject *epoch = py_class_get(zoned ? PY_EPOCH_UTC : PY_EPOCH), *d = epoch ? PyNumber_Subtract(v, epoch) : NULL;
    if (!d)
        return -1;
    int64_t days = attribute(d, "days"), seconds = attribute(d, "seconds"), us = attribute(d, "microseconds");
    Py_DECREF(d);
    *out = (days * 86400 + seconds) * 1000000 + us;
    return PyErr_Occurred() ? -1 : 0;
}

static int put_text(node *x, PyObject *v, const char *column)
{
    const char *p;
    Py_ssize_t n;
    if (x->k == K_TEXT) {
        p = PyUnicode_AsUTF8AndSize(v, &n);
    } else if (PyByteArray_Check(v)) {
        p = PyByteArray_AsString(v);
        n = PyByteArray_Size(v);
    } else {
        char *b;
        p = PyBytes_AsStringAndSize(v, &b, &n) < 0 ? NULL : b;
    }
    if (!p)
        return -1;
    if (x->text.n + (size_t)n > INT32_MAX) {
        PyErr_Format(PyExc_OverflowError, "%s: more than 2 GB of text in one column", column);
        return -1;
    }
    if (put(&x->text, p, (size_t)n))
        return -1;
    int32_t end = (int32_t)x->text.n;
    return put(&x->data, &end, 4);
}

static int put_bool(node *x, PyObject *v)
{
    uint8_t zero = 0;
    int64_t at = x->len - 1; /* counted already */
    if (at % 8 == 0 && put(&x->data, &zero, 1))
        return -1;
    if (v == Py_True)
        x->data.p[at / 8] |= (char)(1 << at % 8);
    return 0;
}

static int put_uuid(node *x, PyObject *v)
{
    PyObject *b = PyObject_GetAttrString(v, "bytes");
    char *p;
    Py_ssize_t n;
    int rc = b && PyBytes_AsStringAndSize(b, &p, &n) == 0 && n == 16 ? put(&x->data, p, 16) : -1;
    Py_XDECREF(b);
    return rc;
}

static int put_decimal(node *x, PyObject *v, const char *column)
{
    i128 d = 0;
    int whole, scale = 0;
    if (PyLong_Check(v) ? int_parts(v, column, &d, &whole) : decimal_parts(v, column, &d, &whole, &scale))
        return -1;
    for (; scale < x->scale; scale++)
        d *= 10;
    return put(&x->data, &d, 16);
}

static int put_time(node *x, PyObject *v, const char *column)
{
    PyObject *zone = PyObject_GetAttrString(v, "tzinfo");
    bool zoned = zone != Py_None;
    Py_XDECREF(zone);
    if (zoned) {
        if (zone)
            PyErr_Format(PyExc_ValueError, "%s: a time of day with a zone has no counterpart in a table", column);
        return -1;
    }
    int64_t us = ((attribute(v, "hour") * 60 + attribute(v, "minute")) * 60 + attribute(v, "second")) * 1000000 + attribute(v, "microsecond");
    return PyErr_Occurred() ? -1 : put(&x->data, &us, 8);
}

static int append(node *x, PyObject *value, const char *column);

static int append_null(node *x)
{
    static const char zeros[16];
    if (put_valid(x, false))
        return -1;
    switch (x->k) {
    case K_NULL:
        return 0;
    case K_BOOL:
        return put_bool(x, Py_False);
    case K_TEXT:
    case K_BYTES:
    case K_LIST: {
        int32_t end = x->k == K_LIST ? (int32_t)x->kids[0]->len : (int32_t)x->text.n;
        return put(&x->data, &end, 4);
    }
    case K_STRUCT:
        for (Py_ssize_t i = 0; i < x->n; i++)
            if (append_null(x->kids[i]))
                return -1;
        return 0;
    default:
        return put(&x->data, zeros, width_of(x->k));
    }
}

static int append_members(node *x, PyObject *v, const char *column)
{
    if (x->k == K_LIST) {
        Py_ssize_t n = PySequence_Size(v);
        for (Py_ssize_t i = 0; i < n; i++) {
            PyObject *one = PySequence_GetItem(v, i);
            int rc = one ? append(x->kids[0], one, column) : -1;
            Py_XDECREF(one);
            if (rc)
                return -1;
        }
        if (x->kids[0]->len > INT32_MAX) {
            PyErr_Format(PyExc_OverflowError, "%s: more than 2 billion list elements in one column", column);
            return -1;
        }
        int32_t end = (int32_t)x->kids[0]->len;
        return put(&x->data, &end, 4);
    }
    for (Py_ssize_t i = 0; i < x->n; i++) {
        PyObject *one = PyDict_GetItemString(v, x->names[i]);
        if (one ? append(x->kids[i], one, column) : append_null(x->kids[i]))
            return -1;
    }
    return 0;
}

static int append_value(node *x, PyObject *v, const char *column)
{
    int64_t n = 0;
    double d;
    int32_t day;
    switch (x->k) {
    case K_BOOL:
        return put_bool(x, v);
    case K_INT:
        n = PyLong_AsLongLong(v);
        return PyErr_Occurred() ? -1 : put(&x->data, &n, 8);
    case K_FLOAT:
        d = PyFloat_AsDouble(v);
        return PyErr_Occurred() ? -1 : put(&x->data, &d, 8);
    case K_DECIMAL:
        return put_decimal(x, v, column);
    case K_TEXT:
    case K_BYTES:
        return put_text(x, v, column);
    case K_DATE: {
        PyObject *o = PyObject_CallMethod(v, "toordinal", NULL);
        day = o ? (int32_t)PyLong_AsLong(o) - 719163 : 0;
        Py_XDECREF(o);
        return PyErr_Occurred() ? -1 : put(&x->data, &day, 4);
    }
    case K_TIME:
        return put_time(x, v, column);
    case K_STAMP:
    case K_STAMPTZ:
        return stamp_us(v, x->k == K_STAMPTZ, &n) ? -1 : put(&x->data, &n, 8);
    case K_UUID:
        return put_uuid(x, v);
    case K_LIST:
    case K_STRUCT:
        return append_members(x, v, column);
    case K_NULL:
        break;
    }
    return 0;
}

static int append(node *x, PyObject *value, const char *column)
{
    PyObject *v = plain(value);
    int k = v ? kind_of(v, column) : -1, rc = -1;
    if (k >= 0 && (k == K_NULL || (k == K_FLOAT && x->k != K_FLOAT && is_nan(v))))
        rc = append_null(x);
    else if (k >= 0 && (x->k == K_LIST || x->k == K_STRUCT || x->k == K_TEXT || x->k == K_BOOL) && x->k != (kind)k)
        PyErr_Format(PyExc_RuntimeError, "%s: values changed while they were read", column);
    else if (k >= 0)
        rc = put_valid(x, true) || append_value(x, v, column) ? -1 : 0;
    Py_XDECREF(v);
    return rc;
}

static int begin(node *x)
{
    int32_t zero = 0;
    if ((x->k == K_TEXT || x->k == K_BYTES || x->k == K_LIST) && put(&x->data, &zero, 4))
        return -1;
    for (Py_ssize_t i = 0; i < x->n; i++)
        if (begin(x->kids[i]))
            return -1;
    return 0;
}

/* ---- handing out ---- */

typedef struct held {
    const void *buffers[3];
    bytes own[3];
    char format[24];
    char *name;
} held;

static void schema_free(struct ArrowSchema *s)
{
    held *x = s->private_data;
    for (int64_t i = 0; i < s->n_children; i++) {
        if (s->children[i]->release)
            s->children[i]->release(s->children[i]);
        free(s->children[i]);
    }
    free(s->children);
    free(x->name);
    free(x);
    s->release = NULL;
}

static void array_free(struct ArrowArray *a)
{
    held *x = a->private_data;
    for (int64_t i = 0; i < a->n_children; i++) {
        if (a->children[i]->release)
            a->children[i]->release(a->children[i]);
        free(a->children[i]);
    }
    free(a->children);
    for (int i = 0; i < 3; i++)
        free(x->own[i].p);
    free(x);
    a->release = NULL;
}

static const char uuid_mark[] = "\1\0\0\0\24\0\0\0ARROW:extension:name\12\0\0\0arrow.uuid"; /* little-endian machines */

/* Moves the node's memory out. Memory is the only thing that can fail, which isn't worth an unwinding of its own: what was made is
 * complete in itself, with fewer children. */
static bool node_out(node *x, const char *name, struct ArrowSchema *s, struct ArrowArray *a)
{
    static const char *const formats[] = {"n", "b", "l", "g", "", "u", "z", "tdD", "ttu", "tsu:", "tsu:UTC", "w:16", "+l", "+s"};
    held *hs = calloc(1, sizeof *hs), *ha = calloc(1, sizeof *ha);
    size_t kids = (size_t)x->n + 1;
    char *copy = name ? malloc(strlen(name) + 1) : calloc(1, 1);
    struct ArrowSchema **sk = calloc(kids, sizeof *sk);
    struct ArrowArray **ak = calloc(kids, sizeof *ak);
    s->release = NULL;
    a->release = NULL;
    if (!hs || !ha || !copy || !sk || !ak) {
        free(hs);
        free(ha);
        free(copy);
        free(sk);
        free(ak);
        return false;
    }
    if (name)
        memcpy(copy, name, strlen(name) + 1);
    hs->name = copy;
    if (x->k == K_DECIMAL)
        snprintf(hs->format, sizeof hs->format, "d:%d,%d", x->whole + x->scale > 0 ? x->whole + x->scale : 1, x->scale);
    else
        snprintf(hs->format, sizeof hs->format, "%s", formats[x->k]);
    *s = (struct ArrowSchema){.format = hs->format, .name = copy, .flags = ARROW_FLAG_NULLABLE, .children = sk, .release = schema_free, .private_data = hs,
                              .metadata = x->k == K_UUID ? uuid_mark : NULL};
    *a = (struct ArrowArray){.length = x->len, .null_count = x->nulls, .buffers = ha->buffers, .children = ak, .release = array_free, .private_data = ha,
                             .n_buffers = x->k == K_NULL ? 0 : x->k == K_STRUCT ? 1 : x->k == K_TEXT || x->k == K_BYTES ? 3 : 2};
    ha->own[0] = x->valid;
    ha->own[1] = x->data;
    ha->own[2] = x->text;
    x->valid = x->data = x->text = (bytes){0};
    ha->buffers[0] = x->nulls ? ha->own[0].p : NULL;
    ha->buffers[1] = ha->own[1].p ? ha->own[1].p : (char *)ha->buffers;
    ha->buffers[2] = ha->own[2].p ? ha->own[2].p : (char *)ha->buffers;
    for (Py_ssize_t i = 0; i < x->n; i++) {
        struct ArrowSchema *cs = calloc(1, sizeof *cs);
        struct ArrowArray *ca = calloc(1, sizeof *ca);
        if (!cs || !ca || !node_out(x->kids[i], x->k == K_LIST ? "element" : x->names[i], cs, ca)) {
            free(cs);
            free(ca);
            return false;
        }
        sk[i] = cs;
        ak[i] = ca;
        s->n_children = a->n_children = i + 1;
    }
    return true;
}

static int table_out(node *top, struct ArrowSchema *schema, struct ArrowArray *array)
{
    if (node_out(top, "", schema, array))
        return 0;
    if (schema->release)
        schema->release(schema);
    if (array->release)
        array->release(array);
    return no_memory();
}

/* One column of a sequence's values. */
static int column_build(node *x, PyObject *values, Py_ssize_t rows, const char *column)
{
    for (int pass = 0; pass < 2; pass++) {
        if (pass && (settle(x, column) || begin(x)))
            return -1;
        for (Py_ssize_t i = 0; i < rows; i++) {
            PyObject *v = PySequence_GetItem(values, i);
            int rc = !v ? -1 : pass ? append(x, v, column) : infer(x, v, column, 0);
            Py_XDECREF(v);
            if (rc)
                return -1;
        }
    }
    return 0;
}

int py_build_columns(Py_ssize_t n, PyObject *const *names, PyObject *const *columns, struct ArrowSchema *schema, struct ArrowArray *array)
{
    node *top = calloc(1, sizeof *top);
    int rc = -1;
    if (!top)
        return no_memory();
    top->k = K_STRUCT;
    Py_ssize_t rows = n ? PySequence_Size(columns[0]) : 0;
    for (Py_ssize_t i = 0; i < n && rows >= 0; i++) {
        const char *name = PyUnicode_AsUTF8AndSize(names[i], NULL);
        char what[160];
        Py_ssize_t have = PySequence_Size(columns[i]);
        if (!name || have < 0)
            goto out;
        snprintf(what, sizeof what, "column %.140s", name);
        if (have != rows) {
            PyErr_Format(PyExc_ValueError, "%s has %zd values, the first column %zd", what, have, rows);
            goto out;
        }
        node *x = child(top, names[i]);
        if (!x || column_build(x, columns[i], rows, what))
            goto out;
    }
    top->len = rows;
    rc = rows < 0 ? -1 : table_out(top, schema, array);
out:
    node_free(top);
    return rc;
}

/* A sequence of dicts: a column for each key, in the order in which they come first; missing ones are null. */
static int rows_build(PyObject *list, struct ArrowSchema *schema, struct ArrowArray *array)
{
    node *top = calloc(1, sizeof *top);
    Py_ssize_t rows = PySequence_Size(list);
    int rc = -1;
    if (!top)
        return no_memory();
    top->k = K_STRUCT;
    for (int pass = 0; pass < 2 && rows >= 0; pass++) {
        for (Py_ssize_t c = 0; pass && c < top->n; c++) {
            char what[160];
            snprintf(what, sizeof what, "column %.140s", top->names[c]);
            if (settle(top->kids[c], what) || begin(top->kids[c]))
                goto out;
        }
        for (Py_ssize_t i = 0; i < rows; i++) {
            PyObject *row = PySequence_GetItem(list, i), *key, *v;
            Py_ssize_t at = 0;
            bool ok = row && PyDict_Check(row);
            if (row && !ok)
                PyErr_Format(PyExc_TypeError, "row %zd is not a dict but a %s: a table is a list of dicts, or a dict of lists", i,
                             PyTuple_Check(row) ? "tuple" : PyList_Check(row) ? "list" : "value of another type");
            while (ok && !pass && PyDict_Next(row, &at, &key, &v)) {
                char what[160];
                const char *z = PyUnicode_Check(key) ? PyUnicode_AsUTF8AndSize(key, NULL) : NULL;
                if (!z && !PyErr_Occurred())
                    PyErr_Format(PyExc_TypeError, "row %zd: the key %R is not a str", i, key);
                snprintf(what, sizeof what, "column %.140s", z ? z : "");
                node *x = z ? child(top, key) : NULL;
                ok = x && infer(x, v, what, 0) == 0;
            }
            if (ok && pass)
                ok = append_members(top, row, "a column") == 0;
            Py_XDECREF(row);
            if (!ok)
                goto out;
        }
    }
    if (top->n == 0) {
        PyErr_SetString(PyExc_ValueError, "a table without columns: the list has no dicts with keys");
        goto out;
    }
    top->len = rows;
    rc = rows < 0 ? -1 : table_out(top, schema, array);
out:
    node_free(top);
    return rc;
}

/* A column given as something else than a list: NumPy arrays, pandas series, ranges, generators. A new reference. */
static PyObject *as_list(PyObject *v, PyObject *key)
{
    if (PyList_Check(v) || PyTuple_Check(v)) {
        Py_INCREF(v);
        return v;
    }
    if (PyUnicode_Check(v) || PyBytes_Check(v) || PyDict_Check(v)) {
        PyErr_Format(PyExc_TypeError, "column %S is not a list of values", key);
        return NULL;
    }
    if (PyObject_HasAttrString(v, "tolist"))
        return PyObject_CallMethod(v, "tolist", NULL);
    PyObject *l = PySequence_List(v);
    if (!l && PyErr_ExceptionMatches(PyExc_TypeError))
        PyErr_Format(PyExc_TypeError, "column %S is not a list of values", key);
    return l;
}

int py_build_table(PyObject *o, struct ArrowSchema *schema, struct ArrowArray *array)
{
    if (!PyDict_Check(o))
        return rows_build(o, schema, array);
    Py_ssize_t n = PyDict_Size(o), at = 0, got = 0;
    PyObject **names = calloc((size_t)n + 1, sizeof *names), **columns = calloc((size_t)n + 1, sizeof *columns), *key, *v;
    int rc = names && columns ? 0 : no_memory();
    if (!rc && n == 0) {
        PyErr_SetString(PyExc_ValueError, "a table without columns: the dict is empty");
        rc = -1;
    }
    while (!rc && got < n && PyDict_Next(o, &at, &key, &v)) {
        if (!PyUnicode_Check(key)) {
            PyErr_Format(PyExc_TypeError, "the name %R of a column is not a str", key);
            rc = -1;
        } else if ((columns[got] = as_list(v, key))) {
            Py_INCREF(key);
            names[got++] = key;
        } else {
            rc = -1;
        }
    }
    if (!rc)
        rc = py_build_columns(got, names, columns, schema, array);
    for (Py_ssize_t i = 0; i < got; i++) {
        Py_DECREF(names[i]);
        Py_DECREF(columns[i]);
    }
    free(names);
    free(columns);
    return rc;
}
