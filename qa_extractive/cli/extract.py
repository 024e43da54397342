"""``extract``: many fields of one text, as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from qa_extractive.cli.infer import file_text, predictor_of, standard_input
from qa_extractive.cli.model_options import add_model_arguments
from qa_extractive.cli.terminal import ignore_broken_pipe
from qa_extractive.errors import DataError, shortened

_MAX_CHARACTERS = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``extract``."""
    parser.add_argument("text", metavar="FILE", help="a file with the text, UTF-8; - for standard input")
    parser.add_argument(
        "--fields",
        required=True,
        type=Path,
        metavar="F",
        help='JSON: {"dose": "What dose was given?"}, or a JSON Schema with questions as descriptions',
    )
    parser.add_argument("--title", metavar="T", help="title of the paper")
    parser.add_argument("--max-context-characters", type=int, metavar="N", help="refuse a longer text")
    add_model_arguments(parser)
    parser.set_defaults(top_k=None)


def run(options: argparse.Namespace) -> int:
    """Print the fields as JSON; 0."""
    fields = _fields(options.fields)
    text = standard_input() if options.text == "-" else file_text(Path(options.text))
    found = predictor_of(options).extract(text, fields, options.title)
    if sys.stdout is None:
        raise DataError("standard output is closed: give the fields somewhere to go")
    with ignore_broken_pipe():
        print(json.dumps({name: each.to_dict() for name, each in found.items()}, indent=1))
    return 0


def _fields(path: Path) -> Any:
    """What the file of fields holds; ``fields_of`` checks it."""
    text = file_text(path)
    if len(text) > _MAX_CHARACTERS:
        raise DataError(f"{path} holds more than {_MAX_CHARACTERS:,} characters: give a file of fields")
    try:
        return json.loads(text, object_pairs_hook=_without_twins)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except RecursionError:
        raise DataError(f"{path} is nested too deep: give names and questions") from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {str(error)[:200]}") from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of JSON; DataError where it has a name twice, of which ``json`` would keep the last."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise DataError(f"the name {shortened(name)} stands twice: rename or remove one")
        found[name] = value
    return found
