"""Quantized embedding tables, and the benchmark that compares ways of quantizing."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("optimum")

import onnx
from onnx import numpy_helper

from qa_extractive.data.loading import examples_to_jsonl
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
from qa_extractive.types import Example, Question, Span

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "quantization.py"
WORD, POSITION = "encoder.embeddings.word_embeddings.weight", "encoder.embeddings.position_embeddings.weight"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("quantization_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def check_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("check") / "examples.jsonl.gz"
    examples_to_jsonl(path, examples(20))
    return path


def examples(n: int) -> list[Example]:
    made = []
    for i in range(n):
        context = f"In the study {i} patients were treated. The risk was {i * 7} percent. " + "zebra " * (
            i % 7
        )
        span = Span.cut(context, context.index("The risk"), context.index(" percent"))
        answerable = i % 3 > 0
        made.append(
            Example(
                id=str(i),
                question=Question("What was the risk?", context),
                references=(span.text,) if answerable else (),
                spans=(span,) if answerable else (),
                answerable=answerable,
                document=str(i // 2),
            )
        )
    return made


def logits(folder: Path) -> list[WindowLogits]:
    predictor = Predictor(folder)
    windows = Windower.load(folder, predictor.config.window).windows([e.question for e in examples(9)])
    return OnnxBackend(folder, 1).run(windows)


def with_graph(folder: Path, graph: onnx.ModelProto, target: Path) -> Path:
    shutil.copytree(folder, target)
    onnx.save(graph, str(target / "model.onnx"))
    return target


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("block_size", [16, 32])
def test_quantized_embeddings_serve_as_their_dequantized_tables(
    tiny_fp32: Path, script: Any, tmp_path: Path, bits: int, block_size: int
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
    assert script.largest_difference(found, logits(plain)) < rounding
    assert script.largest_difference(found, fp32) > 2 * rounding or bits == 8
    questions = [e.question for e in examples(9)]
    answers = [Predictor(folder).answer_batch(questions) for folder in (small, plain)]
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


def test_layers_and_heads(script: Any, tiny_fp32: Path) -> None:
    graph = onnx.load(str(tiny_fp32 / "model.onnx"))
    layers = script.layers(graph)
    assert len(layers) == 2
    for i, layer in enumerate(layers):
        assert all(f"layer.{i}" in name for name in layer.products)
        assert layer.feed_forward == layer.products[1:]
    assert [name.split("/")[1] for name in script.heads(graph)] == ["span_head", *["answerability_head"] * 2]


@pytest.mark.parametrize(("bits", "tolerance"), [(8, 0.5), (4, 8.0)])
def test_matmul_nbits(script: Any, tiny_fp32: Path, tmp_path: Path, bits: int, tolerance: float) -> None:
    graph = onnx.load(str(tiny_fp32 / "model.onnx"))
    names = [name for layer in script.layers(graph) for name in layer.products]
    to_matmul_nbits(graph, bits=bits, block_size=32, only=names.__contains__)
    folder = with_graph(tiny_fp32, graph, tmp_path / "model")
    assert 0 < script.largest_difference(logits(folder), logits(tiny_fp32)) < tolerance


def test_every_variant_is_made(script: Any, tiny_checkpoint: Path, check_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "results" / "quantization.json"
    given = ["--model", str(tiny_checkpoint), "--check", str(check_file), "--output", str(output)]
    script.main([*given, "--rounds", "2", "--threads", "1"])
    result = json.loads(output.read_text())
    rows = {row["name"]: row for row in result["rows"]}
    assert {name: row["error"] for name, row in rows.items()} == dict.fromkeys(script.VARIANTS, "")
    assert [row["mb"] for row in result["rows"]] == sorted(row["mb"] for row in result["rows"])
    assert (result["n_scored"], result["n_calibrating"]) == (16, 4)
    assert rows["fp32"]["f1_interval"] == [0.0, 0.0]
    assert rows["fp32"]["same_span"] == 1.0
    assert rows["fp32"]["max_logit_difference"] < 1e-5  # other nodes than the reference's, the same sums
    assert rows["shipped"]["time_ratio"] == 1.0
    assert rows["int8"]["max_logit_difference"] > 0.0
    assert all(row["batch_s"] > 0.0 and 0.0 <= row["auroc"] <= 1.0 for row in rows.values())
    table = output.with_suffix(".md").read_text()
    assert all(f"| {name} |" in table for name in rows)
    assert str(tmp_path) not in table + output.read_text()


def test_failed_variant_is_a_row(
    script: Any,
    tiny_checkpoint: Path,
    check_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(source: Any, target: Path) -> None:
        raise RuntimeError(f"no {target} | today\nat all")

    def break_graph(source: Any, target: Path) -> None:
        target.write_bytes(b"no graph")

    monkeypatch.setitem(script.VARIANTS, "failing", script.Variant("fails", fail))
    monkeypatch.setitem(script.VARIANTS, "broken", script.Variant("cannot be loaded", break_graph))
    output = tmp_path / "quantization.json"
    given = ["--model", str(tiny_checkpoint), "--check", str(check_file), "--output", str(output)]
    script.main([*given, "--limit", "10", "--rounds", "0", "--variants", "failing", "broken"])
    rows = {row["name"]: row for row in json.loads(output.read_text())["rows"]}
    assert set(rows) == {"fp32", "shipped", "failing", "broken"}
    assert rows["failing"]["error"] == "RuntimeError: no /variants/failing/model.onnx | today"
    assert rows["broken"]["error"].startswith("ModelError: ")
    assert rows["failing"]["mb"] is None
    assert "| failing | not made: RuntimeError: no /variants/failing/model.onnx / today |" in (
        output.with_suffix(".md").read_text()
    )


def test_calibrating_examples_are_not_scored(script: Any) -> None:
    check = script.Check.of(examples(50), 40)
    assert (len(check.scored), len(check.calibrating)) == (32, 8)
    assert not {e.id for e in check.scored} & {e.id for e in check.calibrating}
    assert len(script.Check.of(examples(50), None).scored) == 40


def test_interval_is_of_documents(script: Any) -> None:
    assert script.paired_interval(np.array([0.5, 0.5]), ["a", "a"]) is None
    low, high = script.paired_interval(np.array([0.0, 0.0, 1.0, 1.0] * 10), list("aabb" * 10))
    assert (low, high) == (0.0, 1.0)
