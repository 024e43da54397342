"""``model.tar.gz`` -> a folder of the cache, once, whatever the archive tries.

Nothing of an archive is believed but what its manifest says and its bytes bear out: plain files under plain
names, of the sizes and digests given there, in an amount that is bounded before anything is written.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import secrets
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from qa_extractive._utils.digests import file_digest, stream_digest
from qa_extractive.archive.cache import cache_folder, locked, make_folder
from qa_extractive.archive.manifest import MANIFEST_FILE, MAX_FILES, Manifest, check_name, shown
from qa_extractive.config import ReaderConfig
from qa_extractive.errors import ModelError, reason_of
from qa_extractive.inference.calibration import CALIBRATION_FILE, CALIBRATION_FILES, Calibration
from qa_extractive.inference.onnx_backend import MODEL_FILE
from qa_extractive.inference.onnx_checks import check_graph
from qa_extractive.inference.windows import Windower

# Kept in the folder of the cache, hidden: it is no part of the model.
KEPT_MANIFEST = f".{MANIFEST_FILE}"
MAX_RATIO = 100  # bytes unpacked of one packed; weights come nowhere near

_KEY_DIGITS = 32
_MAX_MANIFEST_BYTES = 1 << 16
_MAX_HEADER_BYTES = 1 << 20  # what tarfile may ask for at once: it reads extended headers whole
_PIECE_BYTES = 1 << 16
_N_TRIES = 100
_RECORD_BYTES = 10_240  # tar files are filled up to a multiple of it


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model that can be loaded.

    Attributes:
        folder: Holds its files.
        name: What it is called.
    """

    folder: Path
    name: str


def open_model(model: str | Path, cache: str | Path | None = None) -> OpenedModel:
    """The folder of a model that is given as a folder or as a packed file.

    Args:
        model: Written by ``export_onnx.py``.
        cache: Where packed files are unpacked, once for each content; None for $QA_EXTRACTIVE_CACHE or
            ~/.cache/qa_extractive.

    Raises:
        ModelError: There is no such folder or file, or the file is refused: one line with the reason.
    """
    path = Path(model)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:  # a name of more than 255 bytes, or with a zero in it
        raise ModelError(f"model {shown(str(path))} cannot be found: {reason_of(error)}") from None
    if is_folder:
        return OpenedModel(path, path.name)
    if not is_file:
        raise ModelError(
            f"model {path} is not a folder: give one written by export_onnx.py, or the file it packed; "
            "Predictor.from_pretrained takes Hugging Face names"
        )
    with _refusals(path), path.open("rb") as stream:
        place = cache_folder(cache) / "archives"
        folder = place / stream_digest(stream)[:_KEY_DIGITS]
        manifest = _unpacked(folder)
        if manifest is None:
            make_folder(place)
            with locked(place.parent, folder.name):
                manifest = _unpacked(folder) or _unpack(
                    stream, folder
                )  # another process may have been faster
    return OpenedModel(folder, manifest.name)


def unpacked(name: str) -> str:
    """The folder of a model that is given as a packed file; any other name (a folder, a hub id) as it is."""
    try:
        is_file = Path(name).is_file()
    except (OSError, ValueError):  # it is said where the name is used
        return name
    return str(open_model(name).folder) if is_file else name


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Name the archive, and say in one line what is wrong with it."""
    try:
        yield
    except _RefusedError as error:
        raise ModelError(f"{path} is refused: {error}") from None
    except (EOFError, tarfile.ReadError) as error:
        is_short = isinstance(error, EOFError) or "data" in str(error)
        reason = "it is cut short: get it again" if is_short else "there is no tar archive in it"
        raise ModelError(f"{path} is refused: {reason}") from None
    except (gzip.BadGzipFile, zlib.error):
        raise ModelError(f"{path} is refused: it is damaged, or not a .tar.gz of a model") from None
    except RecursionError:  # tarfile's, which reads them one in the other
        raise ModelError(f"{path} is refused: it has extended headers without end") from None
    except tarfile.TarError as error:
        raise ModelError(f"{path} is refused: {reason_of(error)}") from None
    except OSError as error:
        where = error.filename or path
        raise ModelError(f"{where} cannot be read or written: {error.strerror or error}") from None


class _RefusedError(Exception):
    """What is wrong with an archive."""


def _unpacked(folder: Path) -> Manifest | None:
    """The manifest of a folder of the cache that holds just its files, byte for byte; None otherwise."""
    try:
        manifest = Manifest.from_json((folder / KEPT_MANIFEST).read_bytes())
        sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.name != KEPT_MANIFEST}
        if sizes != {name: file.n_bytes for name, file in manifest.files.items()}:
            return None
        is_whole = all(file_digest(folder / name) == file.sha256 for name, file in manifest.files.items())
    except (OSError, ModelError):
        return None
    return manifest if is_whole else None


def _unpack(stream: IO[bytes], folder: Path) -> Manifest:
    """Unpack into a folder that appears whole or not at all."""
    n_packed = stream.tell()
    stream.seek(0)
    new = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    new.mkdir()
    try:
        with gzip.GzipFile(fileobj=stream) as unzipped:
            manifest = _Unpacking(_Capped(unzipped), new, MAX_RATIO * n_packed).run()
        _check_model(new)
        (new / KEPT_MANIFEST).write_bytes(manifest.to_json())
        _settle(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return manifest


def _check_model(folder: Path) -> None:
    """Refuse files that no model has; whether its graph can be run shows when it is loaded."""
    try:
        Windower.load(folder, ReaderConfig.load(folder).window)
        for name in CALIBRATION_FILES.values():
            if name == CALIBRATION_FILE or (folder / name).is_file():
                Calibration.load(folder, name)
        check_graph(folder / MODEL_FILE)
    except ModelError as error:
        raise _RefusedError(str(error).replace(f"{folder}{os.sep}", "")) from None


def _settle(new: Path, folder: Path) -> None:
    """Give the folder its name, in place of a damaged one, unless another process was faster."""
    for _ in range(_N_TRIES):  # where the file system has no locks, others may do the same
        try:
            new.rename(folder)
            return
        except OSError as error:
            if _unpacked(folder) is not None:
                return
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
        damaged = new.with_name(f"{new.name}.damaged")
        with suppress(FileNotFoundError):
            folder.rename(damaged)
            _remove(damaged)
    raise OSError(errno.EBUSY, "other processes keep replacing it", str(folder))


def _remove(path: Path) -> None:
    """Remove a folder, or the file that stands in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


