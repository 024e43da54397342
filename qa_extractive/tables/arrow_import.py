"""pyarrow, imported only when a Parquet file or an Arrow table is met."""

from __future__ import annotations

import importlib
from types import ModuleType

from qa_extractive.errors import DataError


def require_pyarrow() -> tuple[ModuleType, ModuleType]:
    """``pyarrow`` and ``pyarrow.parquet``; DataError with the pip command where they are missing."""
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise DataError("Parquet needs pyarrow: pip install 'qa-extractive[parquet]'") from None
