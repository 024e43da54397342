"""The forms of an int8 graph: sums that no CPU saturates, and float products of the same stored weights."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest

from qa_extractive import Predictor, Question
from qa_extractive._utils import onnx_fields, protobuf
from qa_extractive.errors import ModelError
from qa_extractive.inference import onnx_backend, onnx_forms
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.onnx_backend import INT8_VARIABLE, MODEL_FILE, OnnxBackend
from qa_extractive.inference.onnx_inputs import GraphInputs
from qa_extractive.inference.windows import Window
from qa_extractive.predictor import DEFAULT_MODEL
from qa_extractive.settings import EFFORTS, EXACT

DATA = Path(__file__).resolve().parents[2] / "data"
MOST_IN_16_BITS = 32767
Codes = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def demonstration() -> list[Question]:
    with (DATA / "inference_data.csv").open(encoding="utf-8", newline="") as file:
        return [Question(row["question"], row["abstract"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def questions(demonstration: list[Question]) -> list[Question]:
    return demonstration[:12]


@pytest.fixture(scope="module")
def windows(questions: list[Question]) -> list[Window]:
    return Predictor(n_threads=1).windower.windows(questions)


@pytest.fixture(scope="module")
def stored() -> bytes:
    return (DEFAULT_MODEL / MODEL_FILE).read_bytes()


def pair_sums_saturated(activations: Codes, weights: Codes) -> Codes:
    """What ``vpmaddubsw`` makes of a product: two neighbours are added in 16 bits, what does not fit cut off.

    Args:
        activations: 0 to 255, shape (n_rows, depth).
        weights: -128 to 127, shape (depth, n_columns).
    """
    depth = len(weights) + len(weights) % 2
    a = np.pad(activations, ((0, 0), (0, depth - len(weights))))
    b = np.pad(weights, ((0, depth - len(weights)), (0, 0)))
    sums = np.zeros((len(a), b.shape[1]), dtype=np.int64)
    for i in range(0, depth, 2):
        pair = np.outer(a[:, i], b[i]) + np.outer(a[:, i + 1], b[i + 1])
        sums += pair.clip(-MOST_IN_16_BITS - 1, MOST_IN_16_BITS)
    return sums


def products(model: bytes) -> Iterator[tuple[str, Any, Any]]:
    """Operator, weights and zero points of each integer product of a graph and of those inside its nodes."""
    onnx = pytest.importorskip("onnx")

    def of(graph: Any, outer: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
        known = {**outer, **{tensor.name: tensor for tensor in graph.initializer}}
        for node in graph.node:
            place = {"MatMulInteger": 3, "QAttention": 7}.get(node.op_type)
            if place is not None:
                yield node.op_type, known[node.input[1]], known[node.input[place]]
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    yield from of(attribute.g, known)

    yield from of(onnx.load_from_string(model).graph, {})


def logits_of(model: bytes, windows: list[Window], **options: Any) -> list[list[Any]]:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 4
    for name, value in options.items():
        setattr(settings, name, value)
    session = ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    inputs = GraphInputs(session, Path("model.onnx"), None)
    return [session.run(["start_logits", "end_logits"], inputs.of_window(window)) for window in windows]


def equal(left: list[WindowLogits], right: list[WindowLogits]) -> bool:
    return all(
        a.start.tobytes() == b.start.tobytes()
        and a.end.tobytes() == b.end.tobytes()
        and a.answerability == b.answerability
        for a, b in zip(left, right, strict=True)
    )


# ---------------------------------------------------------------- the wire


def test_what_is_not_changed_stays_as_it_was(stored: bytes) -> None:
    onnx = pytest.importorskip("onnx")
    assert protobuf.serialize(protobuf.parse(stored)) == stored
    before = onnx.load_from_string(stored)
    del before.graph.value_info[:]
    assert onnx.load_from_string(onnx_fields.rewritten(stored, lambda graph: None)) == before


@pytest.mark.parametrize("n", [0, 1, 127, 128, 300, 2**31, 2**63, 2**64 - 1])
def test_numbers_of_the_wire_format(n: int) -> None:
    field = (3, protobuf.VARINT, n)
    assert protobuf.parse(protobuf.serialize([field])) == [field]
    packed = protobuf.serialize([field])[1:]
    assert protobuf.varints(packed) == [n if n < 2**63 else n - 2**64]


@pytest.mark.parametrize(
    "broken",
    [b"", b"\x08", b"\x0a\x05ab", b"\x0b", b"\x08" + b"\xff" * 11, b"\x3a\x00\x3a\x00", b"\x38\x05"],
)
def test_what_is_no_model_is_refused(broken: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever part is missing
        onnx_forms.unsigned_weights(broken)


def test_graphs_nested_without_end_are_refused() -> None:
    graph = b""
    for _ in range(40):
        attribute = protobuf.message(6, protobuf.parse(graph))
        node = protobuf.message(1, [protobuf.text(4, "If"), protobuf.message(5, [attribute])])
        graph = protobuf.serialize([node])
    with pytest.raises(ValueError, match="too deeply"):
        onnx_forms.float_products(protobuf.serialize([protobuf.message(7, protobuf.parse(graph))]))


def test_a_broken_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(DEFAULT_MODEL, tmp_path / "model")
    content = (folder / MODEL_FILE).read_bytes()
    (folder / MODEL_FILE).write_bytes(content[: len(content) // 2])
    monkeypatch.setenv(INT8_VARIABLE, "unsigned")
    both: tuple[dict[str, Any], ...] = ({}, {"precision": "exact"})
    for settings in both:
        with pytest.raises(
            ModelError, match=r"model\.onnx cannot be loaded, export the model again"
        ) as caught:
            Predictor(folder, **settings)
        assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- sums that do not saturate


def test_the_simulation_is_right_about_what_saturates() -> None:
    activations = np.array([[255, 255, 255, 0], [1, 2, 3, 4]])
    weights = np.array([[127, 1], [127, -1], [127, 127], [127, 127]])
    exact = activations @ weights
    assert pair_sums_saturated(activations, weights).tolist() == [
        [MOST_IN_16_BITS + 255 * 127, exact[0, 1]],
        exact[1].tolist(),
    ]
    seven_bits = np.array([[64, -64], [64, -64], [64, 64], [-64, 64]])
    assert (pair_sums_saturated(activations, seven_bits) == activations @ seven_bits).all()


def test_unsigned_weights_give_the_same_sums(stored: bytes, windows: list[Window]) -> None:
    """The lowest feed-forward layer of the embedded model, on activations of its own."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(stored)
    product = next(node for node in model.graph.node if node.op_type == "MatMulInteger")
    model.graph.output.append(onnx.ValueInfoProto(name=product.input[0]))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feed = GraphInputs(session, Path("model.onnx"), None).of_window(windows[0])
    activations = session.run([product.input[0]], feed)[0][0].astype(np.int64)
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = tensors[product.input[1]].astype(np.int64)
    exact = activations @ weights
    assert np.array_equal(pair_sums_saturated(activations, weights), exact)
    wider = (weights * 1.5).clip(-127, 127).astype(np.int64)
    assert not np.array_equal(pair_sums_saturated(activations, wider), activations @ wider)

    changed = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in _tensors(onnx_forms.unsigned_weights(stored))
    }
    unsigned = changed[f"{product.input[1]}_unsigned"]
    zero_points = changed[f"{product.input[3]}_unsigned"].astype(np.int64)
    assert unsigned.dtype == np.uint8
    assert 2 * 255 * 255 < 2**31, "pairs of unsigned products are added in 32 bits"
    sums = activations @ unsigned.astype(np.int64) - activations.sum(axis=1, keepdims=True) * zero_points
    assert np.array_equal(sums, exact)


