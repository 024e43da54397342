"""Cells of a Parquet file that are handed on as they are, since not all that Arrow holds Python can hold.

Dates before the year 1 and after 9999, nanoseconds, time zones that are not known here, text that is no
UTF-8, two fields of one name: a cell that is only copied never meets Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any

from qa_extractive.tables.arrow_import import require_pyarrow

_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_LARGE_BYTES = 1 << 25  # of a column of a batch
_TAKEN_AS_THEY_ARE = (str, bool, int, float, type(None))


class ArrowValue:
    """A cell of an Arrow array."""

    __slots__ = ("array", "index")

    def __init__(self, array: Any, index: int) -> None:
        """Take the array and the place in it, from 0."""
        self.array = array
        self.index = index

    def plain(self) -> Any:
        """What JSON can show of it, as exactly as it can; never an error.

        What is out of Python's range is text, bytes that are no UTF-8 become U+FFFD, and a struct with two
        fields of one name becomes a list of pairs.
        """
        arrow, _ = require_pyarrow()
        return _plain(arrow, self.array[self.index])

    def __str__(self) -> str:
        """The same as text."""
        return str(self.plain())


def untouched_cells(column: Any) -> Iterator[tuple[ArrowValue, None]]:
    """Each cell of a column that is only handed on."""
    for index in range(len(column)):
        yield ArrowValue(column, index), None


def python_cells(column: Any) -> Iterator[tuple[Any, str | None]]:
    """Each cell of a column that is asked for, and why it cannot be used, or None.

    What is text, a number or a boolean is a Python value, anything else an ``ArrowValue``.
    """
    for index, value in enumerate(_values(column)):
        if isinstance(value, _TAKEN_AS_THEY_ARE):
            yield value, None
        elif isinstance(value, UnicodeDecodeError):
            yield ArrowValue(column, index), "its text is not UTF-8: correct it"
        else:
            yield ArrowValue(column, index), None


def plain_cells(column: Any) -> Iterator[tuple[Any, str | None]]:
    """Each cell of a column as a Python value, lists and dictionaries too, and why it cannot be used."""
    is_exact = not any(kind in str(column.type) for kind in ("time32", "time64"))  # see ``_is_odd_time``
    for index, value in enumerate(_values(column)):
        if isinstance(value, UnicodeDecodeError):
            yield None, "its text is not UTF-8: correct it"
        elif isinstance(value, Exception) or not is_exact:
            yield ArrowValue(column, index).plain(), None
        else:
            yield value, None


def joined(values: Sequence[Any]) -> list[Any | list[Any]]:
    """Cells as few pieces: an Arrow array for neighbours from one array, a list for other values."""
    pieces: list[Any] = []
    start = 0
    while start < len(values):
        end = start + 1
        while end < len(values) and _follow(values[end - 1], values[end]):
            end += 1
        first = values[start]
        is_arrow = isinstance(first, ArrowValue)
        pieces.append(first.array.slice(first.index, end - start) if is_arrow else list(values[start:end]))
        start = end
    return pieces


def _follow(one: Any, other: Any) -> bool:
    if isinstance(one, ArrowValue) and isinstance(other, ArrowValue):
        return one.array is other.array and other.index == one.index + 1
    return not isinstance(one, ArrowValue) and not isinstance(other, ArrowValue)


def _values(column: Any) -> Iterable[Any]:
    """Each cell as a Python value, or as what was raised instead; one by one where they are large."""
    if column.nbytes > _LARGE_BYTES:
        return map(_value, column)
    try:
        values: list[Any] = column.to_pylist()
    except Exception:  # pyarrow has no class for what Python cannot hold: five different ones were met
        return [_value(cell) for cell in column]
    return values


def _value(cell: Any) -> Any:
    try:
        return cell.as_py()
    except Exception as error:
        return error


def _plain(arrow: ModuleType, cell: Any) -> Any:
    """A scalar as ``ArrowValue.plain`` has it."""
    kind = cell.type
    if not cell.is_valid:
        return None
    if arrow.types.is_time(kind) and _is_odd_time(cell):
        return _time_text(arrow, cell)
    if not arrow.types.is_nested(kind):
        value = _value(cell)
        return value if not isinstance(value, Exception) else _text(arrow, cell)
    if arrow.types.is_struct(kind):
        pairs = [(kind.field(i).name, _plain(arrow, cell[i])) for i in range(kind.num_fields)]
        return dict(pairs) if len(dict(pairs)) == len(pairs) else [list(pair) for pair in pairs]
    if arrow.types.is_map(kind):
        return [(_plain(arrow, pair[0]), _plain(arrow, pair[1])) for pair in cell.values]
    if hasattr(cell, "values"):  # lists of all kinds
        return [_plain(arrow, each) for each in cell.values]
    return str(cell)  # a union


def _is_odd_time(cell: Any) -> bool:
    """Whether Python would make another time of a time of the day: not within the day, or of nanoseconds."""
    unit = cell.type.unit
    return not 0 <= cell.value < _DAY[unit] or (unit == "ns" and cell.value % 1000 != 0)


def _text(arrow: ModuleType, cell: Any) -> Any:
    """A scalar that is no Python value, as text."""
    kind = cell.type
    if isinstance(kind, arrow.BaseExtensionType):
        return _plain(arrow, cell.value)
    if arrow.types.is_dictionary(kind):
        return _plain(arrow, cell.dictionary[cell.index.as_py()])
    if arrow.types.is_temporal(kind):
        return _time_text(arrow, cell)
    buffer = getattr(cell, "as_buffer", lambda: None)()
    return str(cell) if buffer is None else buffer.to_pybytes().decode("utf-8", "replace")


def _time_text(arrow: ModuleType, cell: Any) -> str:
    """A date, time or duration; one that Arrow cannot write out either as a number with its unit."""
    kind = cell.type
    if arrow.types.is_duration(kind):
        return f"{cell.value} {kind.unit}"
    zone = ""
    if arrow.types.is_timestamp(kind) and kind.tz is not None:  # the value is UTC, whatever the zone
        cell, zone = arrow.scalar(cell.value, arrow.timestamp(kind.unit)), "+00:00"
    try:
        text: str = cell.cast(arrow.string()).as_py()
    except arrow.ArrowException:
        text = "out of range"
    if "out of range" in text:
        since = "" if arrow.types.is_time(kind) else " since 1970 UTC" if zone else " since 1970"
        return f"{cell.value} {getattr(kind, 'unit', 'days')}{since}"
    return text + zone
