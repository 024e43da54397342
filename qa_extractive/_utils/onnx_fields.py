"""Graphs, nodes and tensors of ONNX on the wire: what is rewritten of them, and all the rest as it was.

Field numbers: onnx.proto of ONNX, which never change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from qa_extractive._utils.protobuf import (
    BYTES,
    VARINT,
    Field,
    Value,
    message,
    parse,
    serialize,
    text,
    varints,
)

FLOAT, UINT8, INT8 = 1, 2, 3  # TensorProto.DataType
_GRAPH = 7  # of a model
_NODES, _INITIALIZERS, _VALUE_INFO = 1, 5, 13  # of a graph
_INPUTS, _OUTPUTS, _NAME, _OPERATOR, _ATTRIBUTES, _DOMAIN = 1, 2, 3, 4, 5, 7  # of a node
_ATTRIBUTE_NAME, _INT, _SUBGRAPH = 1, 3, 6  # of an attribute
_ATTRIBUTE_TYPE, _TYPE_INT = 20, 2
_DIMS, _TYPE, _INT32_DATA, _TENSOR_NAME, _RAW = 1, 2, 5, 8, 9  # of a tensor
_DEEPEST = 8  # graphs inside nodes inside graphs

Codes = npt.NDArray[np.uint8]


@dataclass(slots=True)
class Tensor:
    """An initializer.

    Attributes:
        name: Its name.
        type: ``TensorProto.DataType``.
        fields: All of it as it was.
    """

    name: str
    type: int
    fields: list[Field]

    @classmethod
    def read(cls, value: Value) -> Tensor:
        """From the wire."""
        fields = _parsed(value)
        return cls(_text(fields, _TENSOR_NAME), _int(fields, _TYPE), fields)

    def codes(self) -> Codes:
        """The bytes of an int8 or uint8 tensor, one a value; ValueError where they are kept elsewhere."""
        raw = [value for number, _, value in self.fields if number == _RAW and not isinstance(value, int)]
        if raw:
            return np.frombuffer(raw[-1], dtype=np.uint8)
        found: list[int] = []
        for number, _, value in self.fields:
            if number == _INT32_DATA:
                found += [value] if isinstance(value, int) else varints(value)
        if len(found) != self.n_values:
            raise ValueError(f"{self.name} does not hold its values")
        return np.array(found, dtype=np.int64).astype(np.uint8)

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""
        sizes: list[int] = []
        for number, _, value in self.fields:
            if number == _DIMS:
                sizes += [value] if isinstance(value, int) else varints(value)
        return tuple(sizes)

    @property
    def n_values(self) -> int:
        """Product of the dimensions."""
        return int(np.prod(self.shape, dtype=np.float64))

    def recoded(self, name: str, kind: int, codes: Codes) -> Tensor:
        """The same shape with another name, type and values of a byte each."""
        dims = [each for each in self.fields if each[0] == _DIMS]
        return Tensor(name, kind, [*dims, *_tensor_fields(name, kind, codes.tobytes())])


def tensor(name: str, values: npt.NDArray[np.float32 | np.uint8]) -> Tensor:
    """A new initializer."""
    kind = FLOAT if values.dtype == np.float32 else UINT8
    dims: list[Field] = [(_DIMS, VARINT, n) for n in values.shape]
    return Tensor(name, kind, [*dims, *_tensor_fields(name, kind, values.tobytes())])


def _tensor_fields(name: str, kind: int, raw: bytes) -> list[Field]:
    return [(_TYPE, VARINT, kind), text(_TENSOR_NAME, name), (_RAW, BYTES, raw)]


@dataclass(slots=True)
class Node:
    """An operator.

    Attributes:
        operator: Its ``op_type``.
        inputs: Names; an input left out is empty.
        outputs: Names.
        domain: Of the operator; empty for ONNX's own.
        graphs: Of branches, by the place of their attribute in ``rest``.
        rest: Attributes, name and what else there was.
    """

    operator: str
    inputs: list[str]
    outputs: list[str]
    domain: str = ""
    graphs: dict[int, Graph] = field(default_factory=dict)
    rest: list[Field] = field(default_factory=list)

    @classmethod
    def read(cls, value: Value, depth: int) -> Node:
        """From the wire."""
        fields = _parsed(value)
        own = (_INPUTS, _OUTPUTS, _OPERATOR, _DOMAIN)
        rest = [each for each in fields if each[0] not in own]
        graphs = {
            place: Graph.read(inner, depth + 1)
            for place, (number, _, attribute) in enumerate(rest)
            if number == _ATTRIBUTES
            for inner_number, _, inner in _parsed(attribute)
            if inner_number == _SUBGRAPH
        }
        return cls(
            _text(fields, _OPERATOR),
            _texts(fields, _INPUTS),
            _texts(fields, _OUTPUTS),
            _text(fields, _DOMAIN),
            graphs,
            rest,
        )

    def set_int(self, name: str, value: int) -> None:
        """Give an attribute another whole number; one that is not there is added."""
        new: list[Field] = [
            text(_ATTRIBUTE_NAME, name),
            (_INT, VARINT, value),
            (_ATTRIBUTE_TYPE, VARINT, _TYPE_INT),
        ]
        others = [
            each
            for each in self.rest
            if each[0] != _ATTRIBUTES or _text(_parsed(each[2]), _ATTRIBUTE_NAME) != name
        ]
        self.rest = [*others, message(_ATTRIBUTES, new)]

    def fields(self) -> list[Field]:
        """For the wire."""
        names = [text(_INPUTS, name) for name in self.inputs] + [
            text(_OUTPUTS, name) for name in self.outputs
        ]
        rest = [
            message(_ATTRIBUTES, _with_graph(each, self.graphs[place])) if place in self.graphs else each
            for place, each in enumerate(self.rest)
        ]
        domain = [text(_DOMAIN, self.domain)] if self.domain else []
        return [*names, text(_OPERATOR, self.operator), *domain, *rest]


def _with_graph(attribute: Field, graph: Graph) -> list[Field]:
    return [
        message(_SUBGRAPH, graph.fields()) if each[0] == _SUBGRAPH else each for each in _parsed(attribute[2])
    ]


@dataclass(slots=True)
class Graph:
    """The graph of a model, or of a branch.

    Attributes:
        nodes: In their order.
        tensors: Initializers by name.
        rest: What else there was; types noted of values in between are left out, since they may change.
    """

    nodes: list[Node]
    tensors: dict[str, Tensor]
    rest: list[Field]

    @classmethod
    def read(cls, value: Value, depth: int = 0) -> Graph:
        """From the wire."""
        if depth > _DEEPEST:
            raise ValueError("graphs are nested too deeply")
        fields = _parsed(value)
        tensors = [Tensor.read(value) for number, _, value in fields if number == _INITIALIZERS]
        return cls(
            [Node.read(value, depth) for number, _, value in fields if number == _NODES],
            {each.name: each for each in tensors},
            [each for each in fields if each[0] not in (_NODES, _INITIALIZERS, _VALUE_INFO)],
        )

    def all(self) -> Iterator[Graph]:
        """This graph and those inside its nodes."""
        yield self
        for node in self.nodes:
            for graph in node.graphs.values():
                yield from graph.all()

    def fields(self) -> list[Field]:
        """For the wire."""
        nodes = [message(_NODES, node.fields()) for node in self.nodes]
        return [*nodes, *(message(_INITIALIZERS, each.fields) for each in self.tensors.values()), *self.rest]


def rewritten(model: bytes, change: Callable[[Graph], None]) -> bytes:
    """A model with its graph changed in place; ValueError where it is no model."""
    fields = parse(model)
    if sum(number == _GRAPH for number, _, _ in fields) != 1:
        raise ValueError("there is no graph")
    return serialize(_changed(each, change) if each[0] == _GRAPH else each for each in fields)


def _changed(graph_field: Field, change: Callable[[Graph], None]) -> Field:
    graph = Graph.read(graph_field[2])
    change(graph)
    return message(_GRAPH, graph.fields())


def _parsed(value: Value) -> list[Field]:
    if isinstance(value, int):
        raise ValueError("a number where a message should be")
    return parse(value)


def _texts(fields: list[Field], number: int) -> list[str]:
    return [
        bytes(value).decode("utf-8", "surrogateescape")
        for n, _, value in fields
        if n == number and not isinstance(value, int)
    ]


def _text(fields: list[Field], number: int) -> str:
    return (_texts(fields, number) or [""])[-1]


def _int(fields: list[Field], number: int) -> int:
    return next((value for n, _, value in reversed(fields) if n == number and isinstance(value, int)), 0)
