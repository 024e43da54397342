"""The forms in which an int8 graph can be run: as it is stored, with exact sums on every CPU, or in float.

Products of unsigned activations and signed weights (U8S8) are added in pairs, in 16 bits, where a CPU has
AVX2 or AVX-512 without VNNI: what does not fit is cut off, and the answers are others. Weights that an export
wrote always fit (``export/passes/pair_sums.py``). Those of older and of other files are made unsigned where
they might not, whose products are added in 32 bits, in 1.2 times the time; onnxruntime's option
``session.x64quantprecision`` does so too, but does not reach weights that are read inside a branch, as those
of the lowest layer and of the pruning heads are. The sums are exact then, on every CPU, and equal.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from qa_extractive._utils.onnx_fields import INT8, UINT8, Codes, Graph, Node, Tensor, rewritten, tensor
from qa_extractive._utils.protobuf import VARINT, Field, message, serialize, text

QUANTIZED_OPERATORS: Final = (b"MatMulInteger", b"QAttention", b"MatMulNBits")
"""Which of these names a file must hold for one of its forms to differ from it."""

_MICROSOFT: Final = "com.microsoft"
_WEIGHTS: Final = 1  # place of the weights among the inputs
_ZERO_POINTS: Final = {"MatMulInteger": 3, "QAttention": 7}  # place of their zero points
_SIGN: Final = 128
MOST_IN_A_PAIR: Final = 128
"""The most that two neighbouring weights may add up to: 255 times it fits into 16 bits."""
_FP32_PRODUCTS: Final = 1  # accuracy_level of MatMulNBits


def unsigned_weights(model: bytes) -> bytes:
    """An int8 model whose integer products have unsigned weights: the same sums, exact on every CPU.

    Raises:
        ValueError: It is no model.
    """
    return rewritten(model, lambda graph: _make_unsigned(graph, _signed_weights(graph)))


def exact_weights(model: bytes) -> bytes:
    """The same, but of those weights only that could overflow in 16 bits; the model itself where none could.

    Raises:
        ValueError: It is no model.
    """
    found: list[Tensor] = []

    def change(graph: Graph) -> None:
        found.extend(weights for weights in _signed_weights(graph) if _can_overflow(weights))
        _make_unsigned(graph, found)

    changed = rewritten(model, change)
    return changed if found else model


def largest_pairs(weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The largest absolute sum of two neighbours in each column, which a CPU may add in 16 bits.

    Args:
        weights: Codes, or weights in steps of their scales, shape (depth, n_columns).

    Returns:
        Shape (n_columns,), of the largest weight where there is but one. Of weights of unlike signs only
        one can be multiplied by what is not zero, and the larger counts.
    """
    wide = weights.astype(np.int16 if weights.dtype == np.int8 else weights.dtype)
    odd = wide[-1:] if len(wide) % 2 else wide[:0]
    pairs = np.abs(wide[0 : len(wide) - len(odd) : 2] + wide[1::2])
    alone = np.abs(wide).max(axis=0, initial=0)
    largest: npt.NDArray[Any] = np.maximum(pairs.max(axis=0, initial=0), alone)
    return largest


def float_products(model: bytes) -> bytes:
    """A quantized model that multiplies in float, by the same stored weights.

    The weights stay stored in 8 or 4 bits: onnxruntime widens them once, when it loads the graph. Models
    that multiply in float anyway stay as they are.

    Raises:
        ValueError: It is no model, or weights have zero points that are not zero.
    """
    return rewritten(model, _make_float)


@functools.cache
def sums_saturate() -> bool:
    """Whether this CPU cuts off sums of unsigned activations and signed weights: tried, in a millisecond."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(_probe(), options, providers=["CPUExecutionProvider"])
    (sums,) = session.run(None, {"a": np.full((_PROBE_ROWS, _PROBE_DEPTH), 255, dtype=np.uint8)})
    return bool((sums != 255 * 127 * _PROBE_DEPTH).any())


# ---------------------------------------------------------------- unsigned weights


def _signed_weights(graph: Graph) -> list[Tensor]:
    """The signed weights of integer products, branches' too."""
    graphs = list(graph.all())
    names = {
        _input(node, _WEIGHTS) for each in graphs for node in each.nodes if node.operator in _ZERO_POINTS
    }
    return [each.tensors[name] for each in graphs for name in names if _is_signed(each, name)]


def _make_unsigned(graph: Graph, weights: Iterable[Tensor]) -> None:
    """Have products read some of the signed weights as unsigned ones, in place."""
    graphs = list(graph.all())
    wanted = {each.name for each in weights}
    nodes = [
        node
        for each in graphs
        for node in each.nodes
        if node.operator in _ZERO_POINTS and _input(node, _WEIGHTS) in wanted
    ]
    signed = {
        name
        for node in nodes
        for name in (_input(node, _WEIGHTS), _input(node, _ZERO_POINTS[node.operator]))
        if name and any(_is_signed(each, name) for each in graphs)
    }
    for each in graphs:
        for name in signed & set(each.tensors):
            old = each.tensors[name]
            new = old.recoded(_unsigned_name(name), UINT8, old.codes() ^ np.uint8(_SIGN))
            each.tensors[new.name] = new
    for node in nodes:
        _read_unsigned(graph, node, signed)
    for each in graphs:
        _drop_unused(each, graphs, signed)


def _can_overflow(weights: Tensor) -> bool:
    """Whether a CPU that adds pairs in 16 bits could cut a sum off."""
    codes = weights.codes().view(np.int8).reshape(weights.shape)
    return bool((largest_pairs(codes) > MOST_IN_A_PAIR).any())


