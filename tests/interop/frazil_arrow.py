"""The library through its C interface: results as Arrow tables, so that values are compared and not their text."""
import ctypes, os

import pyarrow as pa

from conftest import FRAZIL


class FrazilError(Exception):
    def __init__(self, e):
        super().__init__(e.message.decode() + (f" ({e.where.decode()})" if e.where else ""))
        self.status, self.sqlstate = e.status, e.sqlstate.decode()


class _Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("sqlstate", ctypes.c_char * 6), ("message", ctypes.c_char * 1024), ("hint", ctypes.c_char * 512),
                ("where", ctypes.c_char * 512), ("offset", ctypes.c_int64), ("line", ctypes.c_int64), ("column", ctypes.c_int64)]


class _Stream(ctypes.Structure):
    _fields_ = [("get_schema", ctypes.c_void_p), ("get_next", ctypes.c_void_p), ("get_last_error", ctypes.c_void_p), ("release", ctypes.c_void_p),
                ("private_data", ctypes.c_void_p)]


class Session:
    """`with Session(directory) as s: s.query("SELECT …")` gives a pyarrow.Table."""

    def __init__(self, lake, **options):
        self.lib = ctypes.CDLL(os.path.join(os.path.dirname(FRAZIL), "libfrazil.so"))
        self.lake, self.session, self.error = ctypes.c_void_p(), ctypes.c_void_p(), _Error()
        n = len(options)
        array = (ctypes.c_char_p * (2 * n + 1))(*[x.encode() for kv in options.items() for x in (kv[0].replace("_", "-"), kv[1])])
        self._check(self.lib.fz_lake_open(None, os.fspath(lake).encode(), array, ctypes.c_size_t(n), ctypes.byref(self.lake), ctypes.byref(self.error)))
        self._check(self.lib.fz_session_open(self.lake, ctypes.byref(self.session), ctypes.byref(self.error)))

    def _check(self, status):
        if status:
            raise FrazilError(self.error)

    def query(self, sql):
        """The rows of one statement; None where it has none."""
        result, stream = ctypes.c_void_p(), _Stream()
        self._check(self.lib.fz_execute(self.session, sql.encode(), None, None, ctypes.byref(result), ctypes.byref(self.error)))
        if not result or not self.lib.fz_result_has_rows(result):
            self.lib.fz_result_release(result)
            return None
        self._check(self.lib.fz_result_stream(result, ctypes.byref(stream), ctypes.byref(self.error)))
        try:
            return pa.RecordBatchReader._import_from_c(ctypes.addressof(stream)).read_all()
        except (pa.ArrowException, OSError) as e:
            error = _Error(message=str(e).encode()[:1023])
            raise FrazilError(error) from None

    def rows(self, sql):
        t = self.query(sql)
        return [list(r) for r in zip(*[c.to_pylist() for c in t.columns])]

    def close(self):
        self.lib.fz_session_close(self.session)
        self.lib.fz_lake_close(self.lake)
        self.session = self.lake = ctypes.c_void_p()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
