"""A model as one file: the same bytes, the same answers, and every hostile archive refused in one line."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.archive import unpack
from qa_extractive.archive.manifest import MANIFEST_FILE, MAX_BYTES, MAX_FILES
from qa_extractive.archive.pack import pack
from qa_extractive.archive.unpack import KEPT_MANIFEST, open_model
from qa_extractive.cli import main
from qa_extractive.errors import ExportError, ModelError
from qa_extractive.predictor import DEFAULT_MODEL, Predictor

CONTEXT = "We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg (95% CI 2.1 to 4.5)."
QUESTION = "By how much did systolic pressure fall?"
_WORDS = {"type": "WordLevel", "vocab": {"?": 0}, "unk_token": "?"}
_PLAIN = {"weights": [0, 1], "bias": 0}
FILES = {
    "model.onnx": b"weights",
    "tokenizer.json": json.dumps({"version": "1.0", "model": _WORDS}).encode(),
    "reader.json": json.dumps({"format_version": 1}).encode(),
    "calibration.json": json.dumps(
        {"answerable": _PLAIN, "right": _PLAIN, "threshold": 0.5, "risk_table": []}
    ).encode(),
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QA_EXTRACTIVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files of a model, which none of these tests loads."""
    made = tmp_path / "runs" / "my model"
    made.mkdir(parents=True)
    for name, content in FILES.items():
        (made / name).write_bytes(content)
    return made


@pytest.fixture(scope="module")
def packed_default(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(DEFAULT_MODEL, tmp_path_factory.mktemp("packed") / "model.tar.gz")


# ---------------------------------------------------------------- there and back


def test_a_packed_model_is_the_model(packed_default: Path, cache: Path) -> None:
    packed, plain = Predictor(packed_default), Predictor()
    assert packed.answer(QUESTION, CONTEXT) == plain.answer(QUESTION, CONTEXT)
    assert packed.identity() == plain.identity()
    assert (packed.model_name, packed.folder.parent.parent) == ("default", cache)
    again = pickle.loads(pickle.dumps(packed))
    assert (again.folder, again.model_name) == (packed.folder, "default")
    assert Predictor.from_pretrained(packed_default).identity() == plain.identity()


def test_the_commands_take_it(packed_default: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["infer", "--question", QUESTION, "--context", CONTEXT, "--json"]
    answers = []
    for model in (str(packed_default), "default"):
        assert main([*given, "--model", model]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1]


def test_it_is_unpacked_once_and_again_where_the_cache_was_damaged(folder: Path, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "model.tar.gz")
    opened = open_model(packed)
    assert opened.name == "my_model"
    assert {p.name for p in opened.folder.iterdir()} == {*FILES, KEPT_MANIFEST}
    assert [(opened.folder / name).read_bytes() for name in FILES] == list(FILES.values())
    before = (opened.folder / "model.onnx").stat().st_ino
    moved = packed.rename(tmp_path / "elsewhere.tgz")
    assert open_model(moved) == opened
    assert (opened.folder / "model.onnx").stat().st_ino == before
    (opened.folder / "model.onnx").write_bytes(b"short")
    assert open_model(moved) == opened
    assert (opened.folder / "model.onnx").read_bytes() == FILES["model.onnx"]
    assert [p.name for p in opened.folder.parent.iterdir()] == [opened.folder.name]


def test_a_change_of_the_same_size_in_the_cache_is_noticed(folder: Path, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "model.tar.gz")
    opened = open_model(packed)
    for name, content in FILES.items():
        path = opened.folder / name
        before = path.stat()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert open_model(packed) == opened
        assert path.read_bytes() == content


@pytest.mark.parametrize("damage", ["missing file", "other file", "no manifest", "a file", "a link", "empty"])
def test_a_damaged_cache_is_built_anew(folder: Path, tmp_path: Path, damage: str) -> None:
    packed = pack(folder, tmp_path / "model.tar.gz")
    opened = open_model(packed)
    damage_cache(opened.folder, damage)
    assert open_model(packed) == opened
    assert {p.name: p.read_bytes() for p in opened.folder.iterdir() if p.name in FILES} == FILES
    assert [p.name for p in opened.folder.parent.iterdir()] == [opened.folder.name]


def damage_cache(place: Path, damage: str) -> None:
    if damage == "missing file":
        (place / "model.onnx").unlink()
    elif damage == "other file":
        (place / "evil").write_text("x")
    elif damage == "no manifest":
        (place / KEPT_MANIFEST).write_text("{}")
    else:
        shutil.rmtree(place)
        if damage == "a file":
            place.write_text("x")
        elif damage == "a link":
            place.symlink_to(place.with_name("nowhere"))
        else:
            place.mkdir()


_OPEN_OFTEN = """
import sys
from pathlib import Path
from qa_extractive.archive.unpack import open_model
for packed in sys.argv[2:]:
    folder = open_model(packed).folder
    assert (folder / "model.onnx").read_bytes() == Path(sys.argv[1]).read_bytes()
"""


_WITHOUT_LOCKS = """
import errno, fcntl
def flock(*_):
    raise OSError(errno.ENOLCK, "no locks here")
fcntl.flock = flock
"""


@pytest.mark.parametrize("has_locks", [True, False])
def test_several_processes_that_meet_a_damaged_cache(folder: Path, tmp_path: Path, has_locks: bool) -> None:
    """All of them get the model, whoever builds it, on file systems without locks too."""
    archives = []
    for number in range(12):
        (folder / "README.md").write_text(f"{number}")
        archives.append(pack(folder, tmp_path / f"{number}.tar.gz"))
        place = open_model(archives[-1]).folder
        damage_cache(place, ["missing file", "no manifest", "a file", "a link"][number % 4])
    code = _OPEN_OFTEN if has_locks else _WITHOUT_LOCKS + _OPEN_OFTEN
    root = Path(__file__).resolve().parents[2]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder / "model.onnx"), *map(str, archives)],
            cwd=root,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(5)
    ]
    assert [(each.communicate()[1], each.returncode) for each in running] == [("", 0)] * 5
    assert len(list(place.parent.iterdir())) == 12


