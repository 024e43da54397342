"""Text files in: UTF-8 or UTF-16, plain or compressed; anything else is one clear DataError."""

from __future__ import annotations

import codecs
import gzip
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from qa_extractive.errors import DataError
from qa_extractive.tables.compression import DamagedError, NotCompressedError, decompressed
from qa_extractive.tables.formats import compression_of

_UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32_BOMS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_HEAD_BYTES = 16
_SIGNATURES = {
    b"PK\x03\x04": "a zip archive or an Excel workbook, not text: export the sheet as CSV in UTF-8",
    b"\xd0\xcf\x11\xe0": "an Excel or Word document, not text: export it as CSV in UTF-8",
    b"\x1f\x8b": "compressed with gzip: add .gz to its name",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: add .zst to its name",
    b"PAR1": "a Parquet file: name it .parquet",
    b"%PDF": "a PDF, not text: extract its text first",
}


@contextmanager
def open_text(path: Path, *, newline: str = "\n") -> Iterator[TextIO]:
    r"""Open a UTF-8 or UTF-16 text file, decompressing one that is named ``.gz`` or ``.zst``.

    A byte order mark is dropped; without one the text is UTF-8. What goes wrong while the file is
    open, when reading a line too, is a DataError that names the file, the place and the remedy.

    Args:
        path: The file.
        newline: What ends a line: ``"\n"``, or ``""`` for any of ``\n``, ``\r`` and ``\r\n``. Line
            ends are kept as they are.
    """
    with reading(path):
        with open_bytes(path) as stream:
            encoding = _encoding(path, stream.read(_HEAD_BYTES))
        with open_bytes(path) as stream, TextIOWrapper(stream, encoding=encoding, newline=newline) as text:
            yield text


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading bytes, decompressing what its name says is; DataError for a non-file."""
    if path.is_dir():
        raise DataError(f"{path} is a folder: give a file")
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is not a regular file: save its content to a file first")
    return decompressed(path, compression_of(path))


def read_json(path: Path) -> Any:
    """The value of a whole JSON file; DataError where it is not JSON."""
    with open_text(path) as stream:
        text = stream.read()
    try:
        return json.loads(text, strict=False)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}, column {error.colno}: not JSON ({error.msg}): correct it, "
            "or name the file .jsonl if each of its lines is an object"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: JSON that cannot be read ({error}): correct it") from None


def data_stem(path: Path) -> str:
    """The name of a data file without its format: ``dev-v2.0`` for ``dev-v2.0.json.gz``."""
    return Path(path.stem if compression_of(path) else path.name).stem


def os_reason(error: OSError) -> str:
    """What an OSError says, without the path and the number: ``Permission denied``."""
    return os.strerror(error.errno) if error.errno else str(error)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into a DataError that names it and the remedy."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(_not_text(path, error)) from None
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: check the path") from None
    except gzip.BadGzipFile:
        raise DataError(f"{path} is not compressed with gzip, or damaged: name it without .gz") from None
    except NotCompressedError:
        raise DataError(f"{path} is not compressed with zstd, or damaged: name it without .zst") from None
    except (EOFError, zlib.error, DamagedError) as error:
        raise DataError(f"{path} is cut short or damaged ({error}): get it anew") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {os_reason(error)}") from None


def _encoding(path: Path, head: bytes) -> str:
    if not head:
        raise DataError(f"{path} is empty: give a file with data")
    if head.startswith(_UTF32_BOMS) or (_is_wide(head) and not head.startswith(_UTF16_BOMS)):
        raise DataError(f"{path}, byte 0: UTF-32, or UTF-16 without a byte order mark: save it as UTF-8")
    return "utf-16" if head.startswith(_UTF16_BOMS) else "utf-8-sig"


def _is_wide(head: bytes) -> bool:
    """Whether plain letters are written in two or four bytes each: every other byte is NUL."""
    return len(head) == _HEAD_BYTES and (not any(head[::2]) or not any(head[1::2]))


def _not_text(path: Path, error: UnicodeDecodeError) -> str:
    if error.encoding.startswith("utf-16"):
        return f"{path} starts as UTF-16 but does not stay so ({error.reason}): save it as UTF-8"
    with open_bytes(path) as stream:
        head = stream.read(_HEAD_BYTES)
    for signature, advice in _SIGNATURES.items():
        if head.startswith(signature):
            return f"{path} is {advice}"
    return f"{path}, {_first_bad_byte(path)}: save it as UTF-8 (iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW)"


def _first_bad_byte(path: Path) -> str:
    """Where a file stops being UTF-8; the offset counts bytes from 0, decompressed."""
    offset = 0
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                value = line[error.start]
                return f"line {number}, byte {offset + error.start}: 0x{value:02x} is not UTF-8 text"
            offset += len(line)
    return "last line: not UTF-8 text"
