"""A torch checkpoint -> ONNX: fused, quantized, checked against torch, calibrated on its own logits.

Needs the [train] extra. What comes out is a folder that ``Predictor`` serves without torch.
"""

from __future__ import annotations

import json
import logging
import platform
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import onnx
import optimum.exporters.onnx.model_configs  # noqa: F401  registers the architectures
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.quantization.quant_utils import add_pre_process_metadata
from onnxruntime.transformers.fusion_options import AttentionMaskFormat, FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from optimum.exporters.onnx import OnnxConfig
from optimum.exporters.onnx import export as optimum_export
from optimum.exporters.tasks import TasksManager

from qa_extractive.backend import WindowLogits
from qa_extractive.calibration import CALIBRATION_FILE, Calibration
from qa_extractive.calibration_fit import fit
from qa_extractive.dataset.loading import load_examples
from qa_extractive.errors import DataError, ExportError
from qa_extractive.export.atomic_folder import atomic_folder
from qa_extractive.export.checkpoint import Checkpoint, load_checkpoint
from qa_extractive.export.rebuild import save_architecture
from qa_extractive.metrics.text import best_token_f1
from qa_extractive.model import SpanReader, pad_windows
from qa_extractive.predictor import MODEL_FILE, OnnxBackend, Predictor
from qa_extractive.records import Example
from qa_extractive.windows import TOKENIZER_FILE, Window, Windower

logger = logging.getLogger(__name__)

EXPORT_FILE = "export.json"
CALIBRATION_EXAMPLES_FILE = "calibration_examples.jsonl.gz"
OPSET = 17
MAX_LOGIT_DIFF = 1e-3

_QUANTIZED_OPS = ("MatMul", "Attention", "Gather", "EmbedLayerNormalization")
_FUSED_WHOLE = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert")
_COPIED = ("train.json", "README.md")
_PACKAGES = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime", "tokenizers")
_N_RANDOM, _N_REAL, _N_AGREEMENT = 8, 16, 500
_SEED = 17
_CPU = {
    "none": "fp32: any CPU that onnxruntime runs on",
    "int8": (
        "int8 weights by channel, uint8 activations quantized in each run: exact integer sums with VNNI or "
        "its like; without it (AVX2) two products of full range may saturate 16 bits unless reduce_range"
    ),
}


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export did; saved as ``export.json``.

    Attributes:
        model: The checkpoint exported: the name of its folder or its hub id.
        encoder_type: Its ``model_type``.
        opset: Version of the ONNX operator set.
        quantize: "int8" or "none".
        reduce_range: Whether weights keep to 7 bits.
        quantized_ops: Kinds of nodes quantized.
        cpu: In words, what the file assumes of a CPU.
        exported_on: Machine of the export.
        versions: Of the packages that took part.
        fp32_bytes: Size of the fused fp32 graph.
        model_bytes: Size of ``model.onnx``.
        max_logit_diff: Largest difference of a logit between torch and fused fp32 ONNX.
        n_parity_windows: Windows compared for that.
        n_check_examples: Examples on which the exported model was compared with fp32 ONNX.
        answer_agreement: Share of them whose best span is the same, in [0, 1]; None without examples.
        fp32_f1: Mean token F1 of fp32 ONNX on those of them that have references, never abstaining;
            None without any.
        model_f1: The same of the exported model.
        calibrated_on: In words, what the calibration was fitted on.
    """

    model: str
    encoder_type: str
    opset: int
    quantize: str
    reduce_range: bool
    quantized_ops: tuple[str, ...]
    cpu: str
    exported_on: str
    versions: dict[str, str]
    fp32_bytes: int
    model_bytes: int
    max_logit_diff: float
    n_parity_windows: int
    n_check_examples: int = 0
    answer_agreement: float | None = None
    fp32_f1: float | None = None
    model_f1: float | None = None
    calibrated_on: str = ""

    def save(self, folder: Path) -> None:
        """Write ``export.json`` into a folder."""
        (folder / EXPORT_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the exported model's answers compare with those of fp32; see ``ExportReport``."""

    n_check_examples: int
    answer_agreement: float | None
    fp32_f1: float | None
    model_f1: float | None


