"""A model for the browser: ``web/`` reads the folder that is written here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from qa_extractive.errors import ModelError
from qa_extractive.inference.calibration import CALIBRATION_FILE
from qa_extractive.inference.onnx_backend import MODEL_FILE
from qa_extractive.inference.onnx_checks import check_graph
from qa_extractive.inference.onnx_forms import QUANTIZED_OPERATORS, float_products
from qa_extractive.inference.tokenizer_file import TOKENIZER_FILE

LIST_FILE = "web.json"
"""Lists the other files with their sizes, so that a page can show how far loading is."""
_READER_FILE = "reader.json"
_COPIED = (TOKENIZER_FILE, _READER_FILE, CALIBRATION_FILE)
_FORMAT_VERSION = 1


def write_web(folder: Path, output: Path) -> dict[str, int]:
    """Write what a browser reads of an exported model, and return the bytes of each file.

    The graph gets the form of ``precision="exact"``: float products of the weights as they are stored. The
    sums do not depend on the instructions of a CPU, so that a browser finds the same spans.

    Args:
        folder: A model that ``export_onnx.py`` wrote.
        output: Folder to write; files of the same names in it are replaced.

    Raises:
        ModelError: A file is missing, or the graph cannot be given that form.
    """
    missing = [name for name in (MODEL_FILE, *_COPIED) if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{folder} has no {missing[0]}: export the model again")
    check_graph(folder / MODEL_FILE)
    output.mkdir(parents=True, exist_ok=True)
    (output / MODEL_FILE).write_bytes(_exact(folder / MODEL_FILE))
    for name in _COPIED:
        shutil.copyfile(folder / name, output / name)
    sizes = {name: (output / name).stat().st_size for name in (MODEL_FILE, *_COPIED)}
    listed = {"format_version": _FORMAT_VERSION, "files": sizes}
    (output / LIST_FILE).write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    return sizes


def _exact(path: Path) -> bytes:
    content = path.read_bytes()
    if not any(name in content for name in QUANTIZED_OPERATORS):
        return content
    try:
        return float_products(content)
    except ValueError as error:
        raise ModelError(f"{path} cannot be written for the web, export the model again: {error}") from None
