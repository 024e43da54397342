from __future__ import annotations

import csv
import io
import itertools
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_extractive.batch import (
    ANSWER_COLUMNS,
    BATCH_SIZE,
    Batch,
    BatchJob,
    RowError,
    Summary,
    answer_rows,
    answer_table,
    default_output,
)
from qa_extractive.data.columns import ColumnNames, TableColumns
from qa_extractive.errors import DataError, LongContextError, ModelError
from qa_extractive.tables.reading import Row, read_rows
from qa_extractive.types import Answer, Question, Span
from tests.batch_runs import write_table

COLUMNS = TableColumns("question", "context")
ALL_FORMATS = ("csv", "tsv", "jsonl", "csv.gz", "tsv.gz", "jsonl.gz", "jsonl.zst", "parquet")


class FirstWord:
    """Answers with the first word of the context; abstains when asked about a zebra."""

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []

    def check(self, question: Question) -> None:
        if len(question.question) > 100:
            raise DataError("question of many tokens exceeds 10: shorten it")

    def prepare(self, questions: Sequence[Question]) -> Sequence[Question]:
        return questions

    def answer_prepared(self, questions: Sequence[Question]) -> list[Answer]:
        self.batch_sizes.append(len(questions))
        return [self.answer(question) for question in questions]

    def identity(self) -> dict[str, str]:
        return {"model": "first word"}

    def answer(self, question: Question) -> Answer:
        assert isinstance(question, Question)
        if not question.context.strip():
            return Answer("", 0, 0, 0.0, 0.0, True)
        word = question.context.split()[0]
        start = question.context.index(word)
        span = Span(word, start, start + len(word), 0.123456)
        if "zebra" in question.question:
            return Answer("", 0, 0, 0.123456, 0.2, True, candidates=(span,))
        return Answer(span.text, span.start, span.end, 0.123456, 0.98765, False, span, (span,))


def row(
    number: int,
    question: object = "what?",
    context: object = "The drug.",
    error: str | None = None,
    **further: object,
) -> Row:
    return Row(number, {"question": question, "context": context, **further}, error, number + 1)


def rows(n: int) -> list[Row]:
    return [row(i) for i in range(1, n + 1)]