def export(
    model_folder: str | Path,
    output: str | Path,
    *,
    quantize: str = "int8",
    check: Sequence[Example] | None = None,
    calibrate: Sequence[Example] | None = None,
    reduce_range: bool = False,
    opset: int = OPSET,
    n_threads: int | None = None,
) -> ExportReport:
    """Export a checkpoint into a folder for ``Predictor``; a failed export leaves nothing behind.

    Args:
        model_folder: Folder written by ``train.py``, or folder or hub id of a Hugging Face
            question-answering checkpoint.
        output: Folder to write; an earlier export there is replaced.
        quantize: "int8" or "none".
        check: Examples to compare the exported model with fp32 on (500 of them, evenly spaced); None
            for those of ``calibrate``.
        calibrate: Examples the model was not trained on, to fit the calibration to the exported
            model's logits; None for those that ``train.py`` left in the folder. Without any, the
            checkpoint's own calibration is kept, or the plain logistic of the margin.
        reduce_range: Keep quantized weights to 7 bits, for CPUs without VNNI; measure it.
        opset: Version of the ONNX operator set.
        n_threads: Windows run at once while checking and calibrating; None for all CPUs.

    Raises:
        ModelError: The checkpoint cannot be read.
        ExportError: It cannot be exported, misses its parity check, or ``output`` holds other files.
    """
    if quantize not in _CPU:
        raise ExportError(f"quantize must be int8 or none, got {quantize!r}")
    with atomic_folder(Path(output), marker=EXPORT_FILE) as folder:
        checkpoint = load_checkpoint(str(model_folder))
        calibrate = _own_examples(checkpoint) if calibrate is None else calibrate
        check = calibrate if check is None else check
        _write_serving_files(checkpoint, folder)
        fp32 = _write_fp32(checkpoint, folder, opset)
        windows = _parity_windows(checkpoint, check)
        difference = _parity(checkpoint, fp32, windows, n_threads)
        _write_model(fp32, folder, quantize=quantize, reduce_range=reduce_range)
        agreement = _agreement(fp32, folder if quantize == "int8" else fp32, check, n_threads)
        calibration = _calibrate(folder, calibrate, checkpoint, n_threads)
        report = ExportReport(
            model=checkpoint.name,
            encoder_type=checkpoint.encoder_type,
            opset=opset,
            quantize=quantize,
            reduce_range=reduce_range and quantize == "int8",
            quantized_ops=_QUANTIZED_OPS if quantize == "int8" else (),
            cpu=_CPU[quantize],
            exported_on=f"{platform.machine()} {platform.system()}, Python {platform.python_version()}",
            versions=_versions(),
            fp32_bytes=(fp32 / MODEL_FILE).stat().st_size,
            model_bytes=(folder / MODEL_FILE).stat().st_size,
            max_logit_diff=difference,
            n_parity_windows=len(windows),
            calibrated_on=calibration.fitted_on,
            **asdict(agreement),
        )
        report.save(folder)
        shutil.rmtree(fp32)
    return report


def calibrate_folder(
    folder: str | Path, examples: Sequence[Example], *, n_threads: int | None = None
) -> Calibration:
    """Fit the calibration of an exported model to its own logits and save it with the model.

    Args:
        folder: Folder written by ``export``.
        examples: Examples it was not trained on; those too long to be read are left out.
        n_threads: Windows run at once; None for all CPUs.
    """
    predictor = Predictor(folder, n_threads=n_threads)
    kept = _readable(predictor, examples)
    logger.info("calibrating %s on %d examples", predictor.folder, len(kept))
    sources = ", ".join(sorted({e.source for e in kept if e.source})) or "unnamed data"
    readings = predictor.read_batch([e.question for e in kept])
    fitted_on = f"this ONNX file's logits of {len(kept)} examples ({sources})"
    calibration = fit(readings, kept, fitted_on=fitted_on)
    calibration.save(predictor.folder)
    return calibration


def _versions() -> dict[str, str]:
    """Of the packages that take part; onnxruntime's other builds go by other names."""
    installed = {}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            installed[name] = version(name)
    return installed


def _own_examples(checkpoint: Checkpoint) -> Sequence[Example]:
    """The calibration examples that ``train.py`` left in the checkpoint's folder."""
    path = checkpoint.folder / CALIBRATION_EXAMPLES_FILE if checkpoint.folder else None
    return load_examples(path).examples if path and path.is_file() else ()


def _write_serving_files(checkpoint: Checkpoint, folder: Path) -> None:
    checkpoint.tokenizer.save(str(folder / TOKENIZER_FILE), pretty=False)
    checkpoint.reader.save(folder)
    checkpoint.calibration.save(folder)
    for name in _COPIED:
        if checkpoint.folder and (checkpoint.folder / name).is_file():
            shutil.copyfile(checkpoint.folder / name, folder / name)


