"""Attention in blocks: separate products for queries, keys and values, then ``MultiHeadAttention``.

onnxruntime's ``MultiHeadAttention`` computes scores, softmax and sums block by block, in the CPU's cache
(flash attention, Dao et al. 2022, arXiv 2205.14135); ``QAttention`` writes all scores out, which takes longer
from some 250 tokens on (``benchmarks/results/NOTES-speed.md``). Needs the [train] extra.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from qa_extractive.export.passes.branches import all_graphs

THIRDS = ("_query", "_key", "_value")
"""Endings of the names of the three parts of a fused initializer."""

Array = npt.NDArray[Any]

_WEIGHTS, _BIAS, _SCALE, _MASK, _ZERO, _PAST = 1, 2, 4, 5, 7, 8  # places among the inputs of QAttention
_KNOWN = {"num_heads", "scale", "mask_filter_value"}


def use_flash_attention(model: onnx.ModelProto) -> None:
    """Take each ``QAttention`` apart that reads a window whole, in place: the same sums in other nodes.

    Weights that nothing else reads are stored as three, so that nothing has to be split in a run.
    """
    graph = model.graph
    graphs = list(all_graphs(graph))
    read = Counter(name for each in graphs for node in each.node for name in node.input)
    fused = {tensor.name: tensor for tensor in graph.initializer}
    stored: dict[str, list[onnx.TensorProto]] = {}
    for each in reversed(graphs):  # inner ones first: a graph that gets new nodes copies all of its own
        nodes: list[onnx.NodeProto] = []
        for node in each.node:
            if not _reads_a_window(node, fused):
                nodes.append(node)
            elif all(read[name] == 1 for name in _constants(node)):
                stored |= dict(_thirds(node, fused))
                nodes += _by_thirds(node, stored)
            else:
                sizes = _sizes(node, fused)
                graph.initializer.append(sizes)
                nodes += _split(node, sizes.name)
        del each.node[:]
        each.node.extend(nodes)
    kept = [tensor for tensor in graph.initializer if tensor.name not in stored]
    del graph.initializer[:]
    graph.initializer.extend([*kept, *(third for thirds in stored.values() for third in thirds)])


def joined_thirds(tensors: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    """Name and values of each fused initializer of which all three parts are given."""
    for name in tensors:
        fused = name.removesuffix(THIRDS[0])
        names = [fused + third for third in THIRDS]
        if fused != name and all(each in tensors for each in names):
            yield fused, np.concatenate([tensors[each] for each in names], axis=-1)


def _reads_a_window(node: onnx.NodeProto, fused: Mapping[str, onnx.TensorProto]) -> bool:
    """Whether it is an attention without a mask, that neither reads nor gives what came before."""
    return (
        node.op_type == "QAttention"
        and len(node.output) == 1
        and len(node.input) > _ZERO
        and not any(name for place, name in enumerate(node.input) if place in (_MASK, _PAST))
        and all(name in fused for name in _constants(node))
        and {each.name for each in node.attribute} <= _KNOWN
    )


def _thirds(
    node: onnx.NodeProto, fused: Mapping[str, onnx.TensorProto]
) -> Iterator[tuple[str, list[onnx.TensorProto]]]:
    """The thirds of each initializer that has one value or more for each column."""
    n_columns = fused[node.input[_WEIGHTS]].dims[-1]
    for name in _constants(node):
        if fused[name].dims and fused[name].dims[-1] == n_columns:
            parts = np.split(numpy_helper.to_array(fused[name]), len(THIRDS), axis=-1)
            yield (
                name,
                [
                    numpy_helper.from_array(np.ascontiguousarray(part), name + third)
                    for part, third in zip(parts, THIRDS, strict=True)
                ],
            )


def _constants(node: onnx.NodeProto) -> tuple[str, str, str, str]:
    """Weights, their scales, their zero points and the bias."""
    return node.input[_WEIGHTS], node.input[_SCALE], node.input[_ZERO], node.input[_BIAS]


def _sizes(node: onnx.NodeProto, fused: Mapping[str, onnx.TensorProto]) -> onnx.TensorProto:
    """How many columns the queries, the keys and the values have."""
    width = fused[node.input[_WEIGHTS]].dims[-1] // len(THIRDS)
    return numpy_helper.from_array(np.full(len(THIRDS), width, dtype=np.int64), f"{node.output[0]}_widths")


def _by_thirds(
    node: onnx.NodeProto, stored: Mapping[str, list[onnx.TensorProto]]
) -> Iterator[onnx.NodeProto]:
    """The nodes of an attention whose constants are stored as thirds."""
    parts = [f"{node.output[0]}{third}" for third in THIRDS]
    for part, third in zip(parts, THIRDS, strict=True):
        names = [name + third if name in stored else name for name in _constants(node)]
        yield from _product(node, names, part)
    yield _attention(node, parts)


def _split(node: onnx.NodeProto, sizes: str) -> Iterator[onnx.NodeProto]:
    """The nodes of an attention whose product is taken whole, since another node reads its weights too."""
    whole = f"{node.output[0]}_projected"
    parts = [f"{node.output[0]}{third}" for third in THIRDS]
    yield from _product(node, _constants(node), whole)
    yield helper.make_node("Split", [whole, sizes], parts, f"{whole}_Split", axis=-1)
    yield _attention(node, parts)


def _product(node: onnx.NodeProto, constants: Iterable[str], output: str) -> Iterator[onnx.NodeProto]:
    """The nodes of one product, which onnxruntime fuses into one."""
    weights, weight_scale, weight_zero, bias = constants
    values, scale, zero = node.input[0], node.input[3], node.input[6]
    yield _node("MatMulInteger", [values, weights, zero, weight_zero], f"{output}_sums")
    yield _node("Cast", [f"{output}_sums"], f"{output}_floats", to=TensorProto.FLOAT)
    yield _node("Mul", [scale, weight_scale], f"{output}_scales")
    yield _node("Mul", [f"{output}_floats", f"{output}_scales"], f"{output}_scaled")
    yield _node("Add", [f"{output}_scaled", bias], output)


def _attention(node: onnx.NodeProto, parts: list[str]) -> onnx.NodeProto:
    settings = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    kept = {name: settings[name] for name in ("num_heads", "scale") if name in settings}
    return helper.make_node(
        "MultiHeadAttention", parts, [node.output[0]], node.name, domain="com.microsoft", **kept
    )


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], output, **attributes)
