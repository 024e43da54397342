"""A re-exported model with all weights but one head's as they were, to the bit. Needs the [train] extra.

Quantizing what was dequantized gives almost the same numbers again, and almost is not enough where spans
are promised to stay the same.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from qa_extractive.config import read_json
from qa_extractive.export.dequantize import ARCHITECTURE_FILE
from qa_extractive.inference.onnx_backend import MODEL_FILE

_HEAD = "answerability_head."


def keep_all_but_the_head(base: Path, folder: Path) -> bool:
    """Take every weight but the answerability head's from the model that an export descends from.

    Args:
        base: Folder of the exported model that was rebuilt and trained.
        folder: Folder of the new export; changed in place.

    Returns:
        Whether it could be done: both graphs have the same weights by name, shape and type.
    """
    if not all(
        (each / name).is_file() for each in (base, folder) for name in (MODEL_FILE, ARCHITECTURE_FILE)
    ):
        return False
    places = read_json(folder / ARCHITECTURE_FILE)["weights"]
    own = tuple(place["initializer"] for name, place in places.items() if name.startswith(_HEAD))
    old, new = (onnx.load(str(each / MODEL_FILE)) for each in (base, folder))
    if [_kind(t) for t in _sorted(old)] != [_kind(t) for t in _sorted(new)]:
        return False
    kept = {tensor.name: tensor for tensor in old.graph.initializer}
    for tensor in new.graph.initializer:
        if not tensor.name.startswith(own):
            tensor.CopyFrom(kept[tensor.name])
    onnx.save(new, str(folder / MODEL_FILE))
    return True


def _sorted(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    return sorted(model.graph.initializer, key=lambda tensor: tensor.name)


def _kind(tensor: onnx.TensorProto) -> tuple[str, list[int], int]:
    return tensor.name, list(tensor.dims), tensor.data_type
