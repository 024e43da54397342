"""Weights of matrix products stored small, in a fused graph: 4 bits in blocks, or float16. Needs [train].

Both keep an initializer's name, or lengthen it, so that ``rebuild`` finds the parameters again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from qa_extractive.export.passes.embeddings import block_quantize, dequantize

PRODUCT_BLOCK: Final = 64

_MIN_OUTPUTS: Final = 8  # what ends a head has fewer, and is too small to be worth it
_MIN_HALF_VALUES: Final = 1024
_MAX_HALF: Final = 65504.0
_INT8_ACTIVATIONS: Final = 4  # accuracy_level of MatMulNBits: what is multiplied is rounded block by block
_CODES, _SCALES = "_blocks", "_block_scales"

Floats = npt.NDArray[np.float32]


def unfuse_attention(model: onnx.ModelProto) -> None:
    """Give each ``Attention`` its projection as a ``MatMul`` before a ``MultiHeadAttention``, in place.

    ``Attention`` holds its weights itself, where no quantizer of blocks reaches them.
    """
    graph = model.graph
    widths = {tensor.name: tensor.dims[-1] // 3 for tensor in graph.initializer if tensor.dims}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        width = widths.get(node.input[1]) if node.op_type == "Attention" and _is_plain(node) else None
        if width is None:
            nodes.append(node)
            continue
        sizes = numpy_helper.from_array(np.full(3, width, dtype=np.int64), f"{node.output[0]}_widths")
        graph.initializer.append(sizes)
        nodes.extend(_apart(node, sizes.name))
    del graph.node[:]
    graph.node.extend(nodes)


def to_matmul_nbits(
    model: onnx.ModelProto,
    *,
    bits: int = 4,
    block_size: int = PRODUCT_BLOCK,
    only: Callable[[str], bool] = lambda name: True,
) -> None:
    """Make products with constant weights ``MatMulNBits``, in place.

    The scales are those of least squared error that ``block_quantize`` finds; onnxruntime's own
    quantizer takes the largest value of a block, and needs a package that the [train] extra lacks.

    Args:
        model: A graph whose products are in fp32.
        bits: Of a weight: 4 or 8.
        block_size: Weights of an output that share a scale: a power of 2, at least 16.
        only: Whether to convert the node of that name.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    converted: set[str] = set()
    for node in graph.node:
        tensor = weights.get(node.input[1]) if node.op_type == "MatMul" and only(node.name) else None
        if tensor is None or len(tensor.dims) != 2 or tensor.dims[1] < _MIN_OUTPUTS:
            continue
        if tensor.name not in converted:
            converted.add(tensor.name)
            graph.initializer.extend(_blocks(tensor, bits, block_size))
        n_inputs, n_outputs = tensor.dims
        node.op_type, node.domain = "MatMulNBits", "com.microsoft"
        node.input[:] = [node.input[0], tensor.name + _CODES, tensor.name + _SCALES]
        settings = {"K": n_inputs, "N": n_outputs, "bits": bits, "block_size": block_size}
        for name, value in {**settings, "accuracy_level": _INT8_ACTIVATIONS}.items():
            node.attribute.append(helper.make_attribute(name, value))
    _drop(graph, converted)


