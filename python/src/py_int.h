/*
 * py_int.h: the parts of the extension module frazil._frazil, which is all C that the package has.
 *
 *   handles.c   lake, session and result as counted handles that need no interpreter: streams release them from any thread
 *   call.c      calls of the library without the interpreter's lock; Ctrl-C, progress
 *   errors.c    fz_error to exceptions (frazil/errors.py)
 *   stream.c    a result as an Arrow stream, and what a requested schema asks of it
 *   build.c     Python values to Arrow: parameters, lists of dicts, dicts of lists
 *   read.c      Arrow to Python values: fetchall and its kin
 *   source.c    objects as tables of a statement
 *   types.c     the Python types Lake, Session and Result
 *   module.c    the module
 *
 * Only CPython's stable ABI of 3.10 and frazil.h are used. Invariants: no call of the library that can take time is made with the
 * interpreter's lock held; nothing here is released by a process that didn't open it (fork).
 */
#ifndef PY_INT_H
#define PY_INT_H

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030a0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <frazil/frazil.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- handles ---- */

typedef struct lake_h {
    _Atomic int refs;
    pid_t pid;                 /* that opened it */
    fz_lake *lake;
    _Atomic bool closed;
} lake_h;

typedef struct session_h {
    _Atomic int refs;
    lake_h *lake;
    fz_session *s;
    pthread_mutex_t lock;      /* one call on it, or on a result of it, at a time; taken and given back by the functions below */
    struct result_h *_Atomic left; /* results to be closed by whoever gives the lock back */
    _Atomic bool busy;         /* a call runs */
    _Atomic int open;          /* results with rows to come */
    int64_t worked_ms;         /* in calls for the current statement */
    int64_t shown_ms;          /* when progress was drawn last; 0: never */
} session_h;

typedef struct array_node { struct array_node *next; struct ArrowArray a; } array_node;

typedef struct result_h {
    _Atomic int refs;
    session_h *s;
    fz_result *r;              /* NULL: closed; set under s->lock and `life`, so that either suffices to use it */
    pthread_mutex_t life;      /* held briefly, never by who wants the interpreter's lock */
    bool closed;
    bool counted;              /* in s->open */
    bool ended;                /* all arrays were handed out */
    bool quick;                /* the last array came at once: the next is asked for without a helper */
    array_node *head, *tail;   /* read ahead by result_read_all */
    struct result_h *next, *prev; /* the open results of this process */
    bool listed;               /* among them */
    struct result_h *left_next; /* in s->left */
    _Atomic bool leaving;      /* it was put there by py_result_close */
    PyObject *failure;         /* an exception that a consumer of the stream can't raise for us; owned with the interpreter's lock */
} result_h;

lake_h *py_lake_ref(lake_h *l);
void py_lake_unref(lake_h *l);
session_h *py_session_ref(session_h *s);
void py_session_unref(session_h *s);
fz_status py_lake_open(const char *location, const fz_option *options, size_t n, lake_h **out, fz_error *err);
fz_status py_session_open(lake_h *l, session_h **out, fz_error *err);
/* Takes r. NULL: no memory, r is released. */
result_h *py_result_new(session_h *s, fz_result *r);
result_h *py_result_ref(result_h *r);
void py_result_unref(result_h *r);
/* Ends the query and what was read ahead; the handle stays. While a call of the session runs (this may be a part of it: a variable
 * asked for its rows, a collection of garbage) the closing is left to it, unless `wait`. */
void py_result_close(result_h *r, bool wait);
void py_session_lock(session_h *s);
void py_session_unlock(session_h *s);
/* FZ_INVALID with a message where the lake was closed, or by another process. */
fz_status py_lake_usable(const lake_h *l, fz_error *err);
/* At the interpreter's exit: ends every result that is still open. */
void py_results_close_all(void);
/* With the session's lock: the next array, from what was read ahead or the query; release NULL at the end. */
fz_status py_result_next(result_h *r, struct ArrowArray *out, fz_error *err);
/* Puts an array behind (of what was read ahead) or before it; takes it. */
fz_status py_result_keep(result_h *r, struct ArrowArray *a, bool before, fz_error *err);

