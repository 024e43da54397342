"""Locks between processes, files that are whole or not there, digests."""

from __future__ import annotations

import errno
import hashlib
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest

from qa_extractive._utils.digests import file_digest, stream_digest, text_digest
from qa_extractive._utils.files import atomic_file, write_whole
from qa_extractive._utils.locks import file_lock

HOLD = """
import sys, time
from pathlib import Path
from qa_extractive._utils.locks import file_lock
with file_lock(Path(sys.argv[1]), waits=True):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_keeps_other_processes_away_until_its_own_dies(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(TimeoutError), file_lock(path, waits=False):
            pass
        holder.kill()
    with file_lock(path, waits=False):
        assert path.read_bytes() == b""


def test_a_file_system_without_locks_keeps_nobody_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(fcntl, "flock", flock)
    with file_lock(tmp_path / "a.lock", waits=False), file_lock(tmp_path / "a.lock", waits=False):
        pass


def test_a_lock_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    with pytest.raises(OSError, match="symbolic links"), file_lock(tmp_path / "a", waits=False):
        pass
    assert not (tmp_path / "b").exists()


def test_a_file_is_replaced_whole_or_left(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_whole(target, "old")
    with pytest.raises(ZeroDivisionError), atomic_file(target) as file:
        file.write(str(1 // 0).encode())
    assert target.read_text() == "old"
    (tmp_path / "left").write_text("by a kill")
    with atomic_file(target, tmp_path / "left") as file:
        file.write(b"new")
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    theirs, target = tmp_path / "theirs", tmp_path / "a.txt"
    theirs.write_text("theirs")
    target.symlink_to(theirs)
    write_whole(target, b"mine")
    assert (theirs.read_text(), target.read_text(), target.is_symlink()) == ("theirs", "mine", False)


def test_digests_are_hashlibs(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc" * 500_000)
    assert file_digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    small = hashlib.blake2b(digest_size=4)
    assert stream_digest(BytesIO(b"abc"), small) == hashlib.blake2b(b"abc", digest_size=4).hexdigest()
    assert text_digest("\ud800é") == hashlib.sha256("?é".encode()).hexdigest()
