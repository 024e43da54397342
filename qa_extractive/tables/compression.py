"""Compressed bytes in and out: gzip, and zstd by the package ``zstandard``, imported only where it is met."""

from __future__ import annotations

import gzip
import importlib
from io import BufferedReader, RawIOBase
from pathlib import Path
from types import ModuleType
from typing import IO, Any, BinaryIO, cast

from qa_extractive.errors import DataError
from qa_extractive.tables.formats import Compression

_READ_BYTES = 1 << 14
_STEP_BYTES = 1 << 10  # decompressed at once; each may become 32 MB, as four bytes stand for 128 KB at most


class DamagedError(Exception):
    """Compressed bytes that are cut short or wrong."""


class NotCompressedError(Exception):
    """Bytes that are not compressed as the name of their file says."""


def decompressed(path: Path, compression: Compression) -> BinaryIO:
    """Open a file for reading what was compressed; DataError where the package for it is missing."""
    if compression == "gzip":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if compression == "zstd":
        return cast(BinaryIO, BufferedReader(_ZstdFile(_require_zstandard(), path)))
    return path.open("rb")


def compressed(file: IO[bytes], compression: Compression) -> IO[bytes]:
    """A stream that compresses into a file, whose bytes depend on nothing but what is written.

    Closing it leaves the file open.
    """
    if compression == "gzip":
        return cast(IO[bytes], gzip.GzipFile("", "wb", fileobj=file, mtime=0, compresslevel=6))
    writer = _require_zstandard().ZstdCompressor(write_checksum=True).stream_writer(file, closefd=False)
    return cast(IO[bytes], writer)


def require_compression(compression: Compression) -> None:
    """Raise DataError where the package for a compression is missing."""
    if compression == "zstd":
        _require_zstandard()


def _require_zstandard() -> ModuleType:
    try:
        return importlib.import_module("zstandard")
    except ImportError:
        raise DataError(".zst needs zstandard: pip install 'qa-extractive[zstd]'") from None


class _ZstdFile(RawIOBase):
    """All frames of a zstd file; unlike the package's own reader it notices a file that is cut short."""

    def __init__(self, zstandard: ModuleType, path: Path) -> None:
        self._zstandard = zstandard
        self._file = path.open("rb")
        self._frame: Any = None  # the one being read; None between two
        self._given = memoryview(b"")  # compressed bytes that are yet to be read
        self._ready = memoryview(b"")
        self._has_given = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and self._more():
            pass
        n_bytes = min(len(buffer), len(self._ready))
        buffer[:n_bytes] = self._ready[:n_bytes]
        self._ready = self._ready[n_bytes:]
        return n_bytes

    def close(self) -> None:
        self._file.close()
        super().close()

    def _more(self) -> bool:
        """Decompress some more; False at the end of the file."""
        self._given = self._given or memoryview(self._file.read(_READ_BYTES))
        if not self._given:
            if self._frame is not None:
                raise DamagedError("the last frame does not end")
            return False
        if self._frame is None:
            self._frame = self._zstandard.ZstdDecompressor().decompressobj()
        step = self._given[:_STEP_BYTES]
        try:
            self._ready = memoryview(self._frame.decompress(step))
        except self._zstandard.ZstdError as error:
            raise (DamagedError if self._has_given else NotCompressedError)(str(error)) from None
        n_unused, self._has_given = 0, True
        if self._frame.eof:
            n_unused, self._frame = len(self._frame.unused_data), None
        self._given = self._given[len(step) - n_unused :]
        return True
