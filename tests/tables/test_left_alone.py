"""What is beside an output and is not this run's stays as it is; what another run writes, it writes alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import qa_extractive.batch.local
from qa_extractive.batch import BatchJob, answer_table
from qa_extractive.batch.destination import Existing
from qa_extractive.errors import DataError
from qa_extractive.tables.locking import lock_path, locked
from qa_extractive.tables.reading import read_rows
from tests.batch_runs import N_ROWS, PART, FirstWord, answer, needs, partial, state, stop_after, table

SUFFIXES = ("csv", "csv.gz", "parquet")
needs_links = pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
needs_locks = pytest.mark.skipif(os.name == "nt", reason="runs are not kept apart on Windows")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qa_extractive.batch.local, "PART_ROWS", PART)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------- a file that appears


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("existing", ["refuse", "resume"])
@pytest.mark.parametrize("which", ["output", "errors"])
def test_a_file_that_appears_during_the_run_is_not_replaced(
    tmp_path: Path, suffix: str, existing: Existing, which: str
) -> None:
    needs(suffix)
    path, output, errors = table(tmp_path / "t.csv"), tmp_path / f"o.{suffix}", tmp_path / f"e.{suffix}"
    theirs = output if which == "output" else errors
    with pytest.raises(
        DataError, match=r"appeared during the run .* move it away; the first 33 rows are kept"
    ):
        answer(path, output, existing=existing, errors=errors, on_batch=lambda _: theirs.write_text("mine"))
    assert theirs.read_text() == "mine"
    theirs.rename(tmp_path / "moved")
    predictor = FirstWord()
    assert answer(path, output, predictor, existing="resume", errors=errors).n_resumed == N_ROWS
    assert predictor.n_asked == 0
    assert (read_rows(output).n_rows, read_rows(errors).n_rows) == (N_ROWS, 6)
    assert names(tmp_path) == sorted(["t.csv", "moved", output.name, errors.name, state(output).name])


def test_a_folder_that_appears_during_the_run_is_left(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    with pytest.raises(DataError, match=r"o\.csv appeared during the run"):
        answer(path, output, on_batch=lambda _: output.mkdir(exist_ok=True))
    assert output.is_dir()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_overwrite_replaces_also_what_appears_and_after_a_stop(tmp_path: Path, suffix: str) -> None:
    needs(suffix)
    path, output = table(tmp_path / "t.csv"), tmp_path / f"o.{suffix}"
    output.write_text("earlier")
    answer(path, output, existing="overwrite", should_stop=stop_after(2))
    assert output.read_text() == "earlier"
    assert answer(path, output, existing="resume").n_resumed == 2 * PART
    assert read_rows(output).n_rows == N_ROWS


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("has_links", [True, False])
def test_a_system_that_cannot_rename_without_replacing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, has_links: bool
) -> None:
    needs(suffix)

    def link(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("qa_extractive._utils.files._rename_new", lambda *_: False)
    if not has_links:
        monkeypatch.setattr(os, "link", link)
    path, output = table(tmp_path / "t.csv"), tmp_path / f"o.{suffix}"
    assert answer(path, output).is_complete
    assert names(tmp_path) == sorted(["t.csv", output.name, state(output).name])
    other = tmp_path / f"p.{suffix}"
    with pytest.raises(DataError, match="appeared during the run"):
        answer(path, other, on_batch=lambda _: other.write_text("mine"))
    assert other.read_text() == "mine"


# ---------------------------------------------------------------- names that a run would use


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("mine")


def _file(path: Path) -> None:
    path.write_text("mine")


def _link(path: Path) -> None:
    (path.parent / "elsewhere").write_text("mine")
    path.symlink_to("elsewhere")


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _content(folder: Path) -> dict[Path, str | bytes | bool]:
    return {
        path.relative_to(folder): str(path.readlink())
        if path.is_symlink()
        else path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
    }


@needs_links
@pytest.mark.parametrize("make", [_folder, _file, _link, _dangling])
@pytest.mark.parametrize("existing", ["refuse", "resume", "overwrite"])
@pytest.mark.parametrize("which", ["o.csv", "e.csv"])
def test_what_has_the_name_of_a_growing_file_is_left_alone(
    tmp_path: Path, make: Callable[[Path], object], existing: Existing, which: str
) -> None:
    path = table(tmp_path / "t.csv")
    make(tmp_path / f"{which}.partial")
    before = _content(tmp_path)
    with pytest.raises(DataError, match=rf"{which}\.partial is there, but no run of o\.csv left it: move it"):
        answer(path, tmp_path / "o.csv", existing=existing, errors=tmp_path / "e.csv")
    assert _content(tmp_path) == before


@needs_links
@pytest.mark.parametrize("make", [_folder, _file, _link])
def test_it_is_left_alone_beside_a_finished_run_too(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    answer(path, output)
    make(partial(output))
    before = _content(tmp_path)
    assert answer(path, output, existing="resume").n_resumed == N_ROWS
    with pytest.raises(DataError, match="no run of"):
        answer(path, output, existing="overwrite")
    assert _content(tmp_path) == before


@needs_links
def test_no_link_is_written_through(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv.gz"
    theirs = tmp_path / "theirs"
    theirs.write_text("mine")
    for name in ("o.csv.gz.run.json.tmp", "o.csv.gz.partial.tmp"):
        (tmp_path / name).symlink_to(theirs)
    assert answer(path, output).is_complete
    lock_path(tmp_path / "p.csv").symlink_to(theirs)
    with pytest.raises(DataError, match=r"p\.csv cannot be written"):
        answer(path, tmp_path / "p.csv")
    assert theirs.read_text() == "mine"


def test_the_partial_errors_of_a_stopped_run_are_left_to_it(tmp_path: Path) -> None:
    path, errors = table(tmp_path / "t.csv"), tmp_path / "e.csv"
    answer(path, tmp_path / "o.csv", errors=errors, should_stop=stop_after(2))
    before = partial(errors).read_bytes()
    for existing in ("refuse", "overwrite", "resume"):
        with pytest.raises(DataError, match=r"e\.csv\.partial is there, but no run of p\.csv left it"):
            answer(path, tmp_path / "p.csv", existing=existing, errors=errors)
    assert partial(errors).read_bytes() == before
    assert answer(path, tmp_path / "o.csv", existing="resume", errors=errors).is_complete
    assert names(tmp_path) == ["e.csv", "o.csv", "o.csv.run.json", "t.csv"]


def test_a_stopped_run_goes_on_with_its_own_errors_only(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    answer(path, output, errors=tmp_path / "e.csv", should_stop=stop_after(2))
    with pytest.raises(DataError, match=r"errors_file: 'e\.csv', now 'f\.csv'"):
        answer(path, output, existing="resume", errors=tmp_path / "f.csv")
    assert answer(path, output, existing="overwrite").is_complete  # which removes what it had begun
    assert names(tmp_path) == ["o.csv", "o.csv.run.json", "t.csv"]


def test_a_run_may_be_moved_with_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    path = table(tmp_path / "t.csv")
    answer(path, folder / "o.csv", errors=folder / "e.csv", should_stop=stop_after(2))
    moved = folder.rename(tmp_path / "b")
    assert answer(path, moved / "o.csv", existing="resume", errors=moved / "e.csv").n_resumed == 2 * PART


def test_an_overwrite_that_fails_at_once_leaves_the_finished_run_as_it_was(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    answer(path, output)
    before = _content(tmp_path)
    with pytest.raises(DataError, match="more than 0"):
        answer(path, output, existing="overwrite", max_errors=0)
    assert _content(tmp_path) == before
    assert answer(path, output, existing="resume").n_resumed == N_ROWS


# ---------------------------------------------------------------- a state that is damaged


def _damages(content: bytes) -> Iterator[bytes]:
    values = json.loads(content)
    yield b""
    yield content[: len(content) // 2]
    yield b"[]"
    yield b"{}"
    yield b"null"
    yield b"\xff\xfe"
    yield b"[" * 100_000
    yield json.dumps(values | {"format": 99}).encode()
    yield content.replace(b'"n_rows": 14', b'"n_rows": 21')
    yield content.replace(b'"format": 2', b'"format": "2"')
    for name in values:
        yield json.dumps({key: value for key, value in values.items() if key != name}).encode()
        yield json.dumps(values | {name: "x"}).encode()


def test_a_damaged_state_restarts_nothing_in_silence(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    answer(path, output, should_stop=stop_after(2))
    good, rows = state(output).read_bytes(), partial(output).read_bytes()
    for bad in _damages(good):
        assert bad != good
        state(output).write_bytes(bad)
        for existing in ("refuse", "resume"):
            with pytest.raises(DataError, match=r"o\.csv\.run\.json is damaged, or .* with --overwrite"):
                answer(path, output, existing=existing)
        assert (state(output).read_bytes(), partial(output).read_bytes()) == (bad, rows)
    state(output).write_bytes(good)
    assert answer(path, output, existing="resume").n_resumed == 2 * PART
    state(output).write_text("{")
    assert answer(path, output, existing="overwrite").n_resumed == 0


def test_a_state_that_is_no_file(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    state(output).mkdir()
    for existing in ("refuse", "resume"):
        with pytest.raises(DataError, match=r"run\.json is damaged"):
            answer(path, output, existing=existing)
    with pytest.raises(DataError, match="cannot be written"):
        answer(path, output, existing="overwrite")
    assert names(tmp_path) == ["o.csv.run.json", "t.csv"]


# ---------------------------------------------------------------- two runs


@needs_locks
@pytest.mark.parametrize("existing", ["refuse", "resume", "overwrite"])
def test_two_runs_do_not_write_the_same_errors(tmp_path: Path, existing: Existing) -> None:
    path, errors = table(tmp_path / "t.csv"), tmp_path / "e.csv"
    refused = []

    def second(_: object) -> None:
        with pytest.raises(
            DataError, match=r"another run is writing .*e\.csv: wait|no run of p\.csv left it"
        ):
            answer(path, tmp_path / "p.csv", existing=existing, errors=errors)
        refused.append(names(tmp_path))

    answer(path, tmp_path / "o.csv", errors=errors, on_batch=second)
    assert refused
    assert not any(name.startswith("p.csv") for name in refused[0])
    assert read_rows(errors).n_rows == 6
    assert names(tmp_path) == ["e.csv", "o.csv", "o.csv.run.json", "t.csv"]


@needs_locks
def test_the_errors_of_one_run_are_not_the_output_of_another(tmp_path: Path) -> None:
    path, shared = table(tmp_path / "t.csv"), tmp_path / "shared.csv"
    seen = []

    def second(_: object) -> None:
        with pytest.raises(DataError, match=r"another run is writing|no run of"):
            answer(path, shared, existing="overwrite")
        seen.append(True)

    answer(path, tmp_path / "o.csv", errors=shared, on_batch=second)
    assert seen


@pytest.mark.parametrize("existing", ["refuse", "resume"])
def test_a_run_that_checked_before_another_finished_leaves_its_output(
    tmp_path: Path, existing: Existing
) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    late = BatchJob.open(path, output, existing=existing)
    answer(path, output)
    before = output.stat()
    if existing == "refuse":
        with pytest.raises(DataError, match=r"o\.csv exists: replace it"):
            answer_table(FirstWord(), late)
    else:
        assert answer_table(FirstWord(), late).n_resumed == N_ROWS
    assert output.stat() == before


@needs_locks
def test_of_many_runs_at_once_one_writes(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    done, refused = [], []

    def run() -> None:
        try:
            done.append(answer(path, output))
        except DataError as error:
            refused.append(str(error))

    for _ in range(5):
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(done), len(refused)) == (1, 3), refused
        assert all("another run is writing" in text or "exists" in text for text in refused), refused
        assert read_rows(output).n_rows == N_ROWS
        assert names(tmp_path) == ["o.csv", "o.csv.run.json", "t.csv"]
        done.clear()
        refused.clear()
        output.unlink()
        state(output).unlink()


@needs_locks
def test_a_resumed_finished_run_does_not_tidy_what_another_writes(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    answer(path, output)
    refused = []

    def second(_: object) -> None:
        with pytest.raises(DataError, match=r"another run is writing|was started with something else"):
            answer(path, output, FirstWord(0.5), existing="resume")
        refused.append(True)

    assert answer(path, output, FirstWord(0.9), existing="overwrite", on_batch=second).is_complete
    assert refused


@needs_locks
def test_a_lock_is_given_back_and_a_file_of_its_name_kept(tmp_path: Path) -> None:
    target = tmp_path / "o.csv"
    lock_path(target).write_text("mine")
    with locked([target]), pytest.raises(DataError, match="another run is writing"), locked([target]):
        pass
    with locked([target]):
        pass
    assert lock_path(target).read_text() == "mine"
    with locked([tmp_path / "p.csv"]):
        assert lock_path(tmp_path / "p.csv").exists()
    assert not lock_path(tmp_path / "p.csv").exists()


# ---------------------------------------------------------------- the second signal

_SLOW = """
import sys, time
from qa_extractive.cli import main
from qa_extractive.predictor import Predictor

