"""A torch checkpoint -> ONNX: fused, quantized, checked against torch, calibrated on its own logits.

Needs the [train] extra. What comes out is a folder that ``Predictor`` serves without torch.
"""

from __future__ import annotations

import logging
import platform
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from qa_extractive._utils.atomic_folder import atomic_folder
from qa_extractive.config import PruningConfig
from qa_extractive.data.loading import load_examples
from qa_extractive.errors import ModelError
from qa_extractive.export.formats import AUTO, choose_format, formats_of
from qa_extractive.export.graph import write_fp32
from qa_extractive.export.parity import Yardstick, example_windows, measure_parity, readable
from qa_extractive.export.passes.smoothing import Inputs
from qa_extractive.export.pruning_limit import choose_limit
from qa_extractive.export.report import EXPORT_FILE, ExportReport
from qa_extractive.inference.calibration import CALIBRATION_FILES, Calibration
from qa_extractive.inference.calibration_fit import fit
from qa_extractive.inference.onnx_backend import MODEL_FILE
from qa_extractive.inference.tokenizer_file import TOKENIZER_FILE
from qa_extractive.model.checkpoint import Checkpoint, load_checkpoint
from qa_extractive.model.span_reader import SpanReader
from qa_extractive.model.torch_backend import pad_windows
from qa_extractive.predictor import Predictor
from qa_extractive.settings import CACHED, FAST, FULL
from qa_extractive.types import Example

logger = logging.getLogger(__name__)

CALIBRATION_EXAMPLES_FILE = "calibration_examples.jsonl.gz"
OPSET = 17
_N_OBSERVED = 100  # examples whose activations are looked at

_COPIED = ("train.json", "training_report.json", "README.md")
_PACKAGES = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime", "tokenizers")


def export(
    model_folder: str | Path,
    output: str | Path,
    *,
    quantize: str = AUTO,
    check: Sequence[Example] | None = None,
    calibrate: Sequence[Example] | None = None,
    answerable_share: float | None = None,
    embedding_bits: int | None = None,
    opset: int = OPSET,
    n_threads: int | None = None,
    allow_pickle: bool = False,
    cached_layers: int | None = None,
    cached_grid: int | None = None,
) -> ExportReport:
    """Export a checkpoint into a folder for ``Predictor``; a failed export leaves nothing behind.

    Args:
        model_folder: Folder written by ``train.py``, or folder or hub id of a Hugging Face
            question-answering checkpoint.
        output: Folder to write; an earlier export there is replaced.
        quantize: "auto" for the first of int8, int8-weights, fp16 and none that loses at most 0.5 F1
            against torch (``formats``); or one of them, or int4, whatever it loses, with a warning.
            ``graph.write_model`` says what each is.
        check: Examples to compare the exported model with fp32 on (800 of them, evenly spaced); None
            for those of ``calibrate``; made ones where there are none.
        calibrate: Examples the model was not trained on, to fit the calibration to the exported
            model's logits; None for those that ``train.py`` left in the folder. Without any, the
            checkpoint's own calibration is kept, or the plain logistic of the margin.
        answerable_share: Share of answerable questions, in (0, 1), that the threshold is chosen for; None
            for that of the calibration examples.
        embedding_bits: Of the word embeddings of int8 and int4: 4, or 8; None for 4, or with "auto" for
            the first that will do.
        opset: Version of the ONNX operator set.
        n_threads: Windows run at once while checking and calibrating; None for all CPUs.
        allow_pickle: As of ``load_checkpoint``.
        cached_layers: Lower layers that read papers apart at the effort "cached"; None for the checkpoint's.
        cached_grid: Positions that such papers begin at are multiples of it; None for the checkpoint's.

    Raises:
        ModelError: The checkpoint cannot be read, or has no such layers.
        ExportError: It cannot be exported, misses its parity check, or ``output`` holds other files.
    """
    formats = formats_of(quantize, embedding_bits=embedding_bits)
    with atomic_folder(Path(output), marker=EXPORT_FILE) as folder:
        checkpoint = load_checkpoint(str(model_folder), allow_pickle=allow_pickle)
        _read_apart(checkpoint, cached_layers, cached_grid)
        calibrate = _own_examples(checkpoint) if calibrate is None else calibrate
        check = calibrate if check is None else check
        _write_serving_files(checkpoint, folder)
        fp32 = write_fp32(checkpoint, folder, opset)
        parity = measure_parity(checkpoint, fp32, check, n_threads)
        yardstick = Yardstick(fp32, check, n_threads)
        chosen = choose_format(formats, fp32, folder, yardstick, _observed(checkpoint, yardstick.examples))
        abilities = chosen.abilities
        calibration = _calibrate(folder, calibrate, checkpoint, n_threads, answerable_share)
        if abilities.can_skim:
            efforts = (FAST, CACHED) if abilities.can_read_apart else (FAST,)
            _add_efforts(folder, efforts, calibrate, checkpoint, n_threads, answerable_share)
        report = ExportReport(
            model=checkpoint.name,
            encoder_type=checkpoint.encoder_type,
            opset=opset,
            exported_on=f"{platform.machine()} {platform.system()}, Python {platform.python_version()}",
            versions=_versions(),
            fp32_bytes=(fp32 / MODEL_FILE).stat().st_size,
            model_bytes=(folder / MODEL_FILE).stat().st_size,
            calibrated_on=calibration.fitted_on,
            format=chosen.trial.quantization.words,
            why=chosen.reason,
            tried=tuple(each.to_dict() for each in chosen.tried),
            **asdict(chosen.trial.quantization),
            **asdict(parity),
            **asdict(chosen.trial.agreement),
        )
        report.save(folder)
        shutil.rmtree(fp32)
    return report


