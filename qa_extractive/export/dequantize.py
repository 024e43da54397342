"""The way back: a torch checkpoint from an exported model, for fine-tuning without a download.

At export each torch parameter is found in the fused fp32 graph by its values: as it is, transposed, or
as a third of a fused query-key-value projection. Quantization keeps an initializer's name, so the
place noted in ``architecture.json`` is enough to read the parameter back. Needs the [train] extra.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper

from qa_extractive._utils.atomic_folder import atomic_folder
from qa_extractive.config import READER_FILE, read_json
from qa_extractive.errors import ModelError, reason_of
from qa_extractive.export.passes.embeddings import BLOCK_SIZE, dequantize, unpack_halves
from qa_extractive.export.passes.flash_attention import joined_thirds
from qa_extractive.export.passes.products import block_products
from qa_extractive.export.passes.smoothing import SMOOTHING
from qa_extractive.inference.calibration import CALIBRATION_FILE
from qa_extractive.inference.onnx_backend import MODEL_FILE
from qa_extractive.inference.onnx_checks import check_graph
from qa_extractive.inference.tokenizer_file import TOKENIZER_FILE
from qa_extractive.model.progress_bars import without_progress_bars
from qa_extractive.model.size_checks import check_sizes
from qa_extractive.model.span_reader import PRUNING_HEADS, SpanReader, SpanReaderConfig

logger = logging.getLogger(__name__)

ARCHITECTURE_FILE = "architecture.json"

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class WeightPlace:
    """Where a torch parameter lies in the graph.

    Attributes:
        initializer: Name of the initializer in the fused fp32 graph.
        transposed: Whether it holds the transposed parameter.
        first: First of its columns that are the parameter's (after the transposition noted).
        last: Column after the last; both 0 where all are.
    """

    initializer: str
    transposed: bool
    first: int = 0
    last: int = 0


def find_weights(model: SpanReader, graph: onnx.GraphProto) -> dict[str, WeightPlace]:
    """The place of each parameter in a fused fp32 graph, by value; those not found are left out."""
    places = dict(_pieces(graph))
    found: dict[str, WeightPlace] = {}
    for name, parameter in model.state_dict().items():
        values = parameter.detach().numpy()
        for transposed in (False, True):
            place = places.get(_digest(values.T if transposed else values))
            if place is not None:
                found[name] = WeightPlace(place.initializer, transposed, place.first, place.last)
                break
    return found


def _pieces(graph: onnx.GraphProto) -> Iterator[tuple[bytes, WeightPlace]]:
    """Each initializer, and each third of a fused query-key-value one, by its digest."""
    fused = {name for node in graph.node if node.op_type == "Attention" for name in node.input[1:3]}
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        yield _digest(values), WeightPlace(tensor.name, transposed=False)
        if tensor.name in fused:
            width = values.shape[-1] // 3
            for first in range(0, 3 * width, width):
                place = WeightPlace(tensor.name, False, first, first + width)
                yield _digest(values[..., first : first + width]), place


def _digest(values: Array) -> bytes:
    data = np.ascontiguousarray(values)
    return hashlib.sha256(f"{data.dtype} {data.shape} ".encode() + data.tobytes()).digest()


def save_architecture(model: SpanReader, fused: onnx.ModelProto, folder: Path) -> None:
    """Write ``architecture.json``: the encoder's config and where each parameter lies."""
    places = {name: asdict(place) for name, place in find_weights(model, fused.graph).items()}
    values = {"config": _portable(model.config.to_dict()), "weights": places}
    (folder / ARCHITECTURE_FILE).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def _portable(config: dict[str, Any]) -> dict[str, Any]:
    """The config without the paths of the machine that trained it."""
    encoder = {k: v for k, v in config["encoder"].items() if k != "_name_or_path"}
    return {k: v for k, v in config.items() if k != "_name_or_path"} | {"encoder": encoder}


def rebuild(onnx_folder: str | Path, output_folder: str | Path) -> Path:
    """Write a torch checkpoint from an exported BERT reader, its quantized weights dequantized.

    Args:
        onnx_folder: Folder written by ``export_onnx.py``.
        output_folder: Folder to write; must be missing or empty.

    Returns:
        ``output_folder``, which ``train.py --base`` and ``export_onnx.py --model`` take.

    Raises:
        ModelError: The folder is no exported model, or not of BERT type.
        ExportError: ``output_folder`` is not empty.
    """
    source, output = Path(onnx_folder), Path(output_folder)
    model = load_rebuilt(source)
    with atomic_folder(output) as folder:
        with without_progress_bars():
            model.save_pretrained(folder)
        for name in (TOKENIZER_FILE, READER_FILE, CALIBRATION_FILE):
            shutil.copyfile(source / name, folder / name)
    return output


