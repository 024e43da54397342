"""A table that changes while it is read is noticed, whatever its size and its times say."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import qa_extractive.batch.local
from qa_extractive.batch import Batch, BatchJob, answer_table
from qa_extractive.batch.source import Source
from qa_extractive.errors import DataError
from qa_extractive.tables.reading import RowReader, read_rows, write_rows
from tests.batch_runs import PART, FirstWord, answer, needs, partial, state, table

Change = Callable[[Path], object]

N = 200
SUFFIXES = ("csv", "jsonl.gz", "parquet")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qa_extractive.batch.local, "PART_ROWS", PART)


def _other(path: Path) -> Path:
    """Another table of the same format, with other columns, in another file."""
    other = path.with_name(f"other.{path.name}")
    with write_rows(other, ["question", "abstract", "id"]) as writer:
        for i in range(N):
            writer.write({"id": f"x{i}", "question": "why?", "abstract": f"other{i} text"})
    return other


def _moved_over(path: Path) -> None:
    _other(path).replace(path)


def _copied_over(path: Path) -> None:
    shutil.copyfile(_other(path), path)


def _same_size(path: Path) -> None:
    """Another content of the same size, in the same file, with its times set back."""
    before = path.stat()
    content = path.read_bytes()
    with path.open("r+b") as file:
        file.write(content[:-40] + content[-40:].swapcase())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def _same_size_moved_over(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes().swapcase())
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def _longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\n")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _away_and_another(path: Path) -> None:
    path.rename(path.with_name("away"))
    _other(path).rename(path)


CHANGES = (_moved_over, _copied_over, _same_size, _same_size_moved_over, _longer, _empty, _away_and_another)


def _once(change: Change, path: Path) -> Callable[..., None]:
    """A callback that changes a file when it is first called."""
    pending = [change]

    def call(*_: object) -> None:
        if pending:
            pending.pop()(path)

    return call


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_in_mid_run_stops_it(tmp_path: Path, suffix: str, change: Change) -> None:
    needs(suffix)
    path, output = table(tmp_path / f"t.{suffix}", N), tmp_path / "o.csv"
    with pytest.raises(DataError, match=rf"t\.{suffix} changed while it was read: put it back as it was"):
        answer(path, output, on_batch=_once(change, path))
    assert not output.exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_the_header_and_the_rows_stops_it(
    tmp_path: Path, suffix: str, change: Change
) -> None:
    needs(suffix)
    path, output = table(tmp_path / f"t.{suffix}", N), tmp_path / "o.csv"
    job = BatchJob.open(path, output)
    change(path)
    with pytest.raises(DataError, match="changed while it was read"):
        answer_table(FirstWord(), job)
    assert not output.exists()
    assert not partial(output).exists()
    assert not state(output).exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("change", [_moved_over, _same_size])
def test_a_change_while_the_table_is_checked_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, change: Change
) -> None:
    needs(suffix)
    path = table(tmp_path / f"t.{suffix}", N)

    def read_rows_and_change(table: Path) -> RowReader:
        reader = read_rows(table)
        change(table)
        return reader

    monkeypatch.setattr(qa_extractive.batch.local, "read_rows", read_rows_and_change)
    with pytest.raises(DataError, match="changed while it was read"):
        answer(path, tmp_path / "o.csv")
    assert not (tmp_path / "o.csv").exists()


def test_a_change_after_the_last_row_is_read_stops_it(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv", 2 * PART), tmp_path / "o.csv"  # no row is left for a last part
    changes = iter([None, _same_size])

    def on_batch(_: object) -> None:
        (next(changes, None) or (lambda _: None))(path)

    next(changes)
    with pytest.raises(DataError, match="changed while it was read"):
        answer(path, output, on_batch=on_batch)
    assert not output.exists()


def test_a_link_that_is_turned_to_another_table(tmp_path: Path) -> None:
    first, second = table(tmp_path / "first.csv", N), table(tmp_path / "second.csv", N)
    path = tmp_path / "t.csv"
    path.symlink_to(first.name)

    def turn(path: Path) -> None:
        path.unlink()
        path.symlink_to(second.name)

    with pytest.raises(DataError, match="changed while it was read"):
        answer(path, tmp_path / "o.csv", on_batch=_once(turn, path))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_that_is_deleted_in_mid_run(tmp_path: Path, suffix: str) -> None:
    needs(suffix)
    path, output = table(tmp_path / f"t.{suffix}", N), tmp_path / "o.csv"
    copy = shutil.copy2(path, tmp_path / "copy")
    with pytest.raises(DataError, match=r"deleted while it was read: .* rows are kept: .* --resume"):
        answer(path, output, on_batch=_once(lambda path: path.unlink(), path))
    shutil.move(copy, path)
    assert answer(path, output, existing="resume").n_resumed >= PART
    assert read_rows(output).n_rows == N


def test_the_rows_up_to_a_change_are_those_of_the_first_table(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv", N), tmp_path / "o.csv"
    content = path.read_bytes()
    with pytest.raises(DataError, match=r"the first .* rows are kept"):
        answer(path, output, on_batch=_once(_moved_over, path))
    with pytest.raises(DataError, match="input \\(a change of content\\)"):
        answer(path, output, existing="resume")
    path.write_bytes(content)
    answer(path, output, existing="resume")
    answer(path, tmp_path / "whole.csv")
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_other_columns_are_a_change_and_no_missing_rows(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", N)
    with pytest.raises(DataError, match="changed while it was read"):
        answer(path, tmp_path / "o.csv", max_errors=60, on_batch=_once(_moved_over, path))


def test_what_does_not_change_the_content_lets_the_run_go_on_with_resume(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv", N), tmp_path / "o.csv"
    with pytest.raises(DataError, match="changed"):
        answer(path, output, on_batch=_once(lambda path: path.chmod(0o600), path))
    assert answer(path, output, existing="resume").n_resumed >= PART


def test_reading_a_table_elsewhere_is_no_change(tmp_path: Path) -> None:
    path, output = table(tmp_path / "t.csv", N), tmp_path / "o.csv"
    assert answer(path, output, on_batch=lambda _: path.read_bytes()).is_complete


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    os.mkfifo(path)
    with pytest.raises(DataError, match="is not a regular file"):
        BatchJob.open(path, tmp_path / "o.csv")


def test_two_changes_within_a_tick_of_the_clock_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for _ in range(20):
        path.write_text("a")
        source = Source(path)
        path.write_text("b")
        with pytest.raises(DataError, match="changed"):
            source.check()
        source.close()


def test_the_command_exits_with_2(
    tiny_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from qa_extractive.cli import main
    from qa_extractive.cli.progress import Watcher

    path = table(tmp_path / "t.csv", N)
    see, pending = Watcher.see, [True]

    def see_and_delete(self: Watcher, batch: Batch) -> None:
        see(self, batch)
        if pending and pending.pop():
            path.unlink()

    monkeypatch.setattr(Watcher, "see", see_and_delete)
    code = main(["infer", "--batch", str(path), "--model", str(tiny_export), "--threads", "1"])
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {path} was deleted while it was read")
