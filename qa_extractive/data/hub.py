"""Data sets of the library ``datasets``: by their name on the Hugging Face hub, or a folder of them.

``hf:NAME[:SPLIT[:CONFIG]]`` is one of the hub; ``FOLDER[:SPLIT]`` what ``save_to_disk`` wrote, or a folder
of Parquet (or CSV, JSON) files, laid out as the hub lays them out or not at all. Rows are read as they are
asked for. Needs the [train] extra; from ``datasets`` 4 on, which it asks for, no data set brings code.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_extractive.errors import DataError, reason_of
from qa_extractive.tables.headers import NO_REPEATS, Repeats
from qa_extractive.tables.reading import Row, read_rows
from qa_extractive.tables.text_files import data_stem

_HUB = "hf:"
_HUB_NAME = re.compile(r"hf:(?P<name>[\w.-]+(?:/[\w.-]+)?)(?::(?P<split>[\w.-]+)(?::(?P<config>[\w.-]+))?)?")
_STREAMED_BYTES = 1 << 30  # of a download; larger ones are read from the hub without a copy on the disk


@dataclass(frozen=True, slots=True)
class Table:
    """Rows from a file or a data set.

    Attributes:
        columns: Their columns.
        rows: The rows, in order.
        stem: What their ids begin with.
        repeats: Which columns share a name.
    """

    columns: tuple[str, ...]
    rows: Iterable[Row]
    stem: str
    repeats: Repeats = NO_REPEATS


@dataclass(frozen=True, slots=True)
class _Name:
    """What a user wrote, taken apart; ``is_local`` for a folder."""

    written: str
    name: str
    split: str | None
    config: str | None
    is_local: bool


def open_table(path: Path) -> Table:
    """The rows of a table file, of a folder, or of a data set of the hub.

    Raises:
        DataError: It cannot be read, or has several splits and none was named.
    """
    if not is_data_set(path):
        reader = read_rows(path)
        return Table(reader.columns, reader, data_stem(path), reader.repeats)
    name = _taken_apart(path)
    with _reading(name):
        split, rows = _split_rows(name)
        columns = tuple(rows.column_names or next(iter(rows), {}))
    if not columns:
        raise DataError(f"{name.written} is empty: give a data set with rows")
    stem = "-".join(filter(None, [Path(name.name).name, split]))
    return Table(columns, _rows(rows, columns, name), stem)


def is_data_set(path: Path) -> bool:
    """Whether a path names a folder, with a split or without, or a data set of the hub."""
    written = path.as_posix()
    folder = Path(written.rpartition(":")[0] or written)
    with suppress(OSError):  # a name that is too long
        return written.startswith(_HUB) or path.is_dir() or folder.is_dir()
    return False


def _taken_apart(path: Path) -> _Name:
    written = path.as_posix()
    if path.is_dir():
        return _Name(written, written, None, None, is_local=True)
    if not written.startswith(_HUB):
        folder, _, split = written.rpartition(":")
        return _Name(written, folder, split, None, is_local=True)
    match = _HUB_NAME.fullmatch(written)
    if match is None:
        raise DataError(f"{written}: write hf:NAME, hf:NAME:SPLIT or hf:NAME:SPLIT:CONFIG")
    return _Name(written, match["name"], match["split"], match["config"], is_local=False)


def _split_rows(name: _Name) -> tuple[str, Any]:
    """The name of the split, perhaps empty, and its rows."""
    import datasets

    folder = Path(name.name)
    if name.is_local and (folder / "state.json").is_file():
        return _chosen([""], name), datasets.load_from_disk(name.name)
    if name.is_local and (folder / "dataset_dict.json").is_file():
        splits = datasets.load_from_disk(name.name)
        split = _chosen(list(splits), name)
        return split, splits[split]
    if name.is_local and not any(folder.iterdir()):
        raise DataError(
            f"{name.written} is an empty folder: give one with Parquet files, or from save_to_disk"
        )
    split = _chosen(datasets.get_dataset_split_names(name.name, name.config), name)
    is_streamed = name.is_local or _is_large(datasets.load_dataset_builder(name.name, name.config))
    return split, datasets.load_dataset(name.name, name.config, split=split, streaming=is_streamed)


def _is_large(builder: Any) -> bool:
    return (builder.info.download_size or 0) > _STREAMED_BYTES


def _chosen(splits: Sequence[str], name: _Name) -> str:
    """The split asked for, or the only one."""
    if name.split is None and len(splits) == 1:
        return splits[0]
    if name.split in splits:
        return str(name.split)
    if splits == [""]:
        raise DataError(f"{name.written}: {name.name} has no splits: leave out ':{name.split}'")
    stem = name.written if name.split is None else name.written.rsplit(f":{name.split}", 1)[0]
    raise DataError(f"{name.written}: its splits are {', '.join(splits)}: name one, as in {stem}:{splits[0]}")


def _rows(values: Iterable[dict[str, Any]], columns: Sequence[str], name: _Name) -> Iterator[Row]:
    with _reading(name):
        for number, each in enumerate(values, start=1):
            yield Row(number, dict.fromkeys(columns) | each)


@contextmanager
def _reading(name: _Name) -> Iterator[None]:
    """Turn what the library raises, which has no class in common, into one line."""
    hub = logging.getLogger("huggingface_hub")
    level = hub.level
    hub.setLevel(logging.ERROR)  # it announces each of its attempts
    try:
        yield
    except (DataError, ImportError):
        raise
    except Exception as error:
        advice = "check the folder" if name.is_local else _HUB_ADVICE
        raise DataError(f"{name.written} cannot be read ({reason_of(error)}): {advice}") from None
    finally:
        hub.setLevel(level)


_HUB_ADVICE = (
    "check name and connection; offline, give a folder that datasets' save_to_disk wrote where there is one"
)
