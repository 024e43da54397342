"""A graph whose upper layers read only the sentences that the skim head asks for. Needs the [train] extra.

The head scores sentences by the states of a lower layer; the others leave the graph there, and their tokens
get the logit ``DROPPED``. It is up to each run: with ``sentence_ids`` of -1 nothing is left out.
After Block-Skim (Guan et al. 2022, arXiv 2112.08560), with sentences for blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from qa_extractive.backend import DROPPED
from qa_extractive.config import SkimConfig
from qa_extractive.onnx_backend import KEEP_ABOVE, MODEL_FILE, SENTENCE_IDS, skim_feed
from qa_extractive.records import Example
from qa_extractive.windows import LabelledWindow, Windower, label_windows

SKIM_OUTPUT = "skim_logits"
RECALL = 0.98
"""Share of the right spans that a threshold is to keep whole."""

_LEAST_SPANS = 50  # of which a threshold can be told
_PLACES = "skim_places"


def add_skimming(model: onnx.ModelProto) -> bool:
    """Cut the graph after the layer of the skim head, in place, if it can be.

    It can where the upper layers read nothing of the lower ones but that layer's states: not where they want
    a mask or relative positions. The graph gains the inputs ``sentence_ids`` (int64, of the shape of
    ``input_ids``, -1 for what is always kept) and ``keep_above`` (float, shape (1,)), and reads one window a
    run.

    Returns:
        Whether it was; otherwise the graph only loses the head's output.
    """
    graph = model.graph
    product = _product(graph)
    if product is None:
        return False
    states = product.input[0]
    upper = _above(graph, product)
    if not _reads_only(graph, upper, states):
        kept = [each for each in graph.output if each.name != SKIM_OUTPUT]
        del graph.output[:]
        graph.output.extend(kept)
        return False
    for node in upper:
        node.input[:] = [f"{states}_kept" if name == states else name for name in node.input]
    spans = ("start_logits", "end_logits")
    for node in upper:
        node.output[:] = [f"{name}_kept" if name in spans else name for name in node.output]
    lower = [node for node in graph.node if not any(node is each for each in upper)]
    put_back = [node for name in spans for node in _put_back(name)]
    del graph.node[:]
    graph.node.extend([*lower, *_selection(states), *upper, *put_back])
    graph.initializer.extend(_constants())
    shape = next(each for each in graph.input if each.name == "input_ids").type.tensor_type.shape
    graph.input.append(helper.make_tensor_value_info(SENTENCE_IDS, TensorProto.INT64, None))
    graph.input[-1].type.tensor_type.shape.CopyFrom(shape)
    graph.input.append(helper.make_tensor_value_info(KEEP_ABOVE, TensorProto.FLOAT, [1]))
    return True


def _product(graph: onnx.GraphProto) -> onnx.NodeProto | None:
    """Where the skim head begins: states times its weights; None where the graph has none."""
    made_by = {output: node for node in graph.node for output in node.output}
    node = made_by.get(SKIM_OUTPUT)
    while node is not None and node.op_type != "Mul":
        node = next((made_by[name] for name in node.input if name in made_by), None)
    return node


def _above(graph: onnx.GraphProto, product: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The nodes that read the states the head reads, and what comes of them, in order; not the head's own."""
    head = [product, *_reached(graph, product.output[0])]
    return [node for node in _reached(graph, product.input[0]) if not any(node is each for each in head)]


