"""Catalogs, as PyIceberg's users know them.

>>> from frazil.catalog import load_catalog
>>> catalog = load_catalog("lake/")                  # a folder; or the name of a configured catalog
>>> catalog.create_namespace_if_not_exists("shop")
>>> import frazil
>>> frame = frazil.sql("select 1 as id, 'pen' as name")
>>> table = catalog.create_table_if_not_exists("shop.goods", schema=frame)
>>> table.append(frame)
>>> table.scan(row_filter="id = 1", selected_fields=("name",)).to_arrow().to_pylist()
[{'name': 'pen'}]

A catalog may be used from several threads; ``catalog.lake`` is the same thing for SQL.
"""

from __future__ import annotations

import json
import os

from ..errors import Error, NotFoundError
from ..exceptions import (
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
    translating,
)
from ..lake import Lake
from ..partitioning import UNPARTITIONED_PARTITION_SPEC, as_spec, spec_to_json
from ..relation import Relation
from ..schema import as_schema, schema_to_json
from ..table.sorting import UNSORTED_SORT_ORDER, as_order, order_to_json
from ..value import Value, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Union

    from ..table import Table

    Identifier = tuple[str, ...]
    Name = Union[str, tuple[str, ...]]

__all__ = ["Catalog", "PropertiesUpdateSummary", "list_catalogs", "load_catalog"]


def load_catalog(name: str | None = None, **properties: Any) -> Catalog:
    """Opens a catalog.

    ``name`` is a configured catalog (``.pyiceberg.yaml``, ``PYICEBERG_CATALOG__...``), a folder where it has a slash in it, or a name of
    its own where properties describe the catalog (``type``, ``uri``, ``warehouse``, ``credential``, ... as PyIceberg names them). Without a name, and for
    ``"default"`` where that isn't configured, it is the lake that :func:`frazil.connect` opens.

    >>> load_catalog("lake/").name
    'lake/'
    """
    if name is not None and not isinstance(name, str):
        raise TypeError(f"load_catalog: the name {name!r} is not a str")
    if name is not None and os.sep in name:
        return Catalog(name, Lake(name, None, properties), properties)
    try:
        lake = Lake(None, name, properties)
    except NotFoundError:
        if name != "default" or any(v is not None for v in properties.values()):
            raise
        lake = Lake(None, None, {})
    return Catalog(name or "default", lake, properties)


def list_catalogs() -> list[str]:
    """The names of the configured catalogs.

    >>> isinstance(list_catalogs(), list)
    True
    """
    from .. import _frazil

    return sorted({row[0] for row in _frazil.config() if row[0]})


class PropertiesUpdateSummary(Value):
    """What became of an update of properties."""

    _parts = ("removed", "updated", "missing")
    removed: list[str]
    updated: list[str]
    missing: list[str]

    def __init__(self, removed: Iterable[str], updated: Iterable[str], missing: Iterable[str]) -> None:
        self._set(removed=list(removed), updated=list(updated), missing=list(missing))


def _identifier(name: Name, error: type[Exception] = ValueError) -> Identifier:
    """The levels of a name; at least one, none empty."""
    parts = tuple(name.split(".")) if isinstance(name, str) else tuple(name)
    if not parts or not all(isinstance(p, str) and p for p in parts):
        raise error(f"Empty namespace identifier or part of one: {name!r}")
    if any("." in p for p in parts):
        raise NotImplementedError(f"names with a dot in them aren't supported: {name!r}")
    return parts


def _table_identifier(name: Name) -> Identifier:
    parts = _identifier(name, NoSuchTableError)
    if len(parts) < 2:
        raise NoSuchTableError(f"Missing namespace or invalid identifier: {'.'.join(parts)}")
    return parts


