"""What the papers of a table say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qa_extractive.evidence_table.rows import PaperRow


@dataclass(frozen=True, slots=True)
class Together:
    """What they say to one question, as a small table.

    Attributes:
        question: What was asked.
        heads: Names of its columns.
        rows: Its rows.
        limits: What it cannot know.
        summary: In a few words; empty where there is nothing to sum up.
    """

    question: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    limits: str
    summary: str = ""


class Collector:
    """Takes rows as they pass."""

    def __init__(self, questions: Sequence[str]) -> None:
        """Take the questions."""
        self._questions = questions

    def add(self, row: PaperRow) -> None:
        """Take a row."""

    def together(self) -> list[Together]:
        """What all rows so far say."""
        return []
