"""A graph whose lower layers read a paper once, for all questions to it. Needs the [train] extra.

The paper's tokens do not see the question in these layers; the question's tokens see both. So what the
layers make of a paper, its keys and values among it, can be kept, and so can what its tokens give each other
in the first attention above. After DeFormer (Cao et al. 2020, arXiv 2005.00697), with the question seeing the
paper in all layers. It is up to each run: where as many tokens come in as the upper layers read, the graph is
as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from qa_extractive.export.passes.branches import branches
from qa_extractive.export.passes.sentence_pruning import HAS_LIMIT, SKIM_PREFIX
from qa_extractive.inference.onnx_inputs import (
    KEPT_STATES,
    N_POSITIONS,
    PAPER_ATTENDED,
    PAPER_KEYS,
    PAPER_QUERIES,
    PAPER_SCORES,
    PAPER_STATES,
    PAPER_VALUES,
    POSITION_IDS,
    SENTENCE_IDS,
    kept_output,
    paper_keys_values,
)

_POSITIONS = "position_embeddings"
_N_PAST = 9  # inputs of QAttention, the last of which is what came before
_N_READ = "skim_n_tokens"  # of ``add_sentence_pruning``: how many tokens the upper layers read
_TOGETHER, _LOWER_LIMIT = "paper_not_apart", "paper_lower_limit"
_UPPER = (PAPER_QUERIES, PAPER_KEYS, PAPER_VALUES, PAPER_ATTENDED, PAPER_SCORES)
_SWAPPED, _TURNED = [0, 2, 1, 3], [0, 1, 3, 2]  # tokens and heads; tokens and what they hold


def add_context_cache(model: onnx.ModelProto, n_layers: int = 1) -> bool:
    """Cut the graph after its lowest layers, in place, if possible: an int8 graph with sentence pruning.

    The graph gains the inputs

    - ``position_ids``: int64, of the shape of ``input_ids``;
    - ``paper_states`` and ``paper_keys_values`` (that of layer 2 is ``paper_keys_values_2``, and so on):
      what the layers below gave of a paper, shapes (1, n_paper, hidden) and (2, 1, n_heads, n_paper,
      head size); n_paper is 0 where nothing was kept;
    - ``paper_queries``, ``paper_keys``, ``paper_values``, ``paper_attended`` and ``paper_scores``: what the
      paper's tokens gave each other in the first attention above, shapes (1, n_heads, n_paper, head size), of
      the last (1, n_heads, n_paper, 1);

    and the outputs ``kept_states`` and so on, of a run whose ``sentence_ids`` are fewer than its
    ``input_ids``: the upper layers then read only so many. Where they are more, the paper follows the
    tokens that came in. In both, the pruning heads of the layers below the cut are not asked.

    Args:
        model: The graph.
        n_layers: Layers below the cut, at least 1.

    Returns:
        Whether it was.
    """
    graph = model.graph
    cut = _cut(graph, n_layers)
    if cut is None:
        return False
    _ask_less(graph, cut)
    for node in cut.above:
        _rename(node, cut.states, f"{cut.states}_joined")
    changed = [(cut.position, [_lookup(cut.position)]), (cut.quantized, [])]
    changed += [(node, [_lower_attention(node, number)]) for number, node in enumerate(cut.lower)]
    changed += [(cut.attention, [_upper_attention(cut)])]
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes += next((new for old, new in changed if old is node), [node])
        if cut.states in node.output:
            nodes += _joined(cut.states)
    nodes = [node for node in nodes if not {_N_READ, HAS_LIMIT} & set(node.output)]
    limit = next(node for node in graph.node if HAS_LIMIT in node.output)
    nodes = [limit, *_beginning(), *nodes]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(_constants(cut))
    _declare(graph, cut)
    rows = next(each for each in graph.initializer if each.name == cut.position.input[0]).dims[0]
    model.metadata_props.add(key=N_POSITIONS, value=str(rows))
    return True


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where a graph is cut.

    Attributes:
        position: The node that looks up positions.
        lower: The attention of each layer below the cut.
        states: What the highest of these layers gives.
        above: The nodes of which the states do not come.
        attention: The first attention above the cut.
        quantized: What quantizes the states for it.
        n_heads: Of each attention.
        head_size: The size of each head.
    """

    position: onnx.NodeProto
    lower: list[onnx.NodeProto]
    states: str
    above: list[onnx.NodeProto]
    attention: onnx.NodeProto
    quantized: onnx.NodeProto
    n_heads: int
    head_size: int


