"""What runs ahead, what is remembered, and the types that a table keeps."""

from __future__ import annotations

import datetime
import json
import threading
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from qa_extractive._utils.prefetch import prefetch
from qa_extractive.batch import BatchJob, answer_table
from qa_extractive.data import load_examples
from qa_extractive.data.columns import TableColumns
from qa_extractive.predictor import Predictor
from qa_extractive.rows.answer_rows import BATCH_SIZE, answer_rows, answer_rows_ahead
from qa_extractive.rows.recent_questions import RecentQuestions
from qa_extractive.rows.results import RowResult
from qa_extractive.tables.reading import Row, read_rows, write_rows
from qa_extractive.types import Answer, Question
from tests.batch_runs import FirstWord

COLUMNS = TableColumns("question", "context", "title")


# ---------------------------------------------------------------- ahead


def test_items_come_in_order_and_no_further_than_asked_for() -> None:
    made = []

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    stream = prefetch(items(), 2)
    assert [next(stream) for _ in range(10)] == list(range(10))
    time.sleep(0.05)
    assert len(made) <= 10 + 2 + 1
    assert list(stream) == list(range(10, 100))


def test_an_error_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("here")

    stream = prefetch(items(), 5)
    assert next(stream) == 1
    with pytest.raises(KeyError, match="here"):
        next(stream)


def test_closing_ends_the_thread_and_what_it_reads() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    n_threads = threading.active_count()
    stream = prefetch(prefetch(endless(), 1), 1)
    next(stream)
    stream.close()
    assert closed.is_set()
    assert threading.active_count() == n_threads


def test_reading_answering_and_writing_overlap() -> None:
    """Each stage waits for the one before it to be a batch further: one after the other, none would be."""
    n_batches = 5
    is_read = [threading.Event() for _ in range(n_batches)]
    is_being_answered = [threading.Event() for _ in range(n_batches)]

    class Waiting(FirstWord):
        def answer_prepared(self, questions: Sequence[Question]) -> list[Answer]:
            batch = len(self.asked) // BATCH_SIZE
            is_being_answered[batch].set()
            assert all(event.wait(20) for event in is_read[batch + 1 : batch + 2])
            return super().answer_prepared(questions)

    def rows_that_tell() -> Iterator[Row]:
        for i in range(n_batches * BATCH_SIZE):
            yield Row(i + 1, {"question": "what?", "context": f"word{i}"})
            if (i + 1) % BATCH_SIZE == 0:
                is_read[i // BATCH_SIZE].set()

    for batch, _ in enumerate(answer_rows_ahead(Waiting(), rows_that_tell(), COLUMNS)):
        assert all(event.wait(20) for event in is_being_answered[batch + 1 : batch + 2])
    assert batch == n_batches - 1


# ---------------------------------------------------------------- repeated questions


def rows(*contexts: str, title: str | None = None) -> list[Row]:
    cells = ({"question": "what?", "context": context, "title": title} for context in contexts)
    return [Row(number, values) for number, values in enumerate(cells, start=1)]


def text_of(result: RowResult) -> str:
    assert isinstance(result.outcome, Answer)
    return result.outcome.text


def test_a_repeated_question_is_asked_once() -> None:
    answerer = FirstWord()
    table = rows(*(f"word{i % 7}" for i in range(100)))
    results = [r for batch in answer_rows(answerer, table, COLUMNS, RecentQuestions()) for r in batch.results]
    assert len(answerer.asked) == 7
    assert [text_of(result) for result in results] == [row.values["context"] for row in table]
    assert [result.is_repeated for result in results] == [False] * 7 + [True] * 93


def test_repeats_across_batches_and_threads() -> None:
    answerer = FirstWord()
    table = rows(*(f"word{i % 50}" for i in range(1000)))
    batches = list(answer_rows_ahead(answerer, table, COLUMNS, RecentQuestions()))
    outcomes = [text_of(result) for batch in batches for result in batch.results]
    assert outcomes == [row.values["context"] for row in table]
    assert len(answerer.asked) == 50
    assert [batch.n_questions for batch in batches if batch.n_questions] == [20, 20, 10]


@pytest.mark.parametrize(
    "other",
    [
        Question("what", "? a b"),
        Question("what?", "a b", "t"),
        Question("what?", "a  b"),
        Question("what?a", " b"),
        Question("what?", "a b", ""),
    ],
)
def test_questions_that_are_not_the_same(other: Question) -> None:
    recent = RecentQuestions()
    assert recent.ask(Question("what?", "a b"))[1] is False
    assert recent.ask(other)[1] is False
    assert recent.ask(Question("what?", "a b"))[1] is True


def test_the_longest_unasked_is_forgotten_first() -> None:
    recent = RecentQuestions(max_characters=3 * 1001)
    a, b, c, d = (Question("what?", word) for word in "abcd")
    for question in (a, b, c, a, d):
        recent.ask(question)
    assert [recent.ask(question)[1] for question in (a, c, d, b)] == [True, True, True, False]


def test_a_context_longer_than_the_memory_is_answered() -> None:
    answerer = FirstWord()
    recent = RecentQuestions(max_characters=10)
    results = [r for b in answer_rows(answerer, rows("x" * 99, "x" * 99), COLUMNS, recent) for r in b.results]
    assert [len(text_of(result)) for result in results] == [99, 99]


# ---------------------------------------------------------------- types


def answered(path: Path, output: Path) -> Path:
    answer_table(FirstWord(), BatchJob.open(path, output))
    return output


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    stamp = datetime.datetime(2020, 2, 29, 12, 30, tzinfo=datetime.UTC)
    columns = {
        "question": arrow.array(["what?"] * 3),
        "context": arrow.array(["A", "B", "C"], arrow.large_string()),
        "id": arrow.array([1, None, 3], arrow.int32()),
        "date": arrow.array([datetime.date(2020, 2, 29), None, None]),
        "stamp": arrow.array([stamp, None, None], arrow.timestamp("ns", "UTC")),
        "price": arrow.array([Decimal("1.50"), None, None], arrow.decimal128(9, 2)),
        "bytes": arrow.array([b"\x00\xff", b"", None]),
        "tags": arrow.array([["a"], [], None], arrow.list_(arrow.string())),
        "pair": arrow.array([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}]),
        "map": arrow.array([[("k", 1)], [], None], arrow.map_(arrow.string(), arrow.int64())),
        "kind": arrow.array(["x", None, "x"]).dictionary_encode(),
        "nan": arrow.array([float("nan"), None, 1.0], arrow.float32()),
        "flag": arrow.array([True, None, False]),
        "none": arrow.nulls(3),
    }
    table = arrow.table(columns)
    parquet.write_table(table, tmp_path / "t.parquet")
    found = parquet.read_table(answered(tmp_path / "t.parquet", tmp_path / "o.parquet"))
    kept = table.set_column(table.column_names.index("kind"), "kind", columns["kind"].dictionary_decode())
    assert found.select(table.column_names).schema.equals(kept.schema)
    assert str(found.select(table.column_names).to_pydict()) == str(kept.to_pydict())  # NaN is not itself
    assert [str(kind) for kind in found.schema.types[len(columns) :]] == [
        "string", "int64", "int64", "double", "double", "string", "string",
        "string", "string", "int64", "int64", "string", "double",
    ]  # fmt: skip


