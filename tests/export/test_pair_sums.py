"""Weights whose products fit into 16 bits in pairs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from qa_extractive.export.passes.pair_sums import fit_pair_sums
from qa_extractive.export.passes.rounding import seem_on_a_grid
from qa_extractive.inference.onnx_forms import MOST_IN_A_PAIR, largest_pairs


def quantized(weights: np.ndarray, n_scales: int | None = None) -> onnx.ModelProto:
    """A graph as onnxruntime's quantizer leaves it, with the nearest codes and a scale for each column."""
    scales = (np.abs(weights).max(axis=0) / 127).astype(np.float32)
    codes = np.rint(weights / scales).astype(np.int8)
    tensors = [
        numpy_helper.from_array(codes, "w_quantized"),
        numpy_helper.from_array(scales[:n_scales], "w_scale"),
        numpy_helper.from_array(np.zeros(len(scales), dtype=np.int8), "w_zero_point"),
    ]
    return helper.make_model(helper.make_graph([], "weights", [], [], tensors))


def parts(model: onnx.ModelProto) -> tuple[np.ndarray, np.ndarray]:
    codes, scales, _ = (numpy_helper.to_array(each) for each in model.graph.initializer)
    return codes, scales


@pytest.fixture
def weights() -> np.ndarray:
    random = np.random.default_rng(5)
    weights = random.standard_normal((385, 60)).astype(np.float32)
    weights[:, :5] = 0.1
    weights[::2, :5] = -1
    weights[:, 5] = 0.5
    return weights


@pytest.mark.parametrize("dithered", [False, True])
@pytest.mark.parametrize("is_known", [False, True])
def test_every_pair_fits_and_the_weights_are_near(
    weights: np.ndarray, dithered: bool, is_known: bool
) -> None:
    model = quantized(weights)
    before, old_scales = parts(model)
    n_wide = int((largest_pairs(before) > MOST_IN_A_PAIR).sum())
    assert 0 < n_wide < 60
    known = {"w": weights} if is_known else None
    assert fit_pair_sums(model, known, dithered=dithered) == n_wide
    codes, scales = parts(model)
    assert largest_pairs(codes).max() <= MOST_IN_A_PAIR
    is_same = scales == old_scales
    assert is_same.sum() == 60 - n_wide
    assert np.array_equal(codes[:, is_same], before[:, is_same])
    assert (scales[~is_same] > old_scales[~is_same]).all()
    assert (scales <= old_scales * 2.01).all()
    step = 1.0 if dithered else 0.51
    wanted = weights if is_known else before * old_scales
    assert (np.abs(codes * scales - wanted) <= step * scales).all()
    assert fit_pair_sums(model, known, dithered=dithered) == 0, "once is enough"


def test_no_larger_scale_than_is_needed(weights: np.ndarray) -> None:
    model = quantized(weights)
    _, old_scales = parts(model)
    fit_pair_sums(model, {"w": weights})
    codes, scales = parts(model)
    changed = scales > old_scales
    assert largest_pairs(codes)[changed].min() >= MOST_IN_A_PAIR - 2


def test_what_a_short_training_changes_is_seen_to_lie_near_the_grid(weights: np.ndarray) -> None:
    """Then an export tries to round at random too: the next grid is that of the weights trained from."""
    model = quantized(weights[:, 6:])
    fit_pair_sums(model)
    codes, scales = parts(model)
    moved = codes + np.random.default_rng(7).normal(0, 0.1, codes.shape)
    trained = (moved * scales).astype(np.float32)
    again = quantized(trained)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    known = [numpy_helper.from_array(trained, "w")]
    fp32 = helper.make_model(helper.make_graph([node], "product", [], [], known))
    assert not seem_on_a_grid(fp32, again)
    fit_pair_sums(again, {"w": trained})
    assert seem_on_a_grid(fp32, again)


def test_what_has_no_scale_for_each_column_stays(weights: np.ndarray) -> None:
    model = quantized(weights, n_scales=1)
    before = parts(model)[0]
    assert fit_pair_sums(model) == 0
    assert np.array_equal(parts(model)[0], before)
    assert fit_pair_sums(model, {"another": weights}) == 0