def _write_fp32(checkpoint: Checkpoint, folder: Path, opset: int) -> Path:
    """The folder of the fused fp32 graph, below ``folder`` for as long as it is needed."""
    fp32 = folder / "fp32"
    fp32.mkdir()
    for name in (TOKENIZER_FILE, "reader.json", CALIBRATION_FILE):
        shutil.copyfile(folder / name, fp32 / name)
    raw = fp32 / "raw.onnx"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of every Python branch; parity is measured
            optimum_export(checkpoint.model, _onnx_config(checkpoint), raw, opset=opset)
            _fuse(raw, fp32 / MODEL_FILE, checkpoint)
    except Exception as error:  # torch, optimum and onnxruntime share no base class
        raise ExportError(f"{checkpoint.name} cannot be exported: {_first_line(error)}") from error
    raw.unlink()
    _gemm_to_matmul(fp32 / MODEL_FILE)
    if isinstance(checkpoint.model, SpanReader):
        save_architecture(checkpoint.model, onnx.load(str(fp32 / MODEL_FILE)), folder)
    return fp32


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _onnx_config(checkpoint: Checkpoint) -> OnnxConfig:
    """Optimum's config of the encoder, with the answerability logit where the model has one."""
    constructor = TasksManager.get_exporter_config_constructor(
        "onnx", model_type=checkpoint.encoder_type, task="question-answering", library_name="transformers"
    )
    if not isinstance(checkpoint.model, SpanReader):
        return constructor(checkpoint.encoder_config)
    span_outputs = constructor.func.outputs.fget
    outputs = property(lambda self: {**span_outputs(self), "answerability_logit": {0: "batch_size"}})
    kind = type("SpanReaderOnnxConfig", (constructor.func,), {"outputs": outputs})
    return kind(checkpoint.encoder_config, task="question-answering")


def _fuse(raw: Path, target: Path, checkpoint: Checkpoint) -> None:
    """Write the graph with BERT's patterns fused; of other encoders, only what every one shares."""
    options = FusionOptions("bert")
    options.attention_mask_format = AttentionMaskFormat.AttentionMask  # padding on either side stays right
    whole = checkpoint.encoder_type in _FUSED_WHOLE
    options.enable_attention = options.enable_embed_layer_norm = whole
    fused = optimize_model(
        str(raw),
        model_type="bert",
        num_heads=checkpoint.encoder_config.num_attention_heads if whole else 0,
        hidden_size=checkpoint.encoder_config.hidden_size if whole else 0,
        optimization_options=options,
        opt_level=0,
    )
    fused.save_model_to_file(str(target))


def _gemm_to_matmul(path: Path) -> None:
    """As the quantizer does, here already: so weights lie alike in both graphs (see ``rebuild``)."""
    graph = ONNXModel(onnx.load(str(path)))
    graph.replace_gemm_with_matmul()
    graph.save_model_to_file(str(path))


def _write_model(fp32: Path, folder: Path, *, quantize: str, reduce_range: bool) -> None:
    if quantize == "none":
        shutil.copyfile(fp32 / MODEL_FILE, folder / MODEL_FILE)
        return
    graph = onnx.load(str(fp32 / MODEL_FILE))
    add_pre_process_metadata(graph)  # it is fused already: no need to warn
    with _quiet_root_logger():
        quantize_dynamic(
            graph,
            folder / MODEL_FILE,
            op_types_to_quantize=list(_QUANTIZED_OPS),
            per_channel=True,
            reduce_range=reduce_range,
            weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT, "MatMulConstBOnly": True},
        )


