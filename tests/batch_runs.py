"""Not a test: a table, a predictor and runs of it, for the tests of runs that are stopped or disturbed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.batch import BatchJob, Summary, answer_table
from qa_extractive.batch.destination import Existing
from qa_extractive.errors import ModelError
from qa_extractive.tables.reading import write_rows
from qa_extractive.types import Answer, Question, Span

N_ROWS = 33
PART = 7


class FirstWord:
    """Answers with the first word of the context, and keeps what it was asked."""

    def __init__(self, threshold: float = 0.5, n_answers: int | None = None) -> None:
        self.asked: list[Question] = []
        self._threshold = threshold
        self._n_answers = n_answers  # then it fails

    @property
    def n_asked(self) -> int:
        return len(self.asked)

    def check(self, question: Question) -> None:
        pass

    def prepare(self, questions: Sequence[Question]) -> Sequence[Question]:
        return questions

    def answer_prepared(self, questions: Sequence[Question]) -> list[Answer]:
        self.asked += questions
        if self._n_answers is not None and self.n_asked > self._n_answers:
            raise ModelError("model.onnx failed")
        return [self.answer(question) for question in questions]

    def answer(self, question: Question) -> Answer:
        word = question.context.split()[0]
        span = Span(word, 0, len(word), 0.25)
        return Answer(word, 0, len(word), 0.25, 0.75, False, span, (span,))

    def identity(self) -> dict[str, str | float]:
        return {"model": "first word", "threshold": self._threshold}


def needs(suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    if suffix.endswith("zst"):
        pytest.importorskip("zstandard", reason=".zst needs zstandard")


def table(path: Path, n: int = N_ROWS) -> Path:
    """Rows of which some fail."""
    with write_rows(path, ["id", "question", "context"]) as writer:
        for i in range(n):
            question = "" if i % 5 == 4 else "what?"
            writer.write({"id": f"{i:03}", "question": question, "context": f"word{i} and, «more»\n"})
    return path


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Rows in a table with the columns of all of them."""
    columns = dict.fromkeys(name for values in rows for name in values)
    with write_rows(path, list(columns)) as writer:
        for values in rows:
            writer.write(values)
    return path


def answer(
    path: Path,
    output: Path,
    predictor: FirstWord | None = None,
    existing: Existing = "refuse",
    errors: Path | None = None,
    **options: Any,
) -> Summary:
    job = BatchJob.open(path, output, existing=existing, errors=errors)
    return answer_table(predictor or FirstWord(), job, **options)


def stop_after(n_parts: int) -> Callable[[], bool]:
    """A ``should_stop`` that says so after so many parts."""
    asked = iter(range(1, 1000))
    return lambda: next(asked) >= n_parts


def partial(output: Path) -> Path:
    return output.with_name(f"{output.name}.partial")


def state(output: Path) -> Path:
    return output.with_name(f"{output.name}.run.json")
