"""Parquet columns that Python cannot hold, JSONL rows that no format can: nothing altered, nothing ended."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.batch import BatchJob, Summary, answer_table
from qa_extractive.data.loading import load_examples
from qa_extractive.errors import DataError
from qa_extractive.tables.arrow_types import as_types, table_types
from qa_extractive.tables.jsonl_rows import MAX_NESTING
from qa_extractive.tables.reading import read_rows, write_rows
from qa_extractive.tables.surrogates import replace_surrogates
from tests.batch.test_batch import FirstWord

arrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

ROOT = Path(__file__).resolve().parents[2]
N_ROWS = 5
FAR = 2**62


def _bad_text() -> Any:
    offsets = arrow.array([0, 2, 4, 6, 8, 10], arrow.int32()).buffers()[1]
    return arrow.Array.from_buffers(
        arrow.string(), N_ROWS, [None, offsets, arrow.py_buffer(b"ab\xff\xfecdefgh")]
    )


def _five(value: object, kind: Any) -> Any:
    return arrow.array([value] * (N_ROWS - 1) + [None], kind)


def _doubled() -> Any:
    fields = [arrow.array([each] * N_ROWS) for each in (1, 2)]
    return arrow.StructArray.from_arrays(fields, ["a", "a"])


# Each with what a CSV holds of its first cell.
FOREIGN = {
    "date": (_five(10**7, arrow.int32()).view(arrow.date32()), "29349-01-26"),
    "early date": (_five(-(10**7), arrow.int32()).view(arrow.date32()), "-25410-12-06"),
    "usual date": (_five(0, arrow.int32()).view(arrow.date32()), "1970-01-01"),
    "timestamp": (_five(FAR, arrow.timestamp("us")), f"{FAR} us since 1970"),
    "year 10000": (_five(253402300800, arrow.timestamp("s")), "10000-01-01 00:00:00.000"),
    "unknown zone": (
        _five(1001, arrow.timestamp("us", "Mars/Base")),
        "1970-01-01 00:00:00.001001+00:00",
    ),
    "far in a zone": (_five(FAR, arrow.timestamp("us", "UTC")), f"{FAR} us since 1970 UTC"),
    "nanoseconds": (_five(1001, arrow.timestamp("ns")), "1970-01-01 00:00:00.000001001"),
    "duration": (_five(FAR, arrow.duration("s")), f"{FAR} s"),
    "time": (_five(1001, arrow.time64("ns")), "00:00:00.000001001"),
    "usual time": (_five(3_600_000, arrow.time32("ms")), "01:00:00"),
    "no time": (_five(-5, arrow.time64("us")), "-5 us"),
    "text": (_bad_text(), "ab"),
    "doubled field": (_doubled(), '[["a", 1], ["a", 2]]'),
    "list of them": (_five([10**12], arrow.list_(arrow.timestamp("s"))), None),
    "list of times": (_five([1001], arrow.list_(arrow.time64("ns"))), '["00:00:00.000001001"]'),
    "map": (_five([("a", 1), ("a", 2)], arrow.map_(arrow.string(), arrow.int64())), '[["a", 1], ["a", 2]]'),
    "bytes": (_five(b"\xff", arrow.binary()), "b'\\xff'"),
}


def _table(path: Path, further: Mapping[str, Any], **replaced: Any) -> Path:
    columns = {"question": arrow.array(["what?"] * N_ROWS), "abstract": arrow.array(["The drug."] * N_ROWS)}
    parquet.write_table(arrow.table({**columns, **further, **replaced}), path)
    return path


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    columns = {name: column for name, (column, _) in FOREIGN.items()}
    return _table(tmp_path_factory.mktemp("foreign") / "t.parquet", columns)


def _answered(path: Path, output: Path) -> Summary:
    summary = answer_table(FirstWord(), BatchJob.open(path, output))
    assert summary.n_rows == N_ROWS
    return summary


def test_foreign_columns_pass_through_parquet_untouched(foreign: Path, tmp_path: Path) -> None:
    assert _answered(foreign, tmp_path / "o.parquet").n_answered == N_ROWS
    before, after = parquet.read_table(foreign), parquet.read_table(tmp_path / "o.parquet")
    for name in before.column_names:
        assert after.schema.field(name).type == before.schema.field(name).type, name
        assert after[name].combine_chunks().equals(before[name].combine_chunks()), name


def test_foreign_columns_in_a_csv_are_text_that_says_what_they_are(foreign: Path, tmp_path: Path) -> None:
    _answered(foreign, tmp_path / "o.csv")
    with (tmp_path / "o.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == N_ROWS
    for name, (_, text) in FOREIGN.items():
        assert text is None or rows[0][name] == text, name
    assert rows[1]["text"] == "\ufffd\ufffd"


def test_foreign_columns_in_jsonl(foreign: Path, tmp_path: Path) -> None:
    _answered(foreign, tmp_path / "o.jsonl")
    first, *_, last = map(json.loads, (tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines())
    assert first["doubled field"] == [["a", 1], ["a", 2]]
    assert first["time"] == "00:00:00.000001001"
    assert last["date"] is None


def test_foreign_columns_are_python_where_all_are_asked_for(foreign: Path) -> None:
    loaded = load_examples(foreign)
    assert len(loaded.examples) == N_ROWS - 1
    assert "column 'text': its text is not UTF-8" in str(loaded.problems[0])
    assert loaded.examples[0].fields["time"] == "00:00:00.000001001"


@pytest.mark.parametrize("part", ["question", "abstract"])
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_text_that_is_no_utf8_is_an_error_of_its_row(part: str, suffix: str, tmp_path: Path) -> None:
    path = _table(tmp_path / "t.parquet", {}, **{part: _bad_text()})
    summary = _answered(path, tmp_path / f"o.{suffix}")
    assert (summary.n_answered, summary.n_failed) == (N_ROWS - 1, 1)
    rows = [row.values for row in read_rows(tmp_path / "o.csv")] if suffix == "csv" else None
    if rows is None:
        after = parquet.read_table(tmp_path / "o.parquet")
        assert after[part].combine_chunks().equals(_bad_text())
        rows = after.select(["error", "status"]).to_pylist()
    assert rows[1]["error"] == f"column '{part}': its text is not UTF-8: correct it"
    assert [row["status"] for row in rows] == ["answered", "failed", "answered", "answered", "answered"]


@pytest.mark.parametrize("name", ["date", "time", "doubled field"])
def test_a_question_that_is_no_text_is_an_error_of_its_row(name: str, tmp_path: Path) -> None:
    path = _table(tmp_path / "t.parquet", {}, question=FOREIGN[name][0])
    summary = _answered(path, tmp_path / "o.parquet")
    assert {failures.kind for failures in summary.failures} <= {"not text", "empty question"}
    assert summary.n_failed == N_ROWS
    before, after = parquet.read_table(path), parquet.read_table(tmp_path / "o.parquet")
    assert after["question"].combine_chunks().equals(before["question"].combine_chunks())


def test_parts_and_batches_do_not_meet_and_nothing_moves(tmp_path: Path) -> None:
    n_rows = 2500  # parts of 400, batches of 1024, row groups of 700
    columns = {
        "question": [f"what {i}?" for i in range(n_rows)],
        "abstract": ["The drug."] * n_rows,
        "when": arrow.array([10**7 + i for i in range(n_rows)], arrow.int32()).view(arrow.date32()),
        "kind": arrow.array([f"k{i % 7}" for i in range(n_rows)]).dictionary_encode(),
    }
    path = tmp_path / "t.parquet"
    parquet.write_table(arrow.table(columns), path, row_group_size=700)
    answer_table(FirstWord(), BatchJob.open(path, tmp_path / "o.parquet"))
    before, after = parquet.read_table(path), parquet.read_table(tmp_path / "o.parquet")
    assert after["when"].combine_chunks().equals(before["when"].combine_chunks())
    assert after["kind"].to_pylist() == before["kind"].to_pylist()
    assert after["question"].to_pylist() == before["question"].to_pylist()


def test_record_batches_take_other_types_without_python(foreign: Path) -> None:
    reader = read_rows(foreign)
    types = table_types(reader)
    (batch,) = parquet.read_table(foreign).to_batches()
    assert as_types(batch, types).column("date").equals(batch.column("date"))
    assert as_types(batch, types).column("text").equals(batch.column("text"))


@pytest.mark.parametrize("n_threads", [1])
def test_the_kernel_makes_an_error_of_a_row_that_is_no_utf8(n_threads: int) -> None:
    from qa_extractive import Predictor
    from qa_extractive.batch.arrow import AnswerKernel

    batch = arrow.record_batch({"question": arrow.array(["what?"] * N_ROWS), "abstract": _bad_text()})
    out = AnswerKernel(Predictor(), n_threads=n_threads)(batch)
    assert out.column("abstract").equals(_bad_text())
    assert out.column("error").to_pylist()[1] == "column 'abstract': its text is not UTF-8: correct it"
    assert out.column("status").to_pylist()[1] == "failed"
    assert set(out.column("status").to_pylist()) <= {"answered", "unsure", "not_reported", "failed"}


def test_repeated_columns_of_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    note = arrow.array(["n"])
    columns = [arrow.array(["what?"]), arrow.array(["The drug."]), note, arrow.array(["m"])]
    parquet.write_table(arrow.table(columns, ["question", "abstract", "note", "note"]), path)
    answer_table(FirstWord(), BatchJob.open(path, tmp_path / "o.parquet"))
    (row,) = parquet.read_table(tmp_path / "o.parquet").to_pylist()
    assert (row["note"], row["note_2"], row["answer"]) == ("n", "m", "The")
    parquet.write_table(
        arrow.table([*columns[:2], *columns[1:2]], ["question", "abstract", "abstract"]), path
    )
    with pytest.raises(DataError, match="several columns are named 'abstract' and differ"):
        BatchJob.open(path)


# ---------------------------------------------------------------- bounds and names


def test_a_parquet_row_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qa_extractive.tables.parquet._MAX_ROW_BYTES", 1000)
    path = _table(tmp_path / "t.parquet", {"note": arrow.array(["x" * 40] * 4 + ["y" * 2000])})
    reader = read_rows(path)
    with pytest.raises(DataError, match="a row of more than 1,000 bytes"):
        list(reader)
    parquet.write_table(arrow.table({"note": [os.urandom(3000)]}), path)
    with pytest.raises(DataError, match="a row of more than 1,000 bytes"):
        read_rows(path)


def test_memory_that_runs_out_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _table(tmp_path / "t.parquet", {})

    def full(*_args: object, **_kwargs: object) -> None:
        raise MemoryError

    monkeypatch.setattr(parquet, "ParquetFile", full)
    with pytest.raises(DataError, match="does not fit into memory: split it"):
        read_rows(path)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl.gz"])
def test_a_name_that_is_no_utf8(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t\udcff.{suffix}"
    try:
        path.touch()
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system has no such names")
    with write_rows(path, ("question", "abstract")) as writer:
        writer.write({"question": "what?", "abstract": "The drug."})
    output = tmp_path / f"o\udcff.{suffix}"
    assert answer_table(FirstWord(), BatchJob.open(path, output)).n_answered == 1
    assert [row.values["answer"] for row in read_rows(output)] == ["The"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("n_bytes", [240, 250, 255, 256, 5000])
def test_names_that_are_too_long(suffix: str, n_bytes: int, tmp_path: Path) -> None:
    path = _table(tmp_path / "t.parquet", {})
    long = tmp_path / ("x" * (n_bytes - len(suffix)) + suffix)
    if n_bytes == 240:
        assert _answered(path, long).n_answered == N_ROWS
        return
    for action in (
        lambda: BatchJob.open(path, long),
        lambda: BatchJob.open(path, tmp_path / "o.csv", errors=long),
        lambda: BatchJob.open(long, tmp_path / "o.csv"),
        lambda: load_examples(long),
    ):
        with pytest.raises(DataError) as error:
            action()
        assert "\n" not in str(error.value)
        assert "File name too long" in str(error.value) or "does not exist" in str(error.value)


def test_links_that_lead_to_themselves(tmp_path: Path) -> None:
    path = _table(tmp_path / "t.parquet", {})
    for name in ("one.csv", "two.parquet"):
        loop = tmp_path / name
        loop.symlink_to(loop)
        for action in (
            lambda: BatchJob.open(path, loop),  # noqa: B023 - called at once
            lambda: BatchJob.open(loop, tmp_path / "o.csv"),  # noqa: B023
            lambda: load_examples(loop),  # noqa: B023
        ):
            with pytest.raises(DataError, match=r"back to itself|symbolic links"):
                action()


# ---------------------------------------------------------------- JSONL


def _nested(depth: int, inner: str = "1") -> str:
    return "[" * depth + inner + "]" * depth


def _lines(path: Path, *cells: str) -> Path:
    rows = [f'{{"question": "what?", "abstract": "The drug.", "x": {cell}}}\n' for cell in cells]
    path.write_text("".join(rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("cell", [_nested(64), _nested(980), '{"a":' * 500 + "1" + "}" * 500])
def test_deep_nesting_is_an_error_of_its_row(cell: str, suffix: str, tmp_path: Path) -> None:
    path = _lines(tmp_path / "t.jsonl", "[1]", cell, "[2]")
    summary = answer_table(FirstWord(), BatchJob.open(path, tmp_path / f"o.{suffix}"))
    assert (summary.n_answered, summary.n_failed) == (2, 1)
    first, second, third = [row.values for row in read_rows(tmp_path / f"o.{suffix}")]
    assert second["error"].startswith("line 2: ")
    assert second["question"] == "what?"
    assert (first["x"], third["x"]) in (([1], [2]), ("[1]", "[2]"))


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_nesting_within_the_bound_goes_through(suffix: str, tmp_path: Path) -> None:
    path = _lines(tmp_path / "t.jsonl", _nested(MAX_NESTING), _nested(MAX_NESTING, "2"))
    assert answer_table(FirstWord(), BatchJob.open(path, tmp_path / f"o.{suffix}")).n_answered == 2
    assert read_rows(tmp_path / f"o.{suffix}").n_rows == 2


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("1e400", "'1e400' is out of range"),
        ("[-1e999]", "'-1e999' is out of range"),
        ("1e-400", "'1e-400' is out of range"),
        ("Infinity", "'Infinity' is out of range"),
        ('{"a": 1, "a": 2}', "the key 'a' is there twice"),
    ],
)
def test_what_python_would_change_in_silence_is_an_error_of_its_row(
    cell: str, why: str, tmp_path: Path
) -> None:
    first, second = read_rows(_lines(tmp_path / "t.jsonl", cell, "1.5e300"))
    assert first.error is not None
    assert first.error.startswith("line 1: ")
    assert why in first.error
    assert first.values["question"] == "what?"
    assert (second.error, second.values["x"]) == (None, 1.5e300)


@pytest.mark.parametrize("cell", ["0.0", "-0e5", "NaN", '{"a": 1, "a": 1}', "5e-324"])
def test_what_stays_the_same_is_no_error(cell: str, tmp_path: Path) -> None:
    (row,) = read_rows(_lines(tmp_path / "t.jsonl", cell))
    assert row.error is None


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_keys_that_differ_by_lone_surrogates_stay_apart(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(
        '{"question": "what?", "abstract": "The drug.", "k\\ud800": 1, "k\\udc00": 2, "k\ufffd": 3,'
        ' "in": {"a\\ud800": 1, "a\\udc00": 2}}\n',
        encoding="utf-8",
    )
    answer_table(FirstWord(), BatchJob.open(path, tmp_path / f"o.{suffix}"))
    (row,) = [row.values for row in read_rows(tmp_path / f"o.{suffix}")]
    found = {name: int(row[name]) for name in row if name.startswith("k")}
    assert sorted(found.values()) == [1, 2, 3]
    inner = json.loads(row["in"]) if isinstance(row["in"], str) else row["in"]
    assert inner == {"a\ufffd": 1, "a\ufffd_2": 2}


def test_many_keys_that_differ_by_lone_surrogates_take_no_time() -> None:
    keys = [f"{chr(0xD800 + i % 2048)}{chr(0xD800 + i // 2048)}." for i in range(50_000)]
    assert len(replace_surrogates(dict.fromkeys(keys, 1))) == 50_000


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize("option", [None, "--quiet", "--log-json"])
def test_the_notice_goes_where_the_rest_goes(option: str | None, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("question;abstract\nHow much?;We gave 5 µg.\n".encode("cp1252"))
    command: list[str | Path] = [sys.executable, ROOT / "infer.py", "--batch", path, "--threads", "1"]
    done = subprocess.run([*command, *filter(None, [option])], capture_output=True, text=True, check=True)
    notices = [line for line in done.stderr.splitlines() if "read as Windows-1252" in line]
    assert len(notices) == (0 if option == "--quiet" else 1)
    if option == "--log-json":
        events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
        assert events[0] == "warning"


def test_large_cells_are_taken_one_by_one() -> None:
    from qa_extractive.tables.arrow_values import python_cells

    column = arrow.array(["x" * 20_000_000, "y" * 20_000_000])
    cells = python_cells(column)
    assert next(cells) == ("x" * 20_000_000, None)


def test_memory_that_runs_out_in_a_command_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from qa_extractive.cli import main

    def full(*_args: object) -> None:
        raise MemoryError

    monkeypatch.setattr("qa_extractive.batch.local.read_rows", full)
    assert main(["infer", "--batch", str(_table(tmp_path / "t.parquet", {}))]) == 2
    assert capsys.readouterr().err == "error: not enough memory: split long texts, or give smaller files\n"
