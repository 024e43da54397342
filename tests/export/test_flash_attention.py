"""Attention in blocks: the same sums as the fused node that it stands for."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import onnx
from onnx import helper, numpy_helper

from qa_extractive.export import exporter, graph
from qa_extractive.export.dequantize import load_rebuilt
from qa_extractive.export.passes.branches import all_graphs
from qa_extractive.export.passes.flash_attention import THIRDS, joined_thirds, use_flash_attention
from qa_extractive.export.passes.rounding import seem_on_a_grid
from qa_extractive.inference.onnx_backend import MODEL_FILE, OnnxBackend
from tests.export.test_export import largest_difference, windows_of


@pytest.fixture(scope="module")
def fused(skim_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An int8 export with a context cache whose attention is as onnxruntime's quantizer writes it."""
    folder = tmp_path_factory.mktemp("fused") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "use_flash_attention", lambda model: None)
        exporter.export(skim_checkpoint, folder, quantize="int8", calibrate=(), n_threads=1)
    return folder


@pytest.fixture(scope="module")
def in_blocks(fused: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in_blocks") / "model"
    shutil.copytree(fused, folder)
    model = onnx.load(str(folder / MODEL_FILE))
    use_flash_attention(model)
    onnx.save(model, str(folder / MODEL_FILE))
    return folder


def operators(folder: Path) -> Counter[str]:
    model = onnx.load(str(folder / MODEL_FILE))
    return Counter(node.op_type for each in all_graphs(model.graph) for node in each.node)


def test_every_attention_of_a_window_is_taken_apart_in_branches_too(fused: Path, in_blocks: Path) -> None:
    before, after = operators(fused), operators(in_blocks)
    n_with_a_past = before["QAttention"] - 4  # one for each of the four layers reads a window
    assert n_with_a_past == after["QAttention"] == 1
    assert after["MultiHeadAttention"] == 4
    assert after["MatMulInteger"] - before["MatMulInteger"] == 2 * 3 + 2  # two share weights with another


@pytest.mark.parametrize(
    ("precision", "form"), [("native", "signed"), ("native", "unsigned"), ("exact", "signed")]
)
def test_the_logits_are_those_of_the_fused_node(
    skim_checkpoint: Path,
    fused: Path,
    in_blocks: Path,
    precision: str,
    form: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("QA_EXTRACTIVE_INT8", form)
    windows = windows_of(skim_checkpoint)
    old, new = (OnnxBackend(folder, precision=precision).run(windows) for folder in (fused, in_blocks))
    size = max(float(np.abs(each.start).max()) for each in old)
    most = 1e-5 if precision == "exact" else 0.02  # rounding to 8 bits makes more of the last bit
    assert largest_difference(old, new) < most * size


def test_the_weights_are_found_again(fused: Path, in_blocks: Path) -> None:
    old, new = (load_rebuilt(folder).state_dict() for folder in (fused, in_blocks))
    assert old.keys() == new.keys()
    assert all(bool((old[name] == new[name]).all()) for name in old)


def an_attention(
    inputs: Sequence[str] = (),
    *,
    weights: str = "w",
    scale: str = "scale",
    codes: np.ndarray | None = None,
    **attributes: Any,
) -> onnx.ModelProto:
    """A graph of one attention as the quantizer writes it, of a window of any length."""
    codes = np.ones((4, 12), dtype=np.int8) if codes is None else codes
    tensors = [
        numpy_helper.from_array(codes, weights),
        numpy_helper.from_array(np.ones(12, dtype=np.float32), scale),
        numpy_helper.from_array(np.zeros(12, dtype=np.int8), "zero"),
        numpy_helper.from_array(np.ones(12, dtype=np.float32), "bias"),
    ]
    inputs = inputs or ["x", weights, "bias", "x_scale", scale, "", "x_zero", "zero"]
    node = helper.make_node("QAttention", inputs, ["y"], domain="com.microsoft", num_heads=2, **attributes)
    return helper.make_model(helper.make_graph([node], "attention", [], [], tensors))


@pytest.mark.parametrize(
    "changes",
    [
        {"unidirectional": 1},
        {"inputs": ["x", "w", "bias", "x_scale", "scale"]},
        {"inputs": ["x", "w", "bias", "x_scale", "scale", "mask", "x_zero", "zero"]},
        {"inputs": ["x", "elsewhere", "bias", "x_scale", "scale", "", "x_zero", "zero"]},
    ],
)
def test_what_is_not_a_plain_attention_of_a_window_stays(changes: dict[str, Any]) -> None:
    plain, other = an_attention(), an_attention(**changes)
    before = other.SerializeToString(deterministic=True)
    use_flash_attention(other)
    assert other.SerializeToString(deterministic=True) == before
    use_flash_attention(plain)
    assert {tensor.name for tensor in plain.graph.initializer} == {
        f"{name}{third}" for name in ("w", "scale", "zero", "bias") for third in THIRDS
    }


@pytest.mark.parametrize("is_on_it", [True, False])
def test_a_grid_is_seen_in_thirds_too(is_on_it: bool) -> None:
    random = np.random.default_rng(2)
    codes = random.integers(-100, 100, (40, 12)).astype(np.int8)
    weights = (codes + (0 if is_on_it else random.uniform(-0.5, 0.5, codes.shape))).astype(np.float32)
    node = helper.make_node("Attention", ["x", "w", "bias"], ["y"], domain="com.microsoft", num_heads=2)
    tensors = [numpy_helper.from_array(weights, "w")]
    fp32 = helper.make_model(helper.make_graph([node], "fp32", [], [], tensors))
    quantized = an_attention(weights="w_quantized", scale="w_scale", codes=codes)
    assert seem_on_a_grid(fp32, quantized) == is_on_it
    use_flash_attention(quantized)
    assert seem_on_a_grid(fp32, quantized) == is_on_it


def test_twice_is_once(in_blocks: Path) -> None:
    model = onnx.load(str(in_blocks / MODEL_FILE))
    before = model.SerializeToString(deterministic=True)
    use_flash_attention(model)
    assert model.SerializeToString(deterministic=True) == before


def test_thirds_are_joined_only_where_all_three_are() -> None:
    thirds = {f"w{part}": np.full((2, 1), value) for value, part in enumerate(THIRDS, 1)}
    assert [name for name, _ in joined_thirds(thirds)] == ["w"]
    assert dict(joined_thirds(thirds))["w"].tolist() == [[1, 2, 3], [1, 2, 3]]
    del thirds["w_value"]
    assert not dict(joined_thirds(thirds))
