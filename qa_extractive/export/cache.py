"""Checkpoints exported once for ``Predictor.from_pretrained`` and found again.

Light itself: the exporter, which needs the [train] extra, is imported only to export.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from qa_extractive.errors import ModelError
from qa_extractive.onnx_backend import MODEL_FILE

CACHE_VARIABLE = "QA_EXTRACTIVE_CACHE"

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def cache_folder(cache: str | Path | None) -> Path:
    """The folder of exported models: the one given, else $QA_EXTRACTIVE_CACHE or ~/.cache/qa_extractive."""
    given = cache or os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else Path.home() / ".cache" / "qa_extractive"


def exported(name: str, quantize: str, cache: Path) -> Path:
    """The folder of the exported model, exported first unless the cache has it.

    Args:
        name: Hub id or local folder of a checkpoint; the folder of an exported model is returned as it is.
        quantize: "int8" or "none".
        cache: Folder of exported models.

    Raises:
        ModelError: The [train] extra is missing, or the checkpoint cannot be had.
        ExportError: The export failed.
    """
    source = Path(name)
    if (source / MODEL_FILE).is_file():
        return source
    if not (name and source.is_dir()) and not _HUB_ID.fullmatch(name):
        raise ModelError(f"{name} is neither a folder nor a Hugging Face model id such as owner/name")
    folder = cache / f"{_slug(name)}-{_fingerprint(source)}-{quantize}"
    if not (folder / MODEL_FILE).is_file():
        try:
            from qa_extractive.export.exporting import export
        except ModuleNotFoundError as error:
            raise ModelError(
                f"{error.name} is missing, which exporting {name} needs: pip install 'qa-extractive[train]'"
            ) from None
        export(name, folder, quantize=quantize)
    return folder


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("_.")[-60:]


def _fingerprint(source: Path) -> str:
    """Of a local folder, its place and the sizes and times of its files; of a hub id, its name."""
    parts = [str(source.resolve() if source.is_dir() else source)]
    for path in sorted(source.iterdir()) if source.is_dir() else []:
        status = path.stat()
        parts.append(f"{path.name} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
