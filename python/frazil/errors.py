"""The exceptions of frazil.

Every failure of the library is a :class:`Error`; a subclass says which kind, and is at the same time the
built-in exception that fits, so that ``except LookupError`` or ``except OSError`` do what one expects.

>>> import frazil
>>> try:
...     frazil.sql("select 1 + 'a'")
... except frazil.Error as e:
...     print(type(e).__name__, e.sqlstate)
ValueError_ 22P02
"""

from __future__ import annotations


class Error(Exception):
    """A failure of frazil.

    ``str(e)`` is the whole text: message, place with a caret, hint. The parts are attributes:

    * ``message``: one sentence
    * ``status``: the kind, as ``"not_found"``
    * ``sqlstate``: SQL's five characters, or ``""``
    * ``hint``: what to do about it, or ``""``
    * ``where``: the file, URL or table it is about, or ``""``
    * ``line``, ``column``: place in the statement or file, from 1, or None
    * ``offset``: byte offset in the file, or None
    """

    status: str = "invalid"
    message: str = ""
    sqlstate: str = ""
    hint: str = ""
    where: str = ""
    line: int | None = None
    column: int | None = None
    offset: int | None = None


class InvalidError(Error, ValueError):
    """An argument, option or statement that can't be used as it is."""


class SQLSyntaxError(InvalidError):
    """SQL text that doesn't parse."""


class DataError(Error, ValueError):
    """Bytes of a file or stream that aren't what their format says."""


class ValueError_(Error, ArithmeticError, ValueError):
    """A value that can't be computed: an overflow, a cast that doesn't fit, a division by zero."""


class NotFoundError(Error, LookupError):
    """A table, column, file, ... that doesn't exist."""


class ExistsError(Error):
    """Something that exists already."""


class UnsupportedError(Error, NotImplementedError):
    """Valid, but not supported; the message names the feature."""


class StorageError(Error, OSError):
    """The operating system or a server reported a failure."""


class OutOfMemoryError(Error, MemoryError):
    """There is no memory."""


class LimitError(Error):
    """A limit that can be set was reached."""


class ConflictError(Error):
    """A commit whose requirements no longer hold: another writer was faster."""


class UnknownOutcomeError(Error):
    """A commit of which isn't known whether it took place."""


class BusyError(Error, TimeoutError):
    """A lock wasn't had within its time limit."""


class CancelledError(Error):
    """The statement was cancelled."""


class InternalError(Error):
    """A defect in frazil."""


class ClosedError(InvalidError):
    """A lake or result that was closed, or was opened by the process that this one was forked from."""


_BY_STATUS = {
    "invalid": InvalidError,
    "syntax": SQLSyntaxError,
    "data": DataError,
    "value": ValueError_,
    "not_found": NotFoundError,
    "exists": ExistsError,
    "unsupported": UnsupportedError,
    "io": StorageError,
    "nomem": OutOfMemoryError,
    "limit": LimitError,
    "conflict": ConflictError,
    "unknown": UnknownOutcomeError,
    "busy": BusyError,
    "cancelled": CancelledError,
    "internal": InternalError,
}


def make(status: str, text: str, message: str, sqlstate: str, hint: str, where: str, offset: int, line: int, column: int) -> Error:
    """Called by the extension module: the exception for an fz_error."""
    kind = ClosedError if sqlstate in ("08003", "24000") else _BY_STATUS.get(status, Error)
    e = kind(text.removeprefix("error: "))
    e.status, e.message, e.sqlstate, e.hint, e.where = status, message, sqlstate, hint, where
    e.offset = offset if offset >= 0 else None
    e.line = line if line > 0 else None
    e.column = column if column > 0 else None
    return e


def closed(message: str) -> Error:
    """Called by the extension module: the exception for a closed handle."""
    return make("invalid", message, message, "24000", "", "", -1, -1, -1)
