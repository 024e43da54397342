"""Files of a model that are not what they should be: refused in one line, packed or in a folder."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qa_extractive._utils.digests import file_digest
from qa_extractive.archive.manifest import MANIFEST_FILE
from qa_extractive.archive.pack import pack
from qa_extractive.archive.unpack import open_model
from qa_extractive.errors import ModelError
from qa_extractive.inference import onnx_checks as graph_module
from qa_extractive.inference.onnx_backend import OnnxBackend
from qa_extractive.inference.onnx_checks import check_graph
from qa_extractive.inference.windows import Window, Windower
from qa_extractive.predictor import DEFAULT_MODEL, Predictor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the embedded model, to be spoilt."""
    monkeypatch.setenv("QA_EXTRACTIVE_CACHE", str(tmp_path / "cache"))
    return shutil.copytree(DEFAULT_MODEL, tmp_path / "model")


def refuse(folder: Path, message: str) -> None:
    """Neither the folder nor what is packed of it can be opened; of the archive nothing is left."""
    packed = pack(folder, folder.with_name("model.tar.gz"))
    for load, about in ((Predictor, str(folder)), (open_model, f"{packed} is refused: ")):
        with pytest.raises(ModelError) as caught:
            load(packed if load is open_model else folder)
        assert str(caught.value).startswith(about)
        assert message in str(caught.value)
        assert str(caught.value).isprintable()
        assert "/." not in str(caught.value), "the folder that it was unpacked into is gone"
    assert not list((folder.parent / "cache" / "archives").iterdir())


# ---------------------------------------------------------------- JSON

Change = Callable[[dict[str, Any]], Any]


def setting(*path: str, value: Any) -> Change:
    """The same file with one value replaced."""

    def change(values: dict[str, Any]) -> Any:
        place = values
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        return values

    return change