def _tensors(model: bytes) -> Any:
    return pytest.importorskip("onnx").load_from_string(model).graph.initializer


def test_no_product_is_left_with_signed_weights_also_inside_branches(
    stored: bytes, skim_export: Path, tiny_export: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    for model in (stored, *((folder / MODEL_FILE).read_bytes() for folder in (skim_export, tiny_export))):
        before, after = list(products(model)), list(products(onnx_forms.unsigned_weights(model)))
        assert len(before) == len(after) > 3
        kinds = {(weights.data_type, zeros.data_type) for _, weights, zeros in before}
        assert kinds == {(onnx.TensorProto.INT8, onnx.TensorProto.INT8)}
        kinds = {(weights.data_type, zeros.data_type) for _, weights, zeros in after}
        assert kinds == {(onnx.TensorProto.UINT8, onnx.TensorProto.UINT8)}


def test_an_export_and_the_embedded_model_hold_no_pair_that_overflows(
    stored: bytes, skim_export: Path, tiny_export: Path
) -> None:
    for model in (stored, *((folder / MODEL_FILE).read_bytes() for folder in (skim_export, tiny_export))):
        assert onnx_forms.exact_weights(model) is model
        for _, weights, _ in products(model):
            codes = _codes(weights)
            for sign in (1, -1):  # the activations that add up to the most: 255 where the sign is this one
                most = 255 * (sign * codes).clip(min=0)
                pairs = most[: len(most) // 2 * 2 : 2] + most[1::2]
                assert pairs.max() <= MOST_IN_16_BITS


def _codes(weights: Any) -> Codes:
    return np.asarray(pytest.importorskip("onnx").numpy_helper.to_array(weights), dtype=np.int64)


def test_only_weights_that_could_overflow_become_unsigned(stored: bytes) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(stored)
    wide = next(node for node in model.graph.node if node.op_type == "MatMulInteger").input[1]
    tensor = next(each for each in model.graph.initializer if each.name == wide)
    codes = onnx.numpy_helper.to_array(tensor).copy()
    codes[:2, 0] = -65
    tensor.CopyFrom(onnx.numpy_helper.from_array(codes, wide))
    changed = onnx_forms.exact_weights(model.SerializeToString())
    unsigned = {
        weights.name for _, weights, _ in products(changed) if weights.data_type == onnx.TensorProto.UINT8
    }
    assert unsigned == {f"{wide}_unsigned"}
    assert len(list(products(changed))) == len(list(products(stored)))


@pytest.mark.parametrize(
    ("weights", "largest"),
    [
        ([[64], [64]], 128),
        ([[-64], [-65]], 129),
        ([[127], [-127]], 127),
        ([[1], [2], [100]], 100),
        ([[1], [70], [70], [1]], 71),
        ([[-128]], 128),
    ],
)
def test_the_largest_pair(weights: list[list[int]], largest: int) -> None:
    assert onnx_forms.largest_pairs(np.array(weights, dtype=np.int8)).tolist() == [largest]
    assert onnx_forms.largest_pairs(np.array(weights, dtype=np.float32)).tolist() == [largest]


@pytest.mark.parametrize("n_rows", [1, 2, 7, 40])
@pytest.mark.parametrize("depth", [3, 4, 63, 384])
def test_this_cpu_adds_up_to_what_pairs_may_be(n_rows: int, depth: int) -> None:
    """Weights at the bound beside the largest activations, by onnxruntime's kernels of this CPU."""
    onnx = pytest.importorskip("onnx")
    weights = np.full((depth, 40), 64, dtype=np.int8)
    weights[:, 1::2] = -64
    weights[::2, ::3] = 127
    weights[1::2, ::3] = 1
    names = [("a", onnx.TensorProto.UINT8, (n_rows, depth)), ("y", onnx.TensorProto.INT32, (n_rows, 40))]
    inputs, outputs = ([onnx.helper.make_tensor_value_info(*each)] for each in names)
    node = onnx.helper.make_node("MatMulInteger", ["a", "b"], ["y"])
    constants = [onnx.numpy_helper.from_array(weights, "b")]
    graph = onnx.helper.make_graph([node], "product", inputs, outputs, constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    activations = np.full((n_rows, depth), 255, dtype=np.uint8)
    expected = activations.astype(np.int64) @ weights.astype(np.int64)
    assert np.array_equal(session.run(None, {"a": activations})[0], expected)


@pytest.mark.parametrize("effort", EFFORTS)
def test_both_kinds_of_weights_give_the_same_bits(
    questions: list[Question], monkeypatch: pytest.MonkeyPatch, effort: str
) -> None:
    answers = {}
    for kind in ("signed", "unsigned", ""):
        monkeypatch.setenv(INT8_VARIABLE, kind)
        answers[kind] = Predictor(effort=effort, n_threads=1).answer_batch(questions)
    assert answers["signed"] == answers["unsigned"] == answers[""]


def test_a_cpu_that_saturates_gets_weights_that_do_not(
    stored: bytes, tmp_path: Path, windows: list[Window], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(INT8_VARIABLE, raising=False)
    opened: list[Any] = []
    session = ort.InferenceSession

    def spied(graph: Any, *arguments: Any, **options: Any) -> Any:
        opened.append(graph)
        return session(graph, *arguments, **options)

    monkeypatch.setattr(ort, "InferenceSession", spied)
    older = shutil.copytree(DEFAULT_MODEL, tmp_path / "older")
    (older / MODEL_FILE).write_bytes(_with_wide_weights(stored))
    for folder in (DEFAULT_MODEL, older):
        for saturates in (False, True):
            monkeypatch.setattr(onnx_backend, "sums_saturate", lambda answer=saturates: answer)
            OnnxBackend(folder, 1).run(windows[:1])
    *as_stored, last = opened
    assert all(isinstance(each, str) for each in as_stored)
    assert isinstance(last, bytes)
    assert b"_unsigned" in last


def _with_wide_weights(model: bytes) -> bytes:
    """As an export wrote them before: some two neighbours add up to more than 128."""
    changed = pytest.importorskip("onnx").load_from_string(model)
    names = {weights.name for _, weights, _ in products(model)}
    for tensor in changed.graph.initializer:
        if tensor.name in names:
            codes = np.frombuffer(tensor.raw_data, dtype=np.int8).astype(np.int64)
            tensor.raw_data = (codes * 1.5).clip(-127, 127).astype(np.int8).tobytes()
    return bytes(changed.SerializeToString())


def test_the_probe_adds_what_it_says() -> None:
    assert onnx_forms.sums_saturate() in (False, True)
    session = ort.InferenceSession(onnx_forms._probe(), providers=["CPUExecutionProvider"])
    ones = np.ones((onnx_forms._PROBE_ROWS, onnx_forms._PROBE_DEPTH), dtype=np.uint8)
    assert (session.run(None, {"a": ones})[0] == 127 * onnx_forms._PROBE_DEPTH).all()
    with pytest.raises(Exception, match="Got: 3"):
        session.run(None, {"a": ones[:3]})


def test_a_setting_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INT8_VARIABLE, "7")
    with pytest.raises(ModelError, match="QA_EXTRACTIVE_INT8 must be signed, unsigned or unset, not '7'"):
        Predictor()


# ---------------------------------------------------------------- float products


def test_exact_answers_are_near_the_native_ones_and_repeat(questions: list[Question]) -> None:
    native = Predictor(threshold=0, n_threads=1).answer_batch(questions)
    exact = [Predictor(threshold=0, n_threads=n, precision=EXACT).answer_batch(questions) for n in (1, 2, 3)]
    assert exact[0] != native
    for left, right in zip(native, exact[0], strict=True):
        assert left.answerable == pytest.approx(right.answerable, abs=0.1)
    same = [left.text == right.text for left, right in zip(native, exact[0], strict=True)]
    assert np.mean(same) >= 0.75
    for others in exact[1:]:
        assert [a.text for a in others] == [a.text for a in exact[0]]


def test_exact_spans_do_not_depend_on_kernels(stored: bytes, windows: list[Window]) -> None:
    """Without any fusion onnxruntime takes other kernels, as another CPU or version would."""
    graph = onnx_forms.float_products(stored)
    plain = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    found = logits_of(graph, windows), logits_of(graph, windows, graph_optimization_level=plain)
    assert any(not np.array_equal(a, b) for a, b in zip(found[0][0], found[1][0], strict=True))
    for (start, end), (other_start, other_end) in zip(*found, strict=True):
        assert np.abs(start - other_start).max() < 1e-3
        assert (start.argmax(), end.argmax()) == (other_start.argmax(), other_end.argmax())


@pytest.mark.parametrize("effort", EFFORTS)
def test_exact_goes_with_every_effort(demonstration: list[Question], effort: str) -> None:
    exact = Predictor(effort=effort, precision=EXACT, n_threads=1)
    native = Predictor(effort=effort, n_threads=1)
    pairs = list(zip(exact.answer_batch(demonstration), native.answer_batch(demonstration), strict=True))
    assert [a.answerable for a, _ in pairs] != [b.answerable for _, b in pairs]
    assert np.mean([a.candidates[0].text == b.candidates[0].text for a, b in pairs]) >= 0.7


@pytest.mark.parametrize("quantize", ["int8", "int8-weights", "int4", "fp16", "none"])
def test_exact_is_for_every_format(tiny_checkpoint: Path, tmp_path: Path, quantize: str) -> None:
    """Formats that multiply in float anyway are the same in both precisions."""
    pytest.importorskip("transformers")
    from qa_extractive.export.exporter import export

    export(tiny_checkpoint, tmp_path / "model", quantize=quantize, n_threads=1)
    window = Predictor(tmp_path / "model").windower.windows([Question("what", "the drug reduced the risk")])
    native, exact = (OnnxBackend(tmp_path / "model", 1, precision=p).run(window) for p in ("native", "exact"))
    assert equal(native, exact) == (quantize in ("int8-weights", "fp16", "none"))
    assert np.abs(native[0].start - exact[0].start).max() < 2.0


def test_weights_with_zero_points_cannot_be_exact(tiny_export: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    folder = shutil.copytree(tiny_export, tmp_path / "model")
    model = onnx.load(str(folder / MODEL_FILE))
    for tensor in model.graph.initializer:
        if tensor.name.endswith("_zero_point") and tensor.data_type == onnx.TensorProto.INT8:
            values = onnx.numpy_helper.to_array(tensor) + np.int8(1)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, str(folder / MODEL_FILE))
    assert OnnxBackend(folder, 1)
    with pytest.raises(ModelError, match=r"cannot be loaded.* is not zero"):
        OnnxBackend(folder, 1, precision=EXACT)


def test_no_precision_of_another_name() -> None:
    with pytest.raises(ModelError, match="no precision 'double': use 'native' or 'exact'"):
        Predictor(precision="double")
