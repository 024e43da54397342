"""Answer a question from a scientific paper with the paper's own words, or say that it does not.

from qa_extractive import Predictor
answer = Predictor().answer(question, abstract)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qa_extractive.errors import DataError, ExportError, ModelError, QAError
from qa_extractive.records import Answer, Example, Question, Span

if TYPE_CHECKING:
    from qa_extractive.predictor import Predictor

    __version__: str

__all__ = [
    "Answer",
    "DataError",
    "Example",
    "ExportError",
    "ModelError",
    "Predictor",
    "QAError",
    "Question",
    "Span",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """On first use: ``Predictor``, so that importing the records costs no runtime, and the version."""
    if name == "Predictor":
        from qa_extractive.predictor import Predictor

        return Predictor
    if name == "__version__":
        return _version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("qa-extractive")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0+source"
