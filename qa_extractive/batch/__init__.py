"""Tables of any length to tables with answers; a run that was stopped goes on where it was."""

from __future__ import annotations

from qa_extractive.batch.destination import default_output
from qa_extractive.batch.local import BatchJob, answer_table
from qa_extractive.batch.parts import PART_ROWS
from qa_extractive.batch.summary import Failures, Summary
from qa_extractive.rows.answer_rows import BATCH_SIZE, answer_rows
from qa_extractive.rows.cells import ANSWER_COLUMNS, CANDIDATES_COLUMN
from qa_extractive.rows.results import Batch, RowError, RowResult

__all__ = [
    "ANSWER_COLUMNS",
    "BATCH_SIZE",
    "CANDIDATES_COLUMN",
    "PART_ROWS",
    "Batch",
    "BatchJob",
    "Failures",
    "RowError",
    "RowResult",
    "Summary",
    "answer_rows",
    "answer_table",
    "default_output",
]
