"""Ways of quantizing one checkpoint: F1 and answerability against size against time, in one run.

    python benchmarks/quantization.py --model CHECKPOINT --check examples.jsonl.gz [--limit N]

CHECKPOINT is a folder of ``train.py`` (or any that ``export_onnx.py`` takes), the examples those of
``examples_to_jsonl``: with references for F1, with ``answerable`` for the AUROC. Some of them, evenly spaced,
calibrate the static variants and are not scored. Results go to ``benchmarks/results/quantization.json`` and
``.md``; a variant that cannot be made or run is a row with the reason. Every figure but the size is beside
the fused fp32 graph, except the times: they are beside the shipped variant, round by round, in rounds in
which every variant reads the same batch of the longest contexts once.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.quant_utils import add_pre_process_metadata
from onnxruntime.transformers.float16 import convert_float_to_float16

from qa_extractive.config import READER_FILE, ReaderConfig
from qa_extractive.data.loading import load_examples
from qa_extractive.errors import ExportError
from qa_extractive.export.exporter import OPSET
from qa_extractive.export.graph import quantization_of, write_fp32, write_model
from qa_extractive.export.passes.embeddings import quantize_embeddings
from qa_extractive.export.passes.products import PRODUCT_BLOCK, to_matmul_nbits, unfuse_attention
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.calibration import CALIBRATION_FILE, Calibration
from qa_extractive.inference.decoding import RawPrediction, decode
from qa_extractive.inference.onnx_backend import MODEL_FILE, OnnxBackend
from qa_extractive.inference.windows import TOKENIZER_FILE, Window, Windower
from qa_extractive.metrics import answerability_auroc, best_token_f1, bootstrap_statistic_interval
from qa_extractive.model.checkpoint import Checkpoint, load_checkpoint
from qa_extractive.predictor import Predictor
from qa_extractive.types import Example, Question

COMMAND = "python benchmarks/quantization.py --model CHECKPOINT --check EXAMPLES"
OUTPUT = Path(__file__).parent / "results" / "quantization.json"
REFERENCE, SHIPPED = "fp32", "shipped"
SEED = 17

_BATCH = 20
_MAX_CALIBRATING = 32
_EMBEDDINGS = ("Gather", "EmbedLayerNormalization")
_ALL_OPS = quantization_of("int8", reduce_range=False).quantized_ops
_BLOCK, _COARSE_BLOCK = 32, 64

Feed = dict[str, npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Source:
    """What variants are made of.

    Attributes:
        fp32: Folder of the fused fp32 graph.
        calibrating: Inputs, one window each, for static quantization and to see outliers in.
    """

    fp32: Path
    calibrating: tuple[Feed, ...]

    def graph(self) -> onnx.ModelProto:
        """The fused fp32 graph, to be changed freely."""
        return onnx.load(str(self.fp32 / MODEL_FILE))


Maker = Callable[[Source, Path], None]


class Variant(NamedTuple):
    """A way of quantizing: what it does in words, and what writes its ``model.onnx`` to a path."""

    description: str
    make: Maker


# --- The variants ---


def make_fp32(source: Source, target: Path) -> None:
    """Nothing quantized."""
    write_model(source.fp32, target.parent, quantization_of("none", reduce_range=False))


def make_shipped(source: Source, target: Path) -> None:
    """As ``export_onnx.py`` does."""
    write_model(source.fp32, target.parent, quantization_of("int8"), source.calibrating)


def make_unsmoothed(source: Source, target: Path) -> None:
    """As ``export_onnx.py`` does, outliers of activations left as they are."""
    write_model(source.fp32, target.parent, quantization_of("int8"))


def make_exported_int4(source: Source, target: Path) -> None:
    """As ``export_onnx.py --quantize int4`` does."""
    write_model(source.fp32, target.parent, quantization_of("int4"))


def make_int4_fine(source: Source, target: Path) -> None:
    """The same with more scales."""
    graph = source.graph()
    unfuse_attention(graph)
    to_matmul_nbits(graph, block_size=_BLOCK)
    quantize_embeddings(graph, block_size=_BLOCK)
    onnx.save(graph, str(target))


def make_exported_fp16(source: Source, target: Path) -> None:
    """As ``export_onnx.py --quantize fp16`` does."""
    write_model(source.fp32, target.parent, quantization_of("fp16"))


def make_fp16_whole(source: Source, target: Path) -> None:
    """What passes between the nodes too, by onnxruntime's converter."""
    onnx.save(convert_float_to_float16(source.graph(), keep_io_types=True), str(target))


