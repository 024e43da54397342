"""``calibrate``: an exported model and labelled rows in, the model with its own threshold for them out."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from qa_extractive.cli.labelled_rows import (
    add_answerable_share,
    add_columns,
    check_answerable_share,
    column_names,
    warn,
    warn_of_skipped,
)
from qa_extractive.cli.terminal import replace_line
from qa_extractive.errors import DataError, QAError

if TYPE_CHECKING:
    from qa_extractive.export.cross_fit import CrossFit
    from qa_extractive.export.recalibrate import Recalibration
    from qa_extractive.types import Example

_DEFAULT = "default"
_FEW_ROWS = 100
_N_SHOWN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``calibrate``."""
    parser.add_argument(
        "--model",
        default=_DEFAULT,
        metavar="M",
        help="'default', the embedded model; the folder of an exported model; or the file it was packed in",
    )
    parser.add_argument(
        "--data",
        nargs="+",
        type=Path,
        required=True,
        metavar="F",
        help="labelled rows that the model was not trained on, some of which have no answer: CSV, TSV, "
        "JSONL, Parquet, SQuAD or PubMedQA JSON",
    )
    parser.add_argument("--labels", type=Path, metavar="F", help="their answers, joined on the id")
    parser.add_argument("--output", type=Path, metavar="D", help="folder of the calibrated model")
    parser.add_argument(
        "--pack", type=Path, metavar="F", help="also, or only, write it as one file, F.tar.gz"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a model that exists")
    parser.add_argument(
        "--made-negatives",
        type=float,
        default=0.0,
        metavar="S",
        help="where all rows have an answer: unanswerable questions to make for each row, as training does: "
        "asked of another row's text, or of its own without the answering sentence (try 0.5)",
    )
    add_answerable_share(parser)
    parser.add_argument(
        "--folds", type=int, default=5, metavar="K", help="folds to measure the gain across (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=17, metavar="N", help="seed of the folds (%(default)s)")
    parser.add_argument("--threads", type=int, metavar="N", help="windows run at once (default: all CPUs)")
    add_columns(parser)


def run(options: argparse.Namespace) -> int:
    """Calibrate; 0 on success."""
    _check(options)
    examples = _examples(options)
    with tempfile.TemporaryDirectory(prefix="qa-calibrate-") as work:
        output = options.output or Path(work) / options.pack.name.partition(".")[0]
        done = _calibrated(options, examples, output)
        print("\n".join(_lines(done)))
        if options.output:
            print(f"written: {options.output}")
        if options.pack:
            from qa_extractive.archive.pack import pack

            print(f"packed: {pack(output, options.pack)}")
    print(f"next: qa-extractive infer --batch F --model {options.pack or options.output}")
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse what would fail only after the work."""
    check_answerable_share(options)
    from qa_extractive.archive.pack import check_target

    if any(find_spec(name) is None for name in ("sklearn", "scipy")):
        raise QAError("calibrate needs scikit-learn: pip install 'qa-extractive[calibrate]'")
    if options.output is None and options.pack is None:
        raise DataError("there is nowhere to write to: give --output D, --pack F.tar.gz, or both")
    if options.pack is not None:
        check_target(options.pack)
    for path in () if options.overwrite else filter(None, (options.output, options.pack)):
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise DataError(f"{path} exists: replace it with --overwrite")
    if options.folds < 2:
        raise DataError(f"--folds {options.folds}: give at least 2")
    if not 0.0 <= options.made_negatives <= 1.0:
        raise DataError(f"--made-negatives must lie in [0, 1], got {options.made_negatives}")


def _examples(options: argparse.Namespace) -> list[Example]:
    from qa_extractive.data.labels import Labels
    from qa_extractive.data.loading import load_examples

    loaded = load_examples(options.data, names=column_names(options))
    warn_of_skipped(loaded.problems, _N_SHOWN)
    examples = loaded.examples
    if options.labels is not None:
        labels = Labels(options.labels, options.id_column, warn=warn)
        examples = labels.join(examples, options.data[0])
        labels.check_use()
    if examples and all(each.answerable is None for each in examples):
        raise DataError(
            f"none of the {len(examples):,} rows says what its answer is, or that there is none: name the "
            "column with --answer-column or --answerable-column, or give their answers with --labels F"
        )
    if options.made_negatives:
        return _with_negatives(examples, options.made_negatives, options.seed)
    if examples and all(each.answerable for each in examples):
        raise DataError(
            f"all {len(examples):,} rows have an answer in their text, so nothing tells when there is none: "
            "add rows with an empty answer, or give --made-negatives 0.5"
        )
    return list(examples)


def _with_negatives(examples: Sequence[Example], share: float, seed: int) -> list[Example]:
    """The rows and made ones without an answer, two thirds of them asked of another text."""
    from qa_extractive.alignment.align import align_examples
    from qa_extractive.config import TrainConfig
    from qa_extractive.training.splits import with_negatives

    config = TrainConfig(mismatch_share=share * 2 / 3, removal_share=share / 3)
    return with_negatives(align_examples(examples).examples, config, random.Random(seed))


def _calibrated(options: argparse.Namespace, examples: Sequence[Example], output: Path) -> Recalibration:
    from qa_extractive.export.recalibrate import recalibrate

    is_shown = sys.stderr.isatty()

    def show(effort: str, n_done: int, n_rows: int) -> None:
        if is_shown:
            replace_line(f"reading at effort {effort}: {n_done:,} of {n_rows:,} rows")

    try:
        return recalibrate(
            None if options.model == _DEFAULT else options.model,
            examples,
            output,
            n_folds=options.folds,
            seed=options.seed,
            answerable_share=options.answerable_share,
            n_threads=options.threads,
            progress=show,
        )
    finally:
        if is_shown:
            replace_line("")


def _lines(done: Recalibration) -> list[str]:
    lines = []
    if done.too_long:
        lines.append(
            f"left out: {len(done.too_long):,} rows whose question is too long ({done.too_long[0]}, ...)"
        )
    first = next(iter(done.efforts.values()))
    lines.append(
        f"{first.n:,} rows, {first.n_answerable:,} with an answer and {first.n - first.n_answerable:,} "
        f"without; after: across {first.n_folds} folds of whole documents, each row by a fit "
        "without its document"
    )
    for effort, fitted in done.efforts.items():
        lines += ["", *_table(effort, fitted)]
    if first.n < _FEW_ROWS:
        lines += ["", f"note: {first.n} rows are few: of differences like these much is chance"]
    lines += [
        f"note: effort {effort}: across folds {' and '.join(fitted.worse)}; the model as it was may be better"
        for effort, fitted in done.efforts.items()
        if not fitted.is_better
    ]
    return lines + [_riskier(effort, each) for effort, each in done.efforts.items() if each.is_riskier]


def _riskier(effort: str, fitted: CrossFit) -> str:
    before, after = (100 * (each.risk or 0.0) for each in (fitted.before, fitted.after))
    return (
        f"note: effort {effort}: of the answers given {after:.0f} % are wrong, before {before:.0f} %: "
        "a higher --threshold when answering, or --max-risk, gives fewer"
    )


def _table(effort: str, fitted: CrossFit) -> list[str]:
    from qa_extractive.report.calibration import held_rows

    rows = ((f"effort {effort}", "before", "after"), *held_rows(fitted))
    width = max(len(name) for name, *_ in rows)
    return [f"{name.ljust(width)}  {old:>7}  {new:>7}".rstrip() for name, old, new in rows]
