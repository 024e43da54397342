"""Checkpoints exported once and found again: a folder by its contents, a hub id by its name."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from qa_extractive.errors import ModelError
from qa_extractive.export import cache as cache_module
from qa_extractive.export.cache import MEMO_FILE, content_hash, exported

OLD_NS = 1_600_000_000_000_000_000


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder with a large file and small ones, all written long ago."""
    folder = tmp_path / "runs" / "checkpoint"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(cache_module._MEMO_BYTES))
    (folder / "sub" / "state").write_text("x")
    age(folder)
    return folder


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that were exported, by an exporter that needs no torch."""
    made: list[str] = []

    def export(name: str, output: Path, *, quantize: str, allow_pickle: bool) -> None:
        made.append(f"{name} {quantize}")
        output.mkdir(parents=True)
        (output / "model.onnx").write_bytes(b"")

    module = ModuleType("qa_extractive.export.exporter")
    vars(module).update(export=export)
    monkeypatch.setitem(sys.modules, "qa_extractive.export.exporter", module)
    return made


def age(folder: Path) -> None:
    for path in folder.iterdir():
        os.utime(path, ns=(OLD_NS, OLD_NS))


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are opened from here on."""
    opened: list[str] = []
    original = Path.open

    def opening(self: Path, *arguments: Any, **options: Any) -> Any:
        opened.append(self.name)
        return original(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", opening)
    return opened


def test_the_contents_alone_make_the_hash(checkpoint: Path, tmp_path: Path) -> None:
    known = content_hash(checkpoint)
    copy = shutil.copytree(checkpoint, tmp_path / "elsewhere")
    (copy / "sub" / "state").write_text("y")
    (copy / ".hidden").write_text("z")
    assert content_hash(copy) == known
    assert len(known) == 16


@pytest.mark.parametrize("change", ["edit", "add", "remove", "rename", "swap"])
def test_any_change_of_the_contents_shows(checkpoint: Path, change: str) -> None:
    known = content_hash(checkpoint)
    config = checkpoint / "config.json"
    if change == "edit":
        config.write_text("[]")  # of the same size
    elif change == "add":
        (checkpoint / "reader.json").write_text("")
    elif change == "remove":
        config.unlink()
    elif change == "rename":
        config.rename(checkpoint / "config2.json")
    else:
        text, weights = config.read_bytes(), (checkpoint / "model.safetensors").read_bytes()
        config.write_bytes(weights)
        (checkpoint / "model.safetensors").write_bytes(text)
    age(checkpoint)
    assert content_hash(checkpoint) != known


def test_links_are_followed(checkpoint: Path, tmp_path: Path) -> None:
    linked = tmp_path / "snapshot"
    linked.mkdir()
    for path in checkpoint.iterdir():
        (linked / path.name).symlink_to(path)
    assert content_hash(linked) == content_hash(checkpoint)


def test_large_files_are_read_once(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memo = tmp_path / "cache" / MEMO_FILE
    known = content_hash(checkpoint, memo)
    opened = count_reads(monkeypatch)
    assert content_hash(checkpoint, memo) == known
    assert "config.json" in opened
    assert "model.safetensors" not in opened
    (checkpoint / "model.safetensors").write_bytes(b"\1" * cache_module._MEMO_BYTES)
    age(checkpoint)  # the same size and time as before
    assert content_hash(checkpoint, memo) != known


def test_a_file_written_just_now_is_not_remembered(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "model.safetensors").touch()
    content_hash(checkpoint, tmp_path / MEMO_FILE)
    assert not (tmp_path / MEMO_FILE).exists()


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", '{"a": 1}', '{"a": [1, 2]}', '{"a": [1, 2, "x", "y"]}']
)
def test_a_broken_memo_is_done_without(checkpoint: Path, tmp_path: Path, text: str) -> None:
    memo = tmp_path / MEMO_FILE
    memo.write_text(text)
    assert content_hash(checkpoint, memo) == content_hash(checkpoint)
    assert list(json.loads(memo.read_text())) == [str((checkpoint / "model.safetensors").resolve())]


def test_a_memo_that_cannot_be_written_is_done_without(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert content_hash(checkpoint, tmp_path / "file" / MEMO_FILE) == content_hash(checkpoint)


def test_a_folder_is_exported_once_wherever_it_lies(
    checkpoint: Path, exports: list[str], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    first = exported(str(checkpoint), "int8", cache)
    assert first == cache / f"checkpoint-{content_hash(checkpoint)}-int8"
    moved = checkpoint.rename(tmp_path / "moved")
    assert exported(str(moved), "int8", cache) == first
    assert exported(str(first), "none", cache) == first
    assert len(exports) == 1
    assert exported(str(moved), "none", cache) != first
    (moved / "config.json").write_text("[]")
    assert exported(str(moved), "int8", cache) != first
    assert len(exports) == 3


def test_two_at_once_export_once(checkpoint: Path, exports: list[str], tmp_path: Path) -> None:
    """Whoever comes second waits for the first one's minutes instead of spending them again."""
    from qa_extractive.archive.cache import locked

    cache, found = tmp_path / "cache", []
    place = cache / f"checkpoint-{content_hash(checkpoint)}-int8"
    second = threading.Thread(target=lambda: found.append(exported(str(checkpoint), "int8", cache)))
    with locked(cache, place.name):
        second.start()
        second.join(0.3)
        assert second.is_alive()
        place.mkdir()
        (place / "model.onnx").write_bytes(b"")
    second.join(30)
    assert (found, exports) == ([place], [])


def test_a_hub_id_is_found_by_its_name(exports: list[str], tmp_path: Path) -> None:
    first = exported("owner/name", "int8", tmp_path)
    assert first.name.startswith("owner_name-")
    assert exported("owner/name", "int8", tmp_path) == first
    assert exported("owner/name2", "int8", tmp_path) != first
    assert exports == ["owner/name int8", "owner/name2 int8"]
    assert not (tmp_path / MEMO_FILE).exists()


def test_a_cache_that_cannot_be_made_is_one_clear_line(
    checkpoint: Path, exports: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"cannot be made a folder: .*set QA_EXTRACTIVE_CACHE to one"):
        exported(str(checkpoint), "int8", tmp_path / "file" / "cache")
    assert exports == []


def test_a_folder_that_cannot_be_read_is_one_clear_line(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(checkpoint / "config.json"))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelError, match=r"config\.json cannot be read: Permission denied"):
        content_hash(checkpoint)
