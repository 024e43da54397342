"""The command line: parse, call, print. Heavy imports stay inside each command."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib import import_module

from qa_extractive.errors import QAError

EXIT_BAD_INPUT = 2
_COMMANDS = {
    "infer": "answer questions from papers",
    "train": "train a model on question-paper pairs",
    "export": "export a trained model to quantized ONNX",
    "calibrate": "fit a model's threshold and probabilities to labelled rows",
    "evaluate": "measure models on labelled data",
    "serve": "answer over HTTP, with a page to try it",
    "prepare": "make a table of a folder of papers",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``qa-extractive`` with these arguments; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="qa-extractive", description="Verbatim answers from scientific papers."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, about in _COMMANDS.items():
        sub = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        if arguments[:1] == [name]:
            import_module(f"qa_extractive.cli.{name}").add_arguments(sub)
    options = parser.parse_args(arguments)
    options.arguments = arguments
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        code: int = import_module(f"qa_extractive.cli.{options.command}").run(options)
        return code
    except QAError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except ImportError as error:
        if error.name and error.name.split(".")[0] in _EXTRA_OF:
            extra = _EXTRA_OF[error.name.split(".")[0]]
            print(
                f"error: {error.name} is not installed: pip install 'qa-extractive[{extra}]'", file=sys.stderr
            )
            return EXIT_BAD_INPUT
        raise
    except MemoryError:
        print("error: not enough memory: split long texts, or give smaller files", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


_EXTRA_OF = {
    "torch": "train",
    "transformers": "train",
    "optimum": "train",
    "onnx": "train",
    "sklearn": "train",
    "scipy": "train",
    "accelerate": "train",
    "datasets": "train",
    "pyarrow": "parquet",
    "zstandard": "zstd",
    "fastapi": "serve",
    "starlette": "serve",
    "pydantic": "serve",
    "uvicorn": "serve",
    "prometheus_client": "serve",
}