def make_int8(source: Source, target: Path) -> None:
    """All that onnxruntime's dynamic quantizer can do."""
    dynamic(source.graph(), target)


def make_reduce_range(source: Source, target: Path) -> None:
    """Weights of 7 bits."""
    dynamic(source.graph(), target, reduce_range=True)


def make_per_tensor(source: Source, target: Path) -> None:
    """One scale for a weight."""
    dynamic(source.graph(), target, per_channel=False)


def make_uint8(source: Source, target: Path) -> None:
    """Unsigned weights with zero points."""
    dynamic(source.graph(), target, weight_type=QuantType.QUInt8)


def make_embeddings_fp32(source: Source, target: Path) -> None:
    """The linears only."""
    dynamic(source.graph(), target, ops=_without(_EMBEDDINGS))


def make_attention_fp32(source: Source, target: Path) -> None:
    """The fused projections of queries, keys and values kept."""
    graph = source.graph()
    dynamic(graph, target, exclude=[layer.attention for layer in layers(graph)])


def make_feed_forward_fp32(source: Source, target: Path) -> None:
    """The two largest products of each layer kept."""
    graph = source.graph()
    dynamic(graph, target, exclude=[name for layer in layers(graph) for name in layer.feed_forward])


def make_last_layer_fp32(source: Source, target: Path) -> None:
    """The last layer kept."""
    graph = source.graph()
    last = layers(graph)[-1]
    dynamic(graph, target, exclude=[last.attention, *last.products])


def make_heads_fp32(source: Source, target: Path) -> None:
    """What comes after the last layer kept."""
    graph = source.graph()
    dynamic(graph, target, exclude=heads(graph))


def make_embeddings_rows(source: Source, target: Path) -> None:
    """Word embeddings of 8 bits with a scale a row."""
    _with_embeddings(source.graph(), target, bits=8)


def make_embeddings_4bit(source: Source, target: Path) -> None:
    """Word embeddings of 4 bits with a scale a block."""
    _with_embeddings(source.graph(), target, bits=4)


def make_feed_forward_4bit(source: Source, target: Path) -> None:
    """Word embeddings and feed-forward weights of 4 bits."""
    graph = source.graph()
    names = [name for layer in layers(graph) for name in layer.feed_forward]
    to_matmul_nbits(graph, block_size=_COARSE_BLOCK, only=frozenset(names).__contains__)
    _with_embeddings(graph, target, bits=4)


def make_feed_forward_blocks(source: Source, target: Path) -> None:
    """As below, the feed-forward layers only."""
    graph = source.graph()
    _to_8bit_blocks(graph, [name for layer in layers(graph) for name in layer.feed_forward])
    dynamic(graph, target)


def make_weights_only_8bit(source: Source, target: Path) -> None:
    """Products as ``MatMulNBits``: scales in blocks, of weights and of what they are multiplied with."""
    graph = source.graph()
    _to_8bit_blocks(graph, [name for layer in layers(graph) for name in layer.products])
    dynamic(graph, target)


def make_embeddings_rows_weights_only(source: Source, target: Path) -> None:
    """Scales of rows and blocks for everything but the fused projections and the heads."""
    graph = source.graph()
    _to_8bit_blocks(graph, [name for layer in layers(graph) for name in layer.products])
    _with_embeddings(graph, target, bits=8)


def make_static_qdq_minmax(source: Source, target: Path) -> None:
    """Ranges of inputs fixed in advance, the whole of them."""
    static(source, target, QuantFormat.QDQ, CalibrationMethod.MinMax)


def make_static_qdq_percentile(source: Source, target: Path) -> None:
    """Ranges of inputs fixed in advance, less their rarest values."""
    static(source, target, QuantFormat.QDQ, CalibrationMethod.Percentile)


def make_static_qoperator_minmax(source: Source, target: Path) -> None:
    """Ranges of inputs and outputs fixed in advance."""
    static(source, target, QuantFormat.QOperator, CalibrationMethod.MinMax)


