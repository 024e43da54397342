"""``train``: examples or a recipe in, a calibrated checkpoint out."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_extractive.archive.unpack import unpacked
from qa_extractive.cli.labelled_rows import column_names
from qa_extractive.cli.training_options import add_ends, add_settings, overrides, training
from qa_extractive.cli.training_progress import TrainingLine
from qa_extractive.config import TrainConfig
from qa_extractive.errors import DataError
from qa_extractive.training.distributed import run_on_main_process
from qa_extractive.training.report import REPORT_FILE, TrainReport

if TYPE_CHECKING:
    from qa_extractive.alignment.types import AlignmentReport
    from qa_extractive.training.distillation import Distillation
    from qa_extractive.training.recipe import Recipe
    from qa_extractive.types import Example


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``train``."""
    parser.usage = "%(prog)s (--data F [F ...] | --recipe F) --output D [options]"
    parser.epilog = (
        "See also finetune (a task folder), update (a model and new rows), triage (rows of yes or no) and "
        "sweep (several models)."
    )
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument(
        "--data",
        nargs="+",
        type=Path,
        metavar="F",
        help="training files: CSV, TSV, JSONL, Parquet, JSON; a folder of Parquet files or from datasets' "
        "save_to_disk, FOLDER[:SPLIT]; a data set of the hub, hf:NAME[:SPLIT[:CONFIG]]",
    )
    data.add_argument("--recipe", type=Path, metavar="F", help="a recipe such as recipes/default.json")
    parser.add_argument(
        "--data-root",
        type=Path,
        metavar="D",
        help="folder of a recipe's third-party data (or $QA_DATA)",
    )
    parser.add_argument(
        "--from-stage",
        type=int,
        default=1,
        metavar="N",
        help="begin a recipe at stage N, with the model of the stage before as --base",
    )
    parser.add_argument(
        "--teacher",
        nargs="+",
        metavar="M",
        help="models, as --base, whose mean the stages with a distillation_weight learn from",
    )
    parser.add_argument(
        "--allow-pickle",
        action="store_true",
        help="read weights of --base that lie in .bin files, as tensors only",
    )
    parser.add_argument("--resume", action="store_true", help="continue a run that was stopped")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad record")
    add_ends(parser)
    add_settings(parser, shows_defaults=True)


@training
def run(options: argparse.Namespace) -> int:
    """Train; 0."""
    if options.recipe is None and options.from_stage != 1:
        raise DataError("--from-stage is a recipe's: give --recipe")
    options.base = unpacked(options.base)
    logging.getLogger("qa_extractive").setLevel(logging.INFO)
    settings = overrides(options)
    if options.recipe is None:
        _train(_from_files(options), TrainConfig(**settings), options.base, options.output, options)
    else:
        _run_recipe(options, settings)
    print(f"next: python export_onnx.py --model {options.output} --output {options.output}-onnx")
    return 0


def _run_recipe(options: argparse.Namespace, settings: dict[str, Any]) -> None:
    """The stages from ``--from-stage``, each from the model before it; their mean; its pruning heads."""
    from qa_extractive.training.recipe import Recipe

    recipe = Recipe.load(options.recipe)
    root = options.data_root or os.environ.get("QA_DATA")
    if not root:
        raise DataError(
            "a recipe needs --data-root or QA_DATA: the folder of third-party data, see recipes/DATA.md"
        )
    n_runs = len(recipe.stages) + (recipe.skim_stage is not None)
    if not 1 <= options.from_stage <= n_runs:
        raise DataError(f"--from-stage {options.from_stage}: {options.recipe} has {n_runs} stages")
    base = options.base
    if options.from_stage <= len(recipe.stages):
        base = _run_stages(recipe, Path(root), options, settings)
    if recipe.skim_stage is not None:
        print(f"stage {n_runs} of {n_runs}: pruning heads")
        config = dataclasses.replace(recipe.skim_stage, **_without_adapters(settings))
        _train(recipe.examples(Path(root), n_runs), config, base, options.output, options)


