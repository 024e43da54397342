"""What single nodes of onnxruntime's CPU provider cost beside others that compute the same, and whole graphs.

    python benchmarks/kernels.py [--model FOLDER ...] [--repeat 200]

One thread, random values of the embedded model's sizes, the rivals taking turns; the median of the repeats in
microseconds. With ``--model`` the graphs of these folders are timed in the same way, the first one being what
the others are compared with. Results go to ``benchmarks/results/kernels.json`` and, as tables, to the
terminal.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from qa_extractive.export.passes.embeddings import Piece, _nibbles
from qa_extractive.inference.onnx_backend import _NOT_FUSED

RESULTS = Path(__file__).parent / "results" / "kernels.json"
LENGTHS = (60, 160, 320, 500)
WIDTH, INNER, HEADS, VOCABULARY = 384, 1536, 12, 30522

Feed = dict[str, npt.NDArray[Any]]
Pieces = list[Piece]


def main() -> None:
    """Time every group, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, nargs="*", default=[])
    parser.add_argument("--repeat", type=int, default=200)
    options = parser.parse_args()
    groups = {title: {name: _session(*rival) for name, rival in group.items()} for title, group in _groups()}
    if options.model:
        groups["graph"] = {folder.name: _opened(str(folder / "model.onnx")) for folder in options.model}
    results = {
        title: {str(n): timed(sessions, n, options.repeat) for n in LENGTHS}
        for title, sessions in groups.items()
    }
    written = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, onnxruntime {ort.__version__}",
        "microseconds": results,
    }
    RESULTS.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    for title, by_length in results.items():
        print(table(title, by_length))


def timed(sessions: Mapping[str, ort.InferenceSession], n_tokens: int, repeat: int) -> dict[str, float]:
    """Median microseconds of a run of each session on one input of so many tokens, in turns."""
    feeds = {name: _feed(session, n_tokens) for name, session in sessions.items()}
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for turn in range(repeat + 1):
        for name, session in sessions.items():
            began = time.perf_counter()
            session.run(None, feeds[name])
            if turn:
                times[name].append(time.perf_counter() - began)
    return {name: round(1e6 * statistics.median(each), 1) for name, each in times.items()}