def _cut(graph: onnx.GraphProto, n_layers: int) -> _Cut | None:
    """The cut after so many layers; None where the graph cannot be cut there."""
    attentions = [node for node in graph.node if node.op_type == "QAttention"]
    position = _position_rows(graph)
    if len(attentions) <= n_layers or position is None or all(_N_READ not in n.output for n in graph.node):
        return None
    lower, attention = attentions[:n_layers], attentions[n_layers]
    quantized = _quantizer(graph, attention)
    states = None if quantized is None else _states_read(graph, quantized)
    if quantized is None or states is None or any(len(node.input) < _N_PAST - 1 for node in attentions):
        return None
    above = _above(graph, states)
    if not _is_cut(graph, states, above):
        return None
    return _Cut(position, lower, states, above, attention, quantized, *_sizes(graph, attention))


def _position_rows(graph: onnx.GraphProto) -> onnx.NodeProto | None:
    """The node that takes the first rows of the table of positions, which ``quantize_embeddings`` made."""
    tables = {each.name for each in graph.initializer if _POSITIONS in each.name and len(each.dims) == 2}
    found = [node for node in graph.node if node.op_type == "Slice" and node.input[0] in tables]
    return found[0] if len(found) == 1 else None


def _quantizer(graph: onnx.GraphProto, attention: onnx.NodeProto) -> onnx.NodeProto | None:
    """What quantizes the states that an attention reads, and for nothing else."""
    made_by = {output: node for node in graph.node for output in node.output}
    quantized = made_by.get(attention.input[0])
    if quantized is None or quantized.op_type != "DynamicQuantizeLinear":
        return None
    readers = [node for node in graph.node if set(_read(node)) & set(quantized.output)]
    return quantized if len(readers) == 1 else None


def _states_read(graph: onnx.GraphProto, quantized: onnx.NodeProto) -> str | None:
    """The normalised states that are quantized."""
    made_by = {output: node for node in graph.node for output in node.output}
    name = quantized.input[0]
    is_found = name in made_by and made_by[name].op_type == "LayerNormalization"
    return str(name) if is_found else None


def _above(graph: onnx.GraphProto, states: str) -> list[onnx.NodeProto]:
    """The nodes of which the states do not come."""
    wanted, below = {states}, []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            below.append(node)
            wanted |= set(_read(node))
    return [node for node in graph.node if not any(node is each for each in below)]


def _is_cut(graph: onnx.GraphProto, states: str, above: Sequence[onnx.NodeProto]) -> bool:
    """Whether what is above reads nothing of what is below but the states.

    Constants apart, and what tells which sentences are left: it is of all tokens that the upper layers read.
    """
    below = {
        name
        for node in graph.node
        if node.op_type != "Constant" and not any(node is each for each in above)
        for name in node.output
        if not name.startswith(SKIM_PREFIX)
    }
    return not any((set(_read(node)) - {states}) & below for node in above) and not any(
        output.name in below for output in graph.output
    )


