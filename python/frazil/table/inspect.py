"""A table's metadata as tables."""

from __future__ import annotations

from ..value import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pyarrow

    from ..relation import Relation
    from . import Table


class InspectTable:
    """``table.inspect``: each method gives a PyArrow table, ``relation(name)`` the same as a relation of frazil.

    >>> from frazil.catalog import load_catalog
    >>> c = load_catalog("lake/")
    >>> _ = c.lake.sql("create or replace table inspected as select 1 as a")
    >>> c.load_table("default.inspected").inspect.relation("snapshots").select("operation").fetchall()
    [('append',)]
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def relation(self, name: str, snapshot_id: int | None = None) -> Relation:
        """A metadata table by its name: as docs/sql.md lists them."""
        t = self._table
        version = ""
        if snapshot_id is not None:
            if t.metadata.snapshot_by_id(snapshot_id) is None:
                raise ValueError(f"Cannot find snapshot with ID {snapshot_id}")
            version = f" version as of {snapshot_id}"
        return t.catalog._sql(f"select * from {'.'.join(map(quote, (*t._identifier, name)))}{version}")

    def snapshots(self) -> pyarrow.Table:
        return self.relation("snapshots").arrow()

    def history(self) -> pyarrow.Table:
        return self.relation("history").arrow()

    def refs(self) -> pyarrow.Table:
        return self.relation("refs").arrow()

    def metadata_log_entries(self) -> pyarrow.Table:
        return self.relation("metadata_log_entries").arrow()

    def manifests(self) -> pyarrow.Table:
        return self.relation("manifests").arrow()

    def files(self, snapshot_id: int | None = None) -> pyarrow.Table:
        return self.relation("files", snapshot_id).arrow()

    def data_files(self, snapshot_id: int | None = None) -> pyarrow.Table:
        return self.relation("data_files", snapshot_id).arrow()

    def delete_files(self, snapshot_id: int | None = None) -> pyarrow.Table:
        return self.relation("delete_files", snapshot_id).arrow()

    def entries(self, snapshot_id: int | None = None) -> pyarrow.Table:
        return self.relation("entries", snapshot_id).arrow()

    def partitions(self, snapshot_id: int | None = None) -> pyarrow.Table:
        return self.relation("partitions", snapshot_id).arrow()

    def all_manifests(self) -> pyarrow.Table:
        return self.relation("all_manifests").arrow()

    def all_files(self) -> pyarrow.Table:
        return self.relation("all_files").arrow()

    def all_data_files(self) -> pyarrow.Table:
        return self.relation("all_data_files").arrow()

    def all_delete_files(self) -> pyarrow.Table:
        return self.relation("all_delete_files").arrow()
