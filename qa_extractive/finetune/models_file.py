"""``models.json``: several models to be trained on the same rows, checked before anything is trained."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from qa_extractive.config import TrainConfig
from qa_extractive.errors import DataError
from qa_extractive.evaluation.systems import DEFAULT

QUANTIZATIONS = ("auto", "int8", "int8-weights", "int4", "fp16", "none")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[\w.-]+)?")
_HINTS = get_type_hints(TrainConfig)
_OWN = {"base": str, "quantize": str, "allow_pickle": bool}
_TOP = {
    "data": list[str],
    "test": list[str],
    "test_labels": str,
    "hold_out": int,
    "n_bootstrap": int,
    "common": dict,
    "models": list,
}


@dataclass(frozen=True, slots=True)
class ModelRun:
    """One model to train.

    Attributes:
        name: Of its row and its folder.
        config: Settings of the training run.
        base: What it starts from.
        quantize: Weights of the export.
        allow_pickle: Whether the base's weights may lie in ``.bin`` files.
        given: The settings of it that the file names, common ones included.
    """

    name: str
    config: TrainConfig
    base: str = DEFAULT
    quantize: str = "auto"
    allow_pickle: bool = False
    given: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelsFile:
    """What the file asks for.

    Attributes:
        path: The file.
        runs: The models, in order; at least one.
        data: Labelled rows to train on.
        test: Rows to measure on; without any, rows of ``data`` are held out.
        test_labels: A table with their answers, joined on the id; None where they have them.
        hold_out: Rows to hold out, at least; None for a fifth.
        n_bootstrap: Resamples for the intervals.
    """

    path: Path
    runs: tuple[ModelRun, ...]
    data: tuple[Path, ...]
    test: tuple[Path, ...] = ()
    test_labels: Path | None = None
    hold_out: int | None = None
    n_bootstrap: int = 1000

    @classmethod
    def load(cls, path: Path) -> ModelsFile:
        """Read and check the file; DataError says what is wrong, where, on one line."""
        values = _read(path)
        try:
            return cls(path=path, **_parsed(values, path.parent))
        except DataError as error:
            raise DataError(f"{path}: {error}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_without_repeats)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: give a settings file, see docs/FINE_TUNE.md") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise DataError(f"{path} holds no JSON object")
    return values


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a setting given twice only the last would count, silently."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r} is given twice")
    return values


def _parsed(values: dict[str, Any], root: Path) -> dict[str, Any]:
    values = {k: [v] if k in ("data", "test") and isinstance(v, str) else v for k, v in values.items()}
    _check_types(values, _TOP)
    if not values.get("data") or not values.get("models"):
        raise DataError("'data' and 'models' are needed: the files to train on, and a list of models")
    if values.get("test") and "hold_out" in values:
        raise DataError("give 'test' or 'hold_out', not both")
    if "test_labels" in values and not values.get("test"):
        raise DataError("'test_labels' are those of 'test': give both")
    for name, least in (("hold_out", 1), ("n_bootstrap", 0)):
        if values.get(name, least) < least:
            raise DataError(f"{name} must be at least {least}, got {values[name]}")
    parsed: dict[str, Any] = {name: values[name] for name in ("hold_out", "n_bootstrap") if name in values}
    for name in ("data", "test"):
        parsed[name] = tuple(_existing(root, each) for each in values.get(name, ()))
    if "test_labels" in values:
        parsed["test_labels"] = _existing(root, values["test_labels"])
    runs = [_run(own, values.get("common", {}), root) for own in values["models"]]
    _check_names([run.name for run in runs])
    return parsed | {"runs": tuple(runs)}


def _run(own: Any, common: Mapping[str, Any], root: Path) -> ModelRun:
    name = own.get("name") if isinstance(own, dict) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DataError(f"a model is named {name!r}: give each a 'name' of letters, digits, '.', '_' and '-'")
    given = {**common, **{k: v for k, v in own.items() if k != "name"}}
    try:
        _check_types(given, {**_OWN, **_HINTS})
        if given.get("quantize", "auto") not in QUANTIZATIONS:
            raise DataError(f"quantize must be one of {', '.join(QUANTIZATIONS)}")
        config = TrainConfig(**{k: v for k, v in given.items() if k not in _OWN})
        base = _base(root, given.get("base", DEFAULT))
    except DataError as error:
        raise DataError(f"model {name!r}: {error}") from None
    exporting = {k: given[k] for k in ("quantize", "allow_pickle") if k in given}
    return ModelRun(name=name, config=config, base=base, given=given, **exporting)


def _check_names(names: Sequence[str]) -> None:
    folded = [name.casefold() for name in names]  # folders that some file systems take for one
    for name, own in zip(names, folded, strict=True):
        if folded.count(own) > 1:
            raise DataError(f"two models are named {name!r}: give each a name of its own")


def _check_types(values: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name not in hints:
            raise DataError(f"unknown setting {name!r}; known are {', '.join(hints)}")
        if not _is_a(value, hints[name]):
            raise DataError(f"{name} is {value!r}, which is of the wrong type")


def _is_a(value: Any, hint: Any) -> bool:
    """Whether a value of JSON is of a type; a whole number is a float too, true and false are none."""
    if isinstance(hint, UnionType):
        return any(_is_a(value, each) for each in get_args(hint))
    kind = get_origin(hint) or hint
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is list:
        return isinstance(value, list) and all(
            _is_a(each, *get_args(hint)) for each in value if get_args(hint)
        )
    if kind is dict and get_args(hint):
        return isinstance(value, dict) and all(_is_a(each, get_args(hint)[1]) for each in value.values())
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _existing(root: Path, name: str) -> Path:
    """A file by its path from the folder of the settings."""
    path = root / name
    if not path.exists():
        raise DataError(f"{name} does not exist (paths start from the folder of this file)")
    return path


def _base(root: Path, name: str) -> str:
    """A folder or file from the folder of the settings; else the embedded model or a hub id as it is."""
    if name != DEFAULT and (root / name).exists():
        return str(root / name)
    if name.endswith((".tar.gz", ".tgz")) or not _HUB_ID.fullmatch(name):
        raise DataError(f"base {name} does not exist: give 'default', a folder, a packed model or a hub id")
    return name