def _read(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node reads, and the nodes of its branches."""
    yield from node.input
    for branch in branches(node):
        for each in branch.node:
            yield from _read(each)


def _rename(node: onnx.NodeProto, old: str, new: str) -> None:
    """Let a node, and those of its branches, read another name."""
    node.input[:] = [new if name == old else name for name in node.input]
    for branch in branches(node):
        for each in branch.node:
            _rename(each, old, new)


def _sizes(graph: onnx.GraphProto, attention: onnx.NodeProto) -> tuple[int, int]:
    """Number of heads, and the size of each."""
    n_heads = next(each.i for each in attention.attribute if each.name == "num_heads")
    weights = next(each for each in graph.initializer if each.name == attention.input[1])
    return n_heads, weights.dims[1] // 3 // n_heads


def _ask_less(graph: onnx.GraphProto, cut: _Cut) -> None:
    """Have the pruning heads below the cut asked in whole windows only."""
    for node in graph.node:
        if not any(node is each for each in cut.above):
            node.input[:] = [_LOWER_LIMIT if name == HAS_LIMIT else name for name in node.input]


def _beginning() -> list[onnx.NodeProto]:
    return [
        _node("Size", [SENTENCE_IDS], _N_READ),
        _node("Size", ["input_ids"], "paper_n_tokens"),
        _node("Equal", ["paper_n_tokens", _N_READ], _TOGETHER),
        _node("And", [HAS_LIMIT, _TOGETHER], _LOWER_LIMIT),
    ]


def _lookup(position: onnx.NodeProto) -> onnx.NodeProto:
    return _node("Gather", [position.input[0], POSITION_IDS], position.output[0])


def _lower_attention(node: onnx.NodeProto, number: int) -> onnx.NodeProto:
    """An attention below the cut: over what came in, or over that and what was kept."""
    name = paper_keys_values(number)
    whole, apart = onnx.NodeProto(), onnx.NodeProto()
    whole.CopyFrom(node)
    apart.CopyFrom(node)
    whole.output[:] = [f"{name}_attention_whole"]
    apart.input[:] = [*node.input[: _N_PAST - 1], name]
    apart.output[:] = [f"{name}_attention_apart", f"{name}_apart"]
    nothing = _node("Identity", ["paper_nothing"], f"{name}_whole")
    return _if(
        [whole, nothing],
        [apart],
        (f"{name}_attention", node.output[0]),
        (name, kept_output(name)),
    )


def _upper_attention(cut: _Cut) -> onnx.NodeProto:
    """The first attention above the cut: as it was, or with what was kept of the paper's."""
    node = cut.attention
    whole = onnx.NodeProto()
    whole.CopyFrom(node)
    whole.output[:] = ["paper_upper_whole"]
    nothing = [_node("Identity", ["paper_no_heads"], f"{name}_whole") for name in _UPPER]
    return _if(
        [cut.quantized, whole, *nothing],
        [*_own_heads(cut), *_own_attended(), *_paper_attended(), *_upper_output()],
        ("paper_upper", node.output[0]),
        *((name, kept_output(name)) for name in _UPPER),
    )


def _own_heads(cut: _Cut) -> Iterator[onnx.NodeProto]:
    """Queries, keys and values of what came in, by heads, shape (1, n_heads, n_tokens, head size)."""
    _, weights, bias, _, scale, *_ = cut.attention.input
    own = [f"paper_own_{part}" for part in ("quantized", "scale", "zero")]
    thirds = [f"paper_own_third_{number}" for number in range(3)]
    yield helper.make_node("DynamicQuantizeLinear", [cut.states], own, "paper_own")
    yield _node("MatMulInteger", [own[0], weights, own[2], cut.attention.input[7]], "paper_own_sums")
    yield _node("Cast", ["paper_own_sums"], "paper_own_floats", to=TensorProto.FLOAT)
    yield _node("Mul", [own[1], scale], "paper_own_scales")
    yield _node("Mul", ["paper_own_floats", "paper_own_scales"], "paper_own_scaled")
    yield _node("Add", ["paper_own_scaled", bias], "paper_own_products")
    yield helper.make_node("Split", ["paper_own_products", "paper_thirds"], thirds, "paper_split", axis=2)
    heads = ["paper_own_unscaled", f"{PAPER_KEYS}_apart", f"{PAPER_VALUES}_apart"]
    for third, name in zip(thirds, heads, strict=True):
        yield _node("Reshape", [third, "paper_by_heads"], f"{name}_rows")
        yield _node("Transpose", [f"{name}_rows"], name, perm=_SWAPPED)
    yield _node("Mul", [heads[0], "paper_root"], f"{PAPER_QUERIES}_apart")


def _own_attended() -> Iterator[onnx.NodeProto]:
    """What came in attends to itself and to what was kept."""
    queries, keys, values = (f"{name}_apart" for name in (PAPER_QUERIES, PAPER_KEYS, PAPER_VALUES))
    yield _node("Concat", [keys, PAPER_KEYS], "paper_all_keys", axis=2)
    yield _node("Concat", [values, PAPER_VALUES], "paper_all_values", axis=2)
    yield _node("Transpose", ["paper_all_keys"], "paper_all_keys_turned", perm=_TURNED)
    yield _node("MatMul", [queries, "paper_all_keys_turned"], "paper_own_scores")
    yield _node("Softmax", ["paper_own_scores"], "paper_own_weights", axis=3)
    # the logarithm of the sum of the exponentials, of the largest score and its weight: a sixth of the time
    yield _node("ReduceMax", ["paper_own_scores"], "paper_own_best", axes=[3], keepdims=1)
    yield _node("ReduceMax", ["paper_own_weights"], "paper_own_share", axes=[3], keepdims=1)
    yield _node("Log", ["paper_own_share"], "paper_own_log")
    yield _node("Sub", ["paper_own_best", "paper_own_log"], f"{PAPER_SCORES}_apart")
    yield _node("MatMul", ["paper_own_weights", "paper_all_values"], f"{PAPER_ATTENDED}_apart")


def _paper_attended() -> Iterator[onnx.NodeProto]:
    """What was kept attends to what came in, and to itself: as to one more token, which stands for it all.

    Its score is the logarithm of the sum of the exponentials of theirs, its value what they gave together.
    """
    keys, values = f"{PAPER_KEYS}_apart", f"{PAPER_VALUES}_apart"
    yield _node("Transpose", [keys], "paper_own_keys_turned", perm=_TURNED)
    yield _node("MatMul", [PAPER_QUERIES, "paper_own_keys_turned"], "paper_new_scores")
    yield _node("Concat", ["paper_new_scores", PAPER_SCORES], "paper_scores_of_both", axis=3)
    yield _node("Softmax", ["paper_scores_of_both"], "paper_weights_of_both", axis=3)
    last = ["paper_minus_one", "paper_end", "paper_three"]
    yield _node("Slice", ["paper_weights_of_both", "paper_zero", *last[::2]], "paper_new_weights")
    yield _node("Slice", ["paper_weights_of_both", *last], "paper_old_weights")
    yield _node("MatMul", ["paper_new_weights", values], "paper_new_attended")
    yield _node("Mul", ["paper_old_weights", PAPER_ATTENDED], "paper_old_attended")
    yield _node("Add", ["paper_new_attended", "paper_old_attended"], "paper_both_attended")


def _upper_output() -> Iterator[onnx.NodeProto]:
    """The heads of the tokens that the layer reads, put together again."""
    own = [f"{PAPER_ATTENDED}_apart", "paper_zero", "paper_n_read", "paper_two"]
    yield _node("Unsqueeze", [_N_READ, "paper_zero"], "paper_n_read")
    yield _node("Slice", own, "paper_read_own")
    yield _node("Concat", ["paper_read_own", "paper_both_attended"], "paper_all_attended", axis=2)
    yield _node("Transpose", ["paper_all_attended"], "paper_all_rows", perm=_SWAPPED)
    yield _node("Reshape", ["paper_all_rows", "paper_together"], "paper_upper_apart")


def _joined(states: str) -> list[onnx.NodeProto]:
    """What the upper layers read: the states of what came in, those of the paper after them."""
    same = [_node("Identity", [states], "paper_joined_whole")]
    own = [states, "paper_zero", "paper_n_joined", "paper_one"]
    joined = [
        _node("Unsqueeze", [_N_READ, "paper_zero"], "paper_n_joined"),
        _node("Slice", own, "paper_joined_own"),
        _node("Concat", ["paper_joined_own", PAPER_STATES], "paper_joined_apart", axis=1),
    ]
    return [
        _if(same, joined, ("paper_joined", f"{states}_joined")),
        _node("Identity", [states], KEPT_STATES),
    ]


def _if(
    whole: Sequence[onnx.NodeProto], apart: Sequence[onnx.NodeProto], *outputs: tuple[str, str]
) -> onnx.NodeProto:
    """One or the other; ``outputs`` are names in the branches, without "_whole" or "_apart", and outside."""
    inner = [name for name, _ in outputs]
    both = {"then_branch": _branch(whole, inner, "whole"), "else_branch": _branch(apart, inner, "apart")}
    return helper.make_node("If", [_TOGETHER], [name for _, name in outputs], f"{inner[0]}_if", **both)


def _branch(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], which: str) -> onnx.GraphProto:
    declared = [helper.make_tensor_value_info(f"{n}_{which}", TensorProto.FLOAT, None) for n in outputs]
    return helper.make_graph(nodes, f"{outputs[0]}_{which}_graph", [], declared)


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], output, **attributes)


