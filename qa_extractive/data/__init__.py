"""Data sets -> Examples: tables, SQuAD and PubMedQA JSON, and our own JSONL."""

from __future__ import annotations

from qa_extractive.data.loading import (
    ColumnNames,
    Loaded,
    Problem,
    TableColumns,
    examples_to_jsonl,
    load_examples,
    question_from_row,
    resolve_columns,
)

__all__ = [
    "ColumnNames",
    "Loaded",
    "Problem",
    "TableColumns",
    "examples_to_jsonl",
    "load_examples",
    "question_from_row",
    "resolve_columns",
]
