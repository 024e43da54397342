"""A graph whose upper layers read only the sentences that pruning heads ask for. Needs the [train] extra.

Each head scores sentences by the states between a layer's attention and its feed-forward; those not to be
read leave the graph there, and their tokens get the logit ``DROPPED``. It is up to each run: with
``sentence_ids`` of -1 nothing is left out.
After Block-Skim (Guan et al. 2022, arXiv 2112.08560), with sentences for blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from qa_extractive.inference.backend import DROPPED
from qa_extractive.inference.onnx_inputs import KEEP_ABOVE, SENTENCE_IDS

SKIM_OUTPUT = "skim_logits"
HAS_LIMIT = "skim_has_limit"
"""The name of what decides whether heads are asked."""
SKIM_PREFIX = "skim_"
"""What the pass names its nodes by."""

_SPANS = ("start_logits", "end_logits")
_QUESTION_INPUTS = ("skim_axis", "skim_n_question", "skim_one")  # from where, to where, along which axis


def _join_heads(graph: onnx.GraphProto) -> None:
    """Let pruning heads read the states themselves, in place: without the factor of 1 between them."""
    ones = {tensor.name for tensor in graph.initializer if _is_one(numpy_helper.to_array(tensor))}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            ones |= set(node.output) if _is_one(numpy_helper.to_array(node.attribute[0].t)) else set()
    for factor in [node for node in graph.node if node.op_type == "Mul" and set(node.input) & ones]:
        states = next(name for name in factor.input if name not in ones)
        for node in graph.node:
            node.input[:] = [states if name == factor.output[0] else name for name in node.input]
        graph.node.remove(factor)
        _drop_unread(graph, factor.input)


def _is_one(values: npt.NDArray[Any]) -> bool:
    return values.size == 1 and values.dtype == np.float32 and float(values.reshape(())) == 1.0


def _slice_questions(graph: onnx.GraphProto) -> None:
    """Let pruning heads average the question's states over the first tokens, in place, not by weights.

    The weights are as many as there are tokens to begin with; the question is never left out.
    """
    kinds = {output: node.op_type for node in graph.node for output in node.output}
    nodes = []
    for node in graph.node:
        weights, states = [*node.input, "", ""][:2]
        is_mean = node.op_type == "MatMul" and kinds.get(states) == "LayerNormalization"
        if is_mean and kinds.get(weights, "Constant") != "Constant":
            mean = node.output[0]
            nodes += [
                _node("Slice", [states, *_QUESTION_INPUTS], f"{mean}_of"),
                _node("ReduceMean", [f"{mean}_of"], mean, axes=[1], keepdims=1),
            ]
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _drop_dead(graph: onnx.GraphProto) -> None:
    """Remove nodes of which no output comes, and inputs that nothing reads."""
    read = {output.name for output in graph.output}
    alive = []
    for node in reversed(graph.node):
        if read & set(node.output):
            alive.append(node)
            read |= set(node.input)
    inputs = [each for each in graph.input if each.name in read]
    del graph.node[:]
    graph.node.extend(reversed(alive))
    del graph.input[:]
    graph.input.extend(inputs)


def add_sentence_pruning(model: onnx.ModelProto) -> bool:
    """Cut the graph at each pruning head, in place, if it can be.

    It can where what is above reads nothing of what is below but that head's states: not where layers want
    a mask or relative positions. The graph gains the inputs ``sentence_ids`` (int64, of the shape of
    ``input_ids``, -1 for what is always kept) and ``keep_above`` (float, shape (1,); minus infinity for no
    limit, where no head is computed), and the outputs ``skim_logits_0`` and so on, of the tokens that are
    left at that head. It reads one window a run.

    Returns:
        Whether it was; otherwise the graph only loses the heads' output.
    """
    graph = model.graph
    if all(each.name != SKIM_OUTPUT for each in graph.output):
        return False
    _join_heads(graph)
    _slice_questions(graph)
    _drop_dead(graph)
    heads = _heads(graph)
    _drop_output(graph, SKIM_OUTPUT)
    if not heads or not all(_reads_only(graph, _above(graph, head), head.states) for head in heads):
        _drop_dead(graph)
        return False
    uppers = [_above(graph, head) for head in heads]
    for head, upper in zip(heads, uppers, strict=True):
        _rename_inputs(upper, head.states, f"{head.states}_kept")
    for node in graph.node:
        node.output[:] = [f"{name}_kept" if name in _SPANS else name for name in node.output]
    nodes = list(_with_selections(graph, heads))
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(_constants())
    shape = next(each for each in graph.input if each.name == "input_ids").type.tensor_type.shape
    graph.input.append(helper.make_tensor_value_info(SENTENCE_IDS, TensorProto.INT64, None))
    graph.input[-1].type.tensor_type.shape.CopyFrom(shape)
    graph.input.append(helper.make_tensor_value_info(KEEP_ABOVE, TensorProto.FLOAT, [1]))
    for number in range(len(heads)):
        logits = helper.make_tensor_value_info(
            pruning_output(number), TensorProto.FLOAT, [1, f"tokens_{number}"]
        )
        graph.output.append(logits)
    return True


@dataclass(frozen=True, slots=True)
class _Head:
    """A pruning head in the graph.

    Attributes:
        states: What it reads, the states after its layer.
        logits: What it gives, one number a token.
        nodes: How, in order; constants apart.
    """

    states: str
    logits: str
    nodes: list[onnx.NodeProto]


def _heads(graph: onnx.GraphProto) -> list[_Head]:
    """From the lowest; none where one is not as expected. What puts their logits together is taken out."""
    made_by = {output: node for node in graph.node for output in node.output}
    together = made_by.get(SKIM_OUTPUT)
    if together is None:
        return []
    alone = [made_by[name] for name in together.input] if together.op_type == "Concat" else [together]
    heads = []
    for unsqueeze in alone:
        logits = unsqueeze.input[0]
        states, found = _back_to_states(made_by, logits)
        if states is None:
            return []
        nodes = [node for node in graph.node if any(node is each for each in found)]
        heads.append(_Head(states, logits, nodes))
    for node in {node.name: node for node in [together, *alone]}.values():
        graph.node.remove(node)
        _drop_unread(graph, node.input)
    return heads


def _back_to_states(
    made_by: dict[str, onnx.NodeProto], logits: str
) -> tuple[str | None, list[onnx.NodeProto]]:
    """The normalised states of which a head makes its logits, and its nodes; None where they are not so."""
    nodes: list[onnx.NodeProto] = []
    names, states = [logits], set()
    while names:
        name = names.pop()
        node = made_by.get(name)
        if node is not None and node.op_type == "LayerNormalization":
            states.add(name)
        elif node is not None and node.op_type != "Constant" and not any(node is each for each in nodes):
            nodes.append(node)
            names.extend(node.input)
    return states.pop() if len(states) == 1 else None, nodes


def _drop_unread(graph: onnx.GraphProto, names: Iterable[str]) -> None:
    read = {name for node in graph.node for name in node.input}
    for node in [each for each in graph.node if each.op_type == "Constant"]:
        if node.output[0] in names and node.output[0] not in read:
            graph.node.remove(node)


def _drop_output(graph: onnx.GraphProto, name: str) -> None:
    kept = [each for each in graph.output if each.name != name]
    del graph.output[:]
    graph.output.extend(kept)


def _above(graph: onnx.GraphProto, head: _Head) -> list[onnx.NodeProto]:
    """The nodes that read the states the head reads, and what comes of them, in order; not the head's own."""
    reached = _reached(graph, head.states)
    return [node for node in reached if not any(node is each for each in head.nodes)]


