"""The graphs inside a graph: the branches of its conditions. Needs the [train] extra."""

from __future__ import annotations

from collections.abc import Iterator

import onnx


def branches(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs that a node holds."""
    return [each.g for each in node.attribute if each.type == onnx.AttributeProto.GRAPH]


def all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and, recursively, all graphs inside its nodes."""
    yield graph
    for node in graph.node:
        for branch in branches(node):
            yield from all_graphs(branch)
