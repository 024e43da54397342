"""``prepare``: a folder of papers in, a table of them out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qa_extractive.cli.terminal import fitted, ignore_broken_pipe, replace_line
from qa_extractive.settings import LONG_CONTEXT_CHARACTERS

if TYPE_CHECKING:
    from qa_extractive.papers.prepare import Preparation, SkippedKind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``prepare``."""
    parser.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="with .txt, .json, .jsonl, .xml (JATS, PubMed, EndNote), .nbib, .ris, .enw, .ciw, .bib, .csv, "
        ".tsv or .pdf; also .gz, .zst; and .xlsx",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="F", help="CSV, TSV, JSONL or Parquet file to write"
    )
    parser.add_argument("--errors", type=Path, metavar="F", help="list what was skipped in F, with reasons")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def run(options: argparse.Namespace) -> int:
    """Prepare; 0 on success."""
    from qa_extractive.papers.prepare import prepare

    watch = _show_progress if sys.stderr.isatty() else None
    done = prepare(
        options.folder, options.output, errors=options.errors, overwrite=options.overwrite, on_file=watch
    )
    with ignore_broken_pipe():
        _print(done, options)
    return 0


def _show_progress(done: Preparation) -> None:
    replace_line(f"{done.n_papers:,} papers from {done.n_files:,} files")


def _print(done: Preparation, options: argparse.Namespace) -> None:
    print(f"papers   {done.n_papers:,} from {done.n_files:,} files")
    print(f"skipped  {sum(kind.n for kind in done.skipped.values()):,}")
    for name, kind in done.skipped.items():
        print(f"  {kind.n:,} {name}")
        _print_first(kind, f"see {options.errors}" if options.errors else "list them with --errors F")
    if done.foreign.n:
        print(f"foreign  {done.foreign.n:,} taken, but not in English, which is all that the models read")
        _print_first(done.foreign, "see the table")
    if done.long.n:
        size = f"more than {LONG_CONTEXT_CHARACTERS:,} characters"
        print(f"long     {done.long.n:,} taken, but of {size}: each takes minutes to answer from")
        _print_first(done.long, "see the table")
    print(f"table    {options.output}")


def _print_first(kind: SkippedKind, rest: str) -> None:
    for where, reason in kind.first:
        print(fitted("    ", f"{where}: {reason}"))
    if kind.n > len(kind.first):
        print(f"    ... {rest}")