def _reached(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    reached, nodes = {name}, []
    for node in graph.node:
        if reached & set(node.input):
            nodes.append(node)
            reached |= set(node.output)
    return nodes


def _reads_only(graph: onnx.GraphProto, upper: Sequence[onnx.NodeProto], states: str) -> bool:
    constant = {tensor.name for tensor in graph.initializer} | {""}
    for node in graph.node:
        if set(node.input) <= constant:
            constant |= set(node.output)
    own = {name for node in upper for name in node.output} | {states} | constant
    return all(set(node.input) <= own for node in upper)


def _selection(states: str) -> Iterator[onnx.NodeProto]:
    """A sentence is kept whose best token scores above the limit, or best of all; so is the question."""

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
        return helper.make_node(kind, inputs, [output], output, **attributes)

    yield node("Unsqueeze", [SENTENCE_IDS, "skim_two"], "skim_rows")
    yield node("Unsqueeze", [SENTENCE_IDS, "skim_one"], "skim_columns")
    yield node("Equal", ["skim_rows", "skim_columns"], "skim_same")
    yield node("Unsqueeze", [SKIM_OUTPUT, "skim_one"], "skim_scores")
    yield node("Where", ["skim_same", "skim_scores", "skim_dropped"], "skim_own")
    yield node("ReduceMax", ["skim_own"], "skim_best", axes=[2], keepdims=0)
    yield node("Less", [SENTENCE_IDS, "skim_zero"], "skim_outside")
    yield node("Where", ["skim_outside", "skim_dropped", "skim_best"], "skim_inside")
    yield node("ReduceMax", ["skim_inside"], "skim_top", axes=[1], keepdims=1)
    yield node("Min", ["skim_top", KEEP_ABOVE], "skim_limit")
    yield node("GreaterOrEqual", ["skim_inside", "skim_limit"], "skim_asked")
    yield node("Or", ["skim_asked", "skim_outside"], "skim_kept")
    yield node("NonZero", ["skim_kept"], "skim_coordinates")
    yield node("Gather", ["skim_coordinates", "skim_column"], _PLACES, axis=0)
    yield node("Gather", [states, _PLACES], f"{states}_kept", axis=1)


def _put_back(name: str) -> Iterator[onnx.NodeProto]:
    """The logits of the kept tokens in their places."""
    yield helper.make_node("Shape", [SENTENCE_IDS], [f"{name}_shape"], f"{name}_shape")
    yield helper.make_node("Expand", ["skim_dropped", f"{name}_shape"], [f"{name}_empty"], f"{name}_empty")
    yield helper.make_node("Unsqueeze", [_PLACES, "skim_first"], [f"{name}_places"], f"{name}_places")
    inputs = [f"{name}_empty", f"{name}_places", f"{name}_kept"]
    yield helper.make_node("ScatterElements", inputs, [name], f"{name}_scatter", axis=1)


def _constants() -> Iterator[onnx.TensorProto]:
    constants: dict[str, npt.NDArray[Any]] = {
        "skim_dropped": np.array([DROPPED], dtype=np.float32),
        "skim_zero": np.array([0], dtype=np.int64),
        "skim_first": np.array([0], dtype=np.int64),
        "skim_one": np.array([1], dtype=np.int64),
        "skim_two": np.array([2], dtype=np.int64),
        "skim_column": np.array(1, dtype=np.int64),
    }
    for name, values in constants.items():
        yield numpy_helper.from_array(values, name)


def choose_threshold(folder: Path, windower: Windower, examples: Sequence[Example]) -> SkimConfig | None:
    """The limit of the scores that keeps ``RECALL`` of the right spans whole; None where they are too few.

    Args:
        folder: Of a graph that ``add_skimming`` cut.
        windower: Tells sentences.
        examples: Labelled ones, not trained on.
    """
    session = ort.InferenceSession(str(folder / MODEL_FILE), providers=["CPUExecutionProvider"])
    labelled = label_windows(windower, examples)
    scores = [_right_score(session, each) for each in labelled if each.positions]
    return SkimConfig(float(np.quantile(scores, 1 - RECALL))) if len(scores) >= _LEAST_SPANS else None


def _right_score(session: ort.InferenceSession, labelled: LabelledWindow) -> float:
    """The score that keeps one right span of a window whole: that of its worst sentence."""
    window, sentences = labelled.window, labelled.window.sentences
    if sentences is None:
        raise ValueError("windows without sentences")
    feed = {"input_ids": window.token_ids[None], "token_type_ids": window.type_ids[None]}
    known = {each.name for each in session.get_inputs()}
    feed = {name: values for name, values in feed.items() if name in known} | skim_feed(window, None)
    logits = session.run([SKIM_OUTPUT], feed)[0][0][window.first : window.first + window.n_context_tokens]
    best = {number: float(logits[sentences == number].max()) for number in np.unique(sentences)}
    spans = [sentences[first - window.first : last + 1 - window.first] for first, last in labelled.positions]
    return max(min(best[number] for number in span) for span in spans)