def block_products(graph: onnx.GraphProto) -> Iterator[tuple[str, Floats]]:
    """The weights of each ``MatMulNBits`` as it was before: their name and (n_inputs, n_outputs) values."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "MatMulNBits":
            settings = {each.name: each.i for each in node.attribute}
            packed, scales = (numpy_helper.to_array(tensors[name]) for name in node.input[1:3])
            values = _unpacked(packed, settings["bits"], scales, settings["block_size"])
            yield node.input[1].removesuffix(_CODES), values[:, : settings["K"]].T


def to_half(model: onnx.ModelProto) -> None:
    """Store large fp32 weights as float16 and cast them back, in place: half the size, sums in fp32.

    onnxruntime casts constants once, when it loads the graph. Its converter of whole graphs to float16
    would round what passes between the nodes too, and on a CPU, which has no kernels for most of them,
    cast there and back at each. Weights that float16 cannot hold stay as they are.
    """
    graph = model.graph
    inner = set(_names_of_inner_graphs(graph.node))
    casts = {}
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or tensor.name in inner:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size >= _MIN_HALF_VALUES and float(np.abs(values).max()) <= _MAX_HALF:
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), tensor.name))
            casts[tensor.name] = f"{tensor.name}_fp32"
    for node in graph.node:
        node.input[:] = [casts.get(name, name) for name in node.input]
    nodes = [
        helper.make_node("Cast", [name], [wide], f"{name}_Cast", to=TensorProto.FLOAT)
        for name, wide in casts.items()
    ]
    nodes.extend(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)


def _is_plain(node: onnx.NodeProto) -> bool:
    """Whether an ``Attention`` has nothing but input, weights, bias and mask."""
    known = {"num_heads", "scale", "mask_filter_value"}
    return len(node.input) >= 3 and not any(node.input[4:]) and {a.name for a in node.attribute} <= known


def _apart(node: onnx.NodeProto, widths: str) -> list[onnx.NodeProto]:
    hidden, weight, bias, *mask = node.input
    name = node.name or node.output[0]
    parts = [f"{name}_{part}" for part in ("query", "key", "value")]
    attention = helper.make_node(
        "MultiHeadAttention", [*parts, bias, *mask[:1]], [node.output[0]], name, domain="com.microsoft"
    )
    attention.attribute.extend(node.attribute)
    return [
        helper.make_node("MatMul", [hidden, weight], [f"{name}_projected"], f"{name}_MatMul"),
        helper.make_node("Split", [f"{name}_projected", widths], parts, f"{name}_Split", axis=-1),
        attention,
    ]


def _blocks(tensor: onnx.TensorProto, bits: int, block_size: int) -> list[onnx.TensorProto]:
    """The weights of a product as ``MatMulNBits`` wants them: codes of (outputs, blocks, bytes), scales."""
    values = np.asarray(numpy_helper.to_array(tensor), dtype=np.float32)
    n_inputs, n_outputs = values.shape
    padded = np.pad(values.T, ((0, 0), (0, -n_inputs % block_size)))
    codes, scales = block_quantize(padded, bits=bits, block_size=block_size)
    packed = (codes.astype(np.int16) + 2 ** (bits - 1)).astype(np.uint8).reshape(n_outputs, -1, block_size)
    if bits == 4:
        packed = packed[..., ::2] | packed[..., 1::2] << 4
    return [
        numpy_helper.from_array(packed, tensor.name + _CODES),
        numpy_helper.from_array(scales.astype(np.float32), tensor.name + _SCALES),
    ]


def _unpacked(packed: npt.NDArray[Any], bits: int, scales: npt.NDArray[Any], block_size: int) -> Floats:
    """What ``_blocks`` packed, shape (n_outputs, n_blocks * block_size)."""
    if bits == 4:
        packed = np.stack([packed & 15, packed >> 4], axis=-1)
    n_outputs = len(packed)
    codes = packed.reshape(n_outputs, -1).astype(np.int16) - 2 ** (bits - 1)
    return dequantize(codes.astype(np.int8), scales.reshape(n_outputs, -1), block_size)


def _drop(graph: onnx.GraphProto, names: set[str]) -> None:
    """Remove initializers that no node uses any more."""
    used = {name for node in graph.node for name in node.input} | set(_names_of_inner_graphs(graph.node))
    kept = [tensor for tensor in graph.initializer if tensor.name not in names - used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _names_of_inner_graphs(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    """The names that the branches and loops inside nodes read."""
    for node in nodes:
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from (name for inner in graph.node for name in inner.input)
                yield from _names_of_inner_graphs(graph.node)
