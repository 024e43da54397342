"""``train``: examples or a recipe in, a calibrated checkpoint out."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_extractive.archive.unpack import unpacked
from qa_extractive.cli.safe_print import steady_stdout
from qa_extractive.cli.train_models import add_models_arguments, run_models_file
from qa_extractive.cli.train_task import add_task_arguments, is_task, run_task
from qa_extractive.cli.train_triage import add_triage_arguments, is_triage, run_triage_command
from qa_extractive.cli.training_progress import TrainingLine
from qa_extractive.config import TrainConfig
from qa_extractive.errors import DataError
from qa_extractive.training.distributed import in_company, n_processes, on_first
from qa_extractive.training.report import REPORT_FILE, TrainReport

if TYPE_CHECKING:
    from qa_extractive.alignment.align import AlignmentReport
    from qa_extractive.training.recipe import Recipe
    from qa_extractive.types import Example


def _layers(text: str) -> list[int]:
    try:
        return [int(each) for each in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of layers such as 2,4") from None


# Settings of ``TrainConfig`` that have an option: its type and what it means.
_SETTINGS: dict[str, tuple[Callable[[str], Any], str]] = {
    "epochs": (float, "passes over the data"),
    "max_steps": (int, "optimizer steps; the schedule ends with them"),
    "max_minutes": (float, "minutes of training; the schedule ends with them"),
    "batch_size": (int, "windows a step"),
    "learning_rate": (float, "peak rate of the encoder"),
    "lora_rank": (int, "rank of adapters that learn in place of the encoder, merged at the end; 0 for none"),
    "lora_alpha": (int, "weight of the adapters times their rank; twice the rank if not given"),
    "gradient_checkpointing": (bool, "less memory for more time: compute each layer again on the way back"),
    "skim_layers": (
        _layers,
        "layers, such as 2,4, in which a head tells the sentences to read on: effort fast",
    ),
    "skim_only": (bool, "train nothing but the heads of --skim-layers"),
    "precision": (str, "fp32, or bf16 where the CPU has AVX512_BF16"),
    "n_dev": (int, "examples held out to choose the checkpoint"),
    "n_calibration": (int, "examples held out to calibrate"),
    "eval_steps": (int, "steps between evaluations; 0 for none"),
    "patience": (int, "evaluations without gain that end the run; 0 for no early stopping"),
    "save_minutes": (float, "minutes between resumable checkpoints"),
    "seed": (int, "of every random choice"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``train``."""
    _add_data_arguments(parser)
    parser.add_argument(
        "--data-root", type=Path, metavar="D", help="third-party data of a recipe (or $QA_DATA)"
    )
    parser.add_argument(
        "--from-stage",
        type=int,
        default=1,
        metavar="N",
        help="begin a recipe of several stages with this one, from the model of the one before as --base",
    )
    parser.add_argument(
        "--base",
        default="default",
        metavar="M",
        help="what to start from: a folder, a packed model, a hub id, or 'default', the embedded model",
    )
    parser.add_argument(
        "--allow-pickle",
        action="store_true",
        help="read weights of --base that lie in .bin files, as tensors only",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="D", help="folder of the checkpoint")
    parser.add_argument("--resume", action="store_true", help="continue a run that was stopped")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad record")
    _add_settings(parser)
    for option in ("question", "context", "title", "answer", "id"):
        parser.add_argument(f"--{option}-column", metavar="NAME", help=f"column that holds the {option}")
    add_task_arguments(parser)
    add_triage_arguments(parser)


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    data = parser.add_mutually_exclusive_group()
    data.add_argument(
        "--data",
        nargs="+",
        type=Path,
        metavar="F",
        help="training files: CSV, TSV, JSONL, Parquet, JSON; a folder of Parquet files or from datasets' "
        "save_to_disk, FOLDER[:SPLIT]; a data set of the hub, hf:NAME[:SPLIT[:CONFIG]]",
    )
    data.add_argument("--recipe", type=Path, metavar="F", help="a recipe such as recipes/default.json")
    data.add_argument(
        "--task",
        type=Path,
        metavar="DIR",
        help="a task folder: train.csv, test.csv, perhaps unstructured.csv",
    )
    add_models_arguments(data)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    defaults = TrainConfig()
    for name, (kind, about) in _SETTINGS.items():
        option = f"--{name.replace('_', '-')}"
        if kind is bool:
            parser.add_argument(option, action="store_true", default=None, help=about)
            continue
        default = getattr(defaults, name)
        shown = "" if default in (None, []) else f" (the recipe's, or {default})"
        parser.add_argument(option, type=kind, metavar="N", help=about + shown)


