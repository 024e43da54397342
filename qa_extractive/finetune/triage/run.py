"""Rows of yes or no -> an exported model that sorts papers, measured before and after."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qa_extractive.archive.pack import pack
from qa_extractive.config import READER_FILE, ReaderConfig, TrainConfig
from qa_extractive.data.documents import document_of, place_of
from qa_extractive.errors import DataError, ModelError
from qa_extractive.evaluation.run import BATCH_ROWS, Results, run_system
from qa_extractive.evaluation.systems import DEFAULT, System, open_system
from qa_extractive.export.copy_weights import keep_all_but_the_head
from qa_extractive.export.exporter import export
from qa_extractive.finetune.job import held_out
from qa_extractive.finetune.students import FEW_ROWS
from qa_extractive.finetune.teachers import system_name
from qa_extractive.finetune.triage.baseline import WordCounts
from qa_extractive.finetune.triage.rows import TriageRows
from qa_extractive.finetune.triage.scores import Difference, Score, differences, score
from qa_extractive.inference.calibration import Calibration
from qa_extractive.inference.calibration_fit import fit_yes_no
from qa_extractive.inference.tokenizer_file import TOKENIZER_FILE
from qa_extractive.inference.windows import Windower
from qa_extractive.model.checkpoint import window_for
from qa_extractive.model.progress_bars import without_progress_bars
from qa_extractive.predictor import DEFAULT_MODEL
from qa_extractive.training.binary_head import encode, fine_tune, fit_head, row_logits
from qa_extractive.training.progress import Watch
from qa_extractive.training.run import TRAIN_FILE, describe_base, load_base
from qa_extractive.types import Example

MODEL, CHECKPOINT, ARCHIVE = "model", "checkpoint", "model.tar.gz"
BEFORE, AFTER = "before", "after"
N_FOLDS = 5
_CALIBRATION_SHARE = 0.2
_MAX_QUESTIONS = 20  # of a table with a row for each
_CARD = """# A model that sorts papers

Written by `train.py triage` of qa_extractive: `answerable` is the probability that the answer is yes.
Its spans are where the model looks; nothing is known of whether they are right.
"""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TriageSettings:
    """How a model is made.

    Attributes:
        base: What it starts from.
        train_encoder: Whether the encoder is trained too; then spans change.
        overrides: Settings of ``TrainConfig`` for that.
        n_bootstrap: Resamples for the intervals.
        seed: Of every random choice.
    """

    base: str = DEFAULT
    train_encoder: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    n_bootstrap: int = 1000
    seed: int = 17

    @property
    def config(self) -> TrainConfig:
        """The settings of a run that trains the encoder."""
        return dataclasses.replace(FEW_ROWS, seed=self.seed, **dict(self.overrides))


@dataclass(frozen=True, slots=True)
class Trained:
    """What was trained.

    Attributes:
        n_steps: Optimizer steps.
        n_trained: Rows that the final model learned from.
        n_calibrated: Rows that its probability was fitted on, by models that had not seen them.
        seconds: Of encoding and training.
        keeps_spans: Whether the spans of the exported model are those of the base, to the bit.
    """

    n_steps: int
    n_trained: int
    n_calibrated: int
    seconds: float
    keeps_spans: bool = False


@dataclass(frozen=True, slots=True)
class TriageOutcome:
    """What came of it.

    Attributes:
        rows: What was learned from and measured on.
        settings: How.
        trained: What was trained.
        scores: Of the base as it is (where it can answer), the model, and counted words.
        differences: The model against the others.
        by_question: The same scores of each question's rows, where there are several questions.
    """

    rows: TriageRows
    settings: TriageSettings
    trained: Trained
    scores: tuple[Score, ...]
    differences: tuple[Difference, ...]
    by_question: Mapping[str, tuple[Score, ...]]


def run_triage(
    rows: TriageRows,
    settings: TriageSettings,
    output: Path,
    *,
    say: Say = lambda _: None,
    watch: Watch | None = None,
) -> TriageOutcome:
    """Train, export and measure; ``output`` gets ``checkpoint``, ``model`` and ``model.tar.gz``.

    ``say`` is told what is going on, ``watch`` after every step of ``train_encoder`` how far it is.

    Raises:
        QAError: The base cannot be had, or ``output`` is not empty.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DataError(f"{output} is not empty: give another --output")
    config = settings.config  # checked before any work
    folds = folds_of_rows(rows.train, N_FOLDS, settings.seed)
    say(f"training on {len(rows.train):,} rows")
    trained = _train(rows, settings, config, folds, output / CHECKPOINT, watch)
    say("exporting")
    quantize = "auto" if settings.train_encoder else "int8"  # a new head goes into a file that is there
    export(output / CHECKPOINT, output / MODEL, quantize=quantize, calibrate=(), check=rows.train[:50])
    if not settings.train_encoder:
        kept = keep_all_but_the_head(_base_folder(settings.base), output / MODEL)
        trained = dataclasses.replace(trained, keeps_spans=kept)
    pack(output / MODEL, output / ARCHIVE)
    say(f"measuring on {len(rows.test):,} test rows")
    results, seconds = _results(rows, settings, folds, output / MODEL)
    return _outcome(rows, settings, trained, results, seconds)


