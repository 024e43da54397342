"""The raw graph by torch alone: fused as optimum's is, and the same model."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import onnx
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from qa_extractive.export import exporter, tracing
from qa_extractive.export.exporter import export
from qa_extractive.export.graph import write_fp32
from qa_extractive.inference.onnx_backend import OnnxBackend
from qa_extractive.inference.windows import Windower
from qa_extractive.model.checkpoint import load_checkpoint
from qa_extractive.types import Question

QUESTIONS = [
    Question("What fell in the trial?", "In 512 patients the risk fell to 7 percent. The dose was 40 mg."),
    Question("How old were they?", "Patients in the trial were 65 years. " * 12, "A trial"),
]
FUSED = {"bert": "Attention", "roberta": "Attention", "distilbert": "Attention"}


def made_by(
    way: str, monkeypatch: pytest.MonkeyPatch, checkpoint: Path, output: Path, quantize: str
) -> onnx.GraphProto:
    monkeypatch.setattr(tracing, "has_optimum", lambda: way == "optimum")
    export(checkpoint, output, quantize=quantize, n_threads=1)
    return onnx.load(str(output / "model.onnx")).graph


@pytest.mark.parametrize(("model_type", "operator"), FUSED.items())
def test_attention_is_fused(
    make_reader_checkpoint: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    model_type: str,
    operator: str,
) -> None:
    checkpoint = load_checkpoint(str(make_reader_checkpoint(model_type)))
    exporter._write_serving_files(checkpoint, tmp_path)
    monkeypatch.setattr(tracing, "has_optimum", lambda: False)
    fp32 = onnx.load(str(write_fp32(checkpoint, tmp_path, exporter.OPSET) / "model.onnx"))
    assert Counter(node.op_type for node in fp32.graph.node)[operator] == 2


@pytest.mark.parametrize("quantize", ["none", "int8"])
def test_both_ways_give_one_model(
    skim_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quantize: str
) -> None:
    """The same operators and weights to the bit, and so the same logits; names and dead shapes may differ."""
    pytest.importorskip("optimum", reason="there is one way only: by torch")
    ways = ("optimum", "torch")
    graphs = [made_by(way, monkeypatch, skim_checkpoint, tmp_path / way, quantize) for way in ways]
    assert Counter(n.op_type for n in graphs[0].node) == Counter(n.op_type for n in graphs[1].node)
    weights = [sorted(t.raw_data for t in graph.initializer) for graph in graphs]
    assert weights[0] == weights[1]

    checkpoint = load_checkpoint(str(skim_checkpoint))
    windows = Windower(checkpoint.tokenizer, checkpoint.reader.window).windows(QUESTIONS)
    by_optimum, by_torch = (OnnxBackend(tmp_path / way, 1).run(windows) for way in ways)
    for one, other in zip(by_optimum, by_torch, strict=True):
        assert np.ptp(one.start) > 1.0
        assert np.array_equal(one.start, other.start)
        assert np.array_equal(one.end, other.end)
        assert one.answerability == other.answerability


def test_what_is_replaced_while_tracing_comes_back(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = dict(ALL_ATTENTION_FUNCTIONS), dict(ALL_MASK_ATTENTION_FUNCTIONS)
    checkpoint = load_checkpoint(str(tiny_checkpoint))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as write_fp32 does
        tracing.trace_by_torch(checkpoint, tmp_path / "raw.onnx", exporter.OPSET)
    assert (dict(ALL_ATTENTION_FUNCTIONS), dict(ALL_MASK_ATTENTION_FUNCTIONS)) == kept
    assert "forward" not in vars(checkpoint.model)
    read = [each.name for each in onnx.load(str(tmp_path / "raw.onnx")).graph.input]
    assert read == ["input_ids", "attention_mask", "token_type_ids"]
