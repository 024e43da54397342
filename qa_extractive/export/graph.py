"""The ONNX graph of a checkpoint: traced, fused and quantized. Needs the [train] extra."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.quantization.quant_utils import add_pre_process_metadata
from onnxruntime.transformers.fusion_options import AttentionMaskFormat, FusionOptions
from onnxruntime.transformers.optimizer import optimize_model

from qa_extractive.errors import ExportError, reason_of
from qa_extractive.export.dequantize import save_architecture
from qa_extractive.export.passes.context_cache import add_context_cache
from qa_extractive.export.passes.embeddings import can_quantize_embeddings, quantize_embeddings
from qa_extractive.export.passes.flash_attention import use_flash_attention
from qa_extractive.export.passes.kernels import drop_mask, use_quick_kernels
from qa_extractive.export.passes.pair_sums import fit_pair_sums
from qa_extractive.export.passes.products import to_half, to_matmul_nbits, unfuse_attention
from qa_extractive.export.passes.rounding import dither, product_weights
from qa_extractive.export.passes.sentence_pruning import add_sentence_pruning
from qa_extractive.export.passes.smoothing import Inputs, activation_peaks, smooth_outliers
from qa_extractive.export.tracing import trace
from qa_extractive.inference.calibration import CALIBRATION_FILE
from qa_extractive.inference.onnx_backend import MODEL_FILE, VOCAB_SIZE
from qa_extractive.inference.onnx_forms import float_products
from qa_extractive.inference.onnx_inputs import CACHED_GRID
from qa_extractive.inference.tokenizer_file import TOKENIZER_FILE
from qa_extractive.model.checkpoint import Checkpoint
from qa_extractive.model.span_reader import SpanReader

_CACHED_LAYERS = "cached_layers"  # key of the file's metadata
_LINEARS = ("MatMul", "Attention")
_TABLES = ("Gather", "EmbedLayerNormalization")
_QUANTIZED_OPS = (*_LINEARS, *_TABLES)
EMBEDDING_BITS, WIDE_EMBEDDING_BITS = 4, 8
_FUSED_WHOLE = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert")
_CPU = {
    "none": "fp32: any CPU that onnxruntime runs on",
    "int8": (
        "int8 weights by channel, uint8 activations quantized in each run: exact integer sums on every CPU, "
        "no two weights so large that they saturate 16 bits (AVX2 without VNNI)"
    ),
    "int8-weights": "int8 weights by channel, widened once when loaded, float products: any CPU",
    "int4": (
        "int4 weights by block, int8 activations quantized by block in each run: any CPU, fast with AVX2 or "
        "better; heads' last products fp32"
    ),
    "fp16": "float16 weights, cast to fp32 once when loaded: any CPU that onnxruntime runs on",
}
_INT8 = ("int8", "int8-weights")
_BITS_UNQUANTIZED = {"none": 32, "fp16": 16}


@dataclass(frozen=True, slots=True)
class Quantization:
    """How ``model.onnx`` is made of the fused fp32 graph; the attributes are those of ``ExportReport``."""

    quantize: str
    embedding_bits: int
    quantized_ops: tuple[str, ...]
    cpu: str
    dithered: bool = False

    @property
    def can_be_dithered(self) -> bool:
        """Whether its weights may be rounded at random (``rounding``)."""
        return self.quantize in _INT8

    @property
    def words(self) -> str:
        """For people."""
        if self.quantize in _BITS_UNQUANTIZED:
            return {"fp16": "fp16", "none": "fp32"}[self.quantize]
        name = "int8 weights and float products" if self.quantize == "int8-weights" else self.quantize
        more = [f"{self.embedding_bits}-bit embeddings"]
        more += ["rounded at random"] if self.dithered else []
        return f"{name}, {', '.join(more)}"


def quantization_of(quantize: str, *, embedding_bits: int = EMBEDDING_BITS) -> Quantization:
    """The quantization named "int8", "int8-weights", "int4", "fp16" or "none".

    Raises:
        ExportError: The name is none of them, or the bits are neither 4 nor 8.
    """
    if quantize not in _CPU:
        raise ExportError(f"quantize must be one of auto, {', '.join(_CPU)}, got {quantize!r:.40}")
    if embedding_bits not in (4, 8):
        raise ExportError(f"embeddings are quantized to 4 or 8 bits, not {embedding_bits}")
    if quantize in _BITS_UNQUANTIZED:
        return Quantization(quantize, _BITS_UNQUANTIZED[quantize], (), _CPU[quantize])
    return Quantization(quantize, embedding_bits, _QUANTIZED_OPS, _CPU[quantize])


def write_fp32(checkpoint: Checkpoint, folder: Path, opset: int) -> Path:
    """Write the fused fp32 graph into a folder of its own, to be removed when it is no longer needed.

    Args:
        checkpoint: What to export.
        folder: Folder of the export, with its serving files; a reader's ``architecture.json`` goes there.
        opset: Version of the ONNX operator set.

    Returns:
        ``folder / "fp32"``, which ``Predictor`` serves.

    Raises:
        ExportError: The architecture cannot be traced, written or fused.
    """
    fp32 = folder / "fp32"
    fp32.mkdir()
    for name in (TOKENIZER_FILE, "reader.json", CALIBRATION_FILE):
        shutil.copyfile(folder / name, fp32 / name)
    raw = fp32 / "raw.onnx"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of every Python branch; parity is measured
            trace(checkpoint, raw, opset)
            _fuse(raw, fp32 / MODEL_FILE, checkpoint)
    except Exception as error:  # torch, optimum and onnxruntime share no base class
        raise ExportError(f"{checkpoint.name} cannot be exported: {reason_of(error)}") from error
    raw.unlink()
    _finish(fp32 / MODEL_FILE, _notes(checkpoint))
    if isinstance(checkpoint.model, SpanReader):
        save_architecture(checkpoint.model, onnx.load(str(fp32 / MODEL_FILE)), folder)
    return fp32


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


def _notes(checkpoint: Checkpoint) -> dict[str, int]:
    """What the file's metadata says: the size of the vocabulary, and how a reader reads papers apart."""
    notes = {VOCAB_SIZE: checkpoint.encoder_config.vocab_size}
    if isinstance(checkpoint.model, SpanReader) and checkpoint.model.config.skim_layers:
        config = checkpoint.model.config
        notes |= {_CACHED_LAYERS: config.cached_layers, CACHED_GRID: config.cached_grid}
    return notes


