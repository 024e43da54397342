"""The one place where a task's model becomes an archive, and an archive a folder again."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from qa_extractive.predictor import Predictor

ARCHIVE_SUFFIX = ".tar.gz"


def pack_model(folder: Path, target: Path) -> Path:
    """Pack an exported model into one file that ``Predictor`` opens."""
    return Path(import_module("qa_extractive.export.archive").pack(folder, target))


def model_path(name: str) -> str:
    """The folder of a model that is packed; any other name as it is."""
    return str(Predictor(name).folder) if name.endswith(ARCHIVE_SUFFIX) else name
