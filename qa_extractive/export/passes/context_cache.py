"""A graph whose lowest layer reads a paper once, for all questions to it. Needs the [train] extra.

The paper's tokens do not see the question in that layer; the question's tokens see both. So what the layer
makes of a paper, its keys and values among it, can be kept. After DeFormer (Cao et al. 2020,
arXiv 2005.00697), with the question seeing the paper in all layers. It is up to each run: where as many
tokens come in as the upper layers read, the graph is as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from qa_extractive.inference.onnx_inputs import (
    KEPT_KEYS_VALUES,
    KEPT_STATES,
    N_POSITIONS,
    PAPER_KEYS_VALUES,
    PAPER_STATES,
    POSITION_IDS,
    SENTENCE_IDS,
)

_POSITIONS = "position_embeddings"
_N_PAST = 9  # inputs of QAttention, the last of which is what came before
_N_READ = "skim_n_tokens"  # of ``add_sentence_pruning``: how many tokens the upper layers read


def add_context_cache(model: onnx.ModelProto) -> bool:
    """Cut the graph after its lowest layer, in place, if possible: an int8 graph with sentence pruning.

    The graph gains the inputs

    - ``position_ids``: int64, of the shape of ``input_ids``;
    - ``paper_states`` and ``paper_keys_values``: what a run gave of a paper, shapes (1, n_paper, hidden)
      and (2, 1, n_heads, n_paper, head size); n_paper is 0 where nothing was kept;

    and the outputs ``kept_states`` and ``kept_keys_values``, of a run whose ``sentence_ids`` are fewer than
    its ``input_ids``: the upper layers then read only so many. Where they are more, the paper follows the
    tokens that came in.

    Returns:
        Whether it was.
    """
    graph = model.graph
    attentions = [node for node in graph.node if node.op_type == "QAttention"]
    position = _position_rows(graph)
    if len(attentions) < 2 or position is None or all(_N_READ not in node.output for node in graph.node):
        return False
    attention, states = attentions[0], _states_read(graph, attentions[1])
    if states is None or len(attention.input) < _N_PAST - 1 or not _is_cut(graph, states):
        return False
    sizes = _sizes(graph, attention)
    for node in _above(graph, states):
        _rename(node, states, f"{states}_joined")
    nodes = []
    for node in graph.node:
        if node is position:
            nodes += [_lookup(position)]
        elif node is attention:
            nodes += _attention(attention)
        else:
            nodes.append(node)
        if states in node.output:
            nodes += _joined(states)
    nodes = [*_beginning(), *(node for node in nodes if _N_READ not in node.output)]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(_constants(*sizes))
    _declare(graph, *sizes)
    rows = next(each for each in graph.initializer if each.name == position.input[0]).dims[0]
    model.metadata_props.add(key=N_POSITIONS, value=str(rows))
    return True


def _position_rows(graph: onnx.GraphProto) -> onnx.NodeProto | None:
    """The node that takes the first rows of the table of positions, which ``quantize_embeddings`` made."""
    tables = {each.name for each in graph.initializer if _POSITIONS in each.name and len(each.dims) == 2}
    found = [node for node in graph.node if node.op_type == "Slice" and node.input[0] in tables]
    return found[0] if len(found) == 1 else None


def _states_read(graph: onnx.GraphProto, attention: onnx.NodeProto) -> str | None:
    """The normalised states that a quantized attention reads."""
    made_by = {output: node for node in graph.node for output in node.output}
    quantized = made_by.get(attention.input[0])
    if quantized is None or quantized.op_type != "DynamicQuantizeLinear":
        return None
    name = quantized.input[0]
    if name in made_by and made_by[name].op_type == "Gather":  # of the sentences that a head keeps
        name = made_by[name].input[0]
    is_found = name in made_by and made_by[name].op_type == "LayerNormalization"
    return str(name) if is_found else None


def _above(graph: onnx.GraphProto, states: str) -> list[onnx.NodeProto]:
    """The nodes of which the states do not come."""
    wanted, below = {states}, []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            below.append(node)
            wanted |= set(node.input)
    return [node for node in graph.node if not any(node is each for each in below)]


def _is_cut(graph: onnx.GraphProto, states: str) -> bool:
    """Whether what is above reads nothing of what is below but the states, constants apart."""
    above = _above(graph, states)
    below = {
        name
        for node in graph.node
        if node.op_type != "Constant" and not any(node is each for each in above)
        for name in node.output
    }
    return not any((set(_read(node)) - {states}) & below for node in above) and not any(
        output.name in below for output in graph.output
    )


def _read(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node reads, and the nodes of its branches."""
    yield from node.input
    for branch in _branches(node):
        for each in branch.node:
            yield from _read(each)


