"""An exported model and labelled rows -> the same model with a calibration of its own for these rows.

Nothing but the calibrations changes: the graph, the tokenizer and the windows are copied. No torch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from qa_extractive._utils.atomic_folder import atomic_folder
from qa_extractive.archive.pack import manifest_of
from qa_extractive.config import ReaderConfig, read_json
from qa_extractive.errors import DataError
from qa_extractive.export.cross_fit import CrossFit, check_rows, cross_fit
from qa_extractive.export.report import EXPORT_FILE
from qa_extractive.inference.calibration import CALIBRATION_FILES, Calibration
from qa_extractive.inference.calibration_fit import FitRows
from qa_extractive.predictor import Predictor
from qa_extractive.settings import CACHED, EFFORTS, FAST, FULL
from qa_extractive.types import Example

CARD_FILE = "README.md"
_BATCH = 64  # rows between two calls of ``progress``

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Recalibration:
    """What came of calibrating a model.

    Attributes:
        efforts: The fit of every effort that the model has, by name.
        too_long: Ids of the rows whose question is too long for the model; they are left out.
    """

    efforts: dict[str, CrossFit]
    too_long: tuple[str, ...]


def recalibrate(
    model: str | Path | None,
    examples: Sequence[Example],
    output: Path,
    *,
    n_folds: int = 5,
    seed: int = 17,
    answerable_share: float | None = None,
    n_threads: int | None = None,
    progress: Progress = lambda effort, n_done, n_rows: None,
) -> Recalibration:
    """Fit threshold and calibration of an exported model to labelled rows; a failure leaves nothing behind.

    Args:
        model: As of ``Predictor``: None for the embedded model, a folder, or a packed file.
        examples: Rows that the model was not trained on.
        output: Folder to write; an earlier exported model there is replaced.
        n_folds: Folds of whole documents that the gain is measured across.
        seed: Of the folds.
        answerable_share: Share of answerable questions, in (0, 1), that the threshold is chosen for; None
            for that of the rows.
        n_threads: Windows run at once; None for all CPUs.
        progress: Told the effort, the rows read and the rows there are.

    Raises:
        ModelError: There is no such model.
        DataError: The rows are too few, of one text or of one kind, or ``output`` is the model itself.
        ExportError: ``output`` holds something else.
    """
    folder = Predictor(model, n_threads=n_threads).folder
    if output.resolve() == folder.resolve():
        raise DataError(f"{output} is the model that is to be calibrated: give another folder")
    names = manifest_of(folder).files
    fits: dict[str, CrossFit] = {}
    too_long: tuple[str, ...] = ()
    for effort in efforts_of(folder):
        predictor = Predictor(folder, n_threads=n_threads, effort=effort)
        kept, too_long = _readable(predictor, examples)
        rows = _rows(predictor, kept, lambda done, n, effort=effort: progress(effort, done, n))  # type: ignore[misc]
        fits[effort] = cross_fit(
            *(rows, predictor.calibration),
            fitted_on=_fitted_on(kept, len(rows)),
            n_folds=n_folds,
            seed=seed,
            answerable_share=answerable_share,
        )
    with atomic_folder(output, marker=EXPORT_FILE) as new:
        for name in names:
            shutil.copyfile(folder / name, new / name)
        for effort, fitted in fits.items():
            fitted.calibration.save(new, CALIBRATION_FILES[effort])
        _note(new, fits)
    return Recalibration(fits, too_long)


def efforts_of(folder: Path) -> tuple[str, ...]:
    """The efforts that a model has, "full" first."""
    skim = ReaderConfig.load(folder).skim
    has = {FULL: True, FAST: skim is not None, CACHED: skim is not None and skim.papers_apart}
    return tuple(effort for effort in EFFORTS if has[effort])


def _readable(predictor: Predictor, examples: Sequence[Example]) -> tuple[list[Example], tuple[str, ...]]:
    kept, too_long = [], []
    for example in examples:
        try:
            predictor.check(example.question)
            kept.append(example)
        except DataError:
            too_long.append(example.id)
    return kept, tuple(too_long)


def _rows(predictor: Predictor, examples: Sequence[Example], tell: Callable[[int, int], None]) -> FitRows:
    """The predictions of the rows; what cannot be fitted is known before most of the time is spent."""
    known = [example for example in examples if example.answerable is not None]
    predictions = []
    for begin in range(0, len(known), _BATCH):
        predictions += predictor.read_batch([each.question for each in known[begin : begin + _BATCH]])
        tell(len(predictions), len(known))
    rows = FitRows.of(predictions, known)
    check_rows(rows)
    return rows


def _fitted_on(examples: Sequence[Example], n_rows: int) -> str:
    sources = ", ".join(sorted({each.source for each in examples if each.source})) or "unnamed data"
    return f"this ONNX file's logits of {n_rows} rows ({sources}), by qa-extractive calibrate"


def _note(folder: Path, fits: dict[str, CrossFit]) -> None:
    """Say in the model's own papers that its calibration is another one."""
    fitted = fits[FULL]
    note_calibration(folder, fitted.calibration)
    card = folder / CARD_FILE
    if card.is_file():
        text = card.read_text(encoding="utf-8").rstrip()
        card.write_text(f"{text}\n\n{_card_section(fitted)}\n", encoding="utf-8")


def note_calibration(folder: Path, calibration: Calibration) -> None:
    """Say in ``export.json``, where there is one, what the calibration of full effort was fitted on."""
    path = folder / EXPORT_FILE
    if path.is_file():
        values = {**read_json(path), "calibrated_on": calibration.fitted_on}
        path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _card_section(fitted: CrossFit) -> str:
    return (
        "## Calibrated anew\n\n"
        f"Threshold and probabilities were fitted to {fitted.n} further rows ({fitted.n_answerable} with an "
        f"answer); the figures above are those of the calibration before. Across {fitted.n_folds} folds of "
        f"whole documents: F1 as answered {100 * fitted.before.f1:.1f} before and "
        f"{100 * fitted.after.f1:.1f} after, calibration error of `answerable` "
        f"{fitted.before.answerable_error:.3f} and "
        f"{fitted.after.answerable_error:.3f}."
    )
