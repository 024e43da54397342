"""Not a test: a table, a predictor and runs of it, for the tests of runs that are stopped or disturbed."""

import pytest

from qa_extractive.batch import BatchJob, answer_table
from qa_extractive.errors import ModelError
from qa_extractive.tables.reading import write_rows
from qa_extractive.types import Answer, Span

N_ROWS = 33
PART = 7


class FirstWord:
    """Answers with the first word of the context, and keeps what it was asked."""

    def __init__(self, threshold=0.5, n_answers=None):
        self.asked = []
        self._threshold = threshold
        self._n_answers = n_answers  # then it fails

    @property
    def n_asked(self):
        return len(self.asked)

    def check(self, question):
        pass

    def prepare(self, questions):
        return questions

    def answer_prepared(self, questions):
        self.asked += questions
        if self._n_answers is not None and self.n_asked > self._n_answers:
            raise ModelError("model.onnx failed")
        return [self.answer(question) for question in questions]

    def answer(self, question):
        word = question.context.split()[0]
        span = Span(word, 0, len(word), 0.25)
        return Answer(word, 0, len(word), 0.25, 0.75, False, span, (span,))

    def identity(self):
        return {"model": "first word", "threshold": self._threshold}


def needs(suffix):
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    if suffix.endswith("zst"):
        pytest.importorskip("zstandard", reason=".zst needs zstandard")


def table(path, n=N_ROWS):
    """Rows of which some fail."""
    with write_rows(path, ["id", "question", "context"]) as writer:
        for i in range(n):
            question = "" if i % 5 == 4 else "what?"
            writer.write({"id": f"{i:03}", "question": question, "context": f"word{i} and, «more»\n"})
    return path


def write_table(path, rows):
    """Rows in a table with the columns of all of them."""
    columns = dict.fromkeys(name for values in rows for name in values)
    with write_rows(path, list(columns)) as writer:
        for values in rows:
            writer.write(values)
    return path


def answer(path, output, predictor=None, existing="refuse", errors=None, **options):
    job = BatchJob.open(path, output, existing=existing, errors=errors)
    return answer_table(predictor or FirstWord(), job, **options)


def stop_after(n_parts):
    """A ``should_stop`` that says so after so many parts."""
    asked = iter(range(1, 1000))
    return lambda: next(asked) >= n_parts


def partial(output):
    return output.with_name(f"{output.name}.partial")


def state(output):
    return output.with_name(f"{output.name}.run.json")