def test_csv_to_parquet_is_text(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    (tmp_path / "t.csv").write_text("question,context,id,date\nwhat?,A,007,2020-02-29\nwhat?,B,,\nwhat?,C\n")
    found = read_rows(answered(tmp_path / "t.csv", tmp_path / "o.parquet"))
    assert [(row.values["id"], row.values["date"]) for row in found] == [
        ("007", "2020-02-29"),
        ("", ""),
        (None, None),
    ]


def test_jsonl_to_parquet_finds_types_over_all_rows(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    import json

    late: list[dict[str, Any]] = [{}] * 1500
    rows = [
        {"whole": 1, "real": 1, "mixed": 1, "list": [], "late": None, "big": 2**60 + 1, "huge": 1},
        *late,
        {
            "whole": 2,
            "real": 0.5,
            "mixed": "x",
            "list": ["a\ud800"],
            "late": {"k": 1},
            "big": 0.5,
            "huge": 2**64,
        },
    ]
    lines = (json.dumps({"question": "what?", "context": f"w{i}"} | row) for i, row in enumerate(rows))
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    table = parquet.read_table(answered(tmp_path / "t.jsonl", tmp_path / "o.parquet"))
    types = {name: str(table.schema.field(name).type) for name in rows[0]}
    assert types == {
        "whole": "int64", "real": "double", "mixed": "large_string", "list": "list<element: string>",
        "late": "struct<k: int64>", "big": "large_string", "huge": "large_string",
    }  # fmt: skip
    last = table.slice(1501).to_pylist()[0]
    assert (last["real"], last["mixed"], last["list"]) == (0.5, "x", ["a\ufffd"])
    assert table["big"][0].as_py() == str(2**60 + 1)
    assert arrow.types.is_int64(table.schema.field("answer_start").type)


def test_parquet_is_written_in_row_groups_of_bounded_size(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    lines = "".join(f'{{"question": "what?", "context": "w{i}"}}\n' for i in range(21_000))
    (tmp_path / "t.jsonl").write_text(lines)
    path = answered(tmp_path / "t.jsonl", tmp_path / "o.parquet")
    metadata = parquet.ParquetFile(path).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [10_000, 10_000, 1000]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_an_empty_context_is_an_abstention_wherever_it_comes_from(
    tmp_path: Path, tiny_export: Path, suffix: str
) -> None:
    """One rule: in Python, in a DataFrame, in tables of every kind, and in what is read to learn from."""
    pandas = pytest.importorskip("pandas")
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    predictor = Predictor(tiny_export, n_threads=1, threshold=0.0)
    blank = ["", " \n"] if suffix == "csv" else ["", " \n", None]
    with write_rows(tmp_path / f"t.{suffix}", ["question", "context"]) as writer:
        for context in blank:
            writer.write({"question": "What fell?", "context": context})
    output = tmp_path / "o.jsonl"
    answer_table(predictor, BatchJob.open(tmp_path / f"t.{suffix}", output))
    written = [json.loads(line) for line in output.read_text().splitlines()]
    frame = predictor.answer_frame(pandas.DataFrame({"question": "What fell?", "context": blank}))
    alone = predictor.answer("What fell?", "")
    assert (alone.abstained, alone.answerable, alone.status) == (True, 0.0, "not_reported")
    for row in [*written, *frame.to_dict("records")]:
        assert (row["answer"], row["answerable"], row["error"]) == ("", 0.0, None)
    loaded = load_examples(tmp_path / f"t.{suffix}")
    assert [e.question.context.strip() for e in loaded.examples] == [""] * len(blank)
