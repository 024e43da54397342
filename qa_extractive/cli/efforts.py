"""The options of ``infer.py`` and ``qa-extractive serve`` that say how much is read, and how precisely."""

from __future__ import annotations

import argparse

from qa_extractive.settings import EFFORTS, FULL, KEPT_MB, NATIVE, PRODUCTS


def add_efforts(group: argparse._ArgumentGroup) -> None:
    """Add ``--effort``, ``--kept-mb`` and ``--precision``."""
    about = "fast: only the sentences that matter; cached: also keep papers for other questions to them"
    group.add_argument("--effort", choices=EFFORTS, default=FULL, help=about)
    group.add_argument(
        "--kept-mb", type=int, default=KEPT_MB, metavar="N", help=f"of papers kept, with cached ({KEPT_MB})"
    )
    add_precision(group)


def add_precision(group: argparse._ActionsContainer) -> None:
    """Add ``--precision``."""
    group.add_argument(
        "--precision",
        choices=PRODUCTS,
        default=NATIVE,
        help="exact: the same spans on every CPU, at about twice the time (%(default)s)",
    )
