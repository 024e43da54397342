"""A student's training runs: from what a teacher labelled, then from the labelled rows; cross-validated."""

from __future__ import annotations

import dataclasses
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_extractive.config import TrainConfig
from qa_extractive.data.documents import document_of
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.evaluation.run import run_system
from qa_extractive.evaluation.torch_system import open_torch
from qa_extractive.finetune.teachers import open_span_model
from qa_extractive.inference.decoding import RawPrediction
from qa_extractive.inference.pipeline import read
from qa_extractive.training.distillation import Distillation
from qa_extractive.training.progress import Watch
from qa_extractive.training.report import TrainReport
from qa_extractive.training.run import train
from qa_extractive.training.splits import with_negatives
from qa_extractive.types import Example

# So few rows that none can be spared: all of them train, nothing chooses a checkpoint and the calibration of
# the base stays. docs/FINE_TUNE.md gives the reasons for each value.
FEW_ROWS = TrainConfig(
    epochs=3.0,
    batch_size=8,
    learning_rate=5e-5,
    head_learning_rate=5e-5,
    warmup_share=0.1,
    train_embeddings=False,
    mismatch_share=0.25,
    removal_share=0.1,
    n_dev=0,
    n_calibration=0,
    n_fresh=0,
    save_minutes=60.0,
)
MANY_ROWS = 400
_CALIBRATION_SHARE = 8


def settings_for(n_rows: int, overrides: Mapping[str, Any]) -> TrainConfig:
    """The settings of a run on so many labelled rows; from ``MANY_ROWS`` on an eighth calibrates."""
    given = dict(overrides)
    if n_rows >= MANY_ROWS:
        given.setdefault("n_calibration", n_rows // _CALIBRATION_SHARE)
    return dataclasses.replace(FEW_ROWS, **given)


def pseudo_label_settings(config: TrainConfig) -> TrainConfig:
    """Those of the run on what the teacher labelled: one pass, twice the batch, nothing held out."""
    return dataclasses.replace(
        config, epochs=1.0, batch_size=2 * config.batch_size, n_dev=0, n_calibration=0, n_fresh=0
    )


@dataclass(frozen=True, slots=True)
class Student:
    """A trained checkpoint.

    Attributes:
        folder: Of the checkpoint.
        report: Of its last run.
    """

    folder: Path
    report: TrainReport


def teach(
    examples: Sequence[Example],
    *,
    base: str,
    output: Path,
    config: TrainConfig,
    distillation: Distillation | None = None,
    watch: Watch | None = None,
) -> Student:
    """One training run; arguments and errors as of ``training.run.train``."""
    report = train(examples, base=base, output=output, config=config, distillation=distillation, watch=watch)
    return Student(output, report)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What students made of rows that they never saw.

    Attributes:
        rows: The labelled rows, in the order of the folds.
        examples: These and made ones without an answer, as a calibration needs them.
        predictions: What the students read of them, before any calibration.
    """

    rows: list[ScoredRow]
    examples: list[Example]
    predictions: list[RawPrediction]


def cross_validated(
    examples: Sequence[Example],
    run: Callable[[Sequence[Example], Path], Student],
    *,
    folds: Sequence[set[str]],
    work: Path,
) -> HeldOut:
    """What students that never saw a row make of it.

    Args:
        examples: Labelled rows.
        run: Trains a student on some of them, in a folder to be made.
        folds: Documents held out in turn (``documents.folds_of``).
        work: Where the students go; each is removed once it has answered.
    """
    found = HeldOut([], [], [])
    for number, fold in enumerate(folds, start=1):
        kept = [e for e in examples if document_of(e) not in fold]
        out = [e for e in examples if document_of(e) in fold]
        student = run(kept, work / f"fold-{number}")
        found.rows.extend(run_system(open_torch(student.folder, f"fold {number}"), out).rows)
        asked = calibration_rows(out)
        found.examples.extend(asked)
        found.predictions.extend(_predictions(student.folder, asked))
        shutil.rmtree(student.folder)
    return found


def calibration_rows(examples: Sequence[Example]) -> list[Example]:
    """The rows, and beside them rows without an answer made of them, in the shares of the training run."""
    return with_negatives(examples, FEW_ROWS, random.Random(FEW_ROWS.seed))


def _predictions(folder: Path, examples: Sequence[Example]) -> list[RawPrediction]:
    model = open_span_model(str(folder))
    return read([e.question for e in examples], model.windower, model.backend, model.decode)
