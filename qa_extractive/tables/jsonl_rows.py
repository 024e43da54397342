"""JSONL in: an object a line, of which nothing is changed in silence."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from qa_extractive.errors import DataError
from qa_extractive.tables.formats import MAX_ROW_CHARACTERS
from qa_extractive.tables.headers import unique_names
from qa_extractive.tables.rows import Row
from qa_extractive.tables.surrogates import replace_surrogates
from qa_extractive.tables.text_files import open_text

MAX_NESTING = 40
"""Lists and objects inside one another in a cell; Parquet holds 49, Python's JSON some hundred."""

_N_SHOWN = 40


@dataclass(frozen=True, slots=True)
class JsonlShape:
    """What is known of a JSONL file once it was read through.

    Attributes:
        names: The column of each key of any row, in order of first appearance. A lone surrogate in a key,
            which no encoding can hold, is U+FFFD in its column.
        n_rows: Its number of rows.
    """

    names: Mapping[str, str]
    n_rows: int


def jsonl_shape(path: Path) -> JsonlShape:
    """Read a file through; DataError where it cannot be read or has no rows."""
    keys: dict[str, None] = {}
    n_rows = 0
    for _, value, _ in _objects(path):
        keys.update(dict.fromkeys(value))
        n_rows += 1
    if not n_rows:
        raise DataError(f"{path} is empty: give a file with data")
    columns = [str(replace_surrogates(key)) for key in keys]
    if len(set(columns)) < len(columns):
        columns = list(unique_names(columns).columns)
    return JsonlShape(dict(zip(keys, columns, strict=True)), n_rows)


def jsonl_rows(path: Path, shape: JsonlShape) -> Iterator[Row]:
    """The rows of a file."""
    names = shape.names
    empty = dict.fromkeys(names.values())
    for number, (line, value, error) in enumerate(_objects(path), start=1):
        cells = {names.get(key, key): cell for key, cell in value.items()}
        yield Row(number, empty | cells, error, line)


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any], str | None]]:
    """The line, the object and what is wrong with it, of each line that is not blank."""
    reader = _LineReader()
    with open_text(path) as stream:
        for line, text in enumerate(_lines(stream, path), start=1):
            if text.strip():
                value, problem = reader.read(text)
                yield line, value, problem and f"line {line}{problem}"


def _lines(stream: TextIO, path: Path) -> Iterator[str]:
    line = 0
    while text := stream.readline(MAX_ROW_CHARACTERS + 1):
        line += 1
        if len(text) > MAX_ROW_CHARACTERS:
            raise DataError(
                f"{path}, line {line}: more than {MAX_ROW_CHARACTERS:,} characters: shorten it, or put each "
                "object on a line of its own"
            )
        yield text


class _LineReader:
    """Reads lines and says of each what could not be taken as it stands."""

    def __init__(self) -> None:
        self._problem: str | None = None
        self._decoder = json.JSONDecoder(
            strict=False,
            parse_float=self._float,
            parse_constant=self._constant,
            object_pairs_hook=self._object,
        )

    def read(self, text: str) -> tuple[dict[str, Any], str | None]:
        """The object on a line, or an empty one, and what is wrong."""
        self._problem = None
        try:
            value = self._decoder.decode(text)
        except json.JSONDecodeError as error:
            return {}, f", column {error.colno}: not JSON ({error.msg}): correct the line"
        except (ValueError, RecursionError) as error:
            return {}, f": JSON that cannot be read ({error}): correct the line"
        if not isinstance(value, dict):
            return {}, f": a JSON {type(value).__name__} where an object is needed: correct the line"
        for name, cell in value.items():
            if isinstance(cell, dict | list) and _is_deep(cell):
                value[name] = None
                self._problem = f": {_shown(name)} is nested more than {MAX_NESTING} deep: flatten it"
        return value, self._problem

    def _float(self, text: str) -> float | None:
        value = float(text)
        is_zero = value == 0.0 and any(digit in "123456789" for digit in text.lower().partition("e")[0])
        if is_zero or math.isinf(value):
            self._problem = f": the number {_shown(text)} is out of range: put it in quotes"
            return None
        return value

    def _constant(self, text: str) -> float | None:
        """NaN, as which some programs write what is missing, or an infinity."""
        return float("nan") if text == "NaN" else self._float(text)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            name = next((key for key, cell in pairs if value[key] != cell), None)
            if name is not None:
                self._problem = f": the key {_shown(name)} is there twice: give each value its own"
        return value


def _is_deep(value: Any) -> bool:
    """Whether more lists and objects than may be are inside one another."""
    level = [value]
    for _ in range(MAX_NESTING):
        inner = (item.values() if isinstance(item, dict) else item for item in level)
        level = [each for items in inner for each in items if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def _shown(text: str) -> str:
    return repr(text if len(text) <= _N_SHOWN else f"{text[:_N_SHOWN]}...")