def answer_prepared(self, prepared):
    print("answering", file=sys.stderr, flush=True)
    time.sleep(60)

Predictor.answer_prepared = answer_prepared
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise on Windows")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("log", [(), ("--log-json",)])
def test_a_second_signal_stops_at_once(
    tiny_export: Path, tmp_path: Path, name: str, log: tuple[str, ...]
) -> None:
    path, number = table(tmp_path / "t.csv", 60), getattr(signal, name)
    arguments = ["infer", "--batch", path, "--model", tiny_export, "--threads", "1", *log]
    command = [sys.executable, "-c", _SLOW, *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "answering" not in process.stderr.readline():
            pass
        process.send_signal(number)
        first_words = '"stopping"' if log else "finishing the part at hand"
        while first_words not in process.stderr.readline():
            assert process.poll() is None
        started = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number
        assert time.monotonic() - started < 10
        last = process.stderr.read().splitlines()[-1]
    assert (json.loads(last)["signal"] if log else last) == (name if log else f"stopped at once by {name}")
    done = [sys.executable, str(Path(__file__).parents[2] / "infer.py"), *map(str, arguments[1:]), "--resume"]
    again = subprocess.run(done, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 1, again.stderr  # for the rows that have no question
    assert read_rows(tmp_path / "t.answers.csv").n_rows == 60
    assert names(tmp_path) == ["t.answers.csv", "t.answers.csv.run.json", "t.csv"]


def test_a_finished_run_is_known_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qa_extractive.batch.destination import Destination
    from qa_extractive.batch.local import finished_summary
    from qa_extractive.data.columns import ColumnNames

    path, output = table(tmp_path / "t.csv"), tmp_path / "o.csv"
    answer(path, output)

    def read_only(*_: object) -> None:
        raise DataError("o.csv cannot be written: Read-only file system")

    monkeypatch.setattr(os, "open", read_only)
    destination = Destination.open(path, output, None, "resume")
    summary = finished_summary(FirstWord(), path, destination, ColumnNames(), with_candidates=False)
    assert summary is not None
    assert (summary.n_resumed, summary.is_complete) == (N_ROWS, True)