def calibrate_folder(
    folder: str | Path,
    examples: Sequence[Example],
    *,
    n_threads: int | None = None,
    effort: str = FULL,
    answerable_share: float | None = None,
) -> Calibration:
    """Fit the calibration of an exported model to its own logits and save it with the model.

    Args:
        folder: Folder written by ``export``.
        examples: Examples it was not trained on; those too long to be read are left out.
        n_threads: Windows run at once; None for all CPUs.
        effort: The effort whose calibration it is.
        answerable_share: As of ``export``.
    """
    predictor = Predictor(folder, n_threads=n_threads, effort=effort)
    kept = readable(predictor, examples)
    logger.info("calibrating %s on %d examples", predictor.folder, len(kept))
    sources = ", ".join(sorted({e.source for e in kept if e.source})) or "unnamed data"
    predictions = predictor.read_batch([e.question for e in kept])
    fitted_on = f"this ONNX file's logits of {len(kept)} examples ({sources})"
    calibration = fit(
        *(predictions, kept),
        fitted_on=fitted_on,
        fallback=predictor.calibration,
        answerable_share=answerable_share,
    )
    calibration.save(predictor.folder, CALIBRATION_FILES[effort])
    return calibration


def _add_efforts(
    folder: Path,
    efforts: Sequence[str],
    examples: Sequence[Example],
    checkpoint: Checkpoint,
    n_threads: int | None,
    answerable_share: float | None,
) -> None:
    """Settle which sentences are left out, and calibrate what is then read; not with few examples."""
    predictor = Predictor(folder, n_threads=n_threads)
    kept = readable(predictor, examples)
    limit = choose_limit(predictor, kept)
    if limit is None:
        return
    cached = choose_limit(predictor, kept, papers_apart=True) if CACHED in efforts else None
    replace(checkpoint.reader, skim=PruningConfig(limit, cached is not None, cached)).save(folder)
    for effort in efforts if cached is not None else (FAST,):
        Calibration.load(folder).save(folder, CALIBRATION_FILES[effort])
        calibrate_folder(
            folder, examples, n_threads=n_threads, effort=effort, answerable_share=answerable_share
        )


def _read_apart(checkpoint: Checkpoint, n_layers: int | None, grid: int | None) -> None:
    """Take over how papers are read apart, where it is said."""
    if n_layers is None and grid is None:
        return
    if not isinstance(checkpoint.model, SpanReader):
        raise ModelError(f"{checkpoint.name} has no pruning heads: it cannot read papers apart")
    own = checkpoint.model.config
    checkpoint.model.read_apart(n_layers or own.cached_layers, grid or own.cached_grid)


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
    replace(checkpoint.reader, skim=None).save(folder)  # a limit belongs to the file it was set for
    checkpoint.calibration.save(folder)
    for name in _COPIED:
        if checkpoint.folder and (checkpoint.folder / name).is_file():
            shutil.copyfile(checkpoint.folder / name, folder / name)


def _observed(checkpoint: Checkpoint, examples: Sequence[Example]) -> list[Inputs]:
    """Inputs of the model, a window each, to look at its activations."""
    windows = example_windows(checkpoint, examples, _N_OBSERVED)
    return [{name: values.numpy() for name, values in pad_windows([w]).items()} for w in windows]


def _calibrate(
    folder: Path,
    examples: Sequence[Example],
    checkpoint: Checkpoint,
    n_threads: int | None,
    answerable_share: float | None,
) -> Calibration:
    if examples:
        return calibrate_folder(folder, examples, n_threads=n_threads, answerable_share=answerable_share)
    kept = checkpoint.calibration
    if kept.n_examples:
        kept = replace(kept, fitted_on=f"{kept.fitted_on}; not fitted again to the exported model's logits")
    kept.save(folder)
    return kept
