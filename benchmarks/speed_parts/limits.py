"""How fast this machine multiplies matrices, and how much the model has to multiply."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

ROWS = (128, 512)
KINDS = ("fp32", "int8")
_LEAST_S = 0.15


def operations(folder: Path, lengths: Sequence[int]) -> float:
    """Multiplications and additions of the matrix products of the model for windows of so many tokens.

    Projections, attention and heads; no padding, and nothing but products.

    Args:
        folder: Of an exported model, with its ``architecture.json``.
        lengths: Tokens of each window.
    """
    config = json.loads((folder / "architecture.json").read_text(encoding="utf-8"))["config"]["encoder"]
    width, inner, n_layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    a_token = n_layers * (2 * width * 4 * width + 2 * width * inner * 2) + 2 * width * 2
    a_pair = n_layers * 2 * 2 * width  # scores, and their product with the values
    a_window = 2 * width * width + 2 * width  # the answerability head
    return float(sum(n * a_token + n * n * a_pair + a_window for n in lengths))


Product = Callable[[], object]


class Limits:
    """Rates of matrix products of the model's own shapes, in operations a second: a worker's system."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of the exported model."""
        config = json.loads((folder / "architecture.json").read_text(encoding="utf-8"))["config"]["encoder"]
        width, inner = config["hidden_size"], config["intermediate_size"]
        self._shapes = [(width, width), (width, 3 * width), (width, inner), (inner, width)]
        self._best: dict[tuple[str, int], str] = {}
        self._candidates: dict[str, tuple[float, bool, list[Product]]] = {}

    def choose(self, kind: str, n_threads: int) -> dict[str, float]:
        """Measure every way of multiplying, and keep the fastest for ``rate``; operations a second by way."""
        rates = {name: self._rate(name, n_threads, _LEAST_S) for name in self._ways(kind, n_threads)}
        self._best[kind, n_threads] = max(rates, key=lambda name: rates[name])
        return rates

    def rate(self, kind: str, n_threads: int) -> float:
        """The rate of the chosen way, measured now."""
        return self._rate(self._best[kind, n_threads], n_threads, 2 * _LEAST_S)

    def _ways(self, kind: str, n_threads: int) -> Iterator[str]:
        for n_rows in ROWS:
            for shape in self._shapes:
                where = f"{n_rows} x {shape[0]} x {shape[1]}"
                n_ops = 2.0 * n_rows * shape[0] * shape[1]
                name = f"onnxruntime {kind} {where}"
                if len(self._candidates.get(name, (0, 0, []))[2]) < n_threads:
                    products = [_ort_product(kind, n_rows, *shape) for _ in range(n_threads)]
                    self._candidates[name] = n_ops, True, products
                yield name
                if kind == "fp32":
                    name = f"torch {kind} {where}"
                    if name not in self._candidates:
                        self._candidates[name] = n_ops, False, [_torch_product(n_rows, *shape)]
                    yield name

    def _rate(self, name: str, n_threads: int, least_s: float) -> float:
        n_ops, apart, products = self._candidates[name]
        if not apart:
            import torch

            torch.set_num_threads(n_threads)
            return _timed(products, n_ops, least_s)
        return _timed(products[:n_threads], n_ops, least_s)


def _timed(products: Sequence[Product], n_ops: float, least_s: float) -> float:
    """Operations a second of products repeated at the same time, a thread each."""
    counts = [0] * len(products)
    start = threading.Barrier(len(products) + 1)
    ends = [0.0] * len(products)

    def repeat(i: int) -> None:
        products[i]()
        start.wait()
        stop = time.perf_counter() + least_s
        while time.perf_counter() < stop:
            products[i]()
            counts[i] += 1
        ends[i] = time.perf_counter()

    threads = [threading.Thread(target=repeat, args=(i,)) for i in range(len(products))]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return sum(counts) * n_ops / (max(ends) - began)


def _ort_product(kind: str, n_rows: int, n_inner: int, n_columns: int) -> Product:
    """A product with a constant second matrix, as a session with one thread runs it, into memory it keeps."""
    draw = np.random.default_rng(17)
    left: Any
    if kind == "fp32":
        left = draw.standard_normal((n_rows, n_inner)).astype(np.float32)
        right = draw.standard_normal((n_inner, n_columns)).astype(np.float32)
        op, out_type, zeros = "MatMul", TensorProto.FLOAT, []
    else:
        left = draw.integers(0, 255, (n_rows, n_inner)).astype(np.uint8)
        right = draw.integers(-63, 64, (n_inner, n_columns)).astype(np.int8)
        op, out_type = "MatMulInteger", TensorProto.INT32
        zeros = [numpy_helper.from_array(np.array(128, np.uint8), "za")]
    in_type = TensorProto.FLOAT if kind == "fp32" else TensorProto.UINT8
    graph = helper.make_graph(
        [helper.make_node(op, ["a", "b", *(z.name for z in zeros)], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", in_type, left.shape)],
        [helper.make_tensor_value_info("c", out_type, (n_rows, n_columns))],
        [numpy_helper.from_array(right, "b"), *zeros],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_ortvalue_input("a", ort.OrtValue.ortvalue_from_numpy(left))
    out = np.empty((n_rows, n_columns), np.float32 if kind == "fp32" else np.int32)
    binding.bind_ortvalue_output("c", ort.OrtValue.ortvalue_from_numpy(out))
    return lambda: session.run_with_iobinding(binding)


def _torch_product(n_rows: int, n_inner: int, n_columns: int) -> Product:
    import torch

    left, right = torch.randn(n_rows, n_inner), torch.randn(n_inner, n_columns)
    out = torch.empty(n_rows, n_columns)
    return lambda: torch.mm(left, right, out=out)
