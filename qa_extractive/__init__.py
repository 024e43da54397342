"""Answer a question from a scientific paper with the paper's own words, or say that it does not.

from qa_extractive import Predictor
answer = Predictor().answer(question, abstract)
"""

from __future__ import annotations

import os

# From 1.29 on onnxruntime reports processes and models to Microsoft unless this is set before its import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

TYPE_CHECKING = False  # typing's own would have to be imported
if TYPE_CHECKING:
    from typing import Any

    from qa_extractive.errors import DataError, ExportError, ModelError, QAError
    from qa_extractive.evidence.types import Evidence, PaperText
    from qa_extractive.predictor import Predictor
    from qa_extractive.types import Answer, Example, Question, Span

    __version__: str

__all__ = [
    "Answer",
    "DataError",
    "Evidence",
    "Example",
    "ExportError",
    "ModelError",
    "PaperText",
    "Predictor",
    "QAError",
    "Question",
    "Span",
    "__version__",
]


_MODULES = {
    **dict.fromkeys(("DataError", "ExportError", "ModelError", "QAError"), "errors"),
    **dict.fromkeys(("Answer", "Example", "Question", "Span"), "types"),
    **dict.fromkeys(("Evidence", "PaperText"), "evidence.types"),
    "Predictor": "predictor",
}


def __getattr__(name: str) -> Any:
    """A public name on its first use, so that importing the package costs nothing; and the version."""
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f"qa_extractive.{_MODULES[name]}"), name)
    if name == "__version__":
        return _version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("qa-extractive")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0+source"
