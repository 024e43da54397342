"""The options of ``infer.py`` and ``qa-extractive serve`` that say what answers, and how."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any

from qa_extractive.errors import DataError
from qa_extractive.settings import CACHED, EFFORTS, FULL, KEPT_FOLDER_MB, KEPT_MB, NATIVE, PRODUCTS

_SETTINGS = (
    "threshold",
    "max_risk",
    "effort",
    "kept_mb",
    "kept_folder",
    "kept_folder_mb",
    "precision",
    "n_threads",
)


def add_model_arguments(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add what ``named_predictor`` takes; the group."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model", default="default", metavar="M", help="exported folder, model.tar.gz or hf:ID"
    )
    group.add_argument("--threshold", type=float, metavar="P", help="abstain below this probability")
    group.add_argument(
        "--max-risk", type=float, metavar="R", help="instead: the highest share of wrong answers"
    )
    about = "fast: read only the sentences that matter; cached: also cache papers for further questions"
    group.add_argument("--effort", choices=EFFORTS, default=FULL, help=about)
    group.add_argument(
        "--kept-mb",
        type=int,
        metavar="N",
        help=f"size of the context cache, with cached ({KEPT_MB})",
    )
    group.add_argument("--kept-folder", metavar="D", help="keep it here too, for other runs, with cached")
    group.add_argument(
        "--kept-folder-mb",
        type=int,
        metavar="N",
        help=f"size of that folder ({KEPT_FOLDER_MB})",
    )
    add_precision(group)
    group.add_argument("--threads", type=int, metavar="N", help="windows run at once (all CPUs)")
    return group


def chosen_settings(options: argparse.Namespace, *more: str) -> dict[str, Any]:
    """What the options choose, by the names of ``Predictor``'s arguments; what is not given is left out.

    Args:
        options: With those of ``add_model_arguments``.
        more: Further arguments of ``Predictor`` that are options of the command.

    Raises:
        DataError: An option of the context cache is given that nothing would come of.
    """
    if options.kept_mb is not None and options.effort not in (None, CACHED):
        raise DataError("--kept-mb goes with --effort cached: give that too, or leave it out")
    if options.kept_folder_mb is not None and options.kept_folder is None:
        raise DataError("--kept-folder-mb goes with --kept-folder: give that too, or leave it out")
    values = vars(options) | {"n_threads": options.threads}
    return {name: values[name] for name in (*_SETTINGS, *more) if values[name] is not None}


def add_limits(
    group: argparse._ActionsContainer,
    limits: Iterable[tuple[str, Callable[[str], Any], str]],
    defaults: object,
) -> None:
    """Add an option for each limit of a service: its name, its type and what it means; defaults by name."""
    for name, kind, about in limits:
        default = getattr(defaults, name)
        option = "--" + name.replace("_", "-")
        group.add_argument(option, type=kind, default=default, metavar="N", help=f"{about} ({default:,g})")


def add_precision(group: argparse._ActionsContainer) -> None:
    """Add ``--precision``."""
    group.add_argument(
        "--precision",
        choices=PRODUCTS,
        default=NATIVE,
        help="exact: the same spans on every CPU, at about twice the time (%(default)s)",
    )
