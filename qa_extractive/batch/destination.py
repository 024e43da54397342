"""Where the answers to a table go, and what is there already."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from qa_extractive.batch.fingerprint import Fingerprint, difference
from qa_extractive.batch.summary import Counts
from qa_extractive.errors import DataError
from qa_extractive.tables.durable import write_whole
from qa_extractive.tables.growing import partial_path
from qa_extractive.tables.text_files import data_stem
from qa_extractive.tables.writing import checked_target, writing

Existing = Literal["refuse", "overwrite", "resume"]

_FORMAT = 1


def default_output(path: Path) -> Path:
    """``papers.answers.csv.gz`` beside ``papers.csv.gz``."""
    stem = data_stem(path)
    return path.with_name(f"{stem}.answers{path.name[len(stem) :]}")


@dataclass(frozen=True, slots=True)
class RunState:
    """How far a run is; kept in ``<output>.run.json``, also when it is finished.

    Attributes:
        fingerprint: What it is made of.
        sizes: Bytes of each growing file after the last finished part.
        counts: Of the rows up to there.
        output_bytes: Size of the finished output; None while it is not.
    """

    fingerprint: Mapping[str, Any]
    sizes: tuple[int, ...]
    counts: Counts
    output_bytes: int | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the output is there."""
        return self.output_bytes is not None

    def require_same(self, now: Fingerprint, output: Path) -> None:
        """Raise DataError unless a run with this fingerprint would write the same."""
        changed = difference(self.fingerprint, now)
        if changed is not None:
            raise DataError(
                f"{output} was begun with something else, {changed}: "
                "give what was given then, or start again with --overwrite"
            )


@dataclass(frozen=True, slots=True)
class Destination:
    """The files of a run, links followed.

    Attributes:
        output: The table with the answers.
        errors: The table of the failed rows, or None.
        existing: What to do where something is there.
    """

    output: Path
    errors: Path | None
    existing: Existing

    @classmethod
    def open(cls, path: Path, output: Path, errors: Path | None, existing: Existing) -> Destination:
        """Check the files, touching none.

        Raises:
            DataError: One is the table itself or cannot be written, two are the same, or something is there
                that would be lost.
        """
        targets = [_checked(path, each) for each in (output, errors) if each is not None]
        if len(targets) == 2 and targets[0] == targets[1]:
            raise DataError(f"{errors} is the output itself: give the errors another file")
        destination = cls(targets[0], targets[1] if errors is not None else None, existing)
        destination._check_existing()
        return destination

    @property
    def targets(self) -> list[Path]:
        """The output, and the errors if they are wanted."""
        return [target for target in (self.output, self.errors) if target is not None]

    @property
    def state_path(self) -> Path:
        """The file that tells how far the run is."""
        return self.output.with_name(f"{self.output.name}.run.json")

    def state(self) -> RunState | None:
        """The run that can be continued, or is finished and its output there; None where there is none."""
        state = self._saved_state()
        if state is None or not state.is_finished:
            return state
        is_there = self.output.exists() and self.output.stat().st_size == state.output_bytes
        return state if is_there else None

    def save(self, state: RunState) -> None:
        """Keep how far the run is; DataError where that cannot be written."""
        values = {
            "format": _FORMAT,
            "fingerprint": state.fingerprint,
            "sizes": state.sizes,
            "counts": state.counts.to_dict(),
            "output_bytes": state.output_bytes,
        }
        with writing(self.state_path):
            write_whole(self.state_path, (json.dumps(values, indent=1) + "\n").encode("utf-8"))

    def _saved_state(self) -> RunState | None:
        try:
            values = json.loads(self.state_path.read_bytes())
            if values["format"] != _FORMAT:
                return None
            counts = Counts.from_dict(values["counts"])
            return RunState(values["fingerprint"], tuple(values["sizes"]), counts, values["output_bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _check_existing(self) -> None:
        if self.existing == "overwrite":
            return
        state = self.state()
        there = [target for target in self.targets if target.exists()]
        if self.existing == "resume":
            if state is None and there:
                raise DataError(
                    f"{there[0]} exists, but is not what a run left here: replace it with --overwrite"
                )
            return
        if there:
            raise DataError(
                f"{there[0]} exists: replace it with --overwrite, or go on with its run with --resume"
            )
        if state is not None and not state.is_finished:
            raise DataError(
                f"{partial_path(self.output)} holds {state.counts.n_rows:,} rows of a run that was stopped: "
                "go on with --resume, or start again with --overwrite"
            )


def _checked(path: Path, target: Path) -> Path:
    checked = checked_target(target)
    if checked.exists() and checked.samefile(path):
        raise DataError(f"output {target} is the input itself: give another file")
    return checked