_STATIC = (
    "MatMul static ({}), weights per channel; Attention and embeddings, which have no static form, dynamic"
)

VARIANTS: dict[str, Variant] = {
    REFERENCE: Variant("fused graph, nothing quantized", make_fp32),
    SHIPPED: Variant("as export_onnx.py makes it by default", make_shipped),
    "unsmoothed": Variant("as shipped, outliers of activations left as they are", make_unsmoothed),
    "int4": Variant(
        f"as export_onnx.py --quantize int4: products as MatMulNBits of 4 bits, a scale for {PRODUCT_BLOCK}, "
        "word embeddings as shipped",
        make_exported_int4,
    ),
    f"int4_blocks_of_{_BLOCK}": Variant(f"as int4, a scale for {_BLOCK}", make_int4_fine),
    "fp16": Variant("as export_onnx.py --quantize fp16: float16 weights, fp32 sums", make_exported_fp16),
    "fp16_whole": Variant("the whole graph by onnxruntime's float16 converter", make_fp16_whole),
    "int8": Variant("dynamic int8, weights per channel, one scale for each embedding table", make_int8),
    "int8_reduce_range": Variant("as int8, weights of 7 bits", make_reduce_range),
    "int8_per_tensor": Variant("as int8, weights with one scale each", make_per_tensor),
    "uint8_weights": Variant("as int8, weights unsigned with zero points", make_uint8),
    "embeddings_fp32": Variant("as int8, embeddings fp32", make_embeddings_fp32),
    "embeddings_8bit_rows": Variant(
        "as int8, word embeddings with a scale a row, positions a column", make_embeddings_rows
    ),
    "embeddings_4bit": Variant(
        f"as int8, word embeddings of 4 bits with a scale for {_BLOCK} values, positions of 8",
        make_embeddings_4bit,
    ),
    "embeddings_and_feed_forward_4bit": Variant(
        f"as embeddings_4bit, feed-forward layers as MatMulNBits of 4 bits, a scale for {_COARSE_BLOCK}",
        make_feed_forward_4bit,
    ),
    "attention_fp32": Variant("as int8, fused query-key-value projections fp32", make_attention_fp32),
    "feed_forward_fp32": Variant("as int8, feed-forward layers fp32", make_feed_forward_fp32),
    "last_layer_fp32": Variant("as int8, last layer fp32", make_last_layer_fp32),
    "heads_fp32": Variant("as int8, heads fp32", make_heads_fp32),
    "feed_forward_8bit_blocks": Variant(
        f"as int8, feed-forward layers as MatMulNBits of 8 bits, a scale for {_BLOCK}",
        make_feed_forward_blocks,
    ),
    "weights_only_8bit": Variant(
        f"as int8, the layers' MatMul as MatMulNBits of 8 bits, a scale for {_BLOCK}",
        make_weights_only_8bit,
    ),
    "weights_only_embeddings_8bit": Variant(
        "as weights_only_8bit, embeddings as embeddings_8bit_rows", make_embeddings_rows_weights_only
    ),
    "static_qdq_minmax": Variant(_STATIC.format("QDQ, MinMax"), make_static_qdq_minmax),
    "static_qdq_percentile": Variant(_STATIC.format("QDQ, Percentile"), make_static_qdq_percentile),
    "static_qoperator_minmax": Variant(_STATIC.format("QOperator, MinMax"), make_static_qoperator_minmax),
}


def dynamic(
    graph: onnx.ModelProto,
    target: Path,
    *,
    ops: Sequence[str] = _ALL_OPS,
    exclude: Sequence[str] = (),
    per_channel: bool = True,
    reduce_range: bool = False,
    weight_type: QuantType = QuantType.QInt8,
) -> None:
    """Quantize dynamically, as the variant ``int8`` where not said otherwise."""
    add_pre_process_metadata(graph)
    quantize_dynamic(
        graph,
        target,
        op_types_to_quantize=list(ops),
        nodes_to_exclude=list(exclude),
        per_channel=per_channel,
        reduce_range=reduce_range,
        weight_type=weight_type,
        extra_options={"DefaultTensorType": TensorProto.FLOAT, "MatMulConstBOnly": True},
    )


def _without(ops: Collection[str]) -> list[str]:
    return [op for op in _ALL_OPS if op not in ops]


