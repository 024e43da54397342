"""How far a run is, as a small file beside its output."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_extractive._utils.files import write_whole
from qa_extractive.batch.fingerprint import Fingerprint, difference
from qa_extractive.batch.summary import Counts
from qa_extractive.errors import DataError
from qa_extractive.tables.text_files import os_reason
from qa_extractive.tables.writing import writing

_FORMAT = 2
_MAX_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class RunState:
    """How far a run is; kept in ``<output>.run.json``, also when it is finished.

    Attributes:
        fingerprint: What it is made of.
        sizes: Bytes of each growing file after the last finished part.
        counts: Of the rows up to there.
        output_bytes: Size of the finished output; None while it is not.
        replaces: Whether files that have the names of its tables may be lost.
        is_tidy: Whether nothing but the finished tables is left of it.
    """

    fingerprint: Mapping[str, Any]
    sizes: tuple[int, ...]
    counts: Counts
    output_bytes: int | None = None
    replaces: bool = False
    is_tidy: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether the output is there."""
        return self.output_bytes is not None

    @property
    def is_ray(self) -> bool:
        """Whether its parts are files in a folder, not one growing file."""
        return self.fingerprint.get("engine") == "ray"

    def require_same(self, now: Fingerprint, output: Path) -> None:
        """Raise DataError unless a run with this fingerprint would write the same."""
        changed = difference(self.fingerprint, now)
        if changed is not None:
            raise DataError(
                f"{output} was started with something else, {changed}: "
                "give what was given then, or start again with --overwrite"
            )


def read_state(path: Path) -> RunState | None:
    """The state in a file; None where there is no file. DataError where it is not what a run left there."""
    try:
        if path.exists() and not path.is_file():
            raise ValueError("not a file")
        with path.open("rb") as file:
            values = json.loads(file.read(_MAX_BYTES))
        check = values.pop("check")
        if values["format"] != _FORMAT or check != _digest(values):
            raise ValueError("changed")
        return RunState(
            values["fingerprint"],
            tuple(values["sizes"]),
            Counts.from_dict(values["counts"]),
            values["output_bytes"],
            values["replaces"],
            values["is_tidy"],
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {os_reason(error)}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataError(
            f"{path} is damaged, or no run of this version left it: put it back as it was, move it away, or "
            "start again with --overwrite"
        ) from None


def write_state(path: Path, state: RunState) -> None:
    """Replace the state in a file, at once or not at all; DataError where that cannot be written."""
    values = {
        "format": _FORMAT,
        "fingerprint": state.fingerprint,
        "sizes": state.sizes,
        "counts": state.counts.to_dict(),
        "output_bytes": state.output_bytes,
        "replaces": state.replaces,
        "is_tidy": state.is_tidy,
    }
    values["check"] = _digest(values)
    with writing(path):
        write_whole(path, json.dumps(values, indent=1) + "\n", path.with_name(f"{path.name}.tmp"))


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode("utf-8"), digest_size=8).hexdigest()
