"""Embedding tables of 4 or 8 bits with many scales, in a fused graph. Needs the [train] extra.

onnxruntime's own quantizer gives each table of an ``EmbedLayerNormalization`` one scale, which its largest
value sets for all. Here the node is taken apart, so that each table can be stored and looked up on its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from qa_extractive.errors import ExportError

BLOCK_SIZE: Final = 32

# Shares of the scale that just holds a block's largest value: clipping it may lessen the error of the rest.
_SHARES: Final = (0.75, 0.8, 0.85, 0.9, 0.95, 1.05)

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int8]


def quantize_embeddings(model: onnx.ModelProto, *, bits: int = 4, block_size: int = BLOCK_SIZE) -> None:
    """Take a graph's ``EmbedLayerNormalization`` apart and quantize its tables, in place.

    Word embeddings get 4 bits with a float16 scale for each block of a row, or 8 bits with a scale for each
    row; either is looked up and widened by plain nodes, which took a seventh of the time of
    ``GatherBlockQuantized`` of onnxruntime 1.31. Positions get 8 bits with
    a scale for each column; segments and the normalisation stay fp32. A table ``t`` becomes ``t_quantized``
    and ``t_scale``, as the quantizer of onnxruntime names them. Nothing else in the graph changes, so the
    linears are to be quantized first, without ``EmbedLayerNormalization``.

    Args:
        model: A fused graph with the node in fp32.
        bits: Of the word embeddings: 4 or 8.
        block_size: Values of a row that share a scale of 4-bit embeddings: a power of 2, at least 16.

    Raises:
        ExportError: The graph has no such node, or one that is given position ids or gives a mask index.
    """
    if bits not in (4, 8):
        raise ExportError(f"embeddings are quantized to 4 or 8 bits, not {bits}")
    graph = model.graph
    node = _embedding_node(graph)
    tables = {name: _table(graph, name) for name in node.input[2:4]}
    lookup = _nibbles if bits == 4 else _bytes
    ids, types, word, position, segment, gamma, beta = node.input[:7]
    added = [
        *lookup(word, tables[word], ids, block_size),
        *_positions(position, tables[position], ids),
        helper.make_node("Gather", [segment, types], [f"{segment}_rows"], f"{segment}_Gather"),
        helper.make_node("Add", [f"{word}_rows", f"{segment}_rows"], [f"{word}_sum"], f"{word}_Add"),
        helper.make_node("Add", [f"{word}_sum", f"{position}_rows"], [f"{word}_all"], f"{position}_Add"),
        helper.make_node(
            "LayerNormalization",
            [f"{word}_all", gamma, beta],
            [node.output[0]],
            f"{node.name}_LayerNormalization",
            axis=-1,
            **_epsilon(node),
        ),
    ]
    _replace(graph, node, added, set(tables))


def can_quantize_embeddings(model: onnx.ModelProto) -> bool:
    """Whether a graph has the one plain ``EmbedLayerNormalization`` that ``quantize_embeddings`` needs."""
    try:
        _embedding_node(model.graph)
    except ExportError:
        return False
    return True


def block_quantize(
    values: Floats, *, bits: int, block_size: int, scale_type: npt.DTypeLike = np.float32
) -> tuple[Codes, npt.NDArray[np.floating[Any]]]:
    """Signed codes and the scales of blocks of each row, the scale of least squared error of a few.

    Args:
        values: Shape (n_rows, n_columns).
        bits: Of a code, at most 8; a code lies in [-2^(bits-1), 2^(bits-1) - 1].
        block_size: Columns that share a scale; the last block may be shorter.
        scale_type: Type of the scales; codes are made for the rounded ones.

    Returns:
        Codes, (n_rows, n_columns), and scales, (n_rows, n_blocks), which may be negative.
    """
    n_rows, n_columns = values.shape
    blocks = np.pad(values, ((0, 0), (0, -n_columns % block_size))).reshape(n_rows, -1, block_size)
    peak_at = np.abs(blocks).argmax(axis=-1, keepdims=True)
    # A largest value of either sign takes the lowest code, of which there is one more than of positive ones.
    exact = np.take_along_axis(blocks, peak_at, axis=-1)[..., 0] / -(2.0 ** (bits - 1))
    scales = exact.astype(scale_type)
    least = _squared_error(blocks, scales, bits)
    for share in _SHARES:
        tried = (exact * share).astype(scale_type)
        error = _squared_error(blocks, tried, bits)
        scales = np.where(error < least, tried, scales)
        least = np.minimum(error, least)
    codes = _codes(blocks, scales, bits).reshape(n_rows, -1)[:, :n_columns]
    return codes.astype(np.int8), scales


def dequantize(codes: Codes, scales: npt.NDArray[np.floating[Any]], block_size: int) -> Floats:
    """The values that codes and scales of ``block_quantize`` stand for, (n_rows, n_columns)."""
    spread = np.repeat(scales.astype(np.float32), block_size, axis=-1)[:, : codes.shape[1]]
    return np.asarray(codes * spread, dtype=np.float32)


def _codes(blocks: Floats, scales: npt.NDArray[np.floating[Any]], bits: int) -> Floats:
    divisors = scales.astype(np.float32)[..., None]
    divisors = np.where(divisors == 0.0, np.float32(1.0), divisors)
    return np.asarray((blocks / divisors).round().clip(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))


def _squared_error(blocks: Floats, scales: npt.NDArray[np.floating[Any]], bits: int) -> Floats:
    found = _codes(blocks, scales, bits) * scales.astype(np.float32)[..., None]
    return np.asarray(np.square(found - blocks).sum(axis=-1))


def _embedding_node(graph: onnx.GraphProto) -> onnx.NodeProto:
    nodes = [node for node in graph.node if node.op_type == "EmbedLayerNormalization"]
    if len(nodes) != 1:
        raise ExportError(
            f"the graph has {len(nodes)} EmbedLayerNormalization nodes in fp32 where one is needed"
        )
    node: onnx.NodeProto = nodes[0]
    used = {name for each in graph.node for name in each.input} | {output.name for output in graph.output}
    if any(node.input[7:]) or used & set(node.output[1:]) or not all(node.input[:7]):
        raise ExportError(f"{node.name} is no plain sum of words, positions and segments: it stays as it is")
    return node


def _table(graph: onnx.GraphProto, name: str) -> Floats:
    for tensor in graph.initializer:
        if tensor.name == name:
            return np.asarray(numpy_helper.to_array(tensor), dtype=np.float32)
    raise ExportError(f"the graph holds no table {name}")


Piece = onnx.NodeProto | onnx.TensorProto


def _nibbles(name: str, values: Floats, ids: str, block_size: int) -> Iterator[Piece]:
    """Rows of a table of 4-bit codes with float16 scales of blocks."""
    codes, scales = block_quantize(values, bits=4, block_size=block_size, scale_type=np.float16)
    n_columns, n_blocks = values.shape[1], scales.shape[1]
    n_padded = n_blocks * block_size
    yield numpy_helper.from_array(pack_halves(codes, n_padded), f"{name}_quantized")
    yield numpy_helper.from_array(scales, f"{name}_scale")
    constants: dict[str, npt.NDArray[Any]] = {
        "four": np.array(4, dtype=np.uint8),
        "eight": np.array(8, dtype=np.float32),
        "block_shape": np.array([0, 0, n_blocks, block_size], dtype=np.int64),
        "row_shape": np.array([0, 0, n_padded], dtype=np.int64),
        "last_axis": np.array([-1], dtype=np.int64),
        "start": np.array([0], dtype=np.int64),
        "stop": np.array([n_columns], dtype=np.int64),
    }
    for part, value in constants.items():
        yield numpy_helper.from_array(value, f"{name}_{part}")
    steps: tuple[tuple[str, tuple[str, ...], str, dict[str, Any]], ...] = (
        ("Gather", ("quantized", ids), "bytes", {}),
        ("BitShift", ("bytes", "four"), "shifted", {"direction": "LEFT"}),
        ("BitShift", ("shifted", "four"), "low", {"direction": "RIGHT"}),
        ("BitShift", ("bytes", "four"), "high", {"direction": "RIGHT"}),
        ("Concat", ("low", "high"), "codes", {"axis": -1}),
        ("Cast", ("codes",), "wide", {"to": TensorProto.FLOAT}),
        ("Sub", ("wide", "eight"), "signed", {}),
        ("Reshape", ("signed", "block_shape"), "blocks", {}),
        ("Gather", ("scale", ids), "half_scales", {}),
        ("Cast", ("half_scales",), "row_scales", {"to": TensorProto.FLOAT}),
        ("Unsqueeze", ("row_scales", "last_axis"), "block_scales", {}),
        ("Mul", ("blocks", "block_scales"), "scaled", {}),
        ("Reshape", ("scaled", "row_shape"), "padded", {}),
        ("Slice", ("padded", "start", "stop", "last_axis"), "rows", {}),
    )
    for operator, inputs, output, attributes in steps:
        named = [each if each == ids else f"{name}_{each}" for each in inputs]
        yield helper.make_node(operator, named, [f"{name}_{output}"], f"{name}_{output}", **attributes)


def pack_halves(codes: Codes, n_columns: int) -> npt.NDArray[np.uint8]:
    """4-bit codes two a byte: of a row filled up to ``n_columns``, the first half low, the second high.

    Args:
        codes: Shape (n_rows, at most n_columns), in [-8, 7]; each is stored as 8 more.
        n_columns: Even.

    Returns:
        Shape (n_rows, n_columns / 2).
    """
    padded = np.pad(codes, ((0, 0), (0, n_columns - codes.shape[1])))
    unsigned = (padded.astype(np.int16) + 8).astype(np.uint8)
    low, high = unsigned[:, : n_columns // 2], unsigned[:, n_columns // 2 :]
    return (low | high << 4).astype(np.uint8)


def unpack_halves(packed: npt.NDArray[np.uint8]) -> Codes:
    """What ``pack_halves`` packed, shape (n_rows, n_columns)."""
    return (np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.int16) - 8).astype(np.int8)


def _bytes(name: str, values: Floats, ids: str, block_size: int) -> Iterator[Piece]:
    """Rows of a table of 8-bit codes with a scale for each row; blocks are the rows."""
    codes, scales = block_quantize(values, bits=8, block_size=values.shape[1])
    quantized, scale = f"{name}_quantized", f"{name}_scale"
    yield numpy_helper.from_array(codes, quantized)
    yield numpy_helper.from_array(scales, scale)
    yield helper.make_node("Gather", [quantized, ids], [f"{name}_codes"], f"{name}_Gather")
    yield helper.make_node("Gather", [scale, ids], [f"{name}_scales"], f"{name}_scale_Gather")
    yield helper.make_node("Cast", [f"{name}_codes"], [f"{name}_whole"], f"{name}_Cast", to=TensorProto.FLOAT)
    yield helper.make_node("Mul", [f"{name}_whole", f"{name}_scales"], [f"{name}_rows"], f"{name}_Mul")


def _positions(name: str, values: Floats, ids: str) -> Iterator[Piece]:
    """The first rows of a table of 8-bit codes with a scale for each column, as many as there are ids."""
    codes, scales = block_quantize(values.T, bits=8, block_size=len(values))
    quantized, scale = f"{name}_quantized", f"{name}_scale"
    yield numpy_helper.from_array(np.ascontiguousarray(codes.T), quantized)
    yield numpy_helper.from_array(scales[:, 0], scale)
    yield numpy_helper.from_array(np.array([0], dtype=np.int64), f"{name}_zero")
    yield numpy_helper.from_array(np.array([1], dtype=np.int64), f"{name}_one")
    yield helper.make_node("Shape", [ids], [f"{name}_shape"], f"{name}_Shape")
    yield helper.make_node("Gather", [f"{name}_shape", f"{name}_one"], [f"{name}_n"], f"{name}_n_Gather")
    yield helper.make_node(
        "Slice", [quantized, f"{name}_zero", f"{name}_n", f"{name}_zero"], [f"{name}_codes"], f"{name}_Slice"
    )
    yield helper.make_node("Cast", [f"{name}_codes"], [f"{name}_wide"], f"{name}_Cast", to=TensorProto.FLOAT)
    yield helper.make_node("Mul", [f"{name}_wide", scale], [f"{name}_rows"], f"{name}_Mul")


def _epsilon(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: a.f for a in node.attribute if a.name == "epsilon"}


def _replace(graph: onnx.GraphProto, node: onnx.NodeProto, pieces: list[Piece], unused: set[str]) -> None:
    """Put the new nodes where the old one is, so that the graph stays sorted, and drop its tables."""
    kept = [tensor for tensor in graph.initializer if tensor.name not in unused]
    kept += [piece for piece in pieces if isinstance(piece, onnx.TensorProto)]
    at = list(graph.node).index(node)
    added = [piece for piece in pieces if isinstance(piece, onnx.NodeProto)]
    nodes = [*graph.node[:at], *added, *graph.node[at + 1 :]]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