def _to_8bit_blocks(graph: onnx.ModelProto, names: Collection[str]) -> None:
    to_matmul_nbits(graph, bits=8, block_size=_BLOCK, only=frozenset(names).__contains__)


def _with_embeddings(graph: onnx.ModelProto, target: Path, *, bits: int) -> None:
    """The linears as ``int8``, the embedding tables by ``quantize_embeddings``."""
    dynamic(graph, target, ops=_without(_EMBEDDINGS))
    quantized = onnx.load(str(target))
    quantize_embeddings(quantized, bits=bits, block_size=_BLOCK)
    onnx.save(quantized, str(target))


class _Feeds(CalibrationDataReader):
    """The calibrating inputs, one after the other."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        """The next inputs; None after the last."""
        return next(self._feeds, None)


def static(source: Source, target: Path, quant_format: QuantFormat, method: CalibrationMethod) -> None:
    """Quantize products with constant ranges of activations, all else dynamically."""
    partly = target.with_name("partly.onnx")
    dynamic(source.graph(), partly, ops=_without(["MatMul"]))
    graph = onnx.load(str(partly))
    products = [node for node in graph.graph.node if node.op_type == "MatMul"]
    for name in dict.fromkeys(name for node in products for name in (node.input[0], node.output[0])):
        # onnx cannot infer what the fused nodes give, and only tensors of known type are calibrated
        graph.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    add_pre_process_metadata(graph)
    whole = method == CalibrationMethod.MinMax
    quantize_static(
        graph,
        target,
        _Feeds(source.calibrating if whole else same_length(source.calibrating)),
        quant_format=quant_format,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        activation_type=QuantType.QUInt8,
        calibrate_method=method,
        extra_options={
            "DefaultTensorType": TensorProto.FLOAT,
            "MatMulConstBOnly": True,
            "WeightSymmetric": True,
            "OpTypesToExcludeOutputQuantization": ["MatMul"],
        },
    )
    partly.unlink()


def same_length(feeds: Sequence[Feed]) -> list[Feed]:
    """The longer half of some inputs, all cut to the shortest of these: histograms want one shape."""
    feeds = sorted(feeds, key=_length)[len(feeds) // 2 :]
    n = min(map(_length, feeds), default=0)
    # The last token, which ends a window, is kept.
    return [
        {name: np.concatenate([values[:, : n - 1], values[:, -1:]], axis=1) for name, values in feed.items()}
        for feed in feeds
    ]


def _length(feed: Feed) -> int:
    return int(feed["input_ids"].size)


@dataclass(frozen=True, slots=True)
class Layer:
    """The nodes of an encoder layer that hold weights.

    Attributes:
        attention: Name of its ``Attention``.
        products: Names of its ``MatMul``, in order.
        feed_forward: The two of them with the largest weights.
    """

    attention: str
    products: tuple[str, ...]
    feed_forward: tuple[str, ...]


def layers(model: onnx.ModelProto) -> list[Layer]:
    """The layers of a fused graph; ExportError where attention is not fused."""
    made = []
    for attention, products in _segments(model.graph):
        products = products[:3]  # after the last layer come the heads
        largest = sorted(products, key=lambda product: -product[1])[:2]
        feed_forward = tuple(name for name, size in products if (name, size) in largest)
        made.append(Layer(attention, tuple(name for name, _ in products), feed_forward))
    return made


def heads(model: onnx.ModelProto) -> list[str]:
    """Names of the ``MatMul`` after the last layer."""
    _, products = _segments(model.graph)[-1]
    return [name for name, _ in products[3:]]


def _segments(graph: onnx.GraphProto) -> list[tuple[str, list[tuple[str, int]]]]:
    """Each ``Attention`` with the constant products up to the next: names and sizes of weights."""
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in graph.initializer}
    found: list[tuple[str, list[tuple[str, int]]]] = []
    for node in graph.node:
        if node.op_type == "Attention":
            found.append((node.name, []))
        elif node.op_type == "MatMul" and found and node.input[1] in sizes:
            found[-1][1].append((node.name, sizes[node.input[1]]))
    if not found:
        raise ExportError("the attention of this encoder is not fused: its layers are not told apart")
    return found


# --- Measuring ---


@dataclass(frozen=True, slots=True)
class Check:
    """The examples scored and those that calibrate."""

    scored: tuple[Example, ...]
    calibrating: tuple[Example, ...]

    @classmethod
    def of(cls, examples: Sequence[Example], limit: int | None) -> Check:
        """At most ``limit`` of the examples, evenly spaced; at most a fifth of them calibrate."""
        kept = spread(examples, limit or len(examples))
        calibrating = spread(kept, min(_MAX_CALIBRATING, len(kept) // 5))
        apart = {example.id for example in calibrating}
        return cls(tuple(e for e in kept if e.id not in apart), tuple(calibrating))


def spread(examples: Sequence[Example], n: int) -> list[Example]:
    """At most n of the examples, evenly spaced."""
    n = min(n, len(examples))
    return [examples[i * len(examples) // n] for i in range(n)]


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """What a variant made of the scored examples.

    Attributes:
        logits: Of each window.
        readings: Of each example.
        calibration: Turns them into probabilities: the checkpoint's, for every variant.
    """

    logits: Sequence[WindowLogits]
    readings: Sequence[RawPrediction]
    calibration: Calibration


def read(folder: Path, examples: Sequence[Example], n_threads: int | None) -> Output:
    """Run a variant on examples, keeping the logits."""
    config = ReaderConfig.load(folder)
    questions = [example.question for example in examples]
    windows = Windower.load(folder, config.window).windows(questions)
    logits = OnnxBackend(folder, n_threads).run(windows)
    readings = decode(questions, windows, logits, config.decode)
    return Output(logits, readings, Calibration.load(folder))


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; figures are None where they are not defined, all of them after a failure.

    Attributes:
        name: The variant.
        description: What it does.
        error: Why it could not be made or run; empty if it could.
        mb: Size of ``model.onnx`` in 10^6 bytes.
        f1: Mean token F1 of the best span of the examples with references, never abstaining.
        f1_difference: Mean of the paired differences to fp32.
        f1_interval: 95 % percentile bootstrap interval of it, over documents.
        auroc: Of the calibrated answerable probability.
        same_span: Share of the examples whose best span is that of fp32.
        max_logit_difference: To fp32, over all logits of all windows.
        batch_s: Median seconds for the batch.
        time_ratio: Median over the rounds of these seconds beside those of the shipped variant.
    """

    name: str
    description: str
    error: str = ""
    mb: float | None = None
    f1: float | None = None
    f1_difference: float | None = None
    f1_interval: tuple[float, float] | None = None
    auroc: float | None = None
    same_span: float | None = None
    max_logit_difference: float | None = None
    batch_s: float | None = None
    time_ratio: float | None = None