def _finish(path: Path, notes: Mapping[str, int]) -> None:
    """Note what the metadata says, and make matrix products of Gemm nodes as the quantizer does.

    The latter here already, so that weights lie alike in both graphs (see ``rebuild``).
    """
    graph = ONNXModel(onnx.load(str(path)))
    graph.replace_gemm_with_matmul()
    for key, value in notes.items():
        graph.model.metadata_props.add(key=key, value=str(value))
    graph.save_model_to_file(str(path))


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a graph can do beside reading windows whole.

    Attributes:
        can_skim: Its upper layers can leave sentences out (``add_sentence_pruning``).
        can_read_apart: Its lower layers can read papers apart from questions (``add_context_cache``).
    """

    can_skim: bool = False
    can_read_apart: bool = False


def write_model(
    fp32: Path, folder: Path, quantization: Quantization, observed: Sequence[Inputs] = ()
) -> Abilities:
    """Write ``model.onnx`` into a folder: the fused fp32 graph of another, made smaller or as it is.

    - int8: products with weights by channel and activations quantized in each run;
    - int8-weights: the same weights, and float products, which take the time of fp32;
    - int4: products with weights in blocks, those of attention too;
    - fp16: large weights of 16 bits, computed with in fp32.

    Of a reader with pruning heads, the first two have the ``Abilities`` that it can have.
    With all but fp16, embedding tables that are fused with their normalisation get scales of their own
    rows or blocks (``quantize_embeddings``); those of other graphs one scale and 8 bits. All get quick
    kernels (``use_quick_kernels``).

    Args:
        fp32: Folder of the fused fp32 graph.
        folder: Where to write.
        quantization: How.
        observed: Inputs, a window each, in which int8 looks for outliers of activations, to smooth them; none
            if empty.

    Returns:
        What it can do beside reading windows whole.
    """
    target = folder / MODEL_FILE
    graph = onnx.load(str(fp32 / MODEL_FILE))
    if quantization.quantize in _BITS_UNQUANTIZED:
        if quantization.quantize == "fp16":
            to_half(graph)
        use_quick_kernels(graph, approximate_gelu=False)
        onnx.save(graph, str(target))
        return Abilities()
    apart = can_quantize_embeddings(graph)
    dynamic = () if apart else _TABLES
    weights = {}
    if quantization.quantize == "int4":
        unfuse_attention(graph)
        to_matmul_nbits(graph)
    else:
        if quantization.quantize == "int8":  # float products have no outliers
            smooth_outliers(graph, activation_peaks(fp32 / MODEL_FILE, observed))
        dynamic = (*_LINEARS, *dynamic)
        weights = product_weights(graph)
    if dynamic:
        graph = _quantized_dynamically(graph, target, dynamic)
    if quantization.dithered:
        dither(graph, weights)
    if quantization.quantize == "int8":
        fit_pair_sums(graph, weights, dithered=quantization.dithered)
    if apart:
        quantize_embeddings(graph, bits=quantization.embedding_bits)
    use_quick_kernels(graph, approximate_gelu=True)
    drop_mask(graph)
    can_skim = add_sentence_pruning(graph)
    noted = {each.key: each.value for each in graph.metadata_props}
    n_layers = int(noted.get(_CACHED_LAYERS, 1))
    abilities = Abilities(can_skim, can_skim and add_context_cache(graph, n_layers))
    use_flash_attention(graph)
    onnx.save(graph, str(target))
    if quantization.quantize == "int8-weights":
        target.write_bytes(float_products(target.read_bytes()))
    return abilities


def _quantized_dynamically(graph: onnx.ModelProto, target: Path, ops: Sequence[str]) -> onnx.ModelProto:
    """The graph after onnxruntime's quantizer, which writes a file in between."""
    add_pre_process_metadata(graph)  # it is fused already: no need to warn
    with _quiet_root_logger():
        quantize_dynamic(
            graph,
            target,
            op_types_to_quantize=list(ops),
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT, "MatMulConstBOnly": True},
        )
    return onnx.load(str(target))


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
