"""What the training commands share: settings, columns, where to start, where to write, how to run."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from qa_extractive.cli.labelled_rows import TRAINING_PARTS, add_columns
from qa_extractive.cli.safe_print import steady_stdout
from qa_extractive.config import TrainConfig
from qa_extractive.training.distributed import run_distributed


def _layers(text: str) -> list[int]:
    try:
        return [int(each) for each in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of layers such as 2,4") from None


# Settings of ``TrainConfig`` that have an option: its type and what it means.
_SETTINGS: dict[str, tuple[Callable[[str], Any], str]] = {
    "epochs": (float, "passes over the data"),
    "max_steps": (int, "optimizer steps; the schedule ends with them"),
    "max_minutes": (float, "minutes of training; the schedule ends with them"),
    "batch_size": (int, "windows a step"),
    "learning_rate": (float, "peak rate of the encoder"),
    "lora_rank": (int, "rank of adapters that learn in place of the encoder, merged at the end; 0 for none"),
    "lora_alpha": (int, "weight of the adapters times their rank; twice the rank if not given"),
    "gradient_checkpointing": (
        bool,
        "less memory, more time: compute each layer again in the backward pass",
    ),
    "skim_layers": (
        _layers,
        "layers, such as 2,4, that get a sentence pruning head, for effort fast",
    ),
    "skim_only": (bool, "train nothing but the heads of --skim-layers"),
    "cached_layers": (int, "lower layers in which the effort cached reads papers apart"),
    "cached_grid": (int, "positions that papers read apart begin at are multiples of it"),
    "precision": (str, "fp32, or bf16 where the CPU has AVX512_BF16"),
    "n_dev": (int, "examples held out to choose the checkpoint"),
    "n_calibration": (int, "examples held out to calibrate"),
    "eval_steps": (int, "steps between evaluations; 0 for none"),
    "patience": (int, "evaluations without gain that end the run; 0 for no early stopping"),
    "save_minutes": (float, "minutes between resumable checkpoints"),
    "seed": (int, "seed of every random choice"),
}


def add_ends(parser: argparse.ArgumentParser, *, has_base: bool = True) -> None:
    """Declare where a training starts from and what it writes, and the columns."""
    parser.add_argument("--output", type=Path, required=True, metavar="D", help="folder to write")
    if has_base:
        about = "a folder, a packed model, a hub id, or 'default', the embedded model"
        parser.add_argument("--base", default="default", metavar="M", help=f"what to start from: {about}")
    add_columns(parser, TRAINING_PARTS)


def add_settings(parser: argparse.ArgumentParser, *, shows_defaults: bool = False) -> None:
    """Declare the settings of ``TrainConfig`` that have an option."""
    group, defaults = parser.add_argument_group("training"), TrainConfig()
    for name, (kind, about) in _SETTINGS.items():
        option = f"--{name.replace('_', '-')}"
        if kind is bool:
            group.add_argument(option, action="store_true", default=None, help=about)
            continue
        default = getattr(defaults, name)
        shown = f" (the recipe's, or {default})" if shows_defaults and default not in (None, []) else ""
        group.add_argument(option, type=kind, metavar="N", help=about + shown)


def overrides(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that options give."""
    return given({name: getattr(options, name) for name in _SETTINGS})


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None."""
    return {name: value for name, value in values.items() if value is not None}


def add_test_rows(parser: argparse._ActionsContainer) -> None:
    """Declare ``--test`` and ``--hold-out``."""
    parser.add_argument("--test", nargs="+", type=Path, default=[], metavar="F", help="test rows")
    about = "without --test: rows to hold out, whole documents (a fifth)"
    parser.add_argument("--hold-out", type=int, metavar="N", help=about)


def training(work: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """A command that trains, with the other processes where ``torchrun`` started some."""

    @wraps(work)
    @steady_stdout()
    def run(options: argparse.Namespace) -> int:
        return run_distributed(lambda: work(options))

    return run


def say(line: str) -> None:
    """Print a step of the work."""
    print(f"- {line}", flush=True)