def _reached(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    reached, nodes = {name}, []
    for node in graph.node:
        if reached & set(node.input):
            nodes.append(node)
            reached |= set(node.output)
    return nodes


def _reads_only(graph: onnx.GraphProto, upper: Sequence[onnx.NodeProto], states: str) -> bool:
    constant = {tensor.name for tensor in graph.initializer} | {"", *_QUESTION_INPUTS}
    for node in graph.node:
        if set(node.input) <= constant:
            constant |= set(node.output)
    own = {name for node in upper for name in node.output} | {states} | constant
    return all(set(node.input) <= own for node in upper)


def _rename_inputs(nodes: Sequence[onnx.NodeProto], old: str, new: str) -> None:
    for node in nodes:
        node.input[:] = [new if name == old else name for name in node.input]


def pruning_output(number: int) -> str:
    """The output of the head of that number, from 0."""
    return f"{SKIM_OUTPUT}_{number}"


def _places(number: int) -> str:
    """Where in the window the tokens lie that are left below the head of that number, shape (n_left,)."""
    return f"skim_places_{number}"


def _rows(number: int) -> str:
    """The sentences of these tokens, counted from 1; 0 for what is always kept. Shape (1, n_left)."""
    return f"skim_rows_{number}"


def _with_selections(graph: onnx.GraphProto, heads: Sequence[_Head]) -> Iterator[onnx.NodeProto]:
    """The nodes of the graph, heads in their selections, each right before what it is selected for."""
    selections = {f"{head.states}_kept": _selection(number, head) for number, head in enumerate(heads)}
    own = [node for head in heads for node in head.nodes]
    yield from _beginning()
    for node in graph.node:
        if not any(node is each for each in own):
            for name in set(node.input) & set(selections):
                yield from selections.pop(name)
            yield node
    for name in _SPANS:
        yield from _put_back(name, _places(len(heads)))


def _beginning() -> Iterator[onnx.NodeProto]:
    """What all heads share: is there a limit, the question's length, the sentences' numbers, all tokens."""
    yield _node("Greater", [KEEP_ABOVE, "skim_least"], HAS_LIMIT)
    yield _node("Sub", ["skim_one", "token_type_ids"], "skim_of_question")
    yield _node("ReduceSum", ["skim_of_question", "skim_one"], "skim_n_question", keepdims=0)
    yield _node("Add", [SENTENCE_IDS, "skim_one"], _rows(0))
    yield _node("Size", [SENTENCE_IDS], "skim_n_tokens")
    yield _node("Range", ["skim_zero", "skim_n_tokens", "skim_step"], _places(0))
    yield _node("ReduceMax", [_rows(0)], "skim_highest", keepdims=0)
    yield _node("Max", ["skim_highest", "skim_step"], "skim_last")
    yield _node("Add", ["skim_last", "skim_step"], "skim_end")
    yield _node("Range", ["skim_step", "skim_end", "skim_step"], "skim_numbers")
    yield _node("Unsqueeze", ["skim_numbers", "skim_one"], "skim_sentences")


def _selection(number: int, head: _Head) -> Iterator[onnx.NodeProto]:
    """Asks the head only where there is a limit; then it is the states of what is kept that go on."""
    mine = f"skim_{number}_"
    asked = [*head.nodes, *_kept_places(mine, _rows(number), head.logits)]
    asked += [_node("Gather", [head.states, f"{mine}left_asked"], f"{mine}states_asked", axis=1)]
    not_asked = [_node("Identity", ["skim_nothing"], f"{mine}logits_not"), *_all_places(mine, _rows(number))]
    not_asked += [_node("Identity", [head.states], f"{mine}states_not")]
    branches = {"then_branch": _branch(asked, mine, "asked"), "else_branch": _branch(not_asked, mine, "not")}
    outputs = [pruning_output(number), f"{mine}left", f"{head.states}_kept"]
    yield helper.make_node("If", [HAS_LIMIT], outputs, f"{mine}if", **branches)
    yield _node("Gather", [_rows(number), outputs[1]], _rows(number + 1), axis=1)
    yield _node("Gather", [_places(number), outputs[1]], _places(number + 1), axis=0)


def _branch(nodes: Sequence[onnx.NodeProto], mine: str, which: str) -> onnx.GraphProto:
    outputs = [
        helper.make_tensor_value_info(f"{mine}logits_{which}", TensorProto.FLOAT, None),
        helper.make_tensor_value_info(f"{mine}left_{which}", TensorProto.INT64, None),
        helper.make_tensor_value_info(f"{mine}states_{which}", TensorProto.FLOAT, None),
    ]
    return helper.make_graph(nodes, f"{mine}left_{which}_graph", [], outputs)


def _kept_places(mine: str, rows: str, logits: str) -> Iterator[onnx.NodeProto]:
    """A sentence is kept whose best token scores above the limit, or best of all; so is the question."""
    yield _node("Identity", [logits], f"{mine}logits_asked")
    yield _node("Equal", ["skim_sentences", rows], f"{mine}own")
    yield _node("Where", [f"{mine}own", logits, "skim_dropped"], f"{mine}scores")
    yield _node("ReduceMax", [f"{mine}scores"], f"{mine}best", axes=[1], keepdims=0)
    yield _node("ReduceMax", [f"{mine}best"], f"{mine}top", axes=[0], keepdims=1)
    yield _node("Min", [f"{mine}top", KEEP_ABOVE], f"{mine}limit")
    yield _node("GreaterOrEqual", [f"{mine}best", f"{mine}limit"], f"{mine}asked")
    yield _node("Concat", ["skim_always", f"{mine}asked"], f"{mine}kept_rows", axis=0)
    yield _node("Gather", [f"{mine}kept_rows", rows], f"{mine}kept", axis=0)
    yield _node("NonZero", [f"{mine}kept"], f"{mine}coordinates")
    yield _node("Gather", [f"{mine}coordinates", "skim_step"], f"{mine}left_asked", axis=0)


def _all_places(mine: str, rows: str) -> Iterator[onnx.NodeProto]:
    yield _node("Size", [rows], f"{mine}n_tokens")
    yield _node("Range", ["skim_zero", f"{mine}n_tokens", "skim_step"], f"{mine}left_not")


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], output, **attributes)


