"""Rates and passes for fine-tuning on few rows: cross-validated on the training rows of a task folder.

    python benchmarks/few_rows.py --task DATA/distil_hotpotqa --output benchmarks/results/few_rows.json

The test rows are not read for it. Needs the [train] extra.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qa_extractive.data.documents import folds_of
from qa_extractive.finetune.checks import check
from qa_extractive.finetune.job import read_task_folder
from qa_extractive.finetune.scores import mean_f1
from qa_extractive.finetune.students import cross_validated, settings_for, teach
from qa_extractive.metrics.bootstrap import bootstrap_interval
from qa_extractive.report.cells import percent


def main(argv: Sequence[str] | None = None) -> None:
    """Measure every pair of a rate and a number of passes, and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", type=Path, required=True, metavar="DIR")
    parser.add_argument("--base", default="default", metavar="M")
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-5, 3e-5, 5e-5, 1e-4], metavar="R")
    parser.add_argument("--passes", type=float, nargs="+", default=[1, 3, 6], metavar="N")
    parser.add_argument("--mismatch", type=float, nargs="+", default=[0.25], metavar="S")
    parser.add_argument("--folds", type=int, default=5, metavar="K")
    parser.add_argument("--seed", type=int, default=17, metavar="N")
    parser.add_argument("--output", type=Path, metavar="F")
    options = parser.parse_args(argv)
    checked = check(read_task_folder(options.task))
    checked.require_usable()
    rows = checked.job.train
    folds = folds_of(rows, options.folds, options.seed)
    print("| rate | passes | mismatched | F1 as answered | never abstaining | seconds |")
    print("|---|---|---|---|---|---|")
    results = []
    for rate, passes, mismatch in itertools.product(options.rates, options.passes, options.mismatch):
        config = dataclasses.replace(
            settings_for(len(rows), {}),
            learning_rate=rate,
            head_learning_rate=rate,
            epochs=passes,
            mismatch_share=mismatch,
            seed=options.seed,
        )
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as work:
            scored = cross_validated(
                rows,
                lambda kept, folder: teach(
                    kept,
                    base=options.base,
                    output=folder,
                    config=config,  # noqa: B023 - called at once
                ),
                folds=folds,
                work=Path(work),
            ).rows
        seconds = time.perf_counter() - started
        forced = np.array([row.f1 for row in scored if row.is_scored])
        interval = bootstrap_interval(forced, seed=options.seed)
        answered, best = mean_f1(scored), float(forced.mean())
        results.append(
            {"rate": rate, "passes": passes, "mismatch": mismatch, "f1": answered, "forced_f1": best,
             "forced_f1_interval": interval, "seconds": round(seconds, 1)}
        )  # fmt: skip
        cells = (f"{rate:g}", f"{passes:g}", f"{mismatch:g}", percent(answered), percent(best, interval))
        print(f"| {' | '.join(cells)} | {seconds:.0f} |", flush=True)
    if options.output:
        options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