/* ---- calls ---- */

typedef void (*call_fn)(void *arg);
/*
 * Runs fn(arg) without the interpreter's lock, and with the session's lock. In the main thread a helper thread runs it, while this one looks after
 * signals: an exception of a handler (KeyboardInterrupt) cancels the statement. Returns -1 with that exception set; fn has ended then all the
 * same. quick: no helper is worth it, signals are looked at after the call.
 */
int py_call_run(session_h *s, bool quick, call_fn fn, void *arg);
/* What draws progress: called in the main thread as progress(bytes_done, bytes_total, rows_done) once a statement has worked for a second, then about ten times a
 * second, and as progress(None) when it is over. NULL or None: nothing. The reference is the caller's. */
void py_call_on_progress(PyObject *progress);
/* A statement begins; it is over. With the interpreter's lock. */
void py_call_begin(session_h *s);
void py_call_over(session_h *s);

/* ---- errors ---- */

/* Raises the exception for err; sql may be NULL. Returns NULL. */
PyObject *py_raise_error(const fz_error *err, const char *sql);
PyObject *py_raise_closed(const char *message);

/* ---- Arrow ---- */

/* A capsule "arrow_array_stream" of the rest of a result. requested: a capsule "arrow_schema", None or NULL. */
PyObject *py_stream_capsule(result_h *r, PyObject *requested);
/* The session that a stream of ours works with; NULL: it is somebody else's. */
const session_h *py_stream_session(const struct ArrowArrayStream *s);
PyObject *py_schema_capsule(struct ArrowSchema *moved);
/* The columns; may be called with the interpreter's lock. */
fz_status py_result_schema(result_h *r, struct ArrowSchema *out, fz_error *err);
/* A stream of one struct array; takes both, also on failure (-1, no exception). */
int py_stream_of_array(struct ArrowSchema *schema, struct ArrowArray *array, struct ArrowArrayStream *out);
/* Whether a result whose columns have these formats can be handed out as requested; the first column that can't be is *bad. */
bool py_request_fits(const struct ArrowSchema *have, const struct ArrowSchema *want, int64_t *bad);

/* Columns of Python values as one struct array. names: n UTF-8 names; columns: n sequences (lists or tuples) of one length.
 * -1 with a TypeError or ValueError that names the column. */
int py_build_columns(Py_ssize_t n, PyObject *const *names, PyObject *const *columns, struct ArrowSchema *schema, struct ArrowArray *array);
/* A dict of sequences, a sequence of dicts, as one struct array. */
int py_build_table(PyObject *o, struct ArrowSchema *schema, struct ArrowArray *array);

/* Appends rows [from, from+n) of a struct array to a list, as tuples. */
int py_read_rows(const struct ArrowSchema *schema, const struct ArrowArray *a, int64_t from, int64_t n, PyObject *list);

/* An object's rows as a stream: __arrow_c_stream__, __arrow_c_array__, dicts and lists. 0; -1 with an exception. */
int py_source_stream(PyObject *o, struct ArrowArrayStream *out);
/* fz_table_fn; ctx is a source_ctx: lookup(name) gives an object, or None. */
typedef struct source_ctx { session_h *s; PyObject *lookup, *failure; } source_ctx;
fz_status py_source_find(void *ctx, const char *name, struct ArrowArrayStream *out, fz_error *err);

/* ---- types ---- */

int py_types_add(PyObject *module);

/* datetime, decimal, uuid: imported when first needed; borrowed. NULL with an exception. */
typedef enum py_class { PY_DATE, PY_TIME, PY_DATETIME, PY_TIMEDELTA, PY_UTC, PY_EPOCH, PY_EPOCH_UTC, PY_DECIMAL, PY_UUID, PY_CLASSES } py_class;
PyObject *py_class_get(py_class c);
/* The same without importing: NULL (no exception) where nobody has imported its module, so that no object can be of it. */
PyObject *py_class_loaded(py_class c);

#endif