@contextmanager
def _quiet_root_logger() -> Iterator[None]:
    """The quantizer warns through the root logger, which would also gain a handler by that."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def _parity_windows(checkpoint: Checkpoint, examples: Sequence[Example]) -> list[Window]:
    """Random windows of all lengths, and the first of some examples."""
    real = Windower(checkpoint.tokenizer, checkpoint.reader.window)
    questions = [e.question for e in _spread(examples, _N_REAL) if real.accepts(e.question)]
    return _random_windows(checkpoint) + real.windows(questions)[: 2 * _N_REAL]


def _random_windows(checkpoint: Checkpoint) -> list[Window]:
    random = np.random.default_rng(_SEED)
    longest = checkpoint.reader.window.max_tokens
    lengths = np.unique(np.geomspace(3, longest, _N_RANDOM).astype(int))
    n_types = max(1, getattr(checkpoint.encoder_config, "type_vocab_size", 0))
    return [
        Window(
            question_index=0,
            token_ids=random.integers(0, checkpoint.encoder_config.vocab_size, n, dtype=np.int64),
            type_ids=np.minimum(np.arange(n) * 2 // n, n_types - 1).astype(np.int64),
            first=n,
            offsets=np.zeros((0, 2), dtype=np.int64),
        )
        for n in lengths.tolist()
    ]


def _parity(checkpoint: Checkpoint, fp32: Path, windows: Sequence[Window], n_threads: int | None) -> float:
    """The largest difference of a logit between torch and ONNX; ExportError if it is no rounding."""
    backend = OnnxBackend(fp32, n_threads)
    expected = [_torch_logits(checkpoint, window, backend.input_names) for window in windows]
    largest = max(_difference(a, b) for a, b in zip(backend.run(windows), expected, strict=True))
    if not largest < MAX_LOGIT_DIFF:  # NaN too
        raise ExportError(
            f"{checkpoint.name}: a logit of the ONNX graph differs from torch by {largest:.2g}, "
            f"more than {MAX_LOGIT_DIFF:g}: this architecture is not exported faithfully"
        )
    return largest


def _difference(left: WindowLogits, right: WindowLogits) -> float:
    pairs = [(left.start, right.start), (left.end, right.end)]
    if left.answerability is not None or right.answerability is not None:
        pairs.append((np.array(left.answerability, dtype=float), np.array(right.answerability, dtype=float)))
    return float(np.max([np.abs(a - b).max() for a, b in pairs]))


@torch.inference_mode()
def _torch_logits(checkpoint: Checkpoint, window: Window, input_names: Sequence[str]) -> WindowLogits:
    inputs = pad_windows([window])
    output = checkpoint.model(**{name: inputs[name] for name in input_names})
    head: torch.Tensor | None = getattr(output, "answerability_logit", None)
    return WindowLogits(
        output.start_logits[0].numpy(),
        output.end_logits[0].numpy(),
        None if head is None else float(head[0]),
    )


def _agreement(fp32: Path, folder: Path, examples: Sequence[Example], n_threads: int | None) -> Agreement:
    """The exported model beside fp32 on the best spans of some examples."""
    predictor = Predictor(fp32, n_threads=n_threads)
    kept = _readable(predictor, _spread(examples, _N_AGREEMENT))
    if not kept:
        return Agreement(0, None, None, None)
    expected = _best_texts(predictor, kept)
    found = expected if folder == fp32 else _best_texts(Predictor(folder, n_threads=n_threads), kept)
    same = [a == b for a, b in zip(expected, found, strict=True)]
    return Agreement(len(kept), float(np.mean(same)), _mean_f1(expected, kept), _mean_f1(found, kept))


def _spread(examples: Sequence[Example], n: int) -> list[Example]:
    """At most n of the examples, evenly spaced."""
    if len(examples) <= n:
        return list(examples)
    return [examples[i * len(examples) // n] for i in range(n)]


def _readable(predictor: Predictor, examples: Sequence[Example]) -> list[Example]:
    kept = []
    for example in examples:
        try:
            predictor.check(example.question)
        except DataError as error:
            logger.warning("%s is left out: %s", example.id, error)
        else:
            kept.append(example)
    return kept


def _best_texts(predictor: Predictor, examples: Sequence[Example]) -> list[str]:
    readings = predictor.read_batch([e.question for e in examples])
    best = [(r.candidates[0].start, r.candidates[0].end) if r.candidates else (0, 0) for r in readings]
    return [e.question.context[start:end] for (start, end), e in zip(best, examples, strict=True)]


def _mean_f1(answers: Sequence[str], examples: Sequence[Example]) -> float | None:
    pairs = [(a, e.references) for a, e in zip(answers, examples, strict=True) if e.references]
    return float(np.mean([best_token_f1(a, references) for a, references in pairs])) if pairs else None


def _calibrate(
    folder: Path, examples: Sequence[Example], checkpoint: Checkpoint, n_threads: int | None
) -> Calibration:
    if examples:
        return calibrate_folder(folder, examples, n_threads=n_threads)
    kept = checkpoint.calibration
    if kept.n_examples:
        kept = replace(kept, fitted_on=f"{kept.fitted_on}; not fitted again to the exported model's logits")
    kept.save(folder)
    return kept
