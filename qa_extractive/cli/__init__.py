"""The command line: parse, call, print. Heavy imports stay inside each command."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from qa_extractive.cli.signals import EXIT_INTERRUPTED, Interrupts
from qa_extractive.cli.terminal import flush_stdout, ignore_broken_pipe, note, occupy_closed_streams
from qa_extractive.errors import QAError

EXIT_BAD_INPUT = 2
_COMMANDS = {
    "infer": "answer questions from papers",
    "extract": "take many fields from one text",
    "train": "train a model on question-paper pairs",
    "finetune": "fine-tune a model on a folder of examples",
    "update": "train a model further on new rows, without losing what it knows",
    "triage": "train a model that sorts papers by yes and no",
    "sweep": "train and compare several models",
    "ensemble": "train several models on a GPU and one that learns from all of them",
    "export": "export a trained model to quantized ONNX",
    "calibrate": "fit a model's threshold and probabilities to labelled rows",
    "evaluate": "measure models on labelled data",
    "serve": "answer over HTTP, with a page to try it",
    "mcp": "answer as tools for agents (Model Context Protocol)",
    "prepare": "turn a folder of papers into a table",
    "table": "ask a folder of papers some questions: a table of quotes",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``qa-extractive`` with these arguments; the exit code."""
    occupy_closed_streams()
    with Interrupts() as interrupts:
        try:
            code = _run(list(sys.argv[1:] if argv is None else argv))
            flush_stdout()
            return code
        except KeyboardInterrupt:
            pass
        except Exception as error:
            if not interrupts.received:  # an import that is interrupted may fail in another way
                note(f"error: {_told(error)}")
                return EXIT_BAD_INPUT
        note("interrupted")
        return EXIT_INTERRUPTED


def _run(arguments: list[str]) -> int:
    options = parsed(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    code: int = import_module(f"qa_extractive.cli.{options.command}").run(options)
    return code


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The command and its options; SystemExit after ``--help`` or where they are wrong."""
    if arguments[:1] == ["train"]:
        from qa_extractive.cli.old_forms import todays_form

        arguments = todays_form(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="qa-extractive", description="Verbatim answers from scientific papers."
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, about in _COMMANDS.items():
        sub = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        sub.add_argument("--version", action=_Version, help="print the version and exit")
        if arguments[:1] == [name]:
            import_module(f"qa_extractive.cli.{name}").add_arguments(sub)
    try:
        options = parser.parse_args(arguments)
    except SystemExit:  # after --help, which may not have been written yet
        flush_stdout()
        raise
    options.arguments = arguments
    return options


class _Version(argparse.Action):
    """Looks the version up only when asked for it."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest=argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from qa_extractive import __version__

        with ignore_broken_pipe():
            print(f"qa-extractive {__version__}")
        parser.exit()


def _told(error: Exception) -> str:
    """What is wrong, on one line; the error again where it is none of those that a user can put right."""
    if isinstance(error, QAError):
        return str(error)
    if isinstance(error, ImportError) and error.name and error.name.split(".")[0] in _EXTRA_OF:
        extra = _EXTRA_OF[error.name.split(".")[0]]
        return f"{error.name} is not installed: pip install 'qa-extractive[{extra}]'"
    if isinstance(error, MemoryError):
        return "not enough memory: split long texts, or give smaller files"
    if isinstance(error, OSError) and error.errno:
        where = "" if error.filename is None else f"{error.filename}: "
        return f"{where}{os.strerror(error.errno)}"
    raise error


_EXTRA_OF = {
    "torch": "train",
    "transformers": "train",
    "optimum": "optimum",
    "onnx": "train",
    "sklearn": "train",
    "scipy": "train",
    "accelerate": "train",
    "datasets": "train",
    "openai": "teacher",
    "pyarrow": "parquet",
    "zstandard": "zstd",
    "mcp": "mcp",
    "mcp_types": "mcp",
    "fastapi": "serve",
    "starlette": "serve",
    "pydantic": "serve",
    "uvicorn": "serve",
    "prometheus_client": "serve",
}
