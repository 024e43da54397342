"""The folder of an exported model -> ``model.tar.gz``, the same bytes for the same files."""

from __future__ import annotations

import gzip
import tarfile
from io import BytesIO
from pathlib import Path
from typing import IO

from qa_extractive._utils.digests import file_digest
from qa_extractive._utils.files import atomic_file
from qa_extractive.archive.cache import slug
from qa_extractive.archive.manifest import MANIFEST_FILE, Manifest, PackedFile, shown
from qa_extractive.errors import ExportError, ModelError, reason_of

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz")

_LEVEL = 6  # of gzip; quantized weights hardly shrink


def pack(folder: Path, target: Path) -> Path:
    """Pack a model into one file that ``Predictor`` and ``--model`` open.

    It holds every file of the folder but hidden ones and subfolders, sorted, without times and owners,
    after a manifest with their sizes and SHA-256. The same files give the same bytes, with one version
    of zlib.

    Args:
        folder: Written by ``export_onnx.py``.
        target: File to write, or replace; its name ends in ``.tar.gz`` or ``.tgz``.

    Returns:
        ``target``.

    Raises:
        ModelError: The folder is no exported model.
        ExportError: ``target`` has another name or cannot be written.
    """
    check_target(target)
    manifest = manifest_of(folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(target) as file:
            _write(manifest, folder, file)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error}") from None
    return target


def check_target(target: Path) -> None:
    """Raise ExportError where a file cannot be a packed model by its name."""
    if not target.name.endswith(ARCHIVE_SUFFIXES):
        raise ExportError(f"{target}: a packed model's name must end in .tar.gz")
    try:
        is_folder = target.is_dir()
    except (OSError, ValueError) as error:  # a name of more than 255 bytes
        raise ExportError(f"{target!s:.200} cannot be written: {reason_of(error)}") from None
    if is_folder:
        raise ExportError(f"{target} is a folder: give a file")


def manifest_of(folder: Path) -> Manifest:
    """The manifest of the files of a folder; ModelError where they are no exported model."""
    try:
        packed = [
            path
            for path in sorted(folder.iterdir())
            if path.is_file() and not path.name.startswith(".") and path.name != MANIFEST_FILE
        ]
        links = [path for path in packed if path.is_symlink()]
        if links:
            raise ModelError(f"{shown(links[0].name)} is a link: put the file itself there")
        files = {path.name: PackedFile(path.stat().st_size, file_digest(path)) for path in packed}
        return Manifest(slug(folder.resolve().name) or "model", files)
    except OSError as error:
        raise ModelError(f"{error.filename or folder} cannot be read: {error.strerror}") from None
    except ModelError as error:
        raise ModelError(f"{folder} is not a model to pack: {error}") from None


def _write(manifest: Manifest, folder: Path, file: IO[bytes]) -> None:
    with (
        gzip.GzipFile("", "wb", fileobj=file, mtime=0, compresslevel=_LEVEL) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        content = manifest.to_json()
        archive.addfile(_member(MANIFEST_FILE, len(content)), BytesIO(content))
        for name, packed in sorted(manifest.files.items()):
            with (folder / name).open("rb") as source:
                archive.addfile(_member(name, packed.n_bytes), source)


def _member(name: str, n_bytes: int) -> tarfile.TarInfo:
    """A header that says nothing of the machine and the time; those are TarInfo's defaults."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = n_bytes, 0o644
    return member
