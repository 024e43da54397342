"""Weights rounded to 8 bits so that what a fine-tuning changed is not rounded away. Needs the [train] extra.

The weights of a model that was int8 before lie on a grid. A short fine-tuning moves most of them by less than
half of its step, so rounding each to the nearest code of nearly the same grid gives the old model back: what
50 rows had taught was lost with the rounding. Rounded up or down at random, with the chances that keep the
expected value, the changes survive in every sum of many weights. Of weights that lie on no grid the nearest
code is the better one, so an export measures both where they seem to lie on one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper

from qa_extractive.export.passes.flash_attention import joined_thirds
from qa_extractive.export.passes.smoothing import SMOOTHING

_SEED = 17
_ON_A_GRID = 0.26  # root mean square of what rounding takes away, in steps; 0.289 where it may be anything
_MOST_CODE = 127
_LINEARS = ("MatMul", "Attention")

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int8]


def product_weights(model: onnx.ModelProto) -> dict[str, Floats]:
    """The constant weights of products in fp32, by name."""
    read = {node.input[1] for node in model.graph.node if node.op_type in _LINEARS}
    return {
        tensor.name: np.asarray(numpy_helper.to_array(tensor), dtype=np.float32)
        for tensor in model.graph.initializer
        if tensor.name in read and len(tensor.dims) == 2 and tensor.data_type == TensorProto.FLOAT
    }


def seem_on_a_grid(fp32: onnx.ModelProto, quantized: onnx.ModelProto) -> bool:
    """Whether the nearest codes are nearer to the weights of most products than chance would have it."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
    tensors |= dict(joined_thirds(tensors))
    lost = []
    for name, values in product_weights(fp32).items():
        parts = [tensors[name + part] for part in ("_quantized", "_scale") if name + part in tensors]
        if len(parts) < 2:
            continue
        codes, scale = (np.asarray(part, dtype=np.float32) for part in parts)
        smoothing = tensors.get(name + SMOOTHING)
        if smoothing is not None:
            values = values / smoothing[:, None]
        lost.append(float(np.sqrt(np.mean((values / scale - codes) ** 2))))
    return bool(lost) and float(np.median(lost)) < _ON_A_GRID


def rounded(steps: Floats, *, dithered: bool, random: np.random.Generator | None = None) -> Codes:
    """The codes of weights in steps of their scales: the nearest, or up or down at random, always alike."""
    if dithered:
        random = random or np.random.default_rng(_SEED)
        steps = np.floor(steps + random.random(steps.shape, dtype=np.float32))
    codes: Codes = np.rint(steps).clip(-_MOST_CODE, _MOST_CODE).astype(np.int8)
    return codes


def dither(model: onnx.ModelProto, weights: Mapping[str, Floats]) -> None:
    """Round the int8 weights of a quantized graph anew, up or down at random, in place.

    It is the same on every call.

    Args:
        model: The graph after onnxruntime's quantizer: its scales stay.
        weights: The weights that were quantized, by their names before.
    """
    random = np.random.default_rng(_SEED)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, values in weights.items():
        codes, scale = tensors.get(f"{name}_quantized"), tensors.get(f"{name}_scale")
        if codes is None or scale is None or codes.data_type != TensorProto.INT8:
            continue
        scales = np.asarray(numpy_helper.to_array(scale), dtype=np.float32)
        steps = np.asarray(values / scales, dtype=np.float32)
        new = rounded(steps, dithered=True, random=random)
        codes.CopyFrom(numpy_helper.from_array(new, codes.name))
