"""The fused graph in nodes whose kernels are quick: the same sums in other nodes. Needs the [train] extra.

onnxruntime's CPU kernels of some fused nodes are slower than those of the nodes they were fused from;
``benchmarks/results/NOTES-speed.md`` has the times.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import helper

_MASK = "attention_mask"
_MASK_OF_QATTENTION = 5


def use_quick_kernels(model: onnx.ModelProto, *, approximate_gelu: bool) -> None:
    """Take normalisations and activations that were fused with sums apart again, in place.

    - ``SkipLayerNormalization`` becomes sums and ``LayerNormalization``; ``OnnxBackend`` opens the graph
      without the optimizer that might fuse them again;
    - ``BiasGelu`` becomes a sum and ``Gelu``: the sum then goes into the product before it.

    Args:
        model: A fused graph.
        approximate_gelu: Whether to take GELU by the hyperbolic tangent, which differs by less than 0.0005;
            for graphs whose activations are rounded to 8 bits anyway.
    """
    graph = model.graph
    nodes = [each for node in graph.node for each in _apart(node, approximate_gelu)]
    del graph.node[:]
    graph.node.extend(nodes)


def drop_mask(model: onnx.ModelProto) -> None:
    """Let each ``QAttention`` see all tokens, in place: a run is one window, which is never padded.

    The graph loses its input ``attention_mask`` where nothing else reads it.
    """
    graph = model.graph
    for node in graph.node:
        if node.op_type == "QAttention" and len(node.input) > _MASK_OF_QATTENTION:
            node.input[_MASK_OF_QATTENTION] = ""
    _drop_unread(graph, _MASK)


def _drop_unread(graph: onnx.GraphProto, name: str) -> None:
    """Remove an input and the nodes that only it reaches, if none of them is read by anything else."""
    outputs = {output.name for output in graph.output}
    readers = [node for node in graph.node if name in node.input]
    made = {output for node in readers for output in node.output}
    if made & outputs or any(made & set(node.input) for node in graph.node):
        return
    for node in readers:
        graph.node.remove(node)
    kept = [each for each in graph.input if each.name != name]
    del graph.input[:]
    graph.input.extend(kept)


def _apart(node: onnx.NodeProto, approximate_gelu: bool) -> Iterator[onnx.NodeProto]:
    if node.op_type == "SkipLayerNormalization" and len(node.output) == 1:
        yield from _normalisation(node)
    elif node.op_type == "BiasGelu":
        yield from _gelu(node, "FastGelu" if approximate_gelu else "Gelu")
    else:
        yield node


def _normalisation(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    values, skip, gamma, *more = node.input
    name = node.name or node.output[0]
    beta, bias = [*more, "", ""][:2]
    if bias:
        yield helper.make_node("Add", [values, bias], [f"{name}_biased"], f"{name}_bias_Add")
        values = f"{name}_biased"
    yield helper.make_node("Add", [values, skip], [f"{name}_sum"], f"{name}_Add")
    inputs = [f"{name}_sum", gamma, *([beta] if beta else [])]
    epsilon = {a.name: a.f for a in node.attribute if a.name == "epsilon"}
    yield helper.make_node("LayerNormalization", inputs, [node.output[0]], name, axis=-1, **epsilon)


def _gelu(node: onnx.NodeProto, kind: str) -> Iterator[onnx.NodeProto]:
    values, bias = node.input
    name = node.name or node.output[0]
    yield helper.make_node("Add", [values, bias], [f"{name}_biased"], f"{name}_Add")
    yield helper.make_node(kind, [f"{name}_biased"], [node.output[0]], name, domain="com.microsoft")