def _is_signed(graph: Graph, name: str) -> bool:
    return name in graph.tensors and graph.tensors[name].type == INT8


def _unsigned_name(name: str) -> str:
    return f"{name}_unsigned"


def _read_unsigned(graph: Graph, node: Node, signed: set[str]) -> None:
    """Have a node read the unsigned weights and their zero points: of 128 where it had none."""
    place = _ZERO_POINTS[node.operator]
    zero_point = _input(node, place)
    if not zero_point:
        zero_point = "unsigned_zero_point"
        graph.tensors.setdefault(zero_point, tensor(zero_point, np.array(_SIGN, dtype=np.uint8)))
        node.inputs += [""] * (place + 1 - len(node.inputs))
    elif zero_point in signed:
        zero_point = _unsigned_name(zero_point)
    node.inputs[_WEIGHTS] = _unsigned_name(node.inputs[_WEIGHTS])
    node.inputs[place] = zero_point


def _drop_unused(graph: Graph, graphs: Iterable[Graph], names: set[str]) -> None:
    used = {name for each in graphs for node in each.nodes for name in node.inputs}
    graph.tensors = {n: each for n, each in graph.tensors.items() if n in used or n not in names}


# ---------------------------------------------------------------- float products


_ONE: Final = "float_products_one"
_CAST: Final = "_float"


def _make_float(graph: Graph) -> None:
    makers: dict[str, Callable[[Node], list[Node]]] = {
        "DynamicQuantizeLinear": _not_quantized,
        "MatMulInteger": _product,
        "QAttention": _attention,
    }
    graphs = list(graph.all())
    widened: dict[str, Node] = {}
    for each in graphs:
        nodes: list[Node] = []
        for node in each.nodes:
            if node.operator in _ZERO_POINTS:
                _check_symmetric(node, graphs)
                widened |= {made.outputs[0]: made for made in _widening(node)}
            if node.operator == "MatMulNBits":
                node.set_int("accuracy_level", _FP32_PRODUCTS)
            nodes += makers[node.operator](node) if node.operator in makers else [node]
        each.nodes = nodes
    if widened:
        graph.tensors[_ONE] = tensor(_ONE, np.array(1, dtype=np.float32))
        graph.nodes[:0] = widened.values()


def _not_quantized(node: Node) -> list[Node]:
    """Activations as they are, their scale 1."""
    values, scale = node.outputs[:2]
    return [Node("Identity", node.inputs[:1], [values]), Node("Identity", [_ONE], [scale])]


def _product(node: Node) -> list[Node]:
    return [Node("MatMul", [node.inputs[0], node.inputs[_WEIGHTS] + _CAST], node.outputs)]


def _attention(node: Node) -> list[Node]:
    weights = _scaled_name(node.inputs[_WEIGHTS])
    inputs = [node.inputs[0], weights, node.inputs[2], _input(node, 5), _input(node, 8)]
    while not inputs[-1]:
        inputs.pop()
    return [Node("Attention", inputs, node.outputs, _MICROSOFT, rest=node.rest)]


def _scaled_name(weights: str) -> str:
    return f"{weights}_scaled"


def _widening(node: Node) -> list[Node]:
    """What makes float weights of stored ones; scales of a ``MatMulInteger`` are multiplied after it."""
    weights = node.inputs[_WEIGHTS]
    cast = Node("Cast", [weights], [weights + _CAST])
    cast.set_int("to", 1)
    if node.operator == "MatMulInteger":
        return [cast]
    return [cast, Node("Mul", [cast.outputs[0], node.inputs[4]], [_scaled_name(weights)])]


def _check_symmetric(node: Node, graphs: Iterable[Graph]) -> None:
    name = _input(node, _ZERO_POINTS[node.operator])
    found = [each.tensors[name] for each in graphs if name in each.tensors]
    if name and not (found and all(_is_zero(each) for each in found)):
        raise ValueError(f"{name} is not zero")


def _is_zero(zero_points: Tensor) -> bool:
    codes: Codes = zero_points.codes()
    return zero_points.type == INT8 and not codes.any()


def _input(node: Node, place: int) -> str:
    return node.inputs[place] if place < len(node.inputs) else ""


# ---------------------------------------------------------------- the probe

_PROBE_ROWS, _PROBE_DEPTH, _PROBE_COLUMNS = 8, 64, 32
_IR_VERSION, _OPSET = 8, 17


def _probe() -> bytes:
    """A model of one product, of the largest weights there are."""
    weights = np.full((_PROBE_DEPTH, _PROBE_COLUMNS), 127, dtype=np.uint8)
    signed = tensor("b", weights).recoded("b", INT8, weights)
    graph = Graph([Node("MatMulInteger", ["a", "b"], ["y"])], {"b": signed}, [])
    values = [
        message(number, [text(1, name), message(2, [message(1, _tensor_type(kind, n))])])
        for number, name, kind, n in ((11, "a", UINT8, _PROBE_DEPTH), (12, "y", 6, _PROBE_COLUMNS))
    ]
    version: Field = (1, VARINT, _IR_VERSION)
    opset = message(8, [(2, VARINT, _OPSET)])
    return serialize([version, message(7, [*graph.fields(), text(2, "probe"), *values]), opset])


def _tensor_type(kind: int, n_columns: int) -> list[Field]:
    """Of a matrix of ``_PROBE_ROWS`` rows."""
    dims = [message(1, [(1, VARINT, n)]) for n in (_PROBE_ROWS, n_columns)]
    return [(1, VARINT, kind), message(2, dims)]
