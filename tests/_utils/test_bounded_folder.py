"""A folder of files that is bounded, shared, and never believed."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qa_extractive._utils.bounded_folder import BoundedFolder

CONTENT = bytes(i % 251 for i in range(1000))
NAMES = [hashlib.sha256(bytes([i])).hexdigest() for i in range(40)]


def _read(folder: BoundedFolder, digest: str, n_bytes: int = len(CONTENT)) -> bytes | None:
    parts = [bytearray(n_bytes // 4), bytearray(n_bytes - n_bytes // 4)]
    return b"".join(parts) if folder.read_into(digest, [memoryview(part) for part in parts]) else None


def _aged(path: Path, age_s: int) -> None:
    os.utime(path, (1_000_000_000 - age_s, 1_000_000_000 - age_s))


def test_what_is_written_is_read_and_only_by_its_user(tmp_path: Path) -> None:
    folder = BoundedFolder(tmp_path / "a" / "b", 10_000)
    assert _read(folder, NAMES[0]) is None
    folder.write(NAMES[0], [memoryview(CONTENT)[:7], b"", CONTENT[7:]])
    assert _read(pickle.loads(pickle.dumps(folder)), NAMES[0]) == CONTENT
    (path,) = folder.folder.iterdir()
    if os.name != "nt":
        assert (path.stat().st_mode & 0o777, folder.folder.stat().st_mode & 0o777) == (0o600, 0o700)
    folder.write(NAMES[0], [CONTENT[::-1]])
    assert _read(folder, NAMES[0]) == CONTENT[::-1], "replaced"


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    (path.parent / "other").write_bytes(CONTENT)
    path.symlink_to(path.parent / "other")


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: path.write_bytes(CONTENT[:-1]), id="too short"),
        pytest.param(lambda path: path.write_bytes(CONTENT + b"\0"), id="too long"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(_pipe, id="pipe", marks=pytest.mark.skipif(os.name == "nt", reason="no pipes")),
        pytest.param(_link, id="link", marks=pytest.mark.skipif(os.name == "nt", reason="needs rights")),
        pytest.param(_huge, id="huge"),
    ],
)
def test_what_is_no_such_file_is_none_and_replaced(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / f"{NAMES[0]}.kept")
    folder = BoundedFolder(tmp_path, 10_000)
    tracemalloc.start()
    try:
        assert _read(folder, NAMES[0]) is None
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    folder.write(NAMES[0], [CONTENT])
    assert _read(folder, NAMES[0]) == CONTENT
    if (tmp_path / "other").exists():
        assert (tmp_path / "other").read_bytes() == CONTENT, "not written through"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="the system does not tell users apart so")
def test_files_of_other_users_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = BoundedFolder(tmp_path, 10_000)
    folder.write(NAMES[0], [CONTENT])
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    assert _read(folder, NAMES[0]) is None


def test_the_oldest_used_make_room_and_other_files_stay(tmp_path: Path) -> None:
    folder = BoundedFolder(tmp_path, 5_000)
    foreign = [tmp_path / "thesis.docx", tmp_path / f"{NAMES[0]}.txt", tmp_path / "notes.kept"]
    for path in foreign:
        path.write_bytes(bytes(9_000))
        _aged(path, 100)
    for i in range(4):
        folder.write(NAMES[i], [CONTENT])
        _aged(tmp_path / f"{NAMES[i]}.kept", 50 - i)
    left_by_a_kill = tmp_path / ".0123456789abcdef.kept"
    left_by_a_kill.write_bytes(bytes(1_000))
    _aged(left_by_a_kill, 60)
    assert _read(folder, NAMES[0]) is not None, "used now"
    folder.write(NAMES[4], [CONTENT])
    assert not left_by_a_kill.exists()
    folder.write(NAMES[5], [CONTENT])
    assert [i for i in range(6) if _read(folder, NAMES[i])] == [0, 2, 3, 4, 5]
    assert all(path.exists() for path in foreign)
    folder.write(NAMES[6], [bytes(5_001)])
    assert _read(folder, NAMES[6], 5_001) is None, "larger than all the room"


@pytest.mark.parametrize("n_bytes", [1, 100, 250, 999, 5_000])
def test_one_process_never_exceeds_the_limit(tmp_path: Path, n_bytes: int) -> None:
    folder = BoundedFolder(tmp_path, 5_000)
    for name in NAMES:
        folder.write(name, [bytes(n_bytes)])
        assert _read(folder, name, n_bytes) is not None, "the newest"
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 5_000
    again = BoundedFolder(tmp_path, 2_000)
    again.write(NAMES[0], [bytes(10)])
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2_000, "a smaller limit than before"


_SHARING = """
import random, sys
from pathlib import Path
from qa_extractive._utils.bounded_folder import BoundedFolder
folder, draw = BoundedFolder(Path(sys.argv[1]), 20_000), random.Random(sys.argv[2])
n_found = 0
for _ in range(1500):
    number = draw.randrange(30)
    found = bytearray(1000)
    if folder.read_into(f"{number:064x}", [memoryview(found)]):
        n_found += 1
        assert found == bytes([number] * 1000)
    else:
        folder.write(f"{number:064x}", [bytes([number] * 1000)])
print(n_found)
"""


def test_processes_and_threads_share_a_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SHARING, str(tmp_path)]
    running = [
        subprocess.Popen([*command, str(i)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for i in range(2)
    ]
    folder = BoundedFolder(tmp_path, 20_000)

    def use(i: int) -> bool:
        name, expected = f"{i % 30:064x}", bytes([i % 30] * 1000)
        folder.write(name, [expected])
        found = _read(folder, name)
        return found is None or found == expected

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(use, range(1000)))
    for process in running:
        said, wrong = process.communicate(timeout=60)
        assert (process.returncode, wrong) == (0, "")
        assert int(said) > 100
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "nothing half written"


def test_a_folder_that_goes_is_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = BoundedFolder(tmp_path / "gone", 10_000)
    folder.write(NAMES[0], [CONTENT])
    (tmp_path / "gone" / f"{NAMES[0]}.kept").unlink()
    (tmp_path / "gone").rmdir()
    folder.write(NAMES[1], [CONTENT])
    assert _read(folder, NAMES[1]) is not None
    assert not caplog.records


def test_a_full_disk_costs_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    resource = pytest.importorskip("resource")
    folder = BoundedFolder(tmp_path, 10_000_000)
    folder.write(NAMES[0], [CONTENT])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        for name in NAMES[1:4]:
            folder.write(name, [bytes(200_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (said,) = caplog.records
    assert said.levelno == logging.WARNING
    assert "keeps nothing more (File too large); answers stay the same" in said.message
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAMES[0]}.kept"], "nothing half written"
    assert _read(folder, NAMES[0]) is not None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_is_still_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    BoundedFolder(tmp_path, 10_000).write(NAMES[0], [CONTENT])
    tmp_path.chmod(0o500)
    try:
        folder = BoundedFolder(tmp_path, 10_000)
        folder.write(NAMES[1], [CONTENT])
        folder.write(NAMES[2], [CONTENT])
        assert _read(folder, NAMES[0]) == CONTENT
    finally:
        tmp_path.chmod(0o700)
    assert len(caplog.records) == 1