def test_many_may_open_it_at_once(folder: Path, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "model.tar.gz")
    opened: list[Any] = []
    threads = [threading.Thread(target=lambda: opened.append(open_model(packed))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 8
    assert len(set(opened)) == 1


def test_the_same_files_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    first = pack(folder, tmp_path / "first.tar.gz").read_bytes()
    copy = tmp_path / "other place" / "my model"
    copy.mkdir(parents=True)
    for name in reversed(FILES):
        (copy / name).write_bytes(FILES[name])
        os.utime(copy / name, (1, 1))
        (copy / name).chmod(0o600)
    (copy / ".hidden").write_text("x")
    (copy / "folder").mkdir()
    assert pack(copy, tmp_path / "second.tar.gz").read_bytes() == first
    assert str(tmp_path).encode() not in gzip.decompress(first)
    (copy / "model.onnx").write_bytes(b"Weights")
    assert pack(copy, tmp_path / "third.tar.gz").read_bytes() != first


def test_what_cannot_be_packed(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"must end in \.tar\.gz"):
        pack(folder, tmp_path / "model.zip")
    (tmp_path / "there.tar.gz").mkdir()
    with pytest.raises(ExportError, match="is a folder: give a file"):
        pack(folder, tmp_path / "there.tar.gz")
    (folder / "a b").write_text("")
    with pytest.raises(ModelError, match="is not a model to pack: 'a b' is not a plain file name"):
        pack(folder, tmp_path / "model.tar.gz")
    (folder / "a b").unlink()
    (folder / "README.md").symlink_to(tmp_path / "runs")
    pack(folder, tmp_path / "link to a folder.tar.gz")
    (folder / "README.md").unlink()
    (tmp_path / "secret").write_text("what must not be given away")
    (folder / "README.md").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelError, match=r"is not a model to pack: 'README.md' is a link"):
        pack(folder, tmp_path / "model.tar.gz")
    (folder / "README.md").unlink()
    (folder / "reader.json").unlink()
    with pytest.raises(ModelError, match=r"is not a model to pack: it lacks reader\.json"):
        pack(folder, tmp_path / "model.tar.gz")
    assert not list(tmp_path.glob("*model.tar.gz*"))
    assert not list(tmp_path.glob(".*model.tar.gz*"))


def test_opening_needs_no_torch(packed_default: Path) -> None:
    code = (
        f"from qa_extractive import Predictor; Predictor({str(packed_default)!r}); import sys;"
        "print(*[m for m in ('torch', 'transformers', 'pandas', 'onnx') if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.split() == []


# ---------------------------------------------------------------- hostile archives

Entry = tuple[tarfile.TarInfo, bytes]


def manifest(**changes: Any) -> bytes:
    """The manifest of FILES, with other values."""
    files = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in FILES.items()
    }
    values = {"format": "qa_extractive model", "version": 1, "name": "model", "files": files}
    return json.dumps(values | changes).encode()


def file(name: str, content: bytes, **attributes: Any) -> Entry:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for attribute, value in attributes.items():
        setattr(member, attribute, value)
    return member, content


def entries(*, head: bytes | None = None, without: str = "") -> list[Entry]:
    """A good archive, or one less a file."""
    made = [file(MANIFEST_FILE, manifest() if head is None else head)]
    return made + [file(name, content) for name, content in FILES.items() if name != without]


def archive(path: Path, members: list[Entry], **options: Any) -> Path:
    with tarfile.open(path, "w:gz", **{"format": tarfile.GNU_FORMAT} | options) as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return path


def special(name: str, kind: bytes, target: str = "") -> Entry:
    return file(name, b"", type=kind, linkname=target)


def with_entry(about: dict[str, Any], name: str = "a") -> bytes:
    """A manifest that names one file more."""
    return manifest(files=json.loads(manifest())["files"] | {name: about})


def with_file(name: str, content: bytes) -> bytes:
    """The same, with the true size and digest of a content."""
    return with_entry({"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}, name)


HOSTILE: dict[str, tuple[Callable[[], list[Entry]], str]] = {
    "traversal": (lambda: [*entries(), file("../evil", b"x")], "'../evil' is not a plain file name"),
    "traversal in the manifest": (lambda: entries(head=with_file("../evil", b"")), "not a plain file name"),
    "absolute": (lambda: [*entries(), file("/tmp/evil", b"x")], "'/tmp/evil' is not a plain file name"),
    "backslash": (lambda: [*entries(), file("..\\evil", b"x")], "is not a plain file name"),
    "drive": (lambda: [*entries(), file("C:evil", b"x")], "is not a plain file name"),
    "control characters": (lambda: [*entries(), file("\x1b[2J\nx", b"x")], "is not a plain file name"),
    "symbolic link": (lambda: [*entries(), special("a", tarfile.SYMTYPE, "/etc/passwd")], "'a' is a link"),
    "hard link": (lambda: [*entries(), special("a", tarfile.LNKTYPE, "model.onnx")], "'a' is a link"),
    "link in place of a file": (
        lambda: [*entries(without="model.onnx"), special("model.onnx", tarfile.SYMTYPE, "/etc/passwd")],
        "'model.onnx' is a link",
    ),
    "device": (lambda: [*entries(), special("a", tarfile.CHRTYPE)], "'a' is a device"),
    "pipe": (lambda: [*entries(), special("a", tarfile.FIFOTYPE)], "'a' is a device"),
    "folder": (lambda: [*entries(), special("a", tarfile.DIRTYPE)], "'a' is a folder"),
    "wrong hash": (
        lambda: [*entries(without="model.onnx"), file("model.onnx", b"Weights")],
        "the SHA-256 of 'model.onnx' is not the one",
    ),
    "wrong size": (
        lambda: [*entries(without="model.onnx"), file("model.onnx", b"weights and more")],
        "'model.onnx' does not have the size",
    ),
    "twice": (lambda: [*entries(), file("model.onnx", FILES["model.onnx"])], "'model.onnx' is there twice"),
    "not in the manifest": (lambda: [*entries(), file("a", b"x")], "'a' is not in its manifest"),
    "missing file": (lambda: entries(without="tokenizer.json"), "it lacks tokenizer.json, which its"),
    "no manifest": (lambda: entries()[1:], "does not begin with manifest.json"),
    "empty": (list, "does not begin with manifest.json"),
    "late manifest": (lambda: entries()[::-1], "does not begin with manifest.json"),
    "manifest that is a link": (
        lambda: [special(MANIFEST_FILE, tarfile.SYMTYPE, "x")],
        "does not begin with manifest.json",
    ),
    "manifest that is no JSON": (lambda: entries(head=b"{"), "its manifest.json is not understood"),
    "manifest that is a list": (lambda: entries(head=b"[]"), "its manifest.json is not understood"),
    "deep manifest": (lambda: entries(head=b"[" * 60_000), "its manifest.json is not understood"),
    "another format": (lambda: entries(head=manifest(format="zip")), "its manifest.json is not understood"),
    "another version": (lambda: entries(head=manifest(version=2)), "another version of qa_extractive"),
    "manifest without weights": (lambda: entries(head=manifest(files={})), "it lacks model.onnx"),
    "huge manifest": (lambda: entries(head=b" " * 70_000), "its manifest.json has 70,000 bytes"),
    "hostile name": (lambda: entries(head=manifest(name="../../x")), "is not a plain file name"),
    "negative size": (
        lambda: entries(head=with_entry({"bytes": -1, "sha256": "0" * 64})),
        "a size or a SHA-256 that is not valid",
    ),
    "size that is text": (
        lambda: entries(head=manifest(files={"a": {"bytes": "1", "sha256": "0" * 64}})),
        "its manifest.json is not understood",
    ),
    "bomb by its manifest": (
        lambda: entries(head=with_entry({"bytes": MAX_BYTES, "sha256": "0" * 64})),
        "its files would take",
    ),
    "bomb of zeros": (
        lambda: [*entries(head=with_file("a", bytes(1 << 20))), file("a", bytes(1 << 20))],
        "bytes, over 100 times its size",
    ),
    "bomb in a header": (
        lambda: [file("a", b"", pax_headers={"comment": "x" * (3 << 20)}), *entries()],
        "it asks for a header of",
    ),
    "bomb after the end": (lambda: [*entries(), file("b", bytes(1 << 24))], "'b' is not in its manifest"),
    "named twice but for case": (
        lambda: [*entries(head=with_file("Model.onnx", b"x")), file("Model.onnx", b"x")],
        "its manifest names a file twice",
    ),
    "named twice but for the Unicode form": (
        lambda: [*entries(head=with_file("cafe\u0301", b"x")), file("caf\u00e9", b"x")],
        "'cafe\\u0301' is not a plain file name",
    ),
    "wide letters": (lambda: entries(head=with_file("\uff4dodel.onnx", b"")), "is not a plain file name"),
    "name that is a number": (lambda: entries(head=manifest(name=7)), "is not understood"),
    "digest that is a list": (
        lambda: entries(head=with_entry({"bytes": 1, "sha256": ["0" * 64]})),
        "is not understood",
    ),
    "size without end": (
        lambda: entries(head=manifest().replace(b'"bytes": 7', b'"bytes": 7' + b"0" * 5000)),
        "is not understood",
    ),
    "contiguous": (
        lambda: [*entries(without="model.onnx"), file("model.onnx", b"weights", type=tarfile.CONTTYPE)],
        "'model.onnx' is a file of an unusual kind",
    ),
    "of no known type": (
        lambda: [*entries(without="model.onnx"), file("model.onnx", b"weights", type=b"Z")],
        "'model.onnx' is a file of an unusual kind",
    ),
    "part of another volume": (
        lambda: [*entries(without="model.onnx"), file("model.onnx", b"weights", type=b"M")],
        "'model.onnx' is a file of an unusual kind",
    ),
    "extended header": (
        lambda: [*entries()[:1], file("model.onnx", FILES["model.onnx"], pax_headers={"path": "../x"})],
        "'../x' is a file of an unusual kind",
    ),
    "sparse": (
        lambda: [
            *entries()[:1],
            file("model.onnx", b"\0" * 512, pax_headers={"GNU.sparse.map": "0,7", "GNU.sparse.size": "7"}),
        ],
        "'model.onnx' is a file of an unusual kind",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused_in_one_line(name: str, tmp_path: Path, cache: Path) -> None:
    make, message = HOSTILE[name]
    path = archive(tmp_path / "model.tar.gz", make(), format=tarfile.PAX_FORMAT)
    refuse(path, message, cache)


def refuse(path: Path, message: str, cache: Path) -> None:
    """The archive is refused with that message, and nothing is left of it anywhere."""
    before = sorted(set(path.parent.iterdir()) - {cache})
    with pytest.raises(ModelError) as caught:
        open_model(path)
    assert str(caught.value).startswith(f"{path} is refused: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    archives = cache / "archives"
    assert not archives.exists() or not list(archives.iterdir())
    assert sorted(set(path.parent.iterdir()) - {cache}) == before


def raw(content: bytes, name: str = "a", **attributes: Any) -> bytes:
    """The bytes of an entry, whatever tarfile thinks of it."""
    member, _ = file(name, content, **attributes)
    return member.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def behind_the_manifest(content: bytes, more: bytes) -> bytes:
    at = content.index(b"model.onnx\0")
    return content[:at] + more + content[at:]


_EXTENDED = raw(b"17 comment=hello\n", type=tarfile.XHDTYPE)
_BEHIND = "there is data after its last file"
RAW: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "text behind the end": (lambda good: good[:-512] + b"hello" + bytes(507), _BEHIND),
    "an archive behind the end": (lambda good: good[:-2048] + raw(b"x") + bytes(1024), _BEHIND),
    "a damaged header": (
        lambda good: good.rstrip(b"\0") + bytes(-len(good.rstrip(b"\0")) % 512) + b"x" * 512 + bytes(1024),
        _BEHIND,
    ),
    "extended headers without end": (
        lambda good: _EXTENDED * 900 + good,
        "it has extended headers without end",
    ),
    "extended header for all": (
        lambda good: raw(b"17 comment=hello\n", type=tarfile.XGLTYPE) + good,
        "does not begin with manifest.json",
    ),
    "extended header of a negative size": (
        lambda good: behind_the_manifest(good, raw(b"15 size=-10240\n", type=tarfile.XHDTYPE)),
        "is a file of an unusual kind",
    ),
    "long name": (
        lambda good: behind_the_manifest(good, raw(b"../evil\0", name="././@LongLink", type=b"L")),
        "'../evil' is not a plain file name",
    ),
}


@pytest.mark.parametrize("name", RAW)
def test_hostile_bytes_are_refused_in_one_line(name: str, tmp_path: Path, cache: Path) -> None:
    change, message = RAW[name]
    path = archive(tmp_path / "model.tar.gz", entries())
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes())), mtime=0))
    refuse(path, message, cache)


def test_too_many_files(tmp_path: Path, cache: Path) -> None:
    extra = {f"f{i}": {"bytes": 0, "sha256": hashlib.sha256(b"").hexdigest()} for i in range(MAX_FILES)}
    head = manifest(files=json.loads(manifest())["files"] | extra)
    path = archive(tmp_path / "model.tar.gz", [*entries(head=head), *(file(name, b"") for name in extra)])
    refuse(path, f"it has {MAX_FILES + 4} files, more than {MAX_FILES}", cache)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_truncated(folder: Path, tmp_path: Path, cache: Path, share: float) -> None:
    (folder / "model.onnx").write_bytes(os.urandom(5000))
    content = pack(folder, tmp_path / "whole.tar.gz").read_bytes()
    path = tmp_path / "model.tar.gz"
    path.write_bytes(content[: int(len(content) * share)])
    refuse(path, "it is cut short", cache)
    path.write_bytes(content[:-1])
    refuse(path, "it is cut short", cache)


def test_any_changed_byte_is_refused(folder: Path, tmp_path: Path, cache: Path) -> None:
    content = pack(folder, tmp_path / "whole.tar.gz").read_bytes()
    path = tmp_path / "model.tar.gz"
    for at in range(12, len(content), 7):  # the first bytes are gzip's time and system, which nothing reads
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        refuse(path, "", cache)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there is no tar archive in it"),
        (b"PK\x03\x04 a zip", "it is damaged, or not a .tar.gz of a model"),
        (gzip.compress(b"hello", mtime=0), "there is no tar archive in it"),
        (gzip.compress(b"hello " * 1000, mtime=0), "there is no tar archive in it"),
        (gzip.compress(bytes(20 << 20), mtime=0), "does not begin with manifest.json"),
    ],
    ids=["nothing", "zip", "short gzip", "gzip of text", "gzip bomb of zeros"],
)
def test_what_is_no_archive(tmp_path: Path, cache: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(content)
    refuse(path, message, cache)


def test_data_behind_the_archive_is_refused(folder: Path, tmp_path: Path, cache: Path) -> None:
    path = pack(folder, tmp_path / "model.tar.gz")
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(8 << 20)))
    refuse(path, "it holds more than its manifest says", cache)