@steady_stdout()
def run(options: argparse.Namespace) -> int:
    """Train, with the other processes where ``torchrun`` started some; 0, else as ``train_task`` says."""
    return in_company(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    given = {name: getattr(options, name) for name in _SETTINGS}
    overrides = {name: value for name, value in given.items() if value is not None}
    if is_triage(options):
        return run_triage_command(options, overrides)
    if options.config is not None:
        return run_models_file(options, overrides)
    if is_task(options):
        if n_processes() > 1:
            raise DataError("--task and --init are for one process: start them without torchrun")
        return run_task(options, overrides)
    if options.data is None and options.recipe is None:
        raise DataError(
            "there is nothing to train on: give --data, --recipe, --task, --triage, --config or --init"
        )
    options.base = unpacked(options.base)
    logging.getLogger("qa_extractive").setLevel(logging.INFO)
    if options.recipe is None and options.from_stage != 1:
        raise DataError("--from-stage is a recipe's: give --recipe")
    if options.recipe is None:
        _train(_from_files(options), TrainConfig(**overrides), options.base, options.output, options)
    else:
        _run_recipe(options, overrides)
    print(f"next: python export_onnx.py --model {options.output} --output {options.output}-onnx")
    return 0


def _run_recipe(options: argparse.Namespace, overrides: dict[str, Any]) -> None:
    """The stages from ``--from-stage``, each from the model of the one before; their mean; its skim heads."""
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
        base = _run_stages(recipe, Path(root), options, overrides)
    if recipe.skim_stage is not None:
        print(f"stage {n_runs} of {n_runs}: skim heads")
        config = dataclasses.replace(recipe.skim_stage, **_without_adapters(overrides))
        _train(recipe.examples(Path(root), config.seed), config, base, options.output, options)


def _without_adapters(overrides: dict[str, Any]) -> dict[str, Any]:
    """Settings for a stage in which the encoder does not learn."""
    return {name: value for name, value in overrides.items() if name not in ("lora_rank", "lora_alpha")}


def _run_stages(recipe: Recipe, root: Path, options: argparse.Namespace, overrides: dict[str, Any]) -> str:
    """The folder of what comes of them: ``--output``, or one in it where skim heads are to follow."""
    n_stages, base = len(recipe.stages), options.base
    folders = [options.output / f"stage-{number}" for number in range(1, n_stages + 1)]
    if recipe.average_stages:
        _require_models(folders[: options.from_stage - 1])
    elif recipe.skim_stage is None:
        folders[-1] = options.output
    for number, output in list(enumerate(folders, 1))[options.from_stage - 1 :]:
        config = dataclasses.replace(recipe.stages[number - 1], **overrides)
        if n_stages > 1:
            print(f"stage {number} of {n_stages + (recipe.skim_stage is not None)}")
        if not (options.resume and (output / REPORT_FILE).is_file()):
            _train(recipe.examples(root, config.seed), config, base, output, options)
        base = str(output)
    return _average(recipe, root, folders, options, overrides) if recipe.average_stages else base


def _average(
    recipe: Recipe, root: Path, folders: list[Path], options: argparse.Namespace, overrides: dict[str, Any]
) -> str:
    """The folder of the mean of the stages."""
    from qa_extractive.training.averaging import average

    output = options.output if recipe.skim_stage is None else options.output / "mean"
    if not (options.resume and (output / REPORT_FILE).is_file()):
        examples = recipe.examples(root, recipe.stages[-1].seed)
        config = dataclasses.replace(recipe.stages[-1], **overrides)
        _say_report(output, on_first(lambda: average(folders, examples, output=output, config=config)))
    return str(output)


def _require_models(folders: list[Path]) -> None:
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"the recipe averages its stages: put the model of an earlier one into {folder}")


def _train(
    examples: list[Example], config: TrainConfig, base: str, output: Path, options: argparse.Namespace
) -> None:
    from qa_extractive.training.run import train

    settings = {"resume": options.resume, "allow_pickle": options.allow_pickle, "watch": TrainingLine()}
    _say_report(output, train(examples, base=base, output=output, config=config, **settings))


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
    from qa_extractive.data.loading import ColumnNames, load_examples

    names = ColumnNames(
        question=options.question_column,
        context=options.context_column,
        title=options.title_column,
        answer=options.answer_column,
        id=options.id_column,
    )
    loaded = load_examples(options.data, names=names, strict=options.strict)
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
