"""Checkpoints exported once for ``Predictor.from_pretrained`` and found again.

A local folder is found by what its files hold, wherever it lies and whatever their times; a hub id by
its name. Light itself: the exporter, which needs the [train] extra, is imported only to export.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from contextlib import suppress
from pathlib import Path

from qa_extractive._utils.digests import file_digest, text_digest
from qa_extractive._utils.files import write_whole
from qa_extractive.archive.cache import locked, make_folder, slug
from qa_extractive.archive.unpack import open_model
from qa_extractive.errors import ModelError
from qa_extractive.inference.onnx_backend import MODEL_FILE

MEMO_FILE = "hashes.json"

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_KEY_DIGITS = 16
# Smaller files are hashed each time, and so are those written this lately: a second change may bear the
# same time as the first.
_MEMO_BYTES = 1 << 20
_MEMO_AGE_NS = 2_000_000_000

_Memo = dict[str, tuple[int, int, int, str]]  # path -> bytes, mtime and ctime in ns, SHA-256


def exported(name: str, quantize: str, cache: Path, *, allow_pickle: bool = False) -> Path:
    """The folder of the exported model, exported first unless the cache has it.

    Args:
        name: Hub id or local folder of a checkpoint; the folder of an exported model is returned as it
            is, and a packed one unpacked.
        quantize: As of ``export``.
        cache: Folder of exported models.
        allow_pickle: As of ``export``; what the cache has was loaded before.

    Raises:
        ModelError: The [train] extra is missing, or the checkpoint or the cache cannot be had.
        ExportError: The export failed.
    """
    source = Path(name)
    if (source / MODEL_FILE).is_file() or source.is_file():
        return open_model(source, cache).folder
    folder = _place(name, quantize, cache)
    if not (folder / MODEL_FILE).is_file():
        try:
            from qa_extractive.export.exporter import export
        except ModuleNotFoundError as error:
            raise ModelError(
                f"{error.name} is missing, which exporting {name} needs: pip install 'qa-extractive[train]'"
            ) from None
        make_folder(cache)
        with locked(cache, folder.name):
            if not (folder / MODEL_FILE).is_file():  # another process may have been faster
                export(name, folder, quantize=quantize, allow_pickle=allow_pickle)
    return folder


def content_hash(folder: Path, memo: Path | None = None) -> str:
    """A hash of the names and the contents of the files of a checkpoint's folder.

    Subfolders and hidden files decide no answer and are left out; links are followed.

    Args:
        folder: Folder of a checkpoint.
        memo: File that remembers the hashes of large files by their size and times, so that gigabytes
            are read once; missing, broken or not writable, it is done without. None for none.

    Returns:
        16 hexadecimal digits.

    Raises:
        ModelError: A file cannot be read.
    """
    known = _load_memo(memo)
    before = dict(known)
    whole = hashlib.sha256()
    try:
        for path in sorted(each for each in folder.iterdir() if not each.name.startswith(".")):
            if path.is_file():
                whole.update(f"{path.name}\0{_file_hash(path, known)}\n".encode())
    except OSError as error:
        raise ModelError(f"{error.filename or folder} cannot be read: {error.strerror}") from None
    if memo is not None and known != before:
        _save_memo(memo, known)
    return whole.hexdigest()[:_KEY_DIGITS]


def _place(name: str, quantize: str, cache: Path) -> Path:
    """Where the export of a checkpoint lies, or is to be written."""
    source = Path(name)
    if name and source.is_dir():
        key = f"{content_hash(source, cache / MEMO_FILE)}-{quantize}"
        made = (each for each in sorted(cache.glob(f"*-{key}")) if (each / MODEL_FILE).is_file())
        return next(made, cache / f"{slug(source.resolve().name)}-{key}")
    if not _HUB_ID.fullmatch(name):
        raise ModelError(f"{name} is neither a folder nor a Hugging Face model id such as owner/name")
    return cache / f"{slug(name)}-{text_digest(name)[:12]}-{quantize}"


def _file_hash(path: Path, known: _Memo) -> str:
    """SHA-256 of a file, from the memo where that knows it unchanged, else read and noted there."""
    place, status = str(path.resolve()), path.stat()
    state = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if place in known and known[place][:3] == state:
        return known[place][3]
    value = file_digest(path)
    if status.st_size >= _MEMO_BYTES and time.time_ns() - status.st_mtime_ns > _MEMO_AGE_NS:
        known[place] = (*state, value)
    return value


def _load_memo(memo: Path | None) -> _Memo:
    if memo is None:
        return {}
    try:
        values = json.loads(memo.read_text(encoding="utf-8"))
        return {
            place: (int(size), int(mtime), int(ctime), str(digest))
            for place, (size, mtime, ctime, digest) in values.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _save_memo(memo: Path, known: _Memo) -> None:
    """Write the memo whole or not at all; it only saves time, so a failure is none."""
    with suppress(OSError):
        memo.parent.mkdir(parents=True, exist_ok=True)
        write_whole(memo, json.dumps(known, indent=1) + "\n")