class _Capped:
    """A decompressed stream that cannot be made to fill the memory or the disk.

    Attributes:
        limit: Bytes after which it is refused.
        last: What was read last.
    """

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self.limit = _MAX_HEADER_BYTES
        self.last = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise _RefusedError(f"it asks for a header of {size:,} bytes")
        self.last = self._stream.read(size)
        self._check(self.tell())
        return self.last

    def seek(self, position: int) -> int:
        self._check(position)
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()

    def _check(self, position: int) -> None:
        if position > self.limit:
            raise _RefusedError("it holds more than its manifest says")


class _Unpacking:
    """One archive on its way into a folder."""

    def __init__(self, stream: _Capped, folder: Path, most_bytes: int) -> None:
        self._stream = stream
        self._folder = folder
        self._most_bytes = most_bytes

    def run(self) -> Manifest:
        """Write the files of the manifest, up to the first wrong thing, which is an error."""
        with tarfile.open(fileobj=self._stream, mode="r:") as archive:  # type: ignore[call-overload]
            manifest = self._manifest(archive)
            written: set[str] = set()
            while (member := archive.next()) is not None:
                self._check(member, manifest, written)
                written.add(member.name)
                self._write(archive, member, manifest)
            missing = sorted(set(manifest.files) - written)
            if missing:
                raise _RefusedError(f"it lacks {missing[0]}, which its manifest names")
        self._check_rest()
        return manifest

    def _check_rest(self) -> None:
        """From where tarfile found no further header to the end, where gzip keeps a checksum: zeros."""
        piece = self._stream.last
        while piece:
            if piece.count(0) < len(piece):
                raise _RefusedError("there is data after its last file")
            piece = self._stream.read(_PIECE_BYTES)

    def _manifest(self, archive: tarfile.TarFile) -> Manifest:
        first = archive.next()
        if first is None or first.name != MANIFEST_FILE or _kind(first) != "file":
            raise _RefusedError(f"it does not begin with {MANIFEST_FILE}: not a packed model")
        if first.size > _MAX_MANIFEST_BYTES:
            raise _RefusedError(f"its {MANIFEST_FILE} has {first.size:,} bytes")
        try:
            manifest = Manifest.from_json(_content(archive, first).read())
        except ModelError as error:
            raise _RefusedError(str(error)) from None
        if manifest.n_bytes > self._most_bytes:
            raise _RefusedError(
                f"it would unpack to {manifest.n_bytes:,} bytes, over {MAX_RATIO} times its size"
            )
        framing = 2 * tarfile.BLOCKSIZE * (MAX_FILES + 2) + _RECORD_BYTES
        self._stream.limit = self._stream.tell() + manifest.n_bytes + framing
        return manifest

    def _check(self, member: tarfile.TarInfo, manifest: Manifest, written: set[str]) -> None:
        name = shown(member.name)
        kind = _kind(member)
        if kind != "file":
            raise _RefusedError(f"{name} is a {kind}")
        try:
            check_name(member.name)
        except ModelError as error:
            raise _RefusedError(str(error)) from None
        if member.name in written:
            raise _RefusedError(f"{name} is there twice")
        if member.name not in manifest.files:
            raise _RefusedError(f"{name} is not in its manifest")
        if member.size != manifest.files[member.name].n_bytes:
            raise _RefusedError(f"{name} does not have the size that its manifest gives")

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, manifest: Manifest) -> None:
        safe = _data_filter(member, self._folder)
        digest = hashlib.sha256()
        with (self._folder / safe.name).open("xb") as file:
            content = _content(archive, member)
            while piece := content.read(_PIECE_BYTES):
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != manifest.files[member.name].sha256:
            raise _RefusedError(f"the SHA-256 of {shown(member.name)} is not the one its manifest gives")


def _kind(member: tarfile.TarInfo) -> str:
    """What a member is, in a word."""
    if member.issym() or member.islnk():
        return "link"
    if member.isdir():
        return "folder"
    if member.isdev():
        return "device"
    plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
    return "file" if plain and not member.pax_headers else "file of an unusual kind"


def _data_filter(member: tarfile.TarInfo, folder: Path) -> tarfile.TarInfo:
    """The member as tarfile's own filter lets it pass."""
    if not hasattr(tarfile, "data_filter"):
        raise _RefusedError("this Python's tarfile has no data filter: use 3.11.4 or newer")
    return tarfile.data_filter(member, str(folder))


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    if content is None:
        raise _RefusedError(f"{shown(member.name)} has no content")
    return content
