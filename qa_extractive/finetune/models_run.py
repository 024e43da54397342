"""Several models trained, exported and measured on the same rows, one after another."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_extractive._utils.digests import text_digest
from qa_extractive._utils.files import write_whole
from qa_extractive.archive.unpack import unpacked
from qa_extractive.errors import DataError, QAError, reason_of
from qa_extractive.evaluation.compare import Comparison, compare
from qa_extractive.evaluation.figures import Evaluation
from qa_extractive.evaluation.run import BATCH_ROWS, Results, run_system
from qa_extractive.evaluation.score import score
from qa_extractive.evaluation.systems import open_system
from qa_extractive.export.exporter import export
from qa_extractive.finetune.job import Job
from qa_extractive.finetune.models_file import ModelRun, ModelsFile
from qa_extractive.tables.writing import replace_surrogates
from qa_extractive.training.progress import Watch
from qa_extractive.training.report import REPORT_FILE, TrainReport
from qa_extractive.training.run import TRAIN_FILE, describe_base, train
from qa_extractive.types import Example

CHECKPOINT, MODEL, SETTINGS_FILE, DONE_FILE = "checkpoint", "model", "settings.json", "done.json"

Say = Callable[[str], None]
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one model.

    Attributes:
        run: What was asked for.
        report: Of its training; None where that failed.
        size_bytes: All files of the exported model; None without one.
        evaluation: Its figures on the test rows; None where it failed.
        failure: Why there is no model, on one line; None where there is one.
    """

    run: ModelRun
    report: TrainReport | None = None
    size_bytes: int | None = None
    evaluation: Evaluation | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Comparisons:
    """All models, in the order of the file.

    Attributes:
        outcomes: What became of each.
        comparisons: All that were measured but the first against the first.
        n_train: Rows to learn from; each run holds some out, as its settings say.
        n_test: Test rows.
    """

    outcomes: tuple[Outcome, ...]
    comparisons: tuple[Comparison, ...]
    n_train: int
    n_test: int

    @property
    def n_failed(self) -> int:
        """Models that there are not."""
        return sum(outcome.failure is not None for outcome in self.outcomes)


def run_models(
    models: ModelsFile,
    job: Job,
    output: Path,
    *,
    resume: bool = False,
    say: Say = lambda _: None,
    watch: Watch | None = None,
) -> Comparisons:
    """Train every model into ``output / NAME``, export and measure it; one that fails stops no other.

    Args:
        models: What to train.
        job: The rows, checked and aligned.
        output: Folder to write.
        resume: Go on with what a stopped run left; finished models are not trained again.
        say: Told what is going on, a line at a time.
        watch: Told after every step of a training run how far it is; None for nobody.

    Raises:
        DataError: ``output`` holds something, without ``resume``; or a model of other settings or rows.
    """
    data = digest_of((*job.train, *job.test))
    wanted = {run.name: _settings(run, data) for run in models.runs}
    _check_output(output, wanted, resume)
    made = []
    for number, run in enumerate(models.runs, start=1):
        say(f"{run.name} ({number} of {len(models.runs)})")
        made.append(_attempt(run, job, output / run.name, wanted[run.name], say, watch))
    say(f"measuring on {len(job.test):,} test rows")
    measured = [_measured(outcome, job.test, output) for outcome in made]
    results = [own for _, own in measured if own is not None]
    return Comparisons(
        outcomes=tuple(_scored(outcome, own, models.n_bootstrap) for outcome, own in measured),
        comparisons=tuple(compare(results, n_bootstrap=models.n_bootstrap)) if results else (),
        n_train=len(job.train),
        n_test=len(job.test),
    )


def digest_of(examples: Sequence[Example]) -> str:
    """What tells whether rows are the same: a digest of what is asked and known."""
    values = [(e.id, dataclasses.asdict(e.question), e.references, e.answerable) for e in examples]
    text = json.dumps(replace_surrogates(values), ensure_ascii=False)
    return text_digest(text)[:16]


def _settings(run: ModelRun, data: str) -> dict[str, Any]:
    config = json.loads(json.dumps(dataclasses.asdict(run.config)))
    return {"base": run.base, "quantize": run.quantize, "config": config, "data": data}


def _check_output(output: Path, wanted: dict[str, dict[str, Any]], resume: bool) -> None:
    if output.exists() and not output.is_dir():
        raise DataError(f"--output {output} is a file: give a folder")
    if not resume and output.is_dir() and any(output.iterdir()):
        raise DataError(f"{output} is not empty: give --resume to go on with it, or another --output")
    for name, settings in wanted.items():
        path = output / name / SETTINGS_FILE
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
            differing = [key for key in settings if found.get(key) != settings[key]]
            if differing:
                raise DataError(f"{path.parent} holds a model of another {differing[0]}: remove it, or give "
                                "another --output")  # fmt: skip


def _attempt(
    run: ModelRun, job: Job, folder: Path, settings: dict[str, Any], say: Say, watch: Watch | None
) -> Outcome:
    """The model, or why there is none."""
    try:
        return _make(run, job, folder, settings, say, watch)
    except QAError as error:
        reason = str(error)
    except Exception as error:  # whatever a library raises: the other models go on
        logger.exception("%s failed", run.name)
        reason = f"{type(error).__name__}: {reason_of(error)}"
    return Outcome(run, failure=reason.replace(f"{folder.parent}{os.sep}", ""))


def _make(
    run: ModelRun, job: Job, folder: Path, settings: dict[str, Any], say: Say, watch: Watch | None
) -> Outcome:
    """Train and export one model, unless that is done already."""
    done, checkpoint = folder / DONE_FILE, folder / CHECKPOINT
    if done.is_file():
        say("is there already: not trained again")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / SETTINGS_FILE, settings)
        base = unpacked(run.base)
        started = time.monotonic()
        if not (checkpoint / REPORT_FILE).is_file():
            train(
                job.train,
                base=base,
                output=checkpoint,
                config=run.config,
                resume=(checkpoint / TRAIN_FILE).is_file(),
                allow_pickle=run.allow_pickle,
                watch=watch,
            )
        has_rows = bool(TrainReport.load(checkpoint).n_calibration)  # else the base's calibration stays
        examples = None if has_rows else ()
        check = None if has_rows else job.train
        export(checkpoint, folder / MODEL, quantize=run.quantize, calibrate=examples, check=check)
        _write(done, {"base": describe_base(base), "seconds": round(time.monotonic() - started, 1)})
    size = sum(path.stat().st_size for path in (folder / MODEL).rglob("*") if path.is_file())
    return Outcome(run, TrainReport.load(checkpoint), size)


def _measured(outcome: Outcome, test: Sequence[Example], output: Path) -> tuple[Outcome, Results | None]:
    if outcome.failure is not None:
        return outcome, None
    try:
        system = open_system(str(output / outcome.run.name / MODEL), (), name=outcome.run.name)
        run_system(system, test[:BATCH_ROWS])  # the first call of a process is slower
        return outcome, run_system(system, test)
    except QAError as error:
        return dataclasses.replace(outcome, failure=f"not measured: {error}"), None


def _scored(outcome: Outcome, results: Results | None, n_bootstrap: int) -> Outcome:
    if results is None:
        return outcome
    return dataclasses.replace(outcome, evaluation=score(results, n_bootstrap=n_bootstrap))


def _write(path: Path, values: dict[str, Any]) -> None:
    write_whole(path, json.dumps(values, indent=1) + "\n")