def _put_back(name: str, places: str) -> Iterator[onnx.NodeProto]:
    """The logits of the kept tokens in their places."""
    yield helper.make_node("Shape", [SENTENCE_IDS], [f"{name}_shape"], f"{name}_shape")
    yield helper.make_node("Expand", ["skim_dropped", f"{name}_shape"], [f"{name}_empty"], f"{name}_empty")
    yield helper.make_node("Unsqueeze", [places, "skim_axis"], [f"{name}_places"], f"{name}_places")
    inputs = [f"{name}_empty", f"{name}_places", f"{name}_kept"]
    yield helper.make_node("ScatterElements", inputs, [name], f"{name}_scatter", axis=1)


def _constants() -> Iterator[onnx.TensorProto]:
    constants: dict[str, npt.NDArray[Any]] = {
        "skim_dropped": np.array([DROPPED], dtype=np.float32),
        "skim_zero": np.array(0, dtype=np.int64),
        "skim_step": np.array(1, dtype=np.int64),
        "skim_one": np.array([1], dtype=np.int64),
        "skim_axis": np.array([0], dtype=np.int64),
        "skim_always": np.array([True]),
        "skim_least": np.array([np.finfo(np.float32).min], dtype=np.float32),
        "skim_nothing": np.zeros((1, 0), dtype=np.float32),
    }
    for name, values in constants.items():
        yield numpy_helper.from_array(values, name)