def plain_csv(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    """The rows of a CSV by Python's own reader."""
    csv.field_size_limit(10**9)
    text = path.read_bytes().decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def run(
    path: Path, output: Path | None = None, predictor: FirstWord | None = None, **options: Any
) -> tuple[Summary, Path]:
    job = BatchJob.open(path, output)
    return answer_table(predictor or FirstWord(), job, **options), job.output


# ---------------------------------------------------------------- batches


@pytest.mark.parametrize(("n", "sizes"), [(1, [1]), (20, [20]), (21, [20, 1]), (45, [20, 20, 5])])
def test_questions_are_answered_twenty_at_a_time(n: int, sizes: list[int]) -> None:
    predictor = FirstWord()
    batches = list(answer_rows(predictor, rows(n), COLUMNS))
    assert predictor.batch_sizes == [batch.n_questions for batch in batches] == sizes
    assert [result.row.number for batch in batches for result in batch.results] == list(range(1, n + 1))


def test_failed_rows_take_no_place_in_a_batch() -> None:
    table = [row(i, question="" if i % 2 else "what?") for i in range(1, 81)]
    predictor = FirstWord()
    batches = list(answer_rows(predictor, table, COLUMNS))
    assert predictor.batch_sizes == [BATCH_SIZE, BATCH_SIZE]
    assert [len(batch.results) for batch in batches] == [40, 40]


def test_a_file_of_failed_rows_does_not_pile_up_and_asks_the_model_nothing() -> None:
    predictor = FirstWord()
    batches = list(answer_rows(predictor, (row(i, question=" ") for i in range(2500)), COLUMNS))
    assert [len(batch.results) for batch in batches] == [1000, 1000, 500]
    assert predictor.batch_sizes == []


def test_rows_are_read_no_further_than_the_batch() -> None:
    endless = map(row, itertools.count(1))
    batches = answer_rows(FirstWord(), endless, COLUMNS)
    next(batches)
    assert next(endless).number == BATCH_SIZE + 1


def test_only_the_call_is_timed() -> None:
    class Slow(FirstWord):
        def check(self, question: Question) -> None:
            time.sleep(0.02)

    (batch,) = answer_rows(Slow(), rows(BATCH_SIZE), COLUMNS)
    assert 0.0 < batch.ms < 0.02 * BATCH_SIZE * 1000


@pytest.mark.parametrize(
    ("bad", "kind", "message"),
    [
        (row(1, error="line 2: 3 cells where the header has 2"), "unreadable row", "line 2: 3 cells"),
        (row(1, question=""), "empty question", "line 2: question is empty (column 'question')"),
        (row(1, question=" \n"), "empty question", "question is empty"),
        (row(1, question=None), "empty question", "question is empty"),
        (row(1, question=42), "not text", "line 2: question must be a string, not int"),
        (row(1, context=["a"]), "not text", "context must be a string, not list"),
        (row(1, title=3), "not text", "title must be a string, not int"),
        (row(1, question="why " * 50), "question too long", "line 2: question of many tokens exceeds 10"),
    ],
)
def test_a_bad_row_says_why_and_the_others_are_answered(bad: Row, kind: str, message: str) -> None:
    columns = TableColumns("question", "context", "title")
    (batch,) = answer_rows(FirstWord(), [row(0), bad, row(2)], columns)
    before, error, after = (result.outcome for result in batch.results)
    assert isinstance(error, RowError)
    assert error.kind == kind
    assert message in error.message
    assert "\n" not in error.message
    assert isinstance(before, Answer)
    assert isinstance(after, Answer)


class Limited(FirstWord):
    def check(self, question: Question) -> None:
        super().check(question)
        if len(question.context) > 1000:
            raise LongContextError("context of many characters exceeds 1000")


def test_a_context_beyond_the_limit_is_an_error_of_its_own_kind() -> None:
    columns = TableColumns("question", "context", "title")
    (batch,) = answer_rows(Limited(), [row(0), row(1, context="w " * 600), row(2)], columns)
    before, error, after = (result.outcome for result in batch.results)
    assert error == RowError("context too long", "line 2: context of many characters exceeds 1000")
    assert isinstance(before, Answer)
    assert isinstance(after, Answer)


def test_a_huge_context_is_told_once_with_its_row_and_its_size(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("qa_extractive.rows.answer_rows.LONG_CONTEXT_CHARACTERS", 1000)
    columns = TableColumns("question", "context", "title")
    huge = "word " * 201
    each = [row(0), *(row(3, question=q, context=huge) for q in ("Who?", "What?")), row(4, context=huge[:-5])]
    (batch,) = answer_rows(FirstWord(), each, columns)
    assert all(isinstance(result.outcome, Answer) for result in batch.results)
    (told,) = caplog.records
    assert f"row {each[1].number}: a context of 1,005 characters takes minutes" in told.getMessage()
    caplog.clear()
    list(answer_rows(Limited(), each, columns))
    assert not caplog.records, "what is refused takes no time"


@pytest.mark.parametrize("context", ["", " \n", "\u00a0", None])
def test_an_empty_context_holds_no_answer(context: str | None) -> None:
    columns = TableColumns("question", "context", "title")
    (batch,) = answer_rows(FirstWord(), [row(0), row(1, context=context), row(2)], columns)
    before, empty, after = (result.outcome for result in batch.results)
    assert isinstance(empty, Answer)
    assert (empty.abstained, empty.text, empty.candidates) == (True, "", ())
    assert isinstance(before, Answer)
    assert isinstance(after, Answer)
    assert before.text == after.text != ""


def test_a_blank_title_is_none_and_a_title_is_passed_on() -> None:
    seen = []

    class Titles(FirstWord):
        def check(self, question: Question) -> None:
            seen.append(question.title)

    list(
        answer_rows(
            Titles(),
            [row(1, title=" "), row(2, title="A trial")],
            TableColumns("question", "context", "title"),
        )
    )
    assert seen == [None, "A trial"]


# ---------------------------------------------------------------- what is written


def test_output_columns_and_cells(tmp_path: Path) -> None:
    table = [
        {"id": "1", "question": "what?", "context": " The drug. "},
        {"id": "2", "question": "a zebra?", "context": "The drug."},
        {"id": "3", "question": "", "context": "The drug."},
    ]
    summary, output = run(write_table(tmp_path / "papers.csv", table))
    answered, abstained, failed = plain_csv(output)
    assert output == tmp_path / "papers.answers.csv"
    assert tuple(answered) == ("id", "question", "context", *ANSWER_COLUMNS)
    assert answered["context"] == " The drug. "
    first, added = ANSWER_COLUMNS[:7], ANSWER_COLUMNS[7:]
    assert added == ("status", "best_span", "best_start", "best_end", "verdict", "verdict_score")
    assert [answered[name] for name in first] == ["The", "1", "4", "0.1235", "0.9877", "The", ""]
    assert [answered[name] for name in added] == ["answered", "The", "1", "4", "", ""]
    assert [abstained[name] for name in first] == ["", "", "", "0.1235", "0.2", "", ""]
    assert [abstained[name] for name in added] == ["unsure", "The", "0", "3", "", ""]
    assert [failed[name] for name in first[:-1]] == [""] * 6
    assert [failed[name] for name in added] == ["failed", "", "", "", "", ""]
    assert failed["error"] == "line 4: question is empty (column 'question'): give text"
    assert (summary.n_rows, summary.n_answered, summary.n_abstained, summary.n_failed) == (3, 1, 1, 1)


def test_json_output_is_typed(tmp_path: Path) -> None:
    table = [{"question": q, "context": "The drug."} for q in ("what?", "a zebra?", "")]
    _, output = run(write_table(tmp_path / "papers.jsonl", table))
    answered, abstained, failed = map(json.loads, output.read_text(encoding="utf-8").splitlines())
    assert (answered["answer"], answered["answer_start"], answered["error"]) == ("The", 0, None)
    assert (abstained["answer"], abstained["answer_start"], abstained["answerable"]) == ("", None, 0.2)
    assert (failed["answer"], failed["score"], failed["answerable"]) == (None, None, None)


def test_input_columns_of_the_same_name_are_kept(tmp_path: Path) -> None:
    table = [{"answer": "a", "input_answer": "b", "score": "c", "question": "what?", "context": "The drug."}]
    _, output = run(write_table(tmp_path / "t.csv", table))
    (values,) = plain_csv(output)
    assert tuple(values)[:5] == ("input_input_answer", "input_answer", "input_score", "question", "context")
    assert [*values.values()][:3] == ["a", "b", "c"]
    assert (values["answer"], values["score"]) == ("The", "0.1235")


def test_its_own_output_can_be_answered_again(tmp_path: Path) -> None:
    _, first = run(write_table(tmp_path / "t.csv", [{"question": "what?", "context": "The drug."}]))
    _, second = run(first)
    (values,) = plain_csv(second)
    assert values["input_answer"] == values["answer"] == "The"


def test_candidates_are_added_where_asked_for(tmp_path: Path) -> None:
    table = [{"question": q, "context": "The drug."} for q in ("what?", "a zebra?", "")]
    path = write_table(tmp_path / "t.csv", table)
    _, output = run(path, with_candidates=True)
    rows = plain_csv(output)
    old = [
        name
        for name in rows[0]
        if name not in ("status", "best_span", "best_start", "best_end", "verdict", "verdict_score")
    ]
    assert list(rows[0])[: len(old)] == old  # what was there before stands where it stood
    answered, abstained, failed = (values["candidates"] for values in rows)
    assert json.loads(answered) == [{"text": "The", "start": 0, "end": 3, "score": 0.1235}]
    assert json.loads(abstained) == json.loads(answered)
    assert failed == ""


@pytest.mark.parametrize("written", ALL_FORMATS)
@pytest.mark.parametrize("read", ALL_FORMATS)
def test_every_format_in_and_out(tmp_path: Path, read: str, written: str) -> None:
    if "parquet" in (read, written):
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    table = [{"question": f"what {i}?", "context": f"😀 שלום\r\nThe {i}"} for i in range(25)]
    summary, output = run(write_table(tmp_path / f"in.{read}", table), tmp_path / f"out.{written}")
    values = [each.values for each in read_rows(output)]
    assert summary.n_rows == len(values) == 25
    assert [{name: v[name] for name in table[0]} for v in values] == table
    assert {(v["answer"], str(v["answer_start"]), str(v["answer_end"])) for v in values} == {("😀", "0", "1")}


cell = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["", " ", "zebra", "a,b", '"', "\r\n", "\0x", "😀 a", "\u202eabc", "what " * 30]
)


@settings(max_examples=60, deadline=None)
@given(table=st.lists(st.tuples(cell, cell), min_size=1, max_size=45))
def test_a_row_out_for_each_row_in_and_every_answer_is_verbatim(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = write_table(folder / "t.csv", [{"question": q, "context": c} for q, c in table])
    summary, output = run(path)
    found = plain_csv(output)
    assert len(found) == summary.n_rows == len(table)
    assert summary.n_answered + summary.n_abstained + summary.n_failed == len(table)
    for values, (question, context) in zip(found, table, strict=True):
        assert (values["question"], values["context"]) == (question, context)
        assert bool(values["score"]) is not bool(values["error"])
        if values["answer"]:
            assert (
                values["context"][int(values["answer_start"]) : int(values["answer_end"])] == values["answer"]
            )


def test_ten_thousand_rows(tmp_path: Path) -> None:
    table = [{"question": "what?" if i % 100 else "", "context": f"The {i}."} for i in range(10_000)]
    summary, output = run(write_table(tmp_path / "t.csv", table))
    assert (summary.n_rows, summary.n_answered, summary.n_failed) == (10_000, 9_900, 100)
    assert len(summary.batch_ms) == 495
    assert [values["context"] for values in plain_csv(output)] == [values["context"] for values in table]


def test_nothing_is_written_where_the_model_fails(tmp_path: Path) -> None:
    class Broken(FirstWord):
        def answer_prepared(self, questions: Sequence[Question]) -> list[Answer]:
            if self.batch_sizes:
                raise ModelError("model.onnx failed")
            return super().answer_prepared(questions)

    path = write_table(tmp_path / "t.csv", [{"question": f"what {i}?", "context": "A"} for i in range(30)])
    default_output(path).write_text("earlier")
    with pytest.raises(ModelError):
        answer_table(Broken(), BatchJob.open(path, existing="overwrite"))
    assert default_output(path).read_text() == "earlier"
    assert len([*tmp_path.iterdir()]) == 2


def test_each_batch_is_announced(tmp_path: Path) -> None:
    seen: list[Batch] = []
    path = write_table(tmp_path / "t.csv", [{"question": f"what {i}?", "context": "A"} for i in range(30)])
    run(path, on_batch=seen.append)
    assert [len(batch.results) for batch in seen] == [20, 10]


# ---------------------------------------------------------------- the summary


def test_failures_are_counted_by_kind_with_the_first_few(tmp_path: Path) -> None:
    table = [
        {"question": "" if i % 2 else "what?", "context": 7 if i == 4 else "The drug."} for i in range(20)
    ]
    summary, _ = run(write_table(tmp_path / "t.jsonl", table))
    questions, contexts = summary.failures
    assert (questions.kind, questions.n_rows) == ("empty question", 10)
    assert [number for number, _ in questions.first] == [2, 4, 6]
    assert (contexts.kind, contexts.n_rows, contexts.first[0][0]) == ("not text", 1, 5)
    assert summary.n_failed == 11


def test_batch_times_against_a_budget() -> None:
    times = tuple(float(ms) for ms in range(1, 102))
    summary = Summary(2021, 2021, 0, (), 2.0, times, (5000.0,))
    assert [summary.batch_quantile_ms(share) for share in (0.5, 0.95, 1.0)] == [51.0, 96.0, 101.0]
    assert summary.n_batches_over(0.1) == 2  # the longest, and the short one
    assert summary.n_batches_over(5.0) == 0
    assert summary.rows_per_s == 1010.5


def test_a_file_of_fewer_than_twenty_questions_has_no_full_batch(tmp_path: Path) -> None:
    table = [{"question": f"what {i}?", "context": "The drug."} for i in range(19)]
    summary, _ = run(write_table(tmp_path / "t.csv", table))
    assert summary.batch_ms == ()
    assert summary.batch_quantile_ms(0.5) is None
    assert len(summary.short_batch_ms) == 1


def test_an_empty_summary_divides_by_nothing() -> None:
    assert Summary(0, 0, 0, (), 0.0, ()).rows_per_s == 0.0


# ---------------------------------------------------------------- jobs


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("papers.csv", "papers.answers.csv"),
        ("a.b.csv.gz", "a.b.answers.csv.gz"),
        ("UPPER.TSV.GZ", "UPPER.answers.TSV.GZ"),
        ("x.parquet", "x.answers.parquet"),
    ],
)
def test_default_output(name: str, output: str) -> None:
    assert default_output(Path("data") / name) == Path("data") / output