def _encoded(part: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-._~") else "".join(f"%{b:02X}" for b in c.encode()) for c in part)


def _namespace_path(levels: Identifier) -> str:
    return "namespaces/" + "%1F".join(map(_encoded, levels))


def _table_path(identifier: Identifier) -> str:
    return f"{_namespace_path(identifier[:-1])}/tables/{_encoded(identifier[-1])}"


def _texts(properties: Mapping[str, Any]) -> dict[str, str]:
    return {str(k): ("true" if v else "false") if isinstance(v, bool) else str(v) for k, v in properties.items() if v is not None}


class Catalog:
    """A catalog: made by :func:`load_catalog`."""

    def __init__(self, name: str, lake: Lake, properties: Mapping[str, Any]) -> None:
        self.name = name
        #: The properties that were given.
        self.properties: dict[str, Any] = dict(properties)
        #: The same catalog for SQL.
        self.lake = lake

    # ---- the two ways to the library ----

    def _request(self, method: str, path: str, body: object = None) -> Any:
        """The protocol's answer."""
        with translating():
            answer = self.lake._session().catalog_request(method, path, None if body is None else json.dumps(body))
        return None if answer is None else json.loads(answer)

    def _sql(self, text: str, found: dict[str, Any] | None = None) -> Relation:
        """A statement's relation; ``found`` are frames by the names that the statement gives them."""
        known = found or {}
        with translating():
            return Relation(self.lake, text, None, known, self.lake._run(text, None, known.get))

    def _there(self, path: str) -> bool:
        try:
            self._request("HEAD", path)
        except (NoSuchTableError, NoSuchNamespaceError):
            return False
        return True

    # ---- namespaces ----

    def create_namespace(self, namespace: Name, properties: Mapping[str, Any] = {}) -> None:
        """Makes a namespace.

        >>> c = load_catalog("lake/")
        >>> c.create_namespace("made", {"owner": "me"})
        >>> c.load_namespace_properties("made")["owner"]
        'me'
        """
        self._request("POST", "namespaces", {"namespace": list(_identifier(namespace)), "properties": _texts(properties)})

    def create_namespace_if_not_exists(self, namespace: Name, properties: Mapping[str, Any] = {}) -> None:
        """Makes a namespace that isn't there."""
        try:
            self.create_namespace(namespace, properties)
        except NamespaceAlreadyExistsError:
            pass

    def drop_namespace(self, namespace: Name) -> None:
        """Drops an empty namespace.

        >>> c = load_catalog("lake/")
        >>> c.create_namespace_if_not_exists("short_lived")
        >>> c.drop_namespace("short_lived")
        >>> c.namespace_exists("short_lived")
        False
        """
        self._request("DELETE", _namespace_path(_identifier(namespace, NoSuchNamespaceError)))

    def list_namespaces(self, namespace: Name = ()) -> list[Identifier]:
        """The namespaces one level below another, or the topmost ones."""
        parts = _identifier(namespace, NoSuchNamespaceError) if namespace else ()
        path = "namespaces" + ("?parent=" + "%1F".join(map(_encoded, parts)) if parts else "")
        return [tuple(n) for n in self._request("GET", path)["namespaces"]]

    def namespace_exists(self, namespace: Name) -> bool:
        """Whether a namespace is there."""
        return self._there(_namespace_path(_identifier(namespace, NoSuchNamespaceError)))

    def load_namespace_properties(self, namespace: Name) -> dict[str, str]:
        """A namespace's properties."""
        answer = self._request("GET", _namespace_path(_identifier(namespace, NoSuchNamespaceError)))
        properties: dict[str, str] = answer.get("properties") or {}
        return properties

    def update_namespace_properties(
        self, namespace: Name, removals: set[str] | None = None, updates: Mapping[str, Any] = {}
    ) -> PropertiesUpdateSummary:
        """Sets and removes properties of a namespace.

        >>> c = load_catalog("lake/")
        >>> c.create_namespace("kept", {"old": "1"})
        >>> c.update_namespace_properties("kept", removals={"old"}, updates={"new": "2"})
        PropertiesUpdateSummary(removed=['old'], updated=['new'], missing=[])
        """
        path = _namespace_path(_identifier(namespace, NoSuchNamespaceError)) + "/properties"
        answer = self._request("POST", path, {"removals": sorted(removals or ()), "updates": _texts(updates)})
        return PropertiesUpdateSummary(answer.get("removed") or (), answer.get("updated") or (), answer.get("missing") or ())

    # ---- tables ----

    def create_table(
        self,
        identifier: Name,
        schema: Any,
        location: str | None = None,
        partition_spec: Any = UNPARTITIONED_PARTITION_SPEC,
        sort_order: Any = UNSORTED_SORT_ORDER,
        properties: Mapping[str, Any] = {},
    ) -> Table:
        """Makes a table. ``schema`` is one of Arrow (anything with ``__arrow_c_schema__``: a PyArrow schema, a frame), of this library, or of
        PyIceberg; fields get ids anew.

        >>> from frazil.schema import Schema
        >>> from frazil.types import LongType, NestedField
        >>> c = load_catalog("lake/")
        >>> c.create_namespace_if_not_exists("default")
        >>> c.create_table("default.made", Schema(NestedField(1, "a", LongType()))).schema().column_names
        ['a']
        """
        parts = _table_identifier(identifier)
        body: dict[str, Any] = {"name": parts[-1], "schema": schema_to_json(as_schema(schema)), "properties": _texts(properties)}
        if location is not None:
            body["location"] = location.rstrip("/")
        spec, order = as_spec(partition_spec), as_order(sort_order)
        if spec.fields:
            body["partition-spec"] = spec_to_json(spec)
        if order.fields:
            body["write-order"] = order_to_json(order)
        return self._table(parts, self._request("POST", _namespace_path(parts[:-1]) + "/tables", body))

    def create_table_if_not_exists(
        self,
        identifier: Name,
        schema: Any,
        location: str | None = None,
        partition_spec: Any = UNPARTITIONED_PARTITION_SPEC,
        sort_order: Any = UNSORTED_SORT_ORDER,
        properties: Mapping[str, Any] = {},
    ) -> Table:
        """The table of that name, made where it isn't there; its columns aren't compared."""
        try:
            return self.create_table(identifier, schema, location, partition_spec, sort_order, properties)
        except TableAlreadyExistsError:
            return self.load_table(identifier)

    def create_table_transaction(self, *args: Any, **kwargs: Any) -> Any:
        """A transaction that begins with a table's creation: not supported yet. SQL has it: BEGIN, CREATE TABLE, INSERT, COMMIT."""
        raise NotImplementedError("create_table_transaction isn't supported yet; in SQL a transaction may create tables")

    def load_table(self, identifier: Name) -> Table:
        """A table, as it is now.

        >>> load_catalog("lake/").load_table("default.nothing")
        Traceback (most recent call last):
        ...
        frazil.exceptions.NoSuchTableError: ...
        """
        parts = _table_identifier(identifier)
        return self._table(parts, self._request("GET", _table_path(parts)))

    def _table(self, identifier: Identifier, answer: Any) -> Table:
        from ..table import Table

        return Table(identifier, answer, self)

    def table_exists(self, identifier: Name) -> bool:
        """Whether a table is there."""
        return self._there(_table_path(_table_identifier(identifier)))

    def rename_table(self, from_identifier: Name, to_identifier: Name) -> Table:
        """Renames a table, also into another namespace."""
        names = [_table_identifier(n) for n in (from_identifier, to_identifier)]
        a, b = ({"namespace": list(n[:-1]), "name": n[-1]} for n in names)
        self._request("POST", "tables/rename", {"source": a, "destination": b})
        return self.load_table(names[1])

    def drop_table(self, identifier: Name) -> None:
        """Drops a table; its files stay."""
        self._request("DELETE", _table_path(_table_identifier(identifier)))

    def purge_table(self, identifier: Name) -> None:
        """Drops a table and removes its files."""
        self._sql(f"drop table {_sql_name(_table_identifier(identifier))} purge")

    def register_table(self, identifier: Name, metadata_location: str, overwrite: bool = False) -> Table:
        """Makes a table of one whose metadata file lies somewhere already."""
        if overwrite:
            raise NotImplementedError("register_table with overwrite isn't supported")
        parts = _table_identifier(identifier)
        body = {"name": parts[-1], "metadata-location": metadata_location}
        return self._table(parts, self._request("POST", _namespace_path(parts[:-1]) + "/register", body))

    def list_tables(self, namespace: Name) -> list[Identifier]:
        """The tables of a namespace.

        >>> ("default", "nothing") in load_catalog("lake/").list_tables("default")
        False
        """
        path = _namespace_path(_identifier(namespace, NoSuchNamespaceError)) + "/tables"
        return [(*i["namespace"], i["name"]) for i in self._request("GET", path)["identifiers"]]

    # ---- views ----

    def list_views(self, namespace: Name) -> list[Identifier]:
        """Views: not supported."""
        raise NotImplementedError("views aren't supported")

    def view_exists(self, identifier: Name) -> bool:
        """Views: not supported."""
        raise NotImplementedError("views aren't supported")

    def drop_view(self, identifier: Name) -> None:
        """Views: not supported."""
        raise NotImplementedError("views aren't supported")

    def load_view(self, identifier: Name) -> Any:
        """Views: not supported."""
        raise NotImplementedError("views aren't supported")

    # ---- names ----

    @staticmethod
    def identifier_to_tuple(identifier: Name) -> Identifier:
        """The parts of a name.

        >>> Catalog.identifier_to_tuple("a.b")
        ('a', 'b')
        """
        return tuple(identifier.split(".")) if isinstance(identifier, str) else tuple(identifier)

    @staticmethod
    def table_name_from(identifier: Name) -> str:
        """The last part of a name."""
        return Catalog.identifier_to_tuple(identifier)[-1]

    @staticmethod
    def namespace_from(identifier: Name) -> Identifier:
        """All but the last part of a name."""
        return Catalog.identifier_to_tuple(identifier)[:-1]

    # ---- the end ----

    def close(self) -> None:
        """Closes the lake."""
        self.lake.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<frazil.catalog.Catalog {self.name}>"


def _sql_name(identifier: Identifier) -> str:
    return ".".join(map(quote, identifier))