def test_no_archive_writes_more_than_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that lies about its size is read no further than the manifest allows."""
    written: list[int] = []
    original = unpack._Capped.read

    def reading(self: Any, size: int) -> bytes:
        content = original(self, size)
        written.append(len(content))
        return content

    monkeypatch.setattr(unpack._Capped, "read", reading)
    lying = file("model.onnx", FILES["model.onnx"])
    path = archive(tmp_path / "model.tar.gz", [*entries(without="model.onnx"), lying])
    raw = bytearray(gzip.decompress(path.read_bytes()))
    at = raw.rindex(b"model.onnx\0")
    raw[at + 124 : at + 136] = b"77777777777\0"
    header = bytearray(raw[at : at + 512])
    header[148:156] = b" " * 8
    raw[at + 148 : at + 156] = b"%06o\0 " % sum(header)
    path.write_bytes(gzip.compress(bytes(raw)))
    with pytest.raises(ModelError, match="does not have the size that its manifest gives"):
        open_model(path)
    assert sum(written) < 20_000


@pytest.mark.parametrize("name", ["a" * 300 + ".tar.gz", "loop", "a\0b"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ModelError) as caught:
        open_model(tmp_path / name)
    assert len(str(caught.value).splitlines()) == 1
    assert main(["infer", "--question", "q", "--context", "c", "--model", str(tmp_path / name)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_cache_that_cannot_be_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = pack(folder, tmp_path / "model.tar.gz")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QA_EXTRACTIVE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ModelError, match=r"cannot be made a folder: .*set QA_EXTRACTIVE_CACHE to one"):
        open_model(packed)


def test_the_command_line_says_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = archive(tmp_path / "model.tar.gz", HOSTILE["traversal"][0]())
    assert main(["infer", "--question", "q", "--context", "c", "--model", str(path)]) == 2
    error = capsys.readouterr().err
    assert error == f"error: {path} is refused: '../evil' is not a plain file name\n"


def test_export_packs(tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers")
    source = shutil.copytree(tiny_checkpoint, tmp_path / "run")
    (source / "training_report.json").write_text("{}")
    (source / "README.md").write_text("# A card\n")
    target = tmp_path / "model.tar.gz"
    given = ["export", "--model", str(source), "--output", str(tmp_path / "out"), "--threads", "1"]
    assert main([*given, "--pack", str(tmp_path / "model.zip")]) == 2
    assert not (tmp_path / "out").exists()
    assert main([*given, "--pack", str(target)]) == 0
    assert f"--model {target}" in capsys.readouterr().out
    with tarfile.open(target) as tar:
        names = tar.getnames()
    assert names[0] == MANIFEST_FILE
    assert {"model.onnx", "tokenizer.json", "reader.json", "calibration.json"} <= set(names)
    assert {"README.md", "training_report.json", "export.json"} <= set(names)
    assert Predictor(target).identity() == Predictor(tmp_path / "out").identity()
