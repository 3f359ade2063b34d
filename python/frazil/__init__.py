"""Apache Iceberg tables inside your process.

>>> import frazil
>>> lake = frazil.connect("lake/")                     # a folder; it is made by the first statement that writes
>>> lake.sql("create table t as select 1 as a, 'x' as b")
CREATE TABLE, 1 row
>>> frame = {"a": [2, 3], "b": ["y", None]}
>>> lake.sql("insert into t select * from frame")      # local variables are tables
INSERT, 2 rows
>>> lake.sql("select * from t where a >= ? order by a", [2]).fetchall()
[(2, 'y'), (3, None)]

A result hands itself over to Polars, pandas, PyArrow, DuckDB and whatever else speaks Arrow: ``r.pl()``, ``r.df()``,
``r.arrow()``, or the object itself.
"""

from __future__ import annotations

from ._frazil import version as __version__
from .errors import (
    BusyError,
    CancelledError,
    ClosedError,
    ConflictError,
    DataError,
    Error,
    ExistsError,
    InternalError,
    InvalidError,
    LimitError,
    NotFoundError,
    OutOfMemoryError,
    SQLSyntaxError,
    StorageError,
    UnknownOutcomeError,
    UnsupportedError,
    ValueError_,
)
from .lake import Lake, adbc_driver, connect, default_lake, load, sql, sql_async
from .relation import Batch, Relation

__all__ = [
    "Batch",
    "BusyError",
    "CancelledError",
    "ClosedError",
    "ConflictError",
    "DataError",
    "Error",
    "ExistsError",
    "InternalError",
    "InvalidError",
    "Lake",
    "LimitError",
    "NotFoundError",
    "OutOfMemoryError",
    "Relation",
    "SQLSyntaxError",
    "StorageError",
    "UnknownOutcomeError",
    "UnsupportedError",
    "ValueError_",
    "__version__",
    "adbc_driver",
    "connect",
    "default_lake",
    "load",
    "sql",
    "sql_async",
]
