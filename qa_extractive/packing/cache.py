"""Where models that were exported or unpacked are kept."""

from __future__ import annotations

import os
import re
from pathlib import Path

from qa_extractive.errors import ModelError

CACHE_VARIABLE = "QA_EXTRACTIVE_CACHE"


def cache_folder(cache: str | Path | None = None) -> Path:
    """The folder of models: the one given, else $QA_EXTRACTIVE_CACHE or ~/.cache/qa_extractive."""
    given = cache or os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else Path.home() / ".cache" / "qa_extractive"


def make_folder(folder: Path) -> None:
    """Make a folder of the cache where it is missing; ModelError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"{folder} cannot be made a folder: {error.strerror}; set {CACHE_VARIABLE} to one"
        ) from None


def slug(name: str) -> str:
    """A name with nothing in it that a file's name may not hold, of at most 60 characters; may be empty."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("_.")[-60:]
