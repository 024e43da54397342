"""int8 weights whose products fit where a CPU adds them in pairs, in 16 bits. Needs the [train] extra.

AVX2, and AVX-512 without VNNI, multiply unsigned activations by signed weights and add two neighbours in 16
bits, at the greatest speed that they have for bytes; what does not fit is cut off. It always fits where two
neighbouring weights of an output add up to 128 at most: 255 times that is 32,640. A column in which some two
do not gets a larger scale, by a fifth on average, and so somewhat coarser codes. The sums are then exact on
every CPU, with the weights as they are stored.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper

from qa_extractive.export.passes.rounding import Floats, rounded
from qa_extractive.inference.onnx_forms import MOST_IN_A_PAIR, largest_pairs

_MARGIN = 1.004  # of the scale, by which to try again where rounding went the wrong way


def fit_pair_sums(
    model: onnx.ModelProto, weights: Mapping[str, Floats] | None = None, *, dithered: bool = False
) -> int:
    """Rescale what could overflow in a quantized graph, in place.

    Args:
        model: The graph after onnxruntime's quantizer, with a scale for each column.
        weights: The weights before, by their names then; None for what the codes stand for, in the graph of
            an exported model.
        dithered: Whether to round at random (``rounding``).

    Returns:
        The number of columns that got another scale.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    n_changed = 0
    for name in sorted(weights if weights is not None else _quantized(tensors)):
        codes, scale = tensors.get(f"{name}_quantized"), tensors.get(f"{name}_scale")
        if codes is None or scale is None or codes.data_type != TensorProto.INT8:
            continue
        old = np.asarray(numpy_helper.to_array(codes))
        scales = np.asarray(numpy_helper.to_array(scale), dtype=np.float32)
        is_wide = largest_pairs(old) > MOST_IN_A_PAIR
        if scales.shape != is_wide.shape or not is_wide.any():
            continue
        values = old * scales if weights is None else weights[name]
        new, scales = old.copy(), scales.copy()
        new[:, is_wide], scales[is_wide] = _refitted(values[:, is_wide], scales[is_wide], dithered)
        codes.CopyFrom(numpy_helper.from_array(new, codes.name))
        scale.CopyFrom(numpy_helper.from_array(scales, scale.name))
        n_changed += int(is_wide.sum())
    return n_changed


def _quantized(tensors: Mapping[str, onnx.TensorProto]) -> list[str]:
    ending = "_quantized"
    matrices = [name for name, tensor in tensors.items() if name.endswith(ending) and len(tensor.dims) == 2]
    return [name.removesuffix(ending) for name in matrices]


def _refitted(values: Floats, scales: Floats, dithered: bool) -> tuple[npt.NDArray[np.int8], Floats]:
    """Codes and scales of columns, the least scales with which they fit."""
    scales = scales * np.maximum(1, largest_pairs(values / scales) / MOST_IN_A_PAIR).astype(np.float32)
    while True:
        codes = rounded(values / scales, dithered=dithered)
        is_wide = largest_pairs(codes) > MOST_IN_A_PAIR
        if not is_wide.any():
            return codes, scales
        scales = np.where(is_wide, scales * np.float32(_MARGIN), scales)