def test_columns_may_be_named(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", [{"q": "what?", "body": "The drug.", "head": "A trial"}])
    job = BatchJob.open(path, names=ColumnNames("q", "body", "head"))
    assert (job.columns.question, job.columns.context, job.columns.title) == ("q", "body", "head")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "question,context\n", "t.csv has no rows"),
        ("t.csv", "question,body\na,b\n", "t.csv: context: no column for it"),
        ("t.csv", "", "is empty"),
        ("t.txt", "question,context\na,b\n", "must end in"),
    ],
)
def test_a_table_that_cannot_be_answered(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        BatchJob.open(tmp_path / name)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        BatchJob.open(tmp_path / "none")
    with pytest.raises(DataError, match="is a folder"):
        BatchJob.open(tmp_path)


@pytest.mark.parametrize("alias", ["same", "relative", "symlink", "hardlink"])
def test_the_input_is_never_the_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alias: str) -> None:
    path = write_table(tmp_path / "t.csv", [{"question": "what?", "context": "The drug."}])
    output = tmp_path / "alias.csv"
    if alias in ("symlink", "hardlink"):
        (os.symlink if alias == "symlink" else os.link)(path, output)
    else:
        monkeypatch.chdir(tmp_path)
        output = path if alias == "same" else Path("t.csv")
    with pytest.raises(DataError, match="is the input itself"):
        BatchJob.open(path, output)


def test_an_output_of_unknown_format_is_refused_at_once(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", [{"question": "what?", "context": "The drug."}])
    with pytest.raises(DataError, match="must end in"):
        BatchJob.open(path, tmp_path / "out.xlsx")
