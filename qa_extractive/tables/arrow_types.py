"""Which Arrow type a column has, and its cells as an Arrow array; pyarrow is imported only when called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import ModuleType
from typing import Any

from qa_extractive.errors import DataError, reason_of
from qa_extractive.tables.arrow_import import require_pyarrow
from qa_extractive.tables.arrow_values import ArrowValue, joined
from qa_extractive.tables.parquet import as_text, parquet_schema
from qa_extractive.tables.reading import Row, RowReader
from qa_extractive.tables.surrogates import replace_surrogates

_CHUNK_ROWS = 1000
_EXACT_DOUBLE = 2**53
_LARGEST = 2**63 - 1


def table_types(reader: RowReader) -> dict[str, Any]:
    """The Arrow type of each column of a table that is to be written as Parquet.

    CSV and TSV hold text. Parquet has types, of which dictionaries become their values. JSONL is read
    through: a column whose values have no common type becomes text (JSON for what is no text).
    """
    arrow, _ = require_pyarrow()
    if reader.layout.kind == "csv":
        return dict.fromkeys(reader.columns, arrow.string())
    if reader.layout.kind == "parquet":
        fields = parquet_schema(reader.path)
        return {n: _storable(arrow, each.type) for n, each in zip(reader.columns, fields, strict=True)}
    return _inferred_types(arrow, reader, reader.columns)


def as_types(batch: Any, types: Mapping[str, Any]) -> Any:
    """A record batch with these types and names in place of its own, as its rows would have them."""
    arrow, _ = require_pyarrow()
    columns = [
        _cast(column, kind, name) for column, (name, kind) in zip(batch.columns, types.items(), strict=True)
    ]
    names = [replace_surrogates(name) for name in types]
    return arrow.record_batch(columns, schema=arrow.schema(list(zip(names, types.values(), strict=True))))


def _cast(column: Any, kind: Any, name: str) -> Any:
    """An array as another type; DataError where a cell does not fit."""
    arrow, _ = require_pyarrow()
    if column.type == kind:
        return column
    if isinstance(column, arrow.ExtensionArray):
        return _cast(column.storage, kind, name)
    if isinstance(column, arrow.DictionaryArray):
        return _cast(column.dictionary_decode(), kind, name)
    return _from_python([ArrowValue(column, index).plain() for index in range(len(column))], kind, name)


def arrow_array(values: Sequence[Any], kind: Any, name: str) -> Any:
    """Cells as an array of an Arrow type, lone surrogates replaced; DataError where one does not fit.

    What came from Arrow is not taken apart.
    """
    arrow, _ = require_pyarrow()
    pieces = [
        _from_python(piece, kind, name) if isinstance(piece, list) else _cast(piece, kind, name)
        for piece in joined(values)
    ]
    return pieces[0] if len(pieces) == 1 else arrow.concat_arrays(pieces or [arrow.array([], kind)])


def _from_python(values: list[Any], kind: Any, name: str) -> Any:
    arrow, _ = require_pyarrow()
    if kind == arrow.large_string():
        values = [as_text(replace_surrogates(value)) for value in values]
    elif arrow.types.is_nested(kind):  # the names of its fields are without surrogates
        values = [replace_surrogates(value) for value in values]
    try:
        try:
            return arrow.array(values, kind)
        except UnicodeEncodeError:
            return arrow.array([replace_surrogates(value) for value in values], kind)
    except (arrow.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise DataError(
            f"column {name!r} holds a value that is not of the type {kind} ({reason_of(error)}): "
            "write CSV or JSONL instead"
        ) from None


def _storable(arrow: ModuleType, kind: Any) -> Any:
    """A type as the output has it: no dictionaries, no extensions; text for what Parquet cannot hold."""
    if isinstance(kind, arrow.BaseExtensionType):
        kind = kind.storage_type
    if arrow.types.is_dictionary(kind):
        kind = kind.value_type
    hard = any(mark in str(kind) for mark in ("dictionary<", "extension<", "struct<>"))
    return arrow.large_string() if hard else kind


def _inferred_types(arrow: ModuleType, rows: Iterable[Row], columns: tuple[str, ...]) -> dict[str, Any]:
    types = dict.fromkeys(columns, arrow.null())
    inexact: set[str] = set()  # integers that no double holds
    for chunk in _chunks(rows):
        for name in columns:
            values = [replace_surrogates(row.values.get(name)) for row in chunk]
            if any(isinstance(value, int) and abs(value) > _EXACT_DOUBLE for value in values):
                inexact.add(name)
            types[name] = _common(arrow, types[name], _value_type(arrow, values))
            if any(isinstance(value, int) and value > _LARGEST for value in values):
                types[name] = arrow.large_string()
    for name in inexact:
        if types[name] != arrow.int64():
            types[name] = arrow.large_string()
    return {name: _storable(arrow, kind) for name, kind in types.items()}


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    stream = iter(rows)
    while chunk := list(islice(stream, _CHUNK_ROWS)):
        yield chunk


def _value_type(arrow: ModuleType, values: list[Any]) -> Any:
    try:
        return arrow.array(values).type
    except (arrow.ArrowException, ValueError, TypeError, OverflowError):
        return arrow.large_string()


def _common(arrow: ModuleType, one: Any, other: Any) -> Any:
    """The type that holds both, or text."""
    if one == other:
        return one
    schemas = [arrow.schema([("", kind)]) for kind in (one, other)]
    try:
        return arrow.unify_schemas(schemas, promote_options="permissive").field(0).type
    except arrow.ArrowException:
        return arrow.large_string()