SPOILT: dict[str, tuple[str, Change, str]] = {
    "reader list": ("reader.json", lambda _: [], "reader.json holds no JSON object"),
    "reader window list": ("reader.json", setting("window", value=[]), "[] is not an object of settings"),
    "reader text": ("reader.json", setting("window", "max_tokens", value="512"), "'512'"),
    "reader fraction": ("reader.json", setting("decode", "n_best", value=1.5), "n_best must be a whole"),
    "reader endless": ("reader.json", setting("window", "max_tokens", value=10**30), "max_tokens must be"),
    "reader negative": ("reader.json", setting("window", "max_title_tokens", value=-5), "max_title_tokens"),
    "reader without questions": ("reader.json", setting("window", "max_question_tokens", value=0), "max_"),
    "reader unknown": ("reader.json", setting("evil", value=1), "unknown setting 'evil'"),
    "calibration number": ("calibration.json", lambda _: 5, "calibration.json holds no JSON object"),
    "calibration without": ("calibration.json", lambda _: {}, "is not a calibration: 'answerable'"),
    "calibration text": ("calibration.json", setting("threshold", value="x"), "'x' is not a number"),
    "calibration null": ("calibration.json", setting("threshold", value=None), "None is not a number"),
    "calibration NaN": ("calibration.json", setting("right", "bias", value=float("nan")), "nan is not a"),
    "calibration words": ("calibration.json", setting("right", "weights", value="abcd"), "'a' is not a"),
    "calibration of none": ("calibration.json", setting("right", "weights", value=[]), "0 weights"),
    "calibration of many": ("calibration.json", setting("right", "weights", value=[1] * 50), "50 weights"),
    "calibration of huge": ("calibration.json", setting("right", "weights", value=[10**400]), "too large"),
    "calibration risk": ("calibration.json", setting("risk_table", value=[5]), "is not a calibration"),
    "threshold of five": ("calibration.json", setting("threshold", value=5), "threshold must lie in [0, 1]"),
    "threshold below": ("calibration.json", setting("threshold", value=-0.1), "threshold must lie in [0, 1]"),
    "threshold true": ("calibration.json", setting("threshold", value=True), "True is not a number"),
    "share": ("calibration.json", setting("answerable_share", value=1.5), "answerable_share must lie"),
    "share text": ("calibration.json", setting("answerable_share", value="half"), "answerable_share must"),
    "examples negative": ("calibration.json", setting("n_examples", value=-1), "n_examples must be a count"),
    "examples fraction": ("calibration.json", setting("n_examples", value=1.5), "n_examples must be a count"),
    "fitted on a list": ("calibration.json", setting("fitted_on", value=[]), "fitted_on must be a text"),
    "weights that overflow": ("calibration.json", setting("right", "bias", value=1e300), "out of range"),
    "risk above one": (
        "calibration.json",
        setting("risk_table", value=[{"threshold": 0.5, "coverage": 1, "risk": 2, "risk_bound": 1}]),
        "a risk of risk_table must lie",
    ),
    "risk bound negative": (
        "calibration.json",
        setting("risk_table", value=[{"threshold": 0.5, "coverage": 1, "risk": 0, "risk_bound": -1}]),
        "a risk_bound of risk_table must lie",
    ),
    "risk table upside down": (
        "calibration.json",
        setting(
            "risk_table",
            value=[{"threshold": t, "coverage": 1 - t, "risk": 0, "risk_bound": 0} for t in (0.1, 0.9)],
        ),
        "from the highest threshold",
    ),
    "reader of many readings": ("reader.json", setting("window", "stride_tokens", value=327), "times over"),
    "reader of huge windows": ("reader.json", setting("window", "max_tokens", value=999_999), "max_tokens"),
    "reader of a huge beam": ("reader.json", setting("decode", "n_best", value=50_000), "n_best must be"),
    "reader of a version in lists": (
        "reader.json",
        setting("format_version", value=json.loads("[" * 900 + "]" * 900)),
        "format version",
    ),
    "tokenizer that makes texts long": (
        "tokenizer.json",
        setting(
            "normalizer",
            value={
                "type": "Sequence",
                "normalizers": [
                    {"type": "Replace", "pattern": {"String": "e"}, "content": "ee"} for _ in range(40)
                ],
            },
        ),
        "times as long",
    ),
    "tokenizer of many special tokens": (
        "tokenizer.json",
        setting("post_processor", "pair", value=[{"SpecialToken": {"id": "[SEP]", "type_id": 0}}] * 50
                + [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]),
        "special tokens into a window",
    ),
    "tokenizer list": ("tokenizer.json", lambda _: [], "tokenizer.json cannot be read"),
    "tokenizer of no type": ("tokenizer.json", setting("model", value={"type": "Evil"}), "cannot be read"),
    "tokenizer without unknown": ("tokenizer.json", setting("model", "vocab", value={"a": 0}), "[UNK]"),
    "tokenizer that panics": (
        "tokenizer.json",
        setting("normalizer", value={"type": "Precompiled", "precompiled_charsmap": "AAAAgA=="}),
        "precompiled_charsmap",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_json_of_another_shape(folder: Path, name: str) -> None:
    file, change, message = SPOILT[name]
    values = json.loads((folder / file).read_text(encoding="utf-8"))
    (folder / file).write_text(json.dumps(change(values)), encoding="utf-8")
    refuse(folder, message)


@pytest.mark.parametrize("file", ["reader.json", "calibration.json", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b'{"a":' + b"1" * 5000 + b"}"])
def test_what_is_no_json(folder: Path, file: str, content: bytes) -> None:
    (folder / file).write_bytes(content)
    refuse(folder, file)


@pytest.mark.parametrize("file", ["reader.json", "calibration.json", "tokenizer.json", "model.onnx"])
@pytest.mark.parametrize("kind", ["pipe", "endless", "loop"])
def test_what_is_no_plain_file_is_not_waited_for(folder: Path, file: str, kind: str) -> None:
    (folder / file).unlink()
    if kind == "pipe":
        os.mkfifo(folder / file)
    else:
        (folder / file).symlink_to("/dev/zero" if kind == "endless" else folder / file)
    with pytest.raises(ModelError) as caught:
        Predictor(folder)
    assert str(caught.value).startswith(f"{folder / file} ")
    assert str(caught.value).isprintable()


# A file, what it begins with, what it repeats so often that it has 75 MB, and how it ends.
BOMBS = {
    "calibration.json": (b'{"answerable": [', b"[],", b"[]]}"),
    "calibration_fast.json": (b"", b" ", b"{}"),
    "reader.json": (b'{"format_version": 1, "x": "', b"x", b'"}'),
    "tokenizer.json": (b'{"added_tokens": [', b"{},", b"{}]}"),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("file", BOMBS)
def test_a_small_archive_takes_little_memory(folder: Path, file: str) -> None:
    """JSON that shrinks to a hundredth in the archive would take over a gigabyte as objects."""
    begin, repeated, end = BOMBS[file]
    (folder / file).write_bytes(begin + repeated * (75_000_000 // len(repeated)) + end)
    with pytest.raises(ModelError, match=f"its {file} would have"):
        pack(folder, folder.with_name("model.tar.gz"))
    code = (
        "import sys; from qa_extractive import Predictor\n"
        "try: Predictor(sys.argv[1], effort=sys.argv[2])\n"
        "except Exception as error: print(error)\n"
        "print(*[line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')])"
    )
    for model in (folder, _packed_as_it_is(folder)):
        command = [sys.executable, "-c", code, str(model), "fast" if "fast" in file else "full"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        message, kilobytes = done.stdout.splitlines()
        assert file in message
        assert int(kilobytes) < 200_000, "a predictor of the embedded model takes some 100,000"


def _packed_as_it_is(folder: Path) -> Path:
    """An archive of a folder, by somebody who keeps to no bounds."""
    target = folder.with_name("hostile.tar.gz")
    paths = sorted(folder.iterdir())
    files = {path.name: {"bytes": path.stat().st_size, "sha256": file_digest(path)} for path in paths}
    head = json.dumps({"format": "qa_extractive model", "version": 1, "name": "x", "files": files}).encode()
    with tarfile.open(target, "w:gz", format=tarfile.USTAR_FORMAT, compresslevel=1) as archive:
        about = tarfile.TarInfo(MANIFEST_FILE)
        about.size = len(head)
        archive.addfile(about, io.BytesIO(head))
        for name in files:
            archive.add(folder / name, name)
    return target


def test_a_folder_that_changes_while_it_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of one model and half of another would answer, and say nothing."""
    original = Windower.load

    def exporting(*given: Any, **options: Any) -> Any:
        values = json.loads((folder / "calibration.json").read_text())
        (folder / "calibration.json").write_text(json.dumps(values | {"threshold": 0.1}, indent=1))
        return original(*given, **options)

    monkeypatch.setattr(Windower, "load", exporting)
    with pytest.raises(ModelError, match="has changed while it was loaded: load it again"):
        Predictor(folder)


def test_a_link_that_turns_to_another_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = shutil.copytree(folder, folder.with_name("other"))
    link = folder.with_name("current")
    link.symlink_to(folder)
    original = Windower.load

    def turning(*given: Any, **options: Any) -> Any:
        link.unlink()
        link.symlink_to(other)
        return original(*given, **options)

    assert Predictor(link).identity() == Predictor(folder).identity()
    monkeypatch.setattr(Windower, "load", turning)
    with pytest.raises(ModelError, match="has changed while it was loaded"):
        Predictor(link)


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_a_model_is_not_identified_by_files_that_it_was_not_loaded_from(folder: Path, change: str) -> None:
    predictor = Predictor(folder, n_threads=1)
    before = (folder / "reader.json").stat()
    if change == "removed":
        shutil.rmtree(folder)
    else:
        content = (folder / "reader.json").read_bytes()
        (folder / "reader.json").write_bytes(content.replace(b"-4.1171", b"-4.1172"))
        os.utime(folder / "reader.json", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (folder / "reader.json").stat().st_size == before.st_size
    with pytest.raises(ModelError, match=r"cannot be read|has changed since it was loaded"):
        predictor.identity()


@pytest.mark.parametrize("file", ["reader.json", "calibration.json", "tokenizer.json", "model.onnx"])
def test_a_folder_in_place_of_a_file(folder: Path, file: str) -> None:
    (folder / file).unlink()
    (folder / file).mkdir()
    with pytest.raises(ModelError) as caught:
        Predictor(folder)
    assert str(caught.value).startswith(f"{folder / file} ")


# ---------------------------------------------------------------- graphs


def graph(name: str = "") -> Any:
    """A graph with the inputs and outputs of a reader: its logits are the token ids plus a weight, 0."""
    onnx = pytest.importorskip("onnx")
    make, kinds = onnx.helper, onnx.TensorProto
    weight = onnx.numpy_helper.from_array(np.zeros(1, dtype=np.float32), "weight")
    nodes = [make.make_node("Cast", ["input_ids"], ["ids"], to=kinds.FLOAT)]
    if name:
        external(weight, name)
    nodes += [make.make_node("Add", ["ids", "weight"], [f"{side}_logits"]) for side in ("start", "end")]
    read = [make.make_tensor_value_info("input_ids", kinds.INT64, [1, "n"])]
    given = [make.make_tensor_value_info(f"{side}_logits", kinds.FLOAT, None) for side in ("start", "end")]
    body = make.make_graph(nodes, "reader", read, given, initializer=[weight])
    return make.make_model(body, opset_imports=[make.make_opsetid("", 17)], ir_version=8)


def external(tensor: Any, name: str) -> None:
    """Say that the values of a tensor are in another file."""
    from onnx import TensorProto

    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", name), ("offset", "0"), ("length", "4")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def save(model: Any, folder: Path) -> Path:
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder


def window(n: int = 5) -> Window:
    ids = np.arange(1, n + 1)
    return Window(0, ids, np.zeros_like(ids), 1, np.zeros((n - 1, 2), dtype=np.int64))


def test_the_graph_of_these_tests_can_be_run(folder: Path) -> None:
    (logits,) = OnnxBackend(save(graph(), folder), 1).run([window()])
    assert logits.start.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("place", ["outside", "absolute", "inside", "link", "device", "in a node"])
def test_weights_in_other_files_are_not_read(folder: Path, place: str) -> None:
    """Not those of other folders, and none at all: what is exported is one file."""
    (folder.parent / "secret").write_bytes(np.full(1, 7, dtype=np.float32).tobytes())
    (folder / "weights").write_bytes((folder.parent / "secret").read_bytes())
    names = {"outside": "../secret", "absolute": str(folder.parent / "secret"), "device": "/dev/zero"}
    if place == "in a node":
        model = graph()
        constant = model.graph.node.add(op_type="Constant", output=["unused"])
        attribute = constant.attribute.add(name="value", type=4)
        attribute.t.CopyFrom(model.graph.initializer[0])
        external(attribute.t, "../secret")
    else:
        model = graph(names.get(place, "weights"))
    save(model, folder)
    refuse(folder, "model.onnx keeps weights in other files")
    if place == "link":
        (folder / "weights").unlink()
        (folder / "weights").symlink_to(folder.parent / "secret")
        with pytest.raises(ModelError, match="keeps weights in other files"):
            Predictor(folder)


def test_operators_of_other_libraries_are_unknown(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = graph()
    model.graph.node.add(op_type="Evil", domain="evil.example", input=["ids"], output=["z"])
    with pytest.raises(ModelError, match=r"cannot be loaded.*evil\.example") as caught:
        Predictor(save(model, folder))
    assert str(caught.value).isprintable()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("place", ["doc_string", "name", "metadata", "constant"])
def test_words_are_no_weights_in_other_files(folder: Path, place: str) -> None:
    """An "allocation" in what a graph says of itself."""
    model = graph()
    if place == "doc_string":
        model.doc_string = model.graph.doc_string = model.graph.node[0].doc_string = "allocation, location"
    elif place == "name":
        model.graph.node[1].name = "location"
    elif place == "metadata":
        model.metadata_props.add(key="location", value="../secret")
    else:
        from onnx import helper

        values: Any = [b"location"]  # which the types of onnx leave out
        made = helper.make_tensor("location", 8, [1], values)
        model.graph.node.append(helper.make_node("Constant", [], ["location"], value=made))
    save(model, folder)
    check_graph(folder / "model.onnx")
    assert OnnxBackend(folder, 1).run([window()])[0].start.tolist() == [1, 2, 3, 4, 5]


def _with_external(kind: str) -> bytes:
    """A graph with a tensor that is kept elsewhere, at each place that may hold one."""
    from onnx import GraphProto, helper

    model = graph()
    tensor = graph("../secret").graph.initializer[0]
    if kind == "sparse":
        model.graph.sparse_initializer.add().indices.CopyFrom(tensor)
    elif kind == "function":
        function = model.functions.add(name="f", domain="own")
        function.node.append(helper.make_node("Constant", [], ["c"], value=tensor))
    elif kind == "training":
        model.training_info.add().algorithm.initializer.append(tensor)
    elif kind == "branch":
        inner = GraphProto(name="inner")
        inner.initializer.append(tensor)
        outer = GraphProto(name="outer")
        outer.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))
        model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=outer, else_branch=outer))
    elif kind == "list":
        node = model.graph.node.add(op_type="X")
        node.attribute.add(name="all", type=9).tensors.append(tensor)
    elif kind == "location only":
        model.graph.initializer[0].data_location = 1
    elif kind == "entries only":
        model.graph.initializer[0].external_data.add(key="location", value="x")
    elif kind == "behind a group":  # which protobuf passes over; ONNX has none
        return b"\x0b\x0c" + bytes(graph("../secret").SerializeToString())
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    "kind",
    ["sparse", "function", "training", "branch", "list", "location only", "entries only", "behind a group"],
)
def test_weights_in_other_files_are_found_wherever_they_are(folder: Path, kind: str) -> None:
    pytest.importorskip("onnx")
    (folder / "model.onnx").write_bytes(_with_external(kind))
    refuse(folder, "model.onnx keeps weights in other files")


def test_the_format_that_is_looked_through_is_the_one_that_is_opened(folder: Path) -> None:
    """onnxruntime knows a format of its own by four bytes, of which no check of these knows anything."""
    content = graph().SerializeToString()
    named = b"\x12\x06__ORTM" + content  # a producer's name, at the place of those bytes
    (folder / "model.onnx").write_bytes(named)
    assert OnnxBackend(folder, 1).run([window()])[0].start.tolist() == [1, 2, 3, 4, 5]
    assert OnnxBackend(folder, 2).run([window()])[0].start.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("place", ["nodes", "values", "strings", "deep"])
def test_a_graph_of_endless_parts_is_refused(folder: Path, place: str) -> None:
    """Two bytes each in the file, and up to 200 in the memory of whoever reads it."""
    n = 1_100_000
    inner = {"nodes": b"\x0a\x00" * n, "values": b"\x6a\x00" * n, "strings": b""}.get(place, b"")
    if place == "strings":
        node = b"\x0a\x00" * n
        inner = b"\x0a" + _varint(len(node)) + node
    elif place == "deep":
        for _ in range(90):  # each a graph in an attribute of a node of the one around it
            inner = b"\x32" + _varint(len(inner)) + inner
            inner = b"\x2a" + _varint(len(inner)) + inner
            inner = b"\x0a" + _varint(len(inner)) + inner
    (folder / "model.onnx").write_bytes(b"\x3a" + _varint(len(inner)) + inner)
    if place == "deep":  # protobuf refuses it
        with pytest.raises(ModelError, match="cannot be loaded"):
            Predictor(folder)
    else:
        refuse(folder, "model.onnx has more than 1,000,000 parts")


def _varint(value: int) -> bytes:
    content = b""
    while value > 0x7F:
        content += bytes([value & 0x7F | 0x80])
        value >>= 7
    return content + bytes([value])


def test_every_place_of_the_format_is_known() -> None:
    """A message of onnx.proto that the walk did not know could hold a tensor; these hold none."""
    pytest.importorskip("onnx")
    from onnx import ModelProto, TensorProto

    holds: dict[str, bool] = {}

    def may_hold(message: Any) -> bool:
        if message.full_name not in holds:
            holds[message.full_name] = message is TensorProto.DESCRIPTOR
            children = [each.message_type for each in message.fields if each.message_type is not None]
            holds[message.full_name] |= any(list(map(may_hold, children)))  # all of them are to be looked at
        return holds[message.full_name]

    def missing(kind: Any, message: Any, seen: set[int]) -> list[str]:
        if id(kind) in seen or message is TensorProto.DESCRIPTOR:
            return []
        seen.add(id(kind))
        found = []
        for each in message.fields:
            if each.message_type is not None and each.number in kind.fields:
                found += missing(kind.fields[each.number], each.message_type, seen)
            elif each.message_type is not None and may_hold(each.message_type):
                found.append(f"{message.name}.{each.name}")
        return found

    may_hold(ModelProto.DESCRIPTOR)
    assert missing(graph_module._MODEL, ModelProto.DESCRIPTOR, set()) == []


def _summed(model: Any) -> None:
    del model.graph.node[1:]
    for name in ("start_logits", "end_logits"):
        model.graph.node.add(op_type="ReduceSum", input=["ids"], output=[name])


def _not_a_number(model: Any) -> None:
    model.graph.initializer[0].raw_data = np.full(1, np.nan, dtype=np.float32).tobytes()


def _endless(model: Any) -> None:
    from onnx import helper, numpy_helper

    sizes = numpy_helper.from_array(np.full(2, 1 << 24, dtype=np.int64), "sizes")
    model.graph.initializer.append(sizes)
    model.graph.node.append(helper.make_node("ConstantOfShape", ["sizes"], ["huge"]))
    model.graph.node.append(helper.make_node("ReduceMax", ["huge"], ["largest"]))
    model.graph.node[1].input[1] = "largest"
    nodes = [model.graph.node[i] for i in (0, 3, 4, 1, 2)]
    ordered = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(ordered)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(_summed, "cannot reshape"), (_not_a_number, "a logit is not a number"), (_endless, "ConstantOfShape")],
)
def test_what_a_graph_gives_is_checked(
    folder: Path, spoil: Callable[[Any], None], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model = graph()
    spoil(model)
    backend = OnnxBackend(save(model, folder), 1)
    with pytest.raises(ModelError, match="failed on a window of 5 tokens") as caught:
        backend.run([window()])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("noted", ["9" * 5000, "²", "٣", "-1"])
def test_a_number_of_tokens_that_is_none_is_not_believed(folder: Path, noted: str) -> None:
    model = graph()
    model.metadata_props.add(key="vocab_size", value=noted)
    assert OnnxBackend(save(model, folder), 1).run([window()])[0].start.tolist() == [1, 2, 3, 4, 5]
