"""Outliers of activations taken into the weights before both are quantized. Needs the [train] extra.

A product's activations share one scale in each run, so one channel of 30 leaves the others, mostly below 1,
a tenth of their precision. Where a channel's peak stands out it is divided by a constant, and its row of the
weights multiplied by it (after SmoothQuant: Xiao et al. 2022, arXiv 2211.10438); in fp32 the same product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

SMOOTHING = "_smoothing"
"""Ends the name of what multiplies a product's input; begins with the name of its weights."""

_ORDINARY = 0.97  # share of a product's channels whose peaks count as ordinary
_LEAST_GAIN = 1.5  # of the scale, below which another node is not worth its time

Inputs = Mapping[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float32]


def activation_peaks(path: Path, inputs: Sequence[Inputs]) -> dict[str, Floats]:
    """The largest absolute value of each channel that goes into a product with constant weights.

    Args:
        path: A graph whose products are ``MatMul`` in fp32.
        inputs: What it reads, by name, a window each.

    Returns:
        By the name of the weights, shape (n_inputs,); empty without inputs.
    """
    graph = onnx.load(str(path))
    read = {weights: node.input[0] for weights, node in _products(graph).items()}
    del graph.graph.output[:]
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(set(read.values())))
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    known = {each.name for each in session.get_inputs()}
    peaks: dict[str, Floats] = {}
    for each in inputs:
        feed = {name: values for name, values in each.items() if name in known}
        for name, values in zip(names, session.run(names, feed), strict=True):
            found = np.abs(values.reshape(-1, values.shape[-1])).max(axis=0)
            peaks[name] = np.maximum(peaks[name], found) if name in peaks else found
    return {weights: peaks[name] for weights, name in read.items() if name in peaks}


def smooth_outliers(model: onnx.ModelProto, peaks: Mapping[str, Floats]) -> None:
    """Divide the channels that stand out before each product and multiply their weights, in place.

    Args:
        model: The graph of ``activation_peaks``.
        peaks: What that gives; products that it does not name stay as they are.
    """
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    before: dict[str, onnx.NodeProto] = {}
    for weights, node in _products(model).items():
        factors = _factors(peaks[weights]) if weights in peaks else None
        if factors is None:
            continue
        values = numpy_helper.to_array(tensors[weights]).astype(np.float32)
        tensors[weights].CopyFrom(numpy_helper.from_array(values * factors[:, None], weights))
        graph.initializer.append(numpy_helper.from_array(1 / factors, weights + SMOOTHING))
        smooth = f"{node.name}_smoothed"
        inputs = [node.input[0], weights + SMOOTHING]
        before[node.name] = helper.make_node("Mul", inputs, [smooth], f"{node.name}_Smoothing")
        node.input[0] = smooth
    nodes = [each for node in graph.node for each in (before.get(node.name), node) if each is not None]
    del graph.node[:]
    graph.node.extend(nodes)


def _products(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """The ``MatMul`` nodes by the names of their weights, where these are constant and their own."""
    matrices = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) == 2}
    reads = [name for node in model.graph.node for name in node.input]
    return {
        node.input[1]: node
        for node in model.graph.node
        if node.op_type == "MatMul" and node.input[1] in matrices and reads.count(node.input[1]) == 1
    }


def _factors(peaks: Floats) -> Floats | None:
    """By what each channel is divided, at least 1; None where hardly anything would be gained."""
    ordinary = float(np.quantile(peaks, _ORDINARY))
    if not ordinary > 0 or float(peaks.max()) / ordinary < _LEAST_GAIN:
        return None
    return np.asarray(np.maximum(peaks / ordinary, 1.0), dtype=np.float32)
