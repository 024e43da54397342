"""Text files in: UTF-8 or UTF-16, plain or compressed; anything else is one clear DataError.

Windows-1252, which Excel writes as "CSV", has no mark of its own; ``is_windows_1252`` tells it from a damaged
UTF-8 file for those who read tables.
"""

from __future__ import annotations

import codecs
import gzip
import json
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, BinaryIO, TextIO

from qa_extractive.errors import DataError
from qa_extractive.tables.compression import DamagedError, NotCompressedError, decompressed
from qa_extractive.tables.formats import compression_of

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_UTF32_BOMS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_HEAD_BYTES = 16
_MARK_BYTES = 1024  # in which further byte order marks are looked for
_SCAN_BYTES = 1 << 20
# No letters of Windows-1252.
_NO_LETTERS = re.compile(rb"[\0\x81\x8d\x8f\x90\x9d]")
_HIGH_BYTES = bytes(range(0x80, 0x100))
# Letters of UTF-8 that are hardly ever several letters of Windows-1252: Latin, Greek, Cyrillic, and what
# takes three or four bytes, but for the French "é »".
_UTF8_LETTER = re.compile(
    rb"[\xc2\xc3\xce-\xd1][\x80-\xbf]|[\xe0-\xef](?!\xa0\xbb)[\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_MAX_UTF8_SHARE = 0.25  # of such letters to other high bytes; beyond, it is damaged UTF-8
_SIGNATURES = {
    b"PK\x03\x04": "a zip archive or an Excel workbook, not text: save the sheet as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "an Excel or Word document, not text: save it as CSV UTF-8",
    b"\x1f\x8b": "compressed with gzip: add .gz to its name",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: add .zst to its name",
    b"PAR1": "a Parquet file: name it .parquet",
    b"%PDF": "a PDF, not text: make a table of it with 'qa-extractive prepare'",
}


class EncodingError(DataError):
    """Bytes that are no text of the encoding they were read in."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the bytes of a text file become text.

    Attributes:
        name: Of the codec.
        n_mark_bytes: Byte order marks before the text, in bytes; some programs write two.
    """

    name: str
    n_mark_bytes: int = 0


@contextmanager
def open_text(
    path: Path, *, newline: str | None = "\n", encoding: Encoding | None = None
) -> Iterator[TextIO]:
    r"""Open a UTF-8 or UTF-16 text file, decompressing one that is named ``.gz`` or ``.zst``.

    Byte order marks are dropped; without one the text is UTF-8. What goes wrong while the file is
    open, when reading a line too, is a DataError that names the file, the place and the remedy.

    Args:
        path: The file.
        newline: What ends a line: ``"\n"``, or ``""`` for any of ``\n``, ``\r`` and ``\r\n``. Line
            ends are kept as they are; with None any is read as ``\n``.
        encoding: The encoding; None to find it.
    """
    with reading(path):
        encoding = encoding or find_encoding(path)
        with open_bytes(path) as stream:
            stream.read(encoding.n_mark_bytes)
            with TextIOWrapper(stream, encoding=encoding.name, newline=newline) as text:
                yield text


def find_encoding(path: Path) -> Encoding:
    """The encoding that the byte order mark of a file names, else UTF-8; DataError where it is no text."""
    with reading(path), open_bytes(path) as stream:
        head = stream.read(_MARK_BYTES)
    if not head:
        raise DataError(f"{path} is empty: give a file with data")
    mark = next((mark for mark in _MARKS if head.startswith(mark)), b"")
    if head.startswith(_UTF32_BOMS) or (not mark and _is_wide(head[:_HEAD_BYTES])):
        raise DataError(f"{path}, byte 0: UTF-32, or UTF-16 without a byte order mark: save it as UTF-8")
    n_marks = 0
    while mark and head.startswith(mark, n_marks * len(mark)):
        n_marks += 1
    return Encoding(_MARKS.get(mark, "utf-8"), n_marks * len(mark))


def is_windows_1252(path: Path) -> bool:
    """Whether a file that is no UTF-8 may be read as Windows-1252, of which Latin-1 text is a part.

    It may not where it holds bytes that stand for nothing there, or many letters of UTF-8: then reading it
    so would spoil those.
    """
    n_letters = n_others = 0
    with reading(path), open_bytes(path) as stream:
        while block := stream.read(_SCAN_BYTES):
            if _NO_LETTERS.search(block) or (not n_letters and block.startswith(tuple(_SIGNATURES))):
                return False
            letters = _UTF8_LETTER.findall(block)
            n_letters += len(letters)
            n_others += len(block) - len(block.translate(None, _HIGH_BYTES)) - sum(map(len, letters))
    return n_letters <= _MAX_UTF8_SHARE * n_others


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading bytes, decompressing what its name says is; DataError for a non-file."""
    check_file(path)
    return decompressed(path, compression_of(path))


def check_file(path: Path) -> None:
    """Raise DataError unless a path names a file that is there."""
    with reading(path):
        mode = path.stat().st_mode
    if S_ISDIR(mode):
        raise DataError(f"{path} is a folder: give a file")
    if not S_ISREG(mode):
        raise DataError(f"{path} is not a regular file: save its content to a file first")


def read_json(path: Path) -> Any:
    """The value of a whole JSON file; DataError where it is not JSON."""
    with open_text(path) as stream:
        text = stream.read()
    try:
        return json.loads(text, strict=False, parse_constant=lambda _: None)  # NaN is nothing
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
        raise EncodingError(_not_text(path, error)) from None
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: check the path") from None
    except gzip.BadGzipFile:
        raise DataError(f"{path} is not compressed with gzip, or damaged: name it without .gz") from None
    except NotCompressedError:
        raise DataError(f"{path} is not compressed with zstd, or damaged: name it without .zst") from None
    except (EOFError, zlib.error, DamagedError) as error:
        raise DataError(f"{path} is cut short or damaged ({error}): get it again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {os_reason(error)}") from None
    except MemoryError:
        raise DataError(f"{path} cannot be read: a part of it does not fit into memory: split it") from None


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
