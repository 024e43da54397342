"""Weights rounded to 8 bits so that what a fine-tuning changed is not rounded away. Needs the [train] extra.

The weights of a model that was int8 before lie on a grid. A short fine-tuning moves most of them by less than
half of its step, so rounding each to the nearest code of nearly the same grid gives the old model back: what
50 rows had taught was lost with the rounding. Rounded up or down at random, with the chances that keep the
expected value, the changes survive in every sum of many weights. Of weights that lie on no grid the nearest
code is the better one, so an export measures both.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper

_SEED = 17
_MOST_CODE = 127
_LINEARS = ("MatMul", "Attention")

Floats = npt.NDArray[np.float32]


def product_weights(model: onnx.ModelProto) -> dict[str, Floats]:
    """The constant weights of products in fp32, by name."""
    read = {node.input[1] for node in model.graph.node if node.op_type in _LINEARS}
    return {
        tensor.name: np.asarray(numpy_helper.to_array(tensor), dtype=np.float32)
        for tensor in model.graph.initializer
        if tensor.name in read and len(tensor.dims) == 2 and tensor.data_type == TensorProto.FLOAT
    }


def dither(model: onnx.ModelProto, weights: Mapping[str, Floats], *, most: int = _MOST_CODE) -> None:
    """Round the int8 weights of a quantized graph anew, up or down at random, in place.

    It is the same on every call.

    Args:
        model: The graph after onnxruntime's quantizer: its scales stay.
        weights: The weights that were quantized, by their names before.
        most: Largest code.
    """
    random = np.random.default_rng(_SEED)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, values in weights.items():
        codes, scale = tensors.get(f"{name}_quantized"), tensors.get(f"{name}_scale")
        if codes is None or scale is None or codes.data_type != TensorProto.INT8:
            continue
        steps = values / np.asarray(numpy_helper.to_array(scale), dtype=np.float32)
        rounded = np.floor(steps + random.random(steps.shape, dtype=np.float32)).clip(-most, most)
        codes.CopyFrom(numpy_helper.from_array(rounded.astype(np.int8), codes.name))
