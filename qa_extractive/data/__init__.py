"""Data sets -> Examples: tables, SQuAD and PubMedQA JSON, and our own JSONL."""

from __future__ import annotations

from qa_extractive.data.columns import ColumnNames, TableColumns, question_from_row, resolve_columns
from qa_extractive.data.example_jsonl import examples_to_jsonl
from qa_extractive.data.loading import Loaded, Problem, load_examples

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