def table(title: str, by_length: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table: microseconds, and in brackets over those of the first rival."""
    rows = [f"| {title} | " + " | ".join(f"{n} tokens" for n in by_length) + " |"]
    rows.append("|---" * (1 + len(by_length)) + "|")
    first, *_ = names = list(next(iter(by_length.values())))
    for name in names:
        cells = [f"{found[name]:.0f} ({found[name] / found[first]:.2f})" for found in by_length.values()]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _feed(session: ort.InferenceSession, n_tokens: int) -> Feed:
    random = np.random.default_rng(17)
    feed: Feed = {}
    for each in session.get_inputs():
        if each.type == "tensor(float)":
            feed[each.name] = random.normal(size=(1, n_tokens, each.shape[-1])).astype(np.float32)
            continue
        kind = np.int32 if each.type == "tensor(int32)" else np.int64
        lowest, highest = {"input_ids": (1000, VOCABULARY), "attention_mask": (1, 2)}.get(each.name, (0, 1))
        feed[each.name] = random.integers(lowest, highest, (1, n_tokens)).astype(kind)
    return feed


def _groups() -> list[tuple[str, dict[str, tuple[Pieces, Mapping[str, Any]]]]]:
    return [
        ("sum and normalisation", _normalisations()),
        ("bias and GELU", _gelus()),
        ("4-bit rows", _lookups()),
        ("attention with its projection", _attentions()),
    ]


def _node(kind: str, inputs: list[str], outputs: list[str], *, plain: bool = True, **more: Any) -> Any:
    return helper.make_node(kind, inputs, outputs, domain="" if plain else "com.microsoft", **more)


def _constant(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.random.default_rng(1).normal(size=shape).astype(np.float32) / 20, name)


def _normalisations() -> dict[str, tuple[Pieces, Mapping[str, Any]]]:
    tables = [_constant(name, WIDTH) for name in ("gamma", "beta", "bias")]
    fused = _node(
        "SkipLayerNormalization", ["x", "skip", "gamma", "beta", "bias"], ["y"], plain=False, epsilon=1e-12
    )
    apart = [
        _node("Add", ["x", "skip"], ["sum"]),
        _node("LayerNormalization", ["sum", "gamma", "beta"], ["y"], epsilon=1e-12),
    ]
    inputs = {"x": WIDTH, "skip": WIDTH}
    return {
        "SkipLayerNormalization": ([*tables, fused], inputs),
        "Add, LayerNormalization": ([*tables, *apart], inputs),
    }


def _gelus() -> dict[str, tuple[Pieces, Mapping[str, Any]]]:
    inputs = {"x": INNER}
    kinds = {name: [_node(name, ["x"], ["y"], plain=False)] for name in ("Gelu", "FastGelu", "QuickGelu")}
    fused = [_constant("bias", INNER), _node("BiasGelu", ["x", "bias"], ["y"], plain=False)]
    return {"BiasGelu": (fused, inputs), **{name: (pieces, inputs) for name, pieces in kinds.items()}}


def _lookups() -> dict[str, tuple[Pieces, Mapping[str, Any]]]:
    values = np.random.default_rng(2).normal(size=(VOCABULARY, WIDTH)).astype(np.float32)
    plain = list(_nibbles("rows", values, "input_ids", 32))
    renamed = _node("Identity", ["rows_rows"], ["y"])
    codes = helper.make_tensor(
        "codes", TensorProto.INT4, values.shape, bytes(VOCABULARY * WIDTH // 2), raw=True
    )
    scales = numpy_helper.from_array(np.ones((VOCABULARY, WIDTH // 32), dtype=np.float16), "scales")
    looked_up = _node(
        *("GatherBlockQuantized", ["codes", "input_ids", "scales"], ["half"]),
        plain=False,
        gather_axis=0,
        quantize_axis=1,
        block_size=32,
    )
    cast = _node("Cast", ["half"], ["y"], to=TensorProto.FLOAT)
    inputs = {"input_ids": None}
    return {
        "GatherBlockQuantized": ([codes, scales, looked_up, cast], inputs),
        "Gather, shifts, Mul": ([*plain, renamed], inputs),
    }


def _attentions() -> dict[str, tuple[Pieces, Mapping[str, Any]]]:
    random = np.random.default_rng(3)
    tables = [
        numpy_helper.from_array(random.integers(-127, 128, (WIDTH, 3 * WIDTH)).astype(np.int8), "weights"),
        numpy_helper.from_array(np.full(3 * WIDTH, 1e-3, dtype=np.float32), "scales"),
        numpy_helper.from_array(np.zeros(3 * WIDTH, dtype=np.int8), "zeros"),
        _constant("bias", 3 * WIDTH),
    ]
    rounded = _node("DynamicQuantizeLinear", ["x"], ["codes", "scale", "zero"])

    def quantized(mask: str) -> Any:
        inputs = ["codes", "weights", "bias", "scale", "scales", mask, "zero", "zeros"]
        return _node("QAttention", inputs, ["y"], plain=False, num_heads=HEADS)

    product = _node("DynamicQuantizeMatMul", ["x", "weights", "scales", "", "bias"], ["all"], plain=False)
    parts = ["query", "key", "value"]
    sizes = numpy_helper.from_array(np.full(3, WIDTH, dtype=np.int64), "sizes")
    split = _node("Split", ["all", "sizes"], parts, axis=-1)
    several = _node("MultiHeadAttention", parts, ["y"], plain=False, num_heads=HEADS)
    only = _node("DynamicQuantizeMatMul", ["x", "weights", "scales", "", "bias"], ["y"], plain=False)
    return {
        "QAttention with a mask": ([*tables, rounded, quantized("mask")], {"x": WIDTH, "mask": None}),
        "QAttention": ([*tables, rounded, quantized("")], {"x": WIDTH}),
        "DynamicQuantizeMatMul, MultiHeadAttention": (
            [*tables, sizes, product, split, several],
            {"x": WIDTH},
        ),
        "its projection alone": ([*tables, only], {"x": WIDTH}),
    }


def _session(pieces: Pieces, inputs: Mapping[str, int | None]) -> ort.InferenceSession:
    """A graph of nodes and tables; inputs by their width, integers for None."""
    nodes = [piece for piece in pieces if isinstance(piece, onnx.NodeProto)]
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "kernels",
        [
            helper.make_tensor_value_info(
                name,
                TensorProto.INT32 if width is None else TensorProto.FLOAT,
                [1, "n_tokens", *([] if width is None else [width])],
            )
            for name, width in inputs.items()
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [piece for piece in pieces if isinstance(piece, onnx.TensorProto) and piece.name in read],
    )
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return _opened(helper.make_model(graph, opset_imports=domains, ir_version=10).SerializeToString())


def _opened(graph: str | bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(
        graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=_NOT_FUSED
    )


if __name__ == "__main__":
    main()
