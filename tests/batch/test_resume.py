"""A run that is stopped in whatever way goes on where it was, and ends with the bytes it would have had."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

import qa_extractive.batch.local
from qa_extractive._utils import files
from qa_extractive.batch import Batch, BatchJob, answer_table
from qa_extractive.batch.destination import Destination
from qa_extractive.batch.state import read_state
from qa_extractive.errors import DataError, ModelError
from qa_extractive.tables.growing import GrowingTable
from qa_extractive.tables.reading import read_rows
from tests.batch_runs import N_ROWS, PART, FirstWord, answer, needs, partial, state, stop_after, table

Infer = Callable[..., tuple[int, str, str]]  # exit code, stdout, stderr
Uninterrupted = Callable[[Path, str], tuple[bytes, bytes]]
P = ParamSpec("P")
T = TypeVar("T")

FORMATS = ("csv", "jsonl", "csv.gz", "tsv.zst", "parquet")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qa_extractive.batch.local, "PART_ROWS", PART)


@pytest.fixture
def uninterrupted(tmp_path: Path) -> Uninterrupted:
    """Answers a table in another folder: the bytes of the output and of the errors."""

    def run(path: Path, suffix: str) -> tuple[bytes, bytes]:
        output, errors = tmp_path / "whole" / f"out.{suffix}", tmp_path / "whole" / f"errors.{suffix}"
        output.parent.mkdir(exist_ok=True)
        answer(path, output, existing="overwrite", errors=errors)
        return output.read_bytes(), errors.read_bytes()

    return run


# ---------------------------------------------------------------- stopped and continued


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("n_parts", [1, 2, 4])
def test_a_run_that_is_stopped_after_a_part_goes_on(
    tmp_path: Path, uninterrupted: Uninterrupted, suffix: str, n_parts: int
) -> None:
    needs(suffix)
    path, output, errors = table(tmp_path / "t.jsonl"), tmp_path / f"o.{suffix}", tmp_path / f"e.{suffix}"
    first = answer(path, output, errors=errors, should_stop=stop_after(n_parts))
    assert (first.is_complete, first.n_rows) == (False, n_parts * PART)
    assert not output.exists()
    predictor = FirstWord()
    second = answer(path, output, predictor, existing="resume", errors=errors)
    assert (second.is_complete, second.n_resumed, second.n_rows) == (True, n_parts * PART, N_ROWS)
    assert (second.n_answered, second.n_failed) == (27, 6)
    assert second.failures[0].first[0][0] == 5  # the first of all rows, not of this run's
    assert predictor.n_asked <= N_ROWS - n_parts * PART
    assert (output.read_bytes(), errors.read_bytes()) == uninterrupted(path, suffix)
    assert {p.name for p in tmp_path.iterdir()} == {
        "t.jsonl", "whole", output.name, errors.name, state(output).name,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("suffix", "errors", "n_rows"), [("csv", "jsonl", 1), ("csv.gz", "csv", 1), ("csv", "parquet", PART)]
)
def test_slow_rows_make_small_parts_of_a_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, errors: str, n_rows: int
) -> None:
    needs(errors)
    path, output, failed = table(tmp_path / "t.jsonl"), tmp_path / f"o.{suffix}", tmp_path / f"e.{errors}"
    answer(path, output, errors=failed)
    whole = output.read_bytes(), failed.read_bytes()
    monkeypatch.setattr(qa_extractive.batch.local, "PART_SECONDS", 0.0)
    first = answer(path, output, existing="overwrite", errors=failed, should_stop=stop_after(1))
    assert first.n_rows == n_rows
    monkeypatch.setattr(qa_extractive.batch.local, "PART_SECONDS", 1000.0)
    assert answer(path, output, existing="resume", errors=failed).n_resumed == n_rows
    assert (output.read_bytes(), failed.read_bytes()) == whole


def test_a_stop_in_the_last_part_is_none(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", n=2 * PART)
    assert answer(path, tmp_path / "o.csv", should_stop=stop_after(2)).is_complete
    assert (tmp_path / "o.csv").exists()


def test_a_failure_keeps_the_finished_parts(tmp_path: Path, uninterrupted: Uninterrupted) -> None:
    path, output = table(tmp_path / "t.csv", 200), tmp_path / "o.csv"
    with pytest.raises(ModelError):
        answer(path, output, FirstWord(n_answers=60))
    assert partial(output).exists()
    summary = answer(path, output, existing="resume")
    assert 0 < summary.n_resumed < summary.n_rows == 200
    assert output.read_bytes() == uninterrupted(path, "csv")[0]


def test_a_failure_before_the_first_part_leaves_nothing(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv")
    with pytest.raises(ModelError):
        answer(path, tmp_path / "o.csv", FirstWord(n_answers=0), errors=tmp_path / "e.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_a_run_that_replaces_an_output_leaves_it_until_the_end(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    answer(path, output)
    before = output.read_bytes()
    answer(path, output, FirstWord(0.9), existing="overwrite", should_stop=stop_after(1))
    assert output.read_bytes() == before
    assert answer(path, output, FirstWord(0.9), existing="resume").n_resumed == PART


# ---------------------------------------------------------------- killed


def in_child(work: Callable[[], object]) -> bool:
    """Do something in a forked process; whether it was killed there."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def kill_at(place: int) -> None:
    """Make this process kill itself at the n-th step that touches the disk, half of a part written."""
    steps = iter(range(1, 10_000))

    def step() -> None:
        if next(steps) == place:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(function: Callable[P, T]) -> Callable[P, T]:
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
            step()
            return function(*args, **kwargs)

        return wrapped

    put = GrowingTable._put

    def half_put(self: GrowingTable, content: bytes) -> int:
        if next(steps) == place:
            self.file.write(content[: len(content) // 2])
            self.file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return put(self, content)

    GrowingTable._put = half_put  # type: ignore[method-assign]
    for name in ("fsync", "replace", "link", "unlink", "truncate"):
        setattr(os, name, before(getattr(os, name)))
    files._rename_new = before(files._rename_new)


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of a process with threads
@pytest.mark.parametrize(
    ("suffix", "renames"),
    [("csv", True), ("csv.gz", True), ("parquet", True), ("csv", False), ("csv.gz", False)],
)
def test_killed_at_every_step_that_touches_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uninterrupted: Uninterrupted, suffix: str, renames: bool
) -> None:
    needs(suffix)
    if not renames:  # as on systems that cannot rename without replacing
        monkeypatch.setattr(files, "_rename_new", lambda *_: False)
    path = table(tmp_path / "t.csv", n=2 * PART + 3)
    expected = uninterrupted(path, suffix)
    place, n_resumed = 0, set()
    while True:
        place += 1
        folder = tmp_path / str(place)
        folder.mkdir()
        output, errors = folder / f"o.{suffix}", folder / f"e.{suffix}"

        def killed(output: Path = output, errors: Path = errors, place: int = place) -> None:
            kill_at(place)
            answer(path, output, errors=errors)

        if not in_child(killed):
            break
        summary = answer(path, output, existing="resume", errors=errors)
        n_resumed.add(summary.n_resumed)
        assert (output.read_bytes(), errors.read_bytes()) == expected, place
        assert not [p for p in folder.iterdir() if "partial" in p.name or "tmp" in p.name], place
    assert place > 20
    assert n_resumed == {0, PART, 2 * PART, 2 * PART + 3}


@needs_fork
@pytest.mark.parametrize("n_kills", [20, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_at_random_times(tiny_export: Path, tmp_path: Path, n_kills: int) -> None:
    path = table(tmp_path / "t.csv", 400)
    command: list[object] = [
        sys.executable,
        str(Path(__file__).parents[1].joinpath("kill_runs.py")),
        str(n_kills),
    ]
    command += ["--batch", path, "--model", tiny_export, "--threads", "1", "--errors", tmp_path / "e.csv"]
    command += ["--output", tmp_path / "o.csv"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["killed"] >= n_kills
    assert found["resumed"] >= n_kills // 4
    assert found["finished"] >= 2
    assert found["contents"] == 1


# ---------------------------------------------------------------- what is there already


def test_an_output_is_not_lost(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    output.write_text("earlier")
    with pytest.raises(DataError, match=r"o\.csv exists: replace it with --overwrite"):
        BatchJob.open(path, output)
    with pytest.raises(DataError, match="not what a run left here"):
        BatchJob.open(path, output, existing="resume")
    errors = tmp_path / "e.csv"
    errors.write_text("earlier")
    for existing in ("refuse", "resume"):
        with pytest.raises(DataError, match=r"e\.csv exists"):
            BatchJob.open(path, tmp_path / "new.csv", errors=errors, existing=existing)
    assert output.read_text() == errors.read_text() == "earlier"
    assert answer(path, output, existing="overwrite").is_complete


def test_a_stopped_run_is_not_lost(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    answer(path, output, should_stop=stop_after(2))
    with pytest.raises(DataError, match=r"holds 14 rows of a run that was stopped: go on with --resume"):
        BatchJob.open(path, output)
    assert answer(path, output, existing="overwrite").n_resumed == 0


def test_resume_without_an_earlier_run_starts_afresh(tmp_path: Path, uninterrupted: Uninterrupted) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    assert answer(path, output, existing="resume").n_resumed == 0
    assert output.read_bytes() == uninterrupted(path, "csv")[0]
    output.unlink()  # and so it does where the output of a finished run is gone
    assert answer(path, output, existing="resume").n_resumed == 0
    assert output.exists()


def test_a_finished_run_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    answer(path, output)
    partial(output).write_text("left by a kill in the last moment")
    left = read_state(state(output))
    assert left is not None
    Destination.open(path, output, None, "resume").save(replace(left, is_tidy=False))
    before = output.stat()
    monkeypatch.setattr(FirstWord, "answer_prepared", None)
    summary = answer(path, output, existing="resume")
    assert (summary.n_resumed, summary.n_rows, summary.n_failed) == (N_ROWS, N_ROWS, 6)
    assert output.stat() == before
    assert not partial(output).exists()


def test_an_output_that_was_changed_is_no_finished_run(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    answer(path, output)
    output.write_text("edited")
    with pytest.raises(DataError, match="not what a run left here"):
        answer(path, output, existing="resume")


@pytest.mark.parametrize("is_finished", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("input", "input \\(a change of content\\)"),
        ("threshold", "threshold: 0.5, now 0.9"),
        ("candidates", "candidates: False, now True"),
        ("columns", "columns: ',,', now ',context,'"),
        ("errors", "errors: 'none', now 'csv ,'"),
    ],
)
def test_runs_are_not_mixed(tmp_path: Path, is_finished: bool, change: str, message: str) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    answer(path, output, should_stop=lambda: not is_finished)
    before = (output if is_finished else partial(output)).read_bytes()
    if change == "input":
        path.write_bytes(path.read_bytes().replace(b"word8", b"word7"))
    from qa_extractive.data.columns import ColumnNames

    names = ColumnNames(context="context") if change == "columns" else ColumnNames()
    errors = tmp_path / "e.csv" if change == "errors" else None
    job = BatchJob.open(path, output, names, existing="resume", errors=errors)
    with pytest.raises(DataError, match=message):
        answer_table(
            FirstWord(0.9 if change == "threshold" else 0.5), job, with_candidates=change == "candidates"
        )
    assert (output if is_finished else partial(output)).read_bytes() == before


def test_a_growing_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    answer(path, output, should_stop=stop_after(2))
    partial(output).write_bytes(partial(output).read_bytes()[:-1])
    with pytest.raises(DataError, match="is shorter than it was: start again with --overwrite"):
        answer(path, output, existing="resume")


def test_a_table_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    with pytest.raises(DataError, match=r"t\.csv changed while it was read"):
        answer(path, output, on_batch=lambda _: path.write_text("question,context\n"))


@pytest.mark.skipif(os.name == "nt", reason="runs are not kept apart on Windows")
def test_two_runs_do_not_write_the_same_output(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    messages = []

    def second(_: object) -> None:
        with pytest.raises(DataError, match="another run is writing") as caught:
            answer(path, output, existing="resume")
        messages.append(caught.value)

    assert answer(path, output, on_batch=second).is_complete
    assert messages
    assert read_rows(output).n_rows == N_ROWS


@pytest.mark.parametrize("alias", ["input", "output"])
def test_errors_go_to_a_file_of_their_own(tmp_path: Path, alias: str) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    with pytest.raises(
        DataError, match="is the input itself" if alias == "input" else "is the output itself"
    ):
        BatchJob.open(path, output, errors=path if alias == "input" else output)


# ---------------------------------------------------------------- full disks


@pytest.mark.parametrize("suffix", ["csv", "jsonl.gz", "parquet"])
def test_a_disk_that_fills_up(tmp_path: Path, uninterrupted: Uninterrupted, suffix: str) -> None:
    needs(suffix)
    resource = pytest.importorskip("resource", reason="the size of a file cannot be limited here")
    path, output = table(tmp_path / "t.csv", 300), tmp_path / f"o.{suffix}"
    expected = uninterrupted(path, suffix)[0]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, before[1]))
    try:
        with pytest.raises(DataError, match=r"cannot be written: File too large; the first .* rows are kept"):
            answer(path, output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert answer(path, output, existing="resume").n_resumed >= PART
    assert output.read_bytes() == expected


# ---------------------------------------------------------------- bad rows


def test_failed_rows_are_written_apart(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('row,question,context\n007,what?,A\n008,"",A\n009,what?,A,B\n')
    summary = answer(path, tmp_path / "o.csv", errors=tmp_path / "e.jsonl")
    assert summary.n_failed == 2
    assert [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()] == [
        {
            "input_row": "008", "question": "", "context": "A", "row": 2, "kind": "empty question",
            "error": "line 3: question is empty (column 'question'): give text",
        },
        {
            "input_row": "009", "question": "what?", "context": "A", "row": 3, "kind": "unreadable row",
            "error": "line 4: 4 cells where the header has 3: "
            "put quotes around a cell that holds a delimiter, a quote or a line break",
        },
    ]  # fmt: skip


def test_too_many_failed_rows_stop_the_run(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv", 200), tmp_path / "o.csv"
    with pytest.raises(
        DataError, match=r"more than 3 of the first 20 rows failed \(4 empty question; row 5: "
    ):
        answer(path, output, max_errors=3)
    summary = answer(path, output, existing="resume", max_errors=40)
    assert (summary.n_resumed, summary.n_failed) == (2 * PART, 40)
    with pytest.raises(DataError, match="more than 0 "):
        answer(path, tmp_path / "new.csv", max_errors=0)


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_finish_the_part_at_hand(
    infer: Infer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from qa_extractive.cli.progress import Watcher

    path, output = table(tmp_path / "t.csv", 60), tmp_path / "t.answers.csv"
    see = Watcher.see

    def interrupted(self: Watcher, batch: Batch) -> None:
        see(self, batch)
        signal.raise_signal(getattr(signal, name))

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "see", interrupted)
        code, out, err = infer("--batch", path)
    assert signal.getsignal(signal.SIGINT) is before
    assert (code, out) == (128 + getattr(signal, name), "")
    assert (
        f"stopped by {name} after 28 of 60 rows, which are kept: go on with the same command and --resume"
        in err
    )
    code, out, _ = infer("--batch", path, "--resume")
    assert code == 1
    assert "resumed 28 rows\n" in out
    assert read_rows(output).n_rows == 60
    code, out, err = infer("--batch", path, "--resume")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "resumed 60 rows"


def test_refusals_are_one_line_each(infer: Infer, tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv")
    infer("--batch", path)
    for arguments in (("--batch", path), ("--batch", path, "--resume", "--threshold", "0.9")):
        code, out, err = infer(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("error: ")
        assert "--overwrite" in err


def test_json_lines_for_machines(infer: Infer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path / "t.csv", 60)
    monkeypatch.setattr("qa_extractive.cli.progress._SECONDS_BETWEEN", {"json": 0.0})
    code, out, err = infer("--batch", path, "--log-json", "--threshold", "1")
    events = [json.loads(line) for line in err.splitlines()]
    assert (code, out) == (1, "")
    assert [events[0]["event"], events[1]["event"], events[-1]["event"]] == ["start", "progress", "finished"]
    assert events[0]["rows"] == 60
    assert events[1].keys() >= {"rows", "of", "rows_per_s", "seconds_left", "abstained_share", "time"}
    assert events[1]["abstained_share"] > 0.5
    assert events[-1]["failed"] == {"empty question": 12}
    code, out, err = infer("--batch", path, "--log-json")
    assert (code, out) == (2, "")
    assert json.loads(err)["event"] == "error"
    assert "exists" in json.loads(err)["message"]


def test_errors_and_their_limit(infer: Infer, tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv")
    code, out, _ = infer("--batch", path, "--errors", tmp_path / "e.csv")
    assert code == 1
    assert "  6 empty question\n" in out
    assert read_rows(tmp_path / "e.csv").n_rows == 6
    code, _, err = infer("--batch", path, "--overwrite", "--max-errors", "2")
    assert code == 2
    assert "more than 2 of the first 15 rows failed" in err
