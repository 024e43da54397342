"""Smaller weights (int4, fp16): what is stored, what is computed, and the way back to torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from qa_extractive.export.dequantize import load_rebuilt
from qa_extractive.export.exporter import export
from qa_extractive.export.graph import quantization_of, write_model
from qa_extractive.export.passes.products import block_products, to_half, to_matmul_nbits, unfuse_attention
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.onnx_backend import OnnxBackend
from qa_extractive.inference.windows import Window, Windower
from qa_extractive.model.checkpoint import load_checkpoint
from qa_extractive.model.span_reader import TorchBackend, pad_windows
from qa_extractive.predictor import DEFAULT_MODEL, Predictor
from qa_extractive.types import Question

QUESTIONS = [
    Question("What was the effect of the drug?", "The risk was reduced in 512 patients.", "A trial"),
    Question("which dose", "placebo group " * 20),
    Question("how", "mortality increased"),
]


@pytest.fixture(scope="module")
def windows(tiny_checkpoint: Path) -> list[Window]:
    checkpoint = load_checkpoint(str(tiny_checkpoint))
    return Windower(checkpoint.tokenizer, checkpoint.reader.window).windows(QUESTIONS)


def flat(logits: list[WindowLogits]) -> Any:
    return np.concatenate([np.concatenate([w.start, w.end, [w.answerability]]) for w in logits])


def graph_of(folder: Path) -> onnx.ModelProto:
    return onnx.load(str(folder / "model.onnx"))


def with_graph(folder: Path, graph: onnx.ModelProto, target: Path) -> Path:
    shutil.copytree(folder, target)
    onnx.save(graph, str(target / "model.onnx"))
    return target


def small(fp32: Path, quantize: str, target: Path) -> Path:
    """The fp32 export with other weights."""
    shutil.copytree(fp32, target)
    write_model(fp32, target, quantization_of(quantize))
    return target


def test_attention_apart_is_attention(tiny_fp32: Path, windows: list[Window], tmp_path: Path) -> None:
    graph = graph_of(tiny_fp32)
    n_fused = sum(node.op_type == "Attention" for node in graph.graph.node)
    unfuse_attention(graph)
    kinds = [node.op_type for node in graph.graph.node]
    assert (n_fused, kinds.count("MultiHeadAttention"), kinds.count("Attention")) == (2, 2, 0)
    backend, fused = (
        OnnxBackend(with_graph(tiny_fp32, graph, tmp_path / "model"), 1),
        OnnxBackend(tiny_fp32, 1),
    )
    expected = fused.run(windows)
    assert np.abs(flat(backend.run(windows)) - flat(expected)).max() < 1e-4
    padded = {name: values.numpy() for name, values in pad_windows(windows).items()}
    start = backend._sessions.get(1).run(["start_logits"], padded)[0]
    for row, logits in zip(start, expected, strict=True):
        assert np.abs(row[: len(logits.start)] - logits.start).max() < 1e-4


def test_int4(tiny_fp32: Path, windows: list[Window], tmp_path: Path) -> None:
    folder = small(tiny_fp32, "int4", tmp_path / "model")
    graph = graph_of(folder).graph
    kinds = {node.op_type for node in graph.node}
    assert {"MatMulNBits", "MultiHeadAttention", "LayerNormalization"} <= kinds
    assert not kinds & {"Attention", "QAttention", "MatMulInteger"}
    bits = {
        a.i
        for node in graph.node
        if node.op_type == "MatMulNBits"
        for a in node.attribute
        if a.name == "bits"
    }
    assert bits == {4}
    left = [
        t
        for t in graph.initializer
        if t.data_type == TensorProto.FLOAT and len(t.dims) == 2 and min(t.dims) >= 8
    ]
    assert {t.name for t in left} <= {"encoder.embeddings.token_type_embeddings.weight"}
    found, expected = (flat(OnnxBackend(each, 1).run(windows)) for each in (folder, tiny_fp32))
    assert 0.9 < np.corrcoef(found, expected)[0, 1] < 1.0
    assert (folder / "model.onnx").stat().st_size < (tiny_fp32 / "model.onnx").stat().st_size / 2


def test_fp16(tiny_fp32: Path, windows: list[Window], tmp_path: Path) -> None:
    folder = small(tiny_fp32, "fp16", tmp_path / "model")
    large = [t for t in graph_of(folder).graph.initializer if int(np.prod(t.dims)) >= 1024]
    assert large
    assert {t.data_type for t in large} == {TensorProto.FLOAT16}
    found, expected = (flat(OnnxBackend(each, 1).run(windows)) for each in (folder, tiny_fp32))
    assert 0.0 < np.abs(found - expected).max() < 0.05
    assert (folder / "model.onnx").stat().st_size < 0.7 * (tiny_fp32 / "model.onnx").stat().st_size


@pytest.mark.parametrize("quantize", ["int4", "fp16"])
def test_the_way_back_to_torch(tiny_fp32: Path, windows: list[Window], tmp_path: Path, quantize: str) -> None:
    folder = small(tiny_fp32, quantize, tmp_path / "model")
    again = TorchBackend(load_rebuilt(folder), batch_size=1).run(windows)
    assert np.corrcoef(flat(again), flat(OnnxBackend(folder, 1).run(windows)))[0, 1] > 0.99


def test_pruning_heads_of_an_earlier_kind_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(DEFAULT_MODEL, folder)
    path = folder / "architecture.json"
    architecture = json.loads(path.read_text(encoding="utf-8"))
    places = architecture["weights"]
    architecture["weights"] = {name: places[name] for name in places if ".question." not in name}
    path.write_text(json.dumps(architecture), encoding="utf-8")
    model = load_rebuilt(folder)
    assert "earlier kind" in caplog.text
    assert not model.config.skim_layers
    own, whole = model.state_dict(), load_rebuilt(DEFAULT_MODEL).state_dict()
    assert set(own) == {name for name in whole if not name.startswith("skim_heads.")}
    assert all(torch.equal(own[name], whole[name]) for name in own)


@pytest.mark.parametrize("quantize", ["int4", "fp16"])
def test_the_report(tiny_checkpoint: Path, tmp_path: Path, quantize: str) -> None:
    report = export(tiny_checkpoint, tmp_path / "model", quantize=quantize, n_threads=1)
    assert report.quantize == quantize
    assert report.embedding_bits == {"int4": 4, "fp16": 16}[quantize]
    assert report.max_logit_diff < 1e-4
    assert report.model_bytes == (tmp_path / "model" / "model.onnx").stat().st_size < report.fp32_bytes
    answers = Predictor(tmp_path / "model").answer_batch(QUESTIONS)
    assert all(a.text in q.context for a, q in zip(answers, QUESTIONS, strict=True))


# ---------------------------------------------------------------- the parts


def product(weights: Any, *, n_uses: int = 1) -> onnx.ModelProto:
    """A graph of products with one weight."""
    nodes = [helper.make_node("MatMul", ["x", "w"], [f"y{i}"], f"product{i}") for i in range(n_uses)]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weights.shape[0]])],
        [
            helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, ["n", weights.shape[1]])
            for i in range(n_uses)
        ],
        [numpy_helper.from_array(weights, "w")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def run(model: onnx.ModelProto, x: Any) -> list[Any]:
    import onnxruntime as ort

    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {"x": x}))


@pytest.mark.parametrize(("bits", "n_inputs"), [(4, 64), (4, 100), (8, 70)])
def test_blocks_there_and_back(bits: int, n_inputs: int) -> None:
    random = np.random.default_rng(17)
    weights = random.normal(size=(n_inputs, 24)).astype(np.float32)
    x = random.normal(size=(5, n_inputs)).astype(np.float32)
    model = product(weights, n_uses=2)
    to_matmul_nbits(model, bits=bits)
    assert [tensor.name for tensor in model.graph.initializer] == ["w_blocks", "w_block_scales"]
    (name, values), _ = block_products(model.graph)
    assert name == "w"
    assert values.shape == weights.shape
    error = np.sqrt(np.square(values - weights).mean() / np.square(weights).mean())
    assert error < {4: 0.15, 8: 0.01}[bits]
    for found in run(model, x):
        expected = x @ values
        assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max(), "activations are rounded too"


def test_only_products_worth_it_are_converted() -> None:
    narrow = product(np.ones((64, 7), dtype=np.float32))
    to_matmul_nbits(narrow)
    assert [node.op_type for node in narrow.graph.node] == ["MatMul"]
    model = product(np.ones((64, 8), dtype=np.float32), n_uses=2)
    to_matmul_nbits(model, only="product1".__eq__)
    assert [node.op_type for node in model.graph.node] == ["MatMul", "MatMulNBits"]
    assert {t.name for t in model.graph.initializer} == {"w", "w_blocks", "w_block_scales"}


def test_weights_that_float16_cannot_hold_stay() -> None:
    weights = np.full((64, 32), 0.1, dtype=np.float32)
    x = np.ones((1, 64), dtype=np.float32)
    for largest, kind in ((1.0, TensorProto.FLOAT16), (1e5, TensorProto.FLOAT)):
        weights[0, 0] = largest
        model = product(weights)
        to_half(model)
        assert model.graph.initializer[0].data_type == kind
        assert np.allclose(run(model, x)[0], x @ weights, rtol=1e-3)
