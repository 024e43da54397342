"""Quantized embedding tables and products of few bits, beside the same graph in fp32."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import onnx
from onnx import numpy_helper

from qa_extractive.errors import ExportError
from qa_extractive.export.passes.embeddings import (
    block_quantize,
    dequantize,
    pack_halves,
    quantize_embeddings,
    unpack_halves,
)
from qa_extractive.export.passes.products import to_matmul_nbits
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.onnx_backend import OnnxBackend
from qa_extractive.inference.windows import Windower
from qa_extractive.predictor import Predictor
from qa_extractive.types import Question

WORD, POSITION = "encoder.embeddings.word_embeddings.weight", "encoder.embeddings.position_embeddings.weight"
QUESTIONS = [
    Question(
        "What was the risk?",
        f"In the study {i} patients were treated. The risk was {i * 7} percent. " + "zebra " * (i % 7),
    )
    for i in range(9)
]


def logits(folder: Path) -> list[WindowLogits]:
    predictor = Predictor(folder)
    windows = Windower.load(folder, predictor.config.window).windows(QUESTIONS)
    return OnnxBackend(folder, 1).run(windows)


def largest_difference(found: list[WindowLogits], expected: list[WindowLogits]) -> float:
    return max(
        float(np.abs(a - b).max())
        for one, other in zip(found, expected, strict=True)
        for a, b in ((one.start, other.start), (one.end, other.end), (head(one), head(other)))
    )


def head(logits: WindowLogits) -> np.float32:
    assert logits.answerability is not None
    return np.float32(logits.answerability)


def with_graph(folder: Path, graph: onnx.ModelProto, target: Path) -> Path:
    shutil.copytree(folder, target)
    onnx.save(graph, str(target / "model.onnx"))
    return target


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("block_size", [16, 32])
def test_quantized_embeddings_serve_as_their_dequantized_tables(
    tiny_fp32: Path, tmp_path: Path, bits: int, block_size: int
) -> None:
    graph = onnx.load(str(tiny_fp32 / "model.onnx"))
    tables = {t.name: numpy_helper.to_array(t) for t in graph.graph.initializer if t.name in (WORD, POSITION)}
    quantize_embeddings(graph, bits=bits, block_size=block_size)
    small = with_graph(tiny_fp32, graph, tmp_path / "small")

    width = block_size if bits == 4 else tables[WORD].shape[1]
    scale_type = np.float16 if bits == 4 else np.float32
    codes, scales = block_quantize(tables[WORD], bits=bits, block_size=width, scale_type=scale_type)
    columns, column_scales = block_quantize(tables[POSITION].T, bits=8, block_size=len(tables[POSITION]))
    expected = {
        WORD: dequantize(codes, scales, width),
        POSITION: dequantize(columns, column_scales, len(tables[POSITION])).T,
    }
    graph = onnx.load(str(tiny_fp32 / "model.onnx"))
    for tensor in graph.graph.initializer:
        if tensor.name in expected:
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(expected[tensor.name]), tensor.name))
    plain = with_graph(tiny_fp32, graph, tmp_path / "plain")

    rounding = 0.02 if bits == 4 else 1e-4  # 4-bit rows pass through float16
    found, fp32 = logits(small), logits(tiny_fp32)
    assert largest_difference(found, logits(plain)) < rounding
    assert largest_difference(found, fp32) > 2 * rounding or bits == 8
    answers = [Predictor(folder).answer_batch(QUESTIONS) for folder in (small, plain)]
    assert [a.text for a in answers[0]] == [a.text for a in answers[1]]
    assert (small / "model.onnx").stat().st_size < (plain / "model.onnx").stat().st_size


def test_only_fp32_embeddings_are_quantized(tiny_export: Path, tiny_fp32: Path) -> None:
    with pytest.raises(ExportError, match="0 EmbedLayerNormalization"):
        quantize_embeddings(onnx.load(str(tiny_export / "model.onnx")))
    graph = onnx.load(str(tiny_fp32 / "model.onnx"))
    with pytest.raises(ExportError, match="4 or 8"):
        quantize_embeddings(graph, bits=3)
    node = next(node for node in graph.graph.node if node.op_type == "EmbedLayerNormalization")
    node.input.append("attention_mask_int32")
    with pytest.raises(ExportError, match="no plain sum"):
        quantize_embeddings(graph)


def test_blocks_are_near_their_values() -> None:
    values = np.random.default_rng(17).normal(size=(20, 40)).astype(np.float32)
    values[3] = 0.0
    errors = {}
    for bits in (4, 8):
        codes, scales = block_quantize(values, bits=bits, block_size=16)
        assert (codes.shape, scales.shape) == ((20, 40), (20, 3))
        assert codes.min() >= -(2 ** (bits - 1))
        assert codes.max() < 2 ** (bits - 1)
        found = dequantize(codes, scales, 16)
        assert not found[3].any()
        errors[bits] = float(np.abs(found - values).max())
    assert errors[8] < 0.02 < errors[4] < 0.5


def test_halves_of_a_row_share_bytes() -> None:
    codes = np.array([[1, -1, -8]], dtype=np.int8)
    packed = pack_halves(codes, 4)
    assert packed.tolist() == [[0x09, 0x87]]  # 1 with -8 and -1 with the filling
    assert unpack_halves(packed)[:, :3].tolist() == codes.tolist()


@pytest.mark.parametrize(("bits", "tolerance"), [(8, 0.5), (4, 8.0)])
def test_matmul_nbits(tiny_fp32: Path, tmp_path: Path, bits: int, tolerance: float) -> None:
    graph = onnx.load(str(tiny_fp32 / "model.onnx"))
    names = {node.name for node in graph.graph.node if node.op_type == "MatMul" and "layer." in node.name}
    to_matmul_nbits(graph, bits=bits, block_size=32, only=names.__contains__)
    folder = with_graph(tiny_fp32, graph, tmp_path / "model")
    assert 0 < largest_difference(logits(folder), logits(tiny_fp32)) < tolerance
