"""Frames, Arrow record batches, ``Dataset.map`` and Spark give what the tables give."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from qa_extractive.batch import ANSWER_COLUMNS, BatchJob, answer_table
from qa_extractive.errors import DataError
from qa_extractive.inference.pipeline import Prepared
from qa_extractive.predictor import Predictor
from qa_extractive.tables.reading import read_rows, write_rows
from qa_extractive.types import Question

CONTEXT = "The drug reduced mortality. The risk was not increased."


@pytest.fixture(scope="module")
def predictor(tiny_export: Path) -> Predictor:
    return Predictor(tiny_export, threshold=0.5, n_threads=1)


@pytest.fixture
def rows() -> list[dict[str, object]]:
    contexts = [CONTEXT, None, "  ", *(f"{CONTEXT} {i} patients did." for i in range(40)), CONTEXT]
    return [
        {"id": i, "question": "What was the effect?", "abstract": text} for i, text in enumerate(contexts)
    ]


@pytest.fixture
def expected(predictor: Predictor, rows: list[dict[str, object]], tmp_path: Path) -> list[dict[str, object]]:
    """The same rows through a table: the values of the answer columns."""
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    with write_rows(tmp_path / "t.parquet", list(rows[0])) as writer:
        for row in rows:
            writer.write(row)
    answer_table(predictor, BatchJob.open(tmp_path / "t.parquet", tmp_path / "o.parquet"))
    return [{name: row.values[name] for name in ANSWER_COLUMNS} for row in read_rows(tmp_path / "o.parquet")]


# ---------------------------------------------------------------- pandas


def test_a_frame_is_answered_like_a_table(
    predictor: Predictor, rows: list[dict[str, object]], expected: list[dict[str, object]]
) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(rows, index=[f"row {i}" for i in range(len(rows))])
    before = frame.copy()
    found = predictor.answer_frame(frame)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(found[list(before)], before)
    assert list(found) == ["id", "question", "abstract", *ANSWER_COLUMNS]
    values = found[list(ANSWER_COLUMNS)].astype(object)
    assert values.where(values.notna(), None).to_dict("records") == expected
    assert str(found["answer_start"].dtype) == "Int64"
    assert found["error"].notna().tolist() == [bool(row["error"]) for row in expected]


def test_a_frame_with_other_names_and_with_those_of_the_answers(predictor: Predictor) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"q": ["What?"], "answer": ["gold"], "body": [CONTEXT], 7: [1.5]})
    found = predictor.answer_frame(frame, question_column="q", context_column="body", with_candidates=True)
    assert list(found)[:4] == ["q", "input_answer", "body", "7"]
    assert found["input_answer"][0] == "gold"
    assert found["candidates"][0][0].keys() == {"text", "start", "end", "score"}


def test_an_empty_frame(predictor: Predictor) -> None:
    pd = pytest.importorskip("pandas")
    found = predictor.answer_frame(pd.DataFrame({"question": [], "context": []}))
    assert (len(found), list(found)[2:]) == (0, list(ANSWER_COLUMNS))


def test_frames_that_are_refused(predictor: Predictor) -> None:
    pd = pytest.importorskip("pandas")
    with pytest.raises(DataError, match=r"takes a pandas\.DataFrame, not list"):
        predictor.answer_frame([])
    with pytest.raises(DataError, match=r"context: no column for it.* use context_column='NAME'$"):
        predictor.answer_frame(pd.DataFrame({"question": ["a"]}))
    with pytest.raises(DataError, match=r"title: no column is named 'x'.* use title_column='NAME'$"):
        predictor.answer_frame(pd.DataFrame({"question": ["a"], "context": ["b"]}), title_column="x")
    with pytest.raises(DataError, match="more than one column is named 'question'"):
        predictor.answer_frame(pd.DataFrame([["a", "b", "c"]], columns=["question", "question", "context"]))


# ---------------------------------------------------------------- datasets


def test_a_data_set_is_mapped(
    predictor: Predictor, rows: list[dict[str, object]], expected: list[dict[str, object]], tmp_path: Path
) -> None:
    """As docs/BATCH.md shows it."""
    datasets = pytest.importorskip("datasets", reason="needs the [train] extra")
    from qa_extractive.batch.arrow import AnswerKernel

    kernel = AnswerKernel(predictor)
    data = datasets.Dataset.from_list(rows)
    answered = data.with_format("arrow").map(
        kernel.on_table, batched=True, batch_size=7, cache_file_name=str(tmp_path / "cache.arrow")
    )
    found = answered.with_format(None)
    assert found.column_names == ["id", "question", "abstract", *ANSWER_COLUMNS]
    assert found.select_columns(list(ANSWER_COLUMNS)).to_list() == expected


# ---------------------------------------------------------------- the kernel


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_record_batches_are_answered_like_a_table(
    predictor: Predictor, rows: list[dict[str, object]], expected: list[dict[str, object]], batch_rows: int
) -> None:
    arrow = pytest.importorskip("pyarrow", reason="the kernel needs pyarrow")
    from qa_extractive.batch.arrow import AnswerKernel

    kernel = pickle.loads(pickle.dumps(AnswerKernel(predictor)))
    table = arrow.Table.from_pylist(rows)
    found = arrow.Table.from_batches(kernel.map(table.to_batches(batch_rows)), kernel.schema(table.schema))
    assert found.select(table.column_names).equals(table)
    assert found.select(list(ANSWER_COLUMNS)).to_pylist() == expected


def test_a_kernel_brings_its_model_along(predictor: Predictor, tiny_export: Path, tmp_path: Path) -> None:
    """Another process, in which the folder of the model is gone."""
    arrow = pytest.importorskip("pyarrow", reason="the kernel needs pyarrow")
    from qa_extractive.batch.arrow import AnswerKernel

    folder = shutil.copytree(tiny_export, tmp_path / "model")
    kernel = AnswerKernel(Predictor(folder, threshold=0.0, top_k=2), with_candidates=True)
    batch = arrow.RecordBatch.from_pylist([{"question": "What?", "context": CONTEXT}])
    (tmp_path / "kernel.pickle").write_bytes(pickle.dumps(kernel))
    here = kernel(batch)
    shutil.rmtree(folder)
    code = (
        "import pickle, sys, pyarrow as pa; kernel = pickle.load(open(sys.argv[1], 'rb'));"
        f"print(kernel(pa.RecordBatch.from_pylist({batch.to_pylist()!r})).to_pylist())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "kernel.pickle")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(here.to_pylist())
    assert len(here.to_pylist()[0]["candidates"]) == 2


def test_a_kernel_remembers_across_batches(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    arrow = pytest.importorskip("pyarrow", reason="the kernel needs pyarrow")
    from qa_extractive.batch.arrow import AnswerKernel

    asked: list[Question] = []
    prepare = Predictor.prepare

    def noted(self: Predictor, questions: Sequence[Question]) -> list[Prepared]:
        asked.extend(questions)
        return prepare(self, questions)

    monkeypatch.setattr(Predictor, "prepare", noted)
    batch = arrow.RecordBatch.from_pylist([{"question": "What?", "context": CONTEXT}] * 3)
    kernel = AnswerKernel(predictor)
    assert kernel(batch).equals(kernel(batch))
    assert len(asked) == 1


@pytest.mark.slow
def test_spark_answers_like_a_table(
    tiny_export: Path, expected: list[dict[str, object]], tmp_path: Path
) -> None:
    pytest.importorskip("pyspark", reason="pyspark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, which is not here")
    script, output = Path(__file__).parents[1].joinpath("spark_run.py"), tmp_path / "spark.jsonl"
    command = [sys.executable, script, tiny_export, tmp_path / "t.parquet", output, "0.5"]
    ended = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stderr
    found = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in found] == list(range(len(expected)))
    assert [{name: row[name] for name in ANSWER_COLUMNS} for row in found] == expected
