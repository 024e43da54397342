"""What ``train`` took before each way had a command of its own: ``train --task`` for ``finetune``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from qa_extractive.cli.terminal import note
from qa_extractive.errors import DataError

_COMMAND_OF = {"triage": "triage", "config": "sweep", "init": "update", "task": "finetune"}
_FLAGS_WITHOUT_EFFECT = ("--strict", "--allow-pickle")
_OPTIONS_WITHOUT_EFFECT = ("--data-root", "--from-stage")


def todays_form(arguments: Sequence[str]) -> list[str]:
    """The arguments of ``train`` as they are written today; a line on stderr where the form is an old one.

    Args:
        arguments: Those after ``train``, which may name another command first: ``train.py finetune DIR``.

    Returns:
        The command and its arguments.

    Raises:
        DataError: The arguments ask for two commands at once.
    """
    if arguments and arguments[0] in _COMMAND_OF.values():
        return list(arguments)
    given, rest = _parser(f"--{name}" for name in _COMMAND_OF).parse_known_args(arguments)
    asked = [name for name in _COMMAND_OF if getattr(given, name) is not None]
    if not asked:
        return ["train", *arguments]
    name, *others = asked
    if others == ["task"] and name == "init":
        rest += ["--task", given.task]
    elif others:
        raise DataError(f"--{others[0]} does not go with --{name}")
    return _translated(name, getattr(given, name), rest)


def _translated(name: str, value: str, rest: list[str]) -> list[str]:
    from qa_extractive.finetune.triage.rows import holds_labels
    from qa_extractive.training.distributed import is_main_process

    command = _COMMAND_OF[name]
    if command == "finetune" and holds_labels(Path(value)):
        command = "triage"
    if command in ("finetune", "update"):  # these were taken and did nothing
        ignored = (*_OPTIONS_WITHOUT_EFFECT, *(["--anchor-weight"] if command == "finetune" else []))
        rest = _parser(ignored, _FLAGS_WITHOUT_EFFECT).parse_known_args(rest)[1]
    if is_main_process():
        note(f"note: 'train --{name} {value}' is now '{command} {value}'; the old form goes on working")
    return [command, value, *rest]


def _parser(options: Iterable[str], flags: Iterable[str] = ()) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("qa-extractive train", add_help=False, allow_abbrev=False)
    for option in options:
        parser.add_argument(option)
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    return parser