def load_rebuilt(onnx_folder: Path) -> SpanReader:
    """The torch model of an exported folder, in evaluation mode; errors as of ``rebuild``.

    Pruning heads of an earlier kind, which read less, are left out with a warning.
    """
    config, places = _read_architecture(onnx_folder)
    check_sizes(config.encoder, onnx_folder)
    try:
        return _filled(config, places, _initializers(onnx_folder / MODEL_FILE))
    except ModelError as error:
        raise ModelError(f"{onnx_folder} cannot be made a torch model again: {error}") from None
    except Exception as error:  # shapes and types that do not go together, as torch and numpy put it
        raise ModelError(
            f"{onnx_folder} cannot be made a torch model again: {ARCHITECTURE_FILE} is not that of its "
            f"{MODEL_FILE}: {reason_of(error)}"
        ) from None


def _filled(
    config: SpanReaderConfig, places: Mapping[str, WeightPlace], tensors: Mapping[str, Array]
) -> SpanReader:
    model = SpanReader(config)
    missing = sorted(set(model.state_dict()) - set(places))
    if missing and all(name.startswith(PRUNING_HEADS) for name in missing):
        logger.warning("the exported model's pruning heads are of an earlier kind: they are left out")
        config = copy.deepcopy(config)
        config.skim_layers = []
        rest = {name: place for name, place in places.items() if not name.startswith(PRUNING_HEADS)}
        return _filled(config, rest, tensors)
    if missing:
        raise ModelError(f"{missing[0]} has no place")
    model.load_state_dict({name: torch.from_numpy(_read(place, tensors)) for name, place in places.items()})
    model.eval()
    return model


def _read_architecture(folder: Path) -> tuple[SpanReaderConfig, dict[str, WeightPlace]]:
    path = folder / ARCHITECTURE_FILE
    values = read_json(path)
    try:
        config = SpanReaderConfig(**values["config"])
        places = {name: WeightPlace(**place) for name, place in values["weights"].items()}
        encoder_type = config.encoder.get("model_type")
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is not understood: {reason_of(error)}; export the model again") from None
    if encoder_type != "bert":
        raise ModelError(f"{folder} holds a {encoder_type} encoder: only BERT can be rebuilt for torch")
    return config, places


def _initializers(path: Path) -> dict[str, Array]:
    check_graph(path)
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception as error:  # missing file, or protobuf's own errors
        raise ModelError(f"{path} cannot be read: {error}") from None
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return tensors | dict(block_products(graph)) | dict(joined_thirds(tensors))


def _read(place: WeightPlace, tensors: Mapping[str, Array]) -> npt.NDArray[np.float32]:
    values = _dequantized(place.initializer, tensors)
    smoothing = tensors.get(place.initializer + SMOOTHING)
    if smoothing is not None:
        values = values * smoothing[:, None]
    if place.last:
        values = values[..., place.first : place.last]
    return (values.T if place.transposed else values).copy()


def _dequantized(name: str, tensors: Mapping[str, Array]) -> npt.NDArray[np.float32]:
    """An initializer as fp32; its scales are one, one for each column, or one for each block of a row."""
    quantized = tensors.get(f"{name}_quantized")
    if quantized is None:
        if name not in tensors:
            raise ModelError(f"the graph holds no {name}: export the model again")
        return np.asarray(tensors[name], dtype=np.float32)
    scale = tensors[f"{name}_scale"]
    if scale.ndim == 2:
        if quantized.dtype == np.uint8:
            return dequantize(unpack_halves(quantized), scale, BLOCK_SIZE)
        block = quantized.shape[1] if scale.shape[1] == 1 else BLOCK_SIZE
        return dequantize(quantized.astype(np.int8), scale, block)
    zero = tensors.get(f"{name}_zero_point", np.zeros((), dtype=np.int32))
    return np.asarray((quantized.astype(np.int32) - zero.astype(np.int32)) * scale, dtype=np.float32)
