"""The exceptions of the object API, named as PyIceberg names them. Each is also the exception of frazil that fits.

>>> from frazil.catalog import load_catalog
>>> from frazil.exceptions import NoSuchTableError
>>> try:
...     load_catalog("lake/").load_table("default.nothing")
... except NoSuchTableError as e:
...     print(e.sqlstate)
42P01
"""

from __future__ import annotations

from .errors import ConflictError, Error, ExistsError, InvalidError, NotFoundError, StorageError, UnknownOutcomeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class TableAlreadyExistsError(ExistsError):
    """A table of that name is there already."""


class NamespaceAlreadyExistsError(ExistsError):
    """A namespace of that name is there already."""


class NamespaceNotEmptyError(InvalidError):
    """A namespace that still has tables, or namespaces, can't be dropped."""


class NoSuchIdentifierError(NotFoundError):
    """There is nothing of that name."""


class NoSuchTableError(NoSuchIdentifierError):
    """There is no such table."""


class NoSuchIcebergTableError(NoSuchTableError):
    """There is a table of that name, which isn't Iceberg's."""


class NoSuchNamespaceError(NoSuchIdentifierError):
    """There is no such namespace."""


class NoSuchPropertyException(NotFoundError):
    """There is no such property."""


class ValidationError(InvalidError):
    """Something is wrong with a schema, a spec or an order."""


class ValidationException(InvalidError):
    """What was read has changed before the commit."""


class NotInstalledError(Error, ImportError):
    """A package that something optional needs isn't installed."""


class CommitFailedException(ConflictError):
    """Somebody else changed the table in a way that this commit can't follow. Nothing was changed; load the table and try again."""


class CommitStateUnknownException(UnknownOutcomeError):
    """Whether the commit took place isn't known."""


class RESTError(StorageError):
    """A catalog server reported a failure."""


_BY_SQLSTATE: dict[str, type[Error]] = {
    "42P01": NoSuchTableError,
    "42P07": TableAlreadyExistsError,
    "3F000": NoSuchNamespaceError,
    "42P06": NamespaceAlreadyExistsError,
    "2BP01": NamespaceNotEmptyError,
}
_BY_STATUS: dict[str, type[Error]] = {"conflict": CommitFailedException, "unknown": CommitStateUnknownException}


def translated(e: Error) -> Error:
    """The exception of this module for one of frazil's; itself where there is none."""
    kind = _BY_SQLSTATE.get(e.sqlstate) or _BY_STATUS.get(e.status)
    if kind is None or isinstance(e, kind):
        return e
    out = kind(*e.args)
    out.__dict__.update(e.__dict__)
    return out


class translating:
    """Within it frazil's exceptions become those of this module."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(e, Error):
            other = translated(e)
            if other is not e:
                raise other from None