def score(examples: Sequence[Example], found: Output, fp32: Output) -> dict[str, Any]:
    """The figures of a variant's output beside those of fp32, by their names in ``Row``."""
    asked = [i for i, example in enumerate(examples) if example.references]
    f1, expected = (np.array([_f1(out.readings[i], examples[i]) for i in asked]) for out in (found, fp32))
    same = [_best(a) == _best(b) for a, b in zip(found.readings, fp32.readings, strict=True)]
    known = [
        (r, e.answerable) for r, e in zip(found.readings, examples, strict=True) if e.answerable is not None
    ]
    return {
        "f1": float(f1.mean()) if asked else None,
        "f1_difference": float((f1 - expected).mean()) if asked else None,
        "f1_interval": paired_interval(f1 - expected, [_document(examples[i]) for i in asked]),
        "auroc": answerability_auroc(
            [found.calibration.probs(r)[0] for r, _ in known], [a for _, a in known]
        ),
        "same_span": float(np.mean(same)) if same else None,
        "max_logit_difference": largest_difference(found.logits, fp32.logits),
    }


def paired_interval(
    differences: npt.NDArray[np.float64], documents: Sequence[str]
) -> tuple[float, float] | None:
    """Bootstrap interval of the mean difference; whole documents are drawn."""
    distinct, units = np.unique(np.array(documents, dtype=np.str_), return_inverse=True)
    sums = np.bincount(units, weights=differences, minlength=len(distinct))
    counts = np.bincount(units, minlength=len(distinct))
    return bootstrap_statistic_interval(
        lambda drawn: float(sums[drawn].sum() / counts[drawn].sum()), len(distinct), seed=SEED
    )


