"""Files of a model that are not what they should be: refused in one line, packed or in a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qa_extractive.errors import ModelError
from qa_extractive.onnx_backend import OnnxBackend
from qa_extractive.packing.opening import open_model
from qa_extractive.packing.packing import pack
from qa_extractive.predictor import DEFAULT_MODEL, Predictor
from qa_extractive.windows import Window


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
            load(packed if load is open_model else folder)  # type: ignore[operator]
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
    "reader window list": ("reader.json", setting("window", value=[]), "[] is no object of settings"),
    "reader text": ("reader.json", setting("window", "max_tokens", value="512"), "'512'"),
    "reader fraction": ("reader.json", setting("decode", "n_best", value=1.5), "n_best must be a whole"),
    "reader endless": ("reader.json", setting("window", "max_tokens", value=10**30), "max_tokens must be"),
    "reader negative": ("reader.json", setting("window", "max_title_tokens", value=-5), "max_title_tokens"),
    "reader without questions": ("reader.json", setting("window", "max_question_tokens", value=0), "max_"),
    "reader unknown": ("reader.json", setting("evil", value=1), "unknown setting 'evil'"),
    "calibration number": ("calibration.json", lambda _: 5, "calibration.json holds no JSON object"),
    "calibration without": ("calibration.json", lambda _: {}, "is not a calibration: 'answerable'"),
    "calibration text": ("calibration.json", setting("threshold", value="x"), "'x' is no number"),
    "calibration null": ("calibration.json", setting("threshold", value=None), "None is no number"),
    "calibration NaN": ("calibration.json", setting("right", "bias", value=float("nan")), "nan is no number"),
    "calibration words": ("calibration.json", setting("right", "weights", value="abcd"), "'a' is no number"),
    "calibration of none": ("calibration.json", setting("right", "weights", value=[]), "0 weights"),
    "calibration of many": ("calibration.json", setting("right", "weights", value=[1] * 50), "50 weights"),
    "calibration of huge": ("calibration.json", setting("right", "weights", value=[10**400]), "too large"),
    "calibration risk": ("calibration.json", setting("risk_table", value=[5]), "is not a calibration"),
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
    [(_summed, "cannot reshape"), (_not_a_number, "a logit is no number"), (_endless, "ConstantOfShape")],
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