def _rename(node: onnx.NodeProto, old: str, new: str) -> None:
    """Let a node, and those of its branches, read another name."""
    node.input[:] = [new if name == old else name for name in node.input]
    for branch in _branches(node):
        for each in branch.node:
            _rename(each, old, new)


def _branches(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [each.g for each in node.attribute if each.type == onnx.AttributeProto.GRAPH]


def _sizes(graph: onnx.GraphProto, attention: onnx.NodeProto) -> tuple[int, int]:
    """Number of heads, and the size of each."""
    n_heads = next(each.i for each in attention.attribute if each.name == "num_heads")
    weights = next(each for each in graph.initializer if each.name == attention.input[1])
    return n_heads, weights.dims[1] // 3 // n_heads


def _beginning() -> list[onnx.NodeProto]:
    return [
        _node("Size", [SENTENCE_IDS], _N_READ),
        _node("Size", ["input_ids"], "paper_n_tokens"),
        _node("Equal", ["paper_n_tokens", _N_READ], "paper_not_apart"),
    ]


def _lookup(position: onnx.NodeProto) -> onnx.NodeProto:
    return _node("Gather", [position.input[0], POSITION_IDS], position.output[0])


def _attention(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The attention of the lowest layer: over what came in, or over that and what was kept."""
    output = node.output[0]
    whole, apart = onnx.NodeProto(), onnx.NodeProto()
    whole.CopyFrom(node)
    apart.CopyFrom(node)
    whole.output[:] = ["paper_attention_whole"]
    apart.input[:] = [*node.input[: _N_PAST - 1], PAPER_KEYS_VALUES]
    apart.output[:] = ["paper_attention_apart", "paper_keys_values_apart"]
    nothing = _node("Identity", ["paper_nothing"], "paper_keys_values_whole")
    branches = {
        "then_branch": _branch([whole, nothing], "paper_attention_whole", "paper_keys_values_whole"),
        "else_branch": _branch([apart], "paper_attention_apart", "paper_keys_values_apart"),
    }
    return [helper.make_node("If", ["paper_not_apart"], [output, KEPT_KEYS_VALUES], "paper_if", **branches)]


def _joined(states: str) -> list[onnx.NodeProto]:
    """What the upper layers read: the states of what came in, those of the paper after them."""
    same = [_node("Identity", [states], "paper_joined_whole")]
    inputs = ["paper_joined_all", "paper_zero", "paper_n_read", "paper_one"]
    joined = [
        _node("Concat", [states, PAPER_STATES], "paper_joined_all", axis=1),
        _node("Unsqueeze", [_N_READ, "paper_zero"], "paper_n_read"),
        _node("Slice", inputs, "paper_joined_apart"),
    ]
    branches = {
        "then_branch": _branch(same, "paper_joined_whole"),
        "else_branch": _branch(joined, "paper_joined_apart"),
    }
    return [
        helper.make_node("If", ["paper_not_apart"], [f"{states}_joined"], "paper_joined_if", **branches),
        _node("Identity", [states], KEPT_STATES),
    ]


def _branch(nodes: Sequence[onnx.NodeProto], *outputs: str) -> onnx.GraphProto:
    declared = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    return helper.make_graph(nodes, f"{outputs[0]}_graph", [], declared)


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], output, **attributes)


def _constants(n_heads: int, head_size: int) -> Iterator[onnx.TensorProto]:
    yield numpy_helper.from_array(np.array([0], dtype=np.int64), "paper_zero")
    yield numpy_helper.from_array(np.array([1], dtype=np.int64), "paper_one")
    nothing = np.zeros((2, 1, n_heads, 0, head_size), dtype=np.float32)
    yield numpy_helper.from_array(nothing, "paper_nothing")


def _declare(graph: onnx.GraphProto, n_heads: int, head_size: int) -> None:
    """The new inputs and outputs."""
    shape = next(each for each in graph.input if each.name == "input_ids").type.tensor_type.shape
    graph.input.append(helper.make_tensor_value_info(POSITION_IDS, TensorProto.INT64, None))
    graph.input[-1].type.tensor_type.shape.CopyFrom(shape)
    # what is read is longer or shorter than what came in
    read = next(each for each in graph.input if each.name == SENTENCE_IDS).type.tensor_type.shape
    read.dim[1].dim_param = "n_read"
    for output in graph.output:
        for dim in output.type.tensor_type.shape.dim:
            if dim.dim_param == shape.dim[1].dim_param:
                dim.dim_param = "n_read"
    hidden = n_heads * head_size
    graph.input.append(_floats(PAPER_STATES, [1, "n_paper", hidden]))
    graph.input.append(_floats(PAPER_KEYS_VALUES, [2, 1, n_heads, "n_paper", head_size]))
    graph.output.append(_floats(KEPT_STATES, [1, "sequence_length", hidden]))
    graph.output.append(_floats(KEPT_KEYS_VALUES, [2, 1, n_heads, "n_kept", head_size]))


def _floats(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
