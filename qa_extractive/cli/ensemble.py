"""``ensemble``: a recipe with a plan in; its members, and the best mean of them as a checkpoint, out."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from qa_extractive.cli.training_options import training
from qa_extractive.errors import DataError

if TYPE_CHECKING:
    from qa_extractive.training.ensemble.plan import Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``ensemble``."""
    parser.usage = "%(prog)s --recipe F --output D [options]"
    parser.epilog = "Made for a GPU; a short plan, such as recipes/short_runs.json, also runs on a CPU."
    parser.add_argument("--recipe", type=Path, required=True, metavar="F", help="a recipe with an ensemble")
    parser.add_argument("--output", type=Path, required=True, metavar="D", help="folder to write")
    parser.add_argument(
        "--data-root", type=Path, metavar="D", help="folder of the recipe's third-party data (or $QA_DATA)"
    )
    parser.add_argument(
        "--base",
        default="default",
        metavar="M",
        help="what members start from that name nothing else: a model's folder, or default, the embedded one "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--only",
        choices=("data",),
        help="stop when the data is read, for which no GPU is needed; the next run goes on from there",
    )
    parser.add_argument("--member", metavar="NAME", help="train one member of the plan, as each process does")


@training
def run(options: argparse.Namespace) -> int:
    """Read the data, train the members, write the best mean; 0."""
    from qa_extractive.training.ensemble.data import WINDOWS_FILE
    from qa_extractive.training.ensemble.plan import Plan

    logging.getLogger("qa_extractive").setLevel(logging.INFO)
    plan = Plan.load(options.recipe, options.base)
    folder, work = options.output / "data", options.output / "members"
    work.mkdir(parents=True, exist_ok=True)
    if options.member:
        from qa_extractive.training.ensemble.members import fit

        members = {member.name: member for step in plan.steps for member in step}
        if options.member not in members:
            raise DataError(f"--member {options.member}: the plan has {', '.join(members)}")
        fit(members[options.member], folder, work)
        return 0
    if not (folder / WINDOWS_FILE).is_file():
        _read_data(options, plan, folder)
    if options.only == "data":
        print(f"written: {folder}")
        return 0
    return _train_all(options, folder, work)


def _read_data(options: argparse.Namespace, plan: Plan, folder: Path) -> None:
    from qa_extractive.inference.tokenizer_file import TOKENIZER_FILE, read_tokenizer
    from qa_extractive.predictor import DEFAULT_MODEL
    from qa_extractive.training.ensemble.data import build
    from qa_extractive.training.recipe import Recipe

    root = options.data_root or os.environ.get("QA_DATA")
    if not root:
        raise DataError("an ensemble needs --data-root or QA_DATA: see recipes/DATA.md")
    tokenizer = read_tokenizer(DEFAULT_MODEL / TOKENIZER_FILE)
    build(Recipe.load(options.recipe), Path(root), tokenizer, folder, plan.n_readings, plan.n_judged)


def _train_all(options: argparse.Namespace, folder: Path, work: Path) -> int:
    from qa_extractive.training.ensemble.plan import Plan, choose, run_plan, write_mean

    plan = Plan.load(options.recipe, options.base)
    run_plan(plan, options.recipe, work, options.base)
    if not plan.candidates:
        print(f"written: the figures of {sum(map(len, plan.steps))} members, {work}/*.json")
        return 0
    names, _ = choose(plan, folder, work)
    write_mean(plan, names, folder, work, options.output)
    print(f"the mean of {' + '.join(names)}: {options.output}")
    print(f"next: python export_onnx.py --model {options.output} --output {options.output}-onnx")
    return 0