def folds_of_rows(examples: Sequence[Example], n_folds: int, seed: int) -> list[list[int]]:
    """The rows of each of at most ``n_folds`` folds, whole documents together, by a hash."""
    documents = sorted({document_of(e) for e in examples}, key=lambda d: place_of(d, seed))
    fold_of = {document: i % n_folds for i, document in enumerate(documents)}
    folds: list[list[int]] = [[] for _ in range(n_folds)]
    for i, example in enumerate(examples):
        folds[fold_of[document_of(example)]].append(i)
    return [fold for fold in folds if fold]


def _base_folder(base: str) -> Path:
    return DEFAULT_MODEL if base == DEFAULT else Path(base)


def _train(
    rows: TriageRows,
    settings: TriageSettings,
    config: TrainConfig,
    folds: Sequence[Sequence[int]],
    output: Path,
    watch: Watch | None,
) -> Trained:
    """Write a checkpoint whose calibration says yes or no."""
    model, tokenizer = load_base(settings.base, config)
    folder = _base_folder(settings.base)
    has_reader = (folder / READER_FILE).is_file()
    reader = ReaderConfig.load(folder) if has_reader else ReaderConfig(window_for(model.encoder.config))
    windower = Windower(tokenizer, reader.window)
    examples = [e for e in rows.train if windower.accepts(e.question)]
    if len(examples) < len(rows.train):
        raise DataError(
            f"{len(rows.train) - len(examples)} questions exceed {reader.window.max_question_tokens} tokens, "
            "all this base reads: shorten them"
        )
    output.mkdir(parents=True)
    began = time.monotonic()
    if settings.train_encoder:
        kept, apart = held_out(examples, round(_CALIBRATION_SHARE * len(examples)), settings.seed + 1)
        _require_both(_labels(apart))
        n_steps = fine_tune(model, windower, kept, output, config, watch)
        logits, labels = row_logits(model.answerability_head, encode(model, windower, apart)), _labels(apart)
        calibration = _calibration(logits, labels, f"{len(apart)} held-out rows")
        trained = Trained(n_steps, len(kept), len(apart), time.monotonic() - began)
    else:
        labels = _labels(examples)
        encoded = encode(model, windower, examples)
        fitted = fit_head(model.answerability_head, encoded, labels, folds, seed=settings.seed)
        model.answerability_head.load_state_dict(fitted.head.state_dict())
        seen = ~np.isnan(fitted.logits)
        _require_both(labels[seen])
        calibration = _calibration(
            fitted.logits[seen], labels[seen], f"{int(seen.sum())} rows in {len(folds)} folds"
        )
        trained = Trained(fitted.n_steps, len(examples), int(seen.sum()), time.monotonic() - began)
    with without_progress_bars():
        model.save_pretrained(output)
    tokenizer.save(str(output / TOKENIZER_FILE))
    reader.save(output)
    calibration.save(output)
    (output / "README.md").write_text(_CARD, encoding="utf-8")
    _note(output, settings, config)
    return trained


def _note(output: Path, settings: TriageSettings, config: TrainConfig) -> None:
    """``train.json``: what was trained from what."""
    values: dict[str, Any] = {"triage": True, "base": describe_base(settings.base)}
    values |= {"train_encoder": settings.train_encoder, "seed": settings.seed}
    values |= dataclasses.asdict(config) if settings.train_encoder else {}
    (output / TRAIN_FILE).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _calibration(logits: Any, labels: Any, of: str) -> Calibration:
    return fit_yes_no(logits, labels, fitted_on=f"torch fp32 logits of {of} that were not trained on")


def _labels(examples: Sequence[Example]) -> Any:
    return np.array([bool(example.answerable) for example in examples], dtype=np.bool_)


def _require_both(labels: Any) -> None:
    if labels.all() or not labels.any():
        raise DataError(
            f"the {len(labels)} rows that the probability is fitted on are of one kind: give more texts of "
            "either kind"
        )


def _results(
    rows: TriageRows, settings: TriageSettings, folds: Sequence[Sequence[int]], folder: Path
) -> tuple[list[Results], dict[str, float]]:
    """What each system says of the test rows, and its seconds for 1,000."""
    systems: list[System] = [open_system(str(folder), (), name=AFTER), WordCounts.fit(rows.train, folds)]
    with suppress(ModelError):  # a plain encoder says nothing as it is
        systems.insert(0, open_system(system_name(settings.base), (), name=BEFORE))
    results, seconds = [], {}
    for system in systems:
        run_system(system, rows.test[:BATCH_ROWS])  # the first call of a process is slower
        results.append(run_system(system, rows.test))
        seconds[system.name] = 1000 * sum(b.seconds for b in results[-1].batches) / len(rows.test)
    return results, seconds


def _outcome(
    rows: TriageRows,
    settings: TriageSettings,
    trained: Trained,
    results: Sequence[Results],
    seconds: Mapping[str, float],
) -> TriageOutcome:
    drawn = {"n_bootstrap": settings.n_bootstrap, "seed": settings.seed}
    after = next(own for own in results if own.system == AFTER)
    scores = [score(own.system, own.rows, **drawn) for own in results]
    questions = list(dict.fromkeys(e.question.question for e in rows.test))
    several = questions if 1 < len(questions) <= _MAX_QUESTIONS else []
    return TriageOutcome(
        rows=rows,
        settings=settings,
        trained=trained,
        scores=tuple(dataclasses.replace(s, s_per_1000=seconds[s.system]) for s in scores),
        differences=tuple(
            d for other in results if other is not after for d in differences(after, other, **drawn)
        ),
        by_question={
            asked: tuple(
                score(own.system, [r for r in own.rows if r.example.question.question == asked], **drawn)
                for own in results
            )
            for asked in several
        },
    )