def _without_adapters(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings for a stage in which the encoder does not learn."""
    return {name: value for name, value in settings.items() if name not in ("lora_rank", "lora_alpha")}


def _run_stages(recipe: Recipe, root: Path, options: argparse.Namespace, settings: dict[str, Any]) -> str:
    """The folder of what comes of them: ``--output``, or one in it where pruning heads are to follow."""
    n_stages, base = len(recipe.stages), options.base
    folders = [options.output / f"stage-{number}" for number in range(1, n_stages + 1)]
    if recipe.average_stages:
        _require_models(folders[: options.from_stage - 1])
    elif recipe.skim_stage is None:
        folders[-1] = options.output
    for number, output in list(enumerate(folders, 1))[options.from_stage - 1 :]:
        config = dataclasses.replace(recipe.stages[number - 1], **settings)
        if n_stages > 1:
            print(f"stage {number} of {n_stages + (recipe.skim_stage is not None)}")
        if not (options.resume and (output / REPORT_FILE).is_file()):
            _train(recipe.examples(root, number), config, base, output, options)
        base = str(output)
    return _average(recipe, root, folders, options, settings) if recipe.average_stages else base


def _average(
    recipe: Recipe, root: Path, folders: list[Path], options: argparse.Namespace, settings: dict[str, Any]
) -> str:
    """The folder of the mean of the stages."""
    from qa_extractive.training.averaging import average

    output = options.output if recipe.skim_stage is None else options.output / "mean"
    if not (options.resume and (output / REPORT_FILE).is_file()):
        examples = recipe.examples(root, len(recipe.stages))
        config = dataclasses.replace(recipe.stages[-1], **settings)
        _say_report(
            output, run_on_main_process(lambda: average(folders, examples, output=output, config=config))
        )
    return str(output)


def _require_models(folders: list[Path]) -> None:
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"the recipe averages its stages: put the model of an earlier one into {folder}")


def _train(
    examples: list[Example], config: TrainConfig, base: str, output: Path, options: argparse.Namespace
) -> None:
    from qa_extractive.training.run import train

    how = {"resume": options.resume, "allow_pickle": options.allow_pickle, "watch": TrainingLine()}
    taught = _taught(config, base, output, options)
    _say_report(output, train(examples, base=base, output=output, config=config, distillation=taught, **how))


def _taught(config: TrainConfig, base: str, output: Path, options: argparse.Namespace) -> Distillation | None:
    if not config.distillation_weight:
        return None
    if options.teacher is None:
        raise DataError("the run learns from a teacher (distillation_weight): give --teacher M")
    from qa_extractive.training.teacher import distillation_from

    return distillation_from(options.teacher, base=base, output=output, config=config)


def _say_report(output: Path, report: TrainReport) -> None:
    if report.n_averaged > 1:
        print(f"{output}: the mean of {report.n_averaged} stages")
    else:
        print(f"{output}: {report.n_steps} steps, {report.minutes:.1f} min, loss {report.final_loss:.3f}")
        print(f"{report.n_trained:,} of {report.n_parameters:,} parameters were trained")
    if report.dev_f1 is not None:
        print(f"development F1 {report.dev_f1:.3f} on {report.n_dev} examples of held-out documents")


def _from_files(options: argparse.Namespace) -> list[Example]:
    from qa_extractive.alignment.align import align_examples
    from qa_extractive.data.loading import load_examples

    loaded = load_examples(options.data, names=column_names(options), strict=options.strict)
    for problem in loaded.problems:
        print(f"skipped {problem}")
    aligned = align_examples(loaded.examples)
    print(alignment_summary(aligned.report))
    return list(aligned.examples)


def alignment_summary(report: AlignmentReport) -> str:
    """One line: how many references were found, by tier, and the best F1 that any span could reach."""
    tiers = ", ".join(f"{tier.tier} {tier.n}" for tier in report.tiers if tier.n)
    return (
        f"alignment: {report.n_labelled} of {report.n} answers found in their text ({tiers}); "
        f"{report.n_skipped} rows without an answer; oracle F1 {report.oracle_f1:.3f}"
    )