def _document(example: Example) -> str:
    return f"document {example.document}" if example.document else f"row {example.id}"


def _best(reading: RawPrediction) -> tuple[int, int]:
    return (reading.candidates[0].start, reading.candidates[0].end) if reading.candidates else (0, 0)


def _f1(reading: RawPrediction, example: Example) -> float:
    start, end = _best(reading)
    return best_token_f1(example.question.context[start:end], example.references)


def largest_difference(found: Sequence[WindowLogits], expected: Sequence[WindowLogits]) -> float | None:
    """The largest difference of a logit; None without windows."""
    pairs = list(zip(found, expected, strict=True))
    return max((float(np.abs(_flat(a) - _flat(b)).max()) for a, b in pairs), default=None)


def _flat(logits: WindowLogits) -> npt.NDArray[np.float32]:
    head = [] if logits.answerability is None else [logits.answerability]
    return np.concatenate([logits.start, logits.end, np.array(head, dtype=np.float32)])


def interleaved(
    folders: dict[str, Path], questions: Sequence[Question], rounds: int, n_threads: int | None
) -> dict[str, list[float]]:
    """Seconds of each variant for the batch in each round; every round starts with another variant."""
    predictors = {name: Predictor(folder, n_threads=n_threads) for name, folder in folders.items()}
    for predictor in predictors.values():
        predictor.answer_batch(questions)
    names = list(predictors)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for i in range(rounds):
        first = i * len(names) // rounds
        for name in names[first:] + names[:first]:
            began = time.perf_counter()
            predictors[name].answer_batch(questions)
            seconds[name].append(time.perf_counter() - began)
    return seconds


# --- The run ---


def main(arguments: Sequence[str] | None = None) -> None:
    """Make, score and time the variants, and write the table."""
    options = parse(arguments)
    logging.basicConfig(level=logging.ERROR)  # onnxruntime's quantizer warns of what is meant here
    checkpoint = load_checkpoint(options.model)
    windower = Windower(checkpoint.tokenizer, checkpoint.reader.window)
    examples = [e for e in load_examples(options.check).examples if windower.accepts(e.question)]
    check = Check.of(examples, options.limit)
    if not check.scored:
        raise SystemExit(f"{options.check} holds no example that can be read")
    names = [name for name in VARIANTS if name in {REFERENCE, SHIPPED, *options.variants}]
    batch = sorted((e.question for e in check.scored), key=lambda q: -len(q.context))[:_BATCH]
    with tempfile.TemporaryDirectory() as temporary:
        source = prepare(checkpoint, windower, check, Path(temporary))
        rows, folders = [], {}
        for row, folder in measured(names, source, check.scored, Path(temporary), options.threads):
            print(json.dumps(asdict(row)), flush=True)
            rows.append(row)
            if not row.error:
                folders[row.name] = folder
        if options.rounds:
            rows = timed(rows, interleaved(folders, batch, options.rounds, options.threads))
    result = {
        "command": COMMAND,
        "model": checkpoint.name,
        "check": Path(options.check).name,
        "n_scored": len(check.scored),
        "n_with_references": sum(bool(e.references) for e in check.scored),
        "n_calibrating": len(check.calibrating),
        "rounds": options.rounds,
        "tokens_of_batch": sum(window.n_tokens for window in windower.windows(batch)),
        "machine": machine(),
        "onnxruntime": version("onnxruntime"),
        "rows": [asdict(row) for row in by_size(rows)],
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    options.output.with_suffix(".md").write_text(table(result, by_size(rows)), encoding="utf-8")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="checkpoint folder")
    parser.add_argument("--check", type=Path, required=True, help="examples as JSONL")
    parser.add_argument("--limit", type=int, help="read at most so many examples, evenly spaced")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=15, help="of timing; 0 for none")
    parser.add_argument("--threads", type=int, help="windows run at once; all CPUs if not given")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    return parser.parse_args(arguments)


def prepare(checkpoint: Checkpoint, windower: Windower, check: Check, folder: Path) -> Source:
    """Write the fused fp32 graph and gather the calibrating inputs."""
    checkpoint.tokenizer.save(str(folder / TOKENIZER_FILE), pretty=False)
    checkpoint.reader.save(folder)
    checkpoint.calibration.save(folder)
    fp32 = write_fp32(checkpoint, folder, OPSET)
    names = OnnxBackend(fp32, 1).input_names
    windows = windower.windows([example.question for example in check.calibrating])
    first = {window.question_index: window for window in reversed(windows)}
    return Source(fp32, tuple(_feed(window, names) for window in first.values()))


