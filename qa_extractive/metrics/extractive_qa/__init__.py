"""The package's metrics as a module folder of the library ``evaluate``; light itself."""

from __future__ import annotations

from pathlib import Path


def evaluate_module_path() -> str:
    """The folder that ``evaluate.load`` takes, offline: ``evaluate.load(evaluate_module_path())``.

    A string, since ``evaluate`` takes no Path. The root's ``evaluate.py`` must not be in the way: start
    Python from another folder than the root of the repository.
    """
    return str(Path(__file__).resolve().parent)
