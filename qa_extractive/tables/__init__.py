"""Rows in and out: CSV, TSV, JSONL (each also .gz or .zst) and Parquet, streamed, nothing lost."""

from __future__ import annotations

from qa_extractive.tables.reading import Row, RowReader, read_rows
from qa_extractive.tables.writing import RowWriter, write_rows

__all__ = [
    "Row",
    "RowReader",
    "RowWriter",
    "read_rows",
    "write_rows",
]