def _feed(window: Window, names: Collection[str]) -> Feed:
    values = {
        "input_ids": window.token_ids,
        "attention_mask": np.ones_like(window.token_ids),
        "token_type_ids": window.type_ids,
    }
    return {name: values[name][None] for name in names}


def measured(
    names: Sequence[str], source: Source, examples: Sequence[Example], root: Path, n_threads: int | None
) -> Iterator[tuple[Row, Path]]:
    """Each variant made in a folder of its own and scored, without its time."""
    fp32 = read(source.fp32, examples, n_threads)
    for name in names:
        description, make = VARIANTS[name]
        folder = root / "variants" / name
        folder.mkdir(parents=True)
        for file in (TOKENIZER_FILE, READER_FILE, CALIBRATION_FILE):
            shutil.copyfile(source.fp32 / file, folder / file)
        try:
            make(source, folder / MODEL_FILE)
            figures = score(examples, read(folder, examples, n_threads), fp32)
            row = Row(name, description, mb=(folder / MODEL_FILE).stat().st_size / 1e6, **figures)
        except Exception as error:  # the quantizers and the runtime share no base class
            row = Row(name, description, error=reason(error, root))
        yield row, folder


def reason(error: Exception, root: Path) -> str:
    """What went wrong, in one line without paths of this machine."""
    lines = str(error).replace(str(root), "").strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]


def timed(rows: Sequence[Row], seconds: dict[str, list[float]]) -> list[Row]:
    """The rows with their times."""
    made = []
    for row in rows:
        own = seconds.get(row.name)
        if own is None:
            made.append(row)
            continue
        ratio = statistics.median(a / b for a, b in zip(own, seconds[SHIPPED], strict=True))
        made.append(Row(**asdict(row) | {"batch_s": statistics.median(own), "time_ratio": ratio}))
    return made


def by_size(rows: Sequence[Row]) -> list[Row]:
    """Smallest first, those that failed last."""
    return sorted(rows, key=lambda row: (bool(row.error), row.mb or 0.0, row.name))


def machine() -> str:
    """CPUs and whether they have the instructions that int8 is fast and exact with."""
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text(encoding="utf-8").split()) if info.is_file() else set()
    special = ", ".join(sorted(flags & {"avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}))
    return f"{os.cpu_count()} cores, {platform.machine()} ({special}), Python {platform.python_version()}"


def table(result: dict[str, Any], rows: Sequence[Row]) -> str:
    """The results in Markdown."""
    columns = (
        "variant | MB | token F1 | F1 - fp32 (95 %) | AUROC | same best span | time | max logit difference"
    )
    lines = [
        "# Ways of quantizing",
        "",
        f"`{COMMAND}`",
        "",
        f"{result['machine']}, onnxruntime {result['onnxruntime']}. {result['n_scored']} examples of "
        f"{result['check']}, {result['n_with_references']} of them with references. F1 never abstains; its "
        f"difference is paired, its interval a bootstrap over documents. Time: seconds for the {_BATCH} "
        f"longest contexts beside those of `{SHIPPED}`, median of {result['rounds']} interleaved rounds.",
        "",
        f"| {columns} |",
        f"|{' --- |' * (columns.count('|') + 1)}",
        *(_line(row) for row in rows),
        "",
        *(f"- `{row.name}`: {row.description}." for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    if row.error:
        return f"| {row.name} | not made: {row.error.replace('|', '/')} |  |  |  |  |  |  |"
    interval = "" if row.f1_interval is None else " ({:+.4f} to {:+.4f})".format(*row.f1_interval)
    cells = [
        row.name,
        _number(row.mb, ".1f"),
        _number(row.f1, ".4f"),
        _number(row.f1_difference, "+.4f") + interval,
        _number(row.auroc, ".4f"),
        _number(row.same_span, ".1%"),
        _number(row.time_ratio, ".2f"),
        _number(row.max_logit_difference, ".3f"),
    ]
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


if __name__ == "__main__":
    main()