def _constants(cut: _Cut) -> Iterator[onnx.TensorProto]:
    hidden = cut.n_heads * cut.head_size
    whole: dict[str, list[int]] = {
        "paper_zero": [0],
        "paper_one": [1],
        "paper_two": [2],
        "paper_three": [3],
        "paper_minus_one": [-1],
        "paper_end": [np.iinfo(np.int64).max],
        "paper_thirds": [hidden] * 3,
        "paper_by_heads": [1, -1, cut.n_heads, cut.head_size],
        "paper_together": [1, -1, hidden],
    }
    for name, values in whole.items():
        yield numpy_helper.from_array(np.array(values, dtype=np.int64), name)
    floats: dict[str, npt.NDArray[Any]] = {
        "paper_root": np.array(cut.head_size**-0.5),
        "paper_nothing": np.zeros((2, 1, cut.n_heads, 0, cut.head_size)),
        "paper_no_heads": np.zeros((1, cut.n_heads, 0, cut.head_size)),
    }
    for name, number in floats.items():
        yield numpy_helper.from_array(number.astype(np.float32), name)


def _declare(graph: onnx.GraphProto, cut: _Cut) -> None:
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
    hidden = cut.n_heads * cut.head_size
    kept: dict[str, tuple[list[int], list[int]]] = {PAPER_STATES: ([1], [hidden])}
    for number in range(len(cut.lower)):
        kept[paper_keys_values(number)] = ([2, 1, cut.n_heads], [cut.head_size])
    kept |= dict.fromkeys(_UPPER, ([1, cut.n_heads], [cut.head_size]))
    kept[PAPER_SCORES] = ([1, cut.n_heads], [1])
    for name, (before, after) in kept.items():
        graph.input.append(_floats(name, [*before, "n_paper", *after]))
        given = "sequence_length" if name == PAPER_STATES else "n_kept"
        graph.output.append(_floats(kept_output(name), [*before, given, *after]))


def _floats(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
