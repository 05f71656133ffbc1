"""Images in the cells of Parquet files, and results as Parquet: all that needs pyarrow."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from litevision.errors import ImageError, MissingExtraError, UsageError, reason_of
from litevision.jobs.stored import Source, StoredImage
from litevision.runtime.results import PreprocessedImage

TABLE_SUFFIX = ".parquet"
COLUMN = "::"  # between a table's name and that of the column
_CELLS = 16  # read at once: images are large


def require_parquet(what: str) -> None:
    """Return if pyarrow is installed.

    Raises:
        MissingExtraError: it is not.
    """
    if not has_parquet():
        raise MissingExtraError.of(what, "parquet")


def has_parquet() -> bool:
    """Whether pyarrow is installed."""
    from importlib.util import find_spec

    return find_spec("pyarrow") is not None


def split_column(text: str) -> tuple[str, str] | None:
    """The table and the column of ``table.parquet::image``; None for anything else. The column may be empty."""
    path, _, column = text.rpartition(COLUMN)
    return (path, column) if path.lower().endswith(TABLE_SUFFIX) else None


def table_images(name: str, column: str, file: str | IO[bytes]) -> Iterator[Source]:
    """The images in a column: bytes, or records with a field ``bytes`` as the datasets library writes them.

    A row group is read when its first image is asked for, a few cells at a time.

    Args:
        name: what rows and messages call the table.
        column: of bytes, or ``record.field``.
        file: the table, or where it is.
    """
    require_parquet(name)
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=2**20) as table:
            path = _column_path(name, column, table.schema_arrow)
            first = 0
            for group in range(table.num_row_groups):
                cells = _Cells(table, group, path)
                rows = table.metadata.row_group(group).num_rows
                for row in range(rows):
                    yield StoredImage(f"{name}{COLUMN}{column}[{first + row}]", cells.reader(row), is_stream=True)
                first += rows
    except UsageError as error:
        yield PreprocessedImage(name, error)
    except Exception as error:  # pyarrow's own share no base class
        yield PreprocessedImage(
            name, ImageError(f"{name}: cannot be read as Parquet ({reason_of(error)}). Copy it again.")
        )


class _Cells:
    """The cells of a row group, read from the first to the last of those that are asked for."""

    def __init__(self, table: Any, group: int, path: str) -> None:
        self._table, self._group, self._path = table, group, path
        self._batches: Any = None
        self._next = 0
        self._cells: list[Any] = []

    def reader(self, row: int) -> Any:
        return lambda most: self._cell(row)[:most]

    def _cell(self, row: int) -> bytes:
        if self._batches is None:
            self._batches = self._table.iter_batches(_CELLS, row_groups=[self._group], columns=[self._path])
        while row >= self._next:
            self._cells = next(self._batches).column(0).to_pylist()
            self._next += len(self._cells)
        cell = self._cells[row - self._next]
        while isinstance(cell, dict):
            (cell,) = cell.values()
        if not isinstance(cell, bytes):
            raise ValueError("the cell is empty" if cell is None else f"a cell of {type(cell).__name__}")
        return cell


def _column_path(name: str, column: str, schema: Any) -> str:
    """The column as Parquet names it: ``image.bytes`` for a record with that field.

    Raises:
        UsageError: there is none, or it holds no bytes.
    """
    import pyarrow as pa

    kinds = {field.name: field.type for field in schema}
    names = ", ".join(list(kinds)[:10])
    head, *fields = column.split(".")
    kind = kinds.get(head)
    while kind is not None and fields:
        kind = next((it.type for it in kind if it.name == fields[0]), None) if pa.types.is_struct(kind) else None
        fields = fields[1:]
    if kind is not None and pa.types.is_struct(kind) and any(it.name == "bytes" for it in kind):
        return f"{column}.bytes"
    if kind is None or not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        what = f"the column {column!r}" if column else "no column named"
        raise UsageError(f"{name}: {what}; expected {name}{COLUMN}COLUMN with images as bytes, of: {names}.")
    return column


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> None:
    r"""Write rows as Parquet; bytes of a name that are no UTF-8 stand as ``\udce9``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, _arrow_type(kind)) for name, kind in types.items()])
    plain = [{name: _plain(value) for name, value in row.items()} for row in rows]
    pq.write_table(pa.Table.from_pylist(plain, schema), path, compression="zstd")


def read_error_kinds(path: Path) -> list[str]:
    """The kinds of the errors in a part."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as table:
        kinds: list[str] = table.read(["error_kind"]).column(0).drop_null().to_pylist()
    return kinds


def _plain(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _arrow_type(kind: str) -> Any:
    import pyarrow as pa

    if kind.startswith("list<"):
        return pa.list_(_arrow_type(kind[len("list<") : -1]))
    return pa.type_for_alias(kind)
