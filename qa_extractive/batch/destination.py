"""Where the answers to a table go, and what is there already."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from qa_extractive.batch.state import RunState, read_state, write_state
from qa_extractive.errors import DataError
from qa_extractive.tables.growing import converted_path, partial_path
from qa_extractive.tables.locking import locked
from qa_extractive.tables.text_files import data_stem
from qa_extractive.tables.writing import checked_target, writing

Existing = Literal["refuse", "overwrite", "resume"]

_RAY_FILES = re.compile(r"rows-\d+\.(arrow|\d+\.tmp)|joined\.tmp")


def default_output(path: Path) -> Path:
    """``papers.answers.csv.gz`` beside ``papers.csv.gz``."""
    stem = data_stem(path)
    return path.with_name(f"{stem}.answers{path.name[len(stem) :]}")


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
        """Check the files; none is touched.

        Raises:
            DataError: One is the table itself or cannot be written, two are the same, or something is there
                that would be lost.
        """
        targets = [_checked(path, each) for each in (output, errors) if each is not None]
        if len(targets) == 2 and targets[0] == targets[1]:
            raise DataError(f"{errors} is the output itself: give the errors another file")
        destination = cls(targets[0], targets[1] if errors is not None else None, existing)
        try:
            destination.check_existing()
        except DataError:  # perhaps of what a run that lasts has there just now, which is then told instead
            with destination.locked():
                pass
        return destination

    @property
    def targets(self) -> list[Path]:
        """The output, and the errors if they are wanted."""
        return [target for target in (self.output, self.errors) if target is not None]

    @property
    def state_path(self) -> Path:
        """The file that tells how far the run is."""
        return self.output.with_name(f"{self.output.name}.run.json")

    @property
    def errors_name(self) -> str:
        """The file of the errors as seen from the folder of the output, so that both may move; or "none"."""
        return "none" if self.errors is None else _relative(self.errors, self.output.parent)

    def state(self) -> RunState | None:
        """The run that can be continued, or is finished and its output there; None where there is none.

        Raises:
            DataError: Its file is damaged, and it is not to be replaced.
        """
        state = self.left()
        if state is None or not state.is_finished:
            return state
        is_there = self.output.exists() and self.output.stat().st_size == state.output_bytes
        return state if is_there else None

    def finished(self) -> RunState | None:
        """The run that is to be gone on with and is finished, so that nothing is left to do; else None."""
        state = self.state() if self.existing == "resume" else None
        return state if state is not None and state.is_finished else None

    def save(self, state: RunState) -> None:
        """Keep how far the run is; DataError where that cannot be written."""
        write_state(self.state_path, state)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs away from all files, and check once more that nothing is there that would be lost.

        Raises:
            DataError: Another run writes one of the files, or has written it meanwhile.
        """
        with locked(self.targets):
            self.check_existing()
            yield

    def check_existing(self) -> None:
        """Raise DataError where something is there that would be lost."""
        self._check_partials()
        if self.existing == "overwrite":
            return
        state = self.state()
        there = [target for target in self.targets if target.exists()]
        if self.existing == "resume":
            is_known = state is not None and (state.counts.n_rows or state.replaces or state.is_ray)
            if there and not is_known:
                raise DataError(
                    f"{there[0]} exists, but is not what a run left here: replace it with --overwrite"
                )
            return
        if there:
            raise DataError(
                f"{there[0]} exists: replace it with --overwrite, or go on with its run with --resume"
            )
        if state is not None and not state.is_finished and (state.counts.n_rows or state.is_ray):
            raise DataError(
                f"{partial_path(self.output)} holds {state.counts.n_rows:,} rows of a run that was stopped: "
                "go on with --resume, or start again with --overwrite"
            )

    def remove_partials(self, state: RunState | None) -> None:
        """Remove what a run that is over, or is not to be continued, left beside its tables."""
        for target in self._owned(state):
            for path in (converted_path(target), partial_path(target)):
                with writing(path):
                    if path.is_dir() and not path.is_symlink():
                        remove_ray_folder(path)
                    else:
                        path.unlink(missing_ok=True)

    def remove_partial(self) -> None:
        """Remove what a run that was stopped in its last moment left beside its finished output."""
        state = self.state()
        if state is not None and state.is_finished and not state.is_tidy:
            self.remove_partials(state)
            self.save(replace(state, is_tidy=True))

    def _check_partials(self) -> None:
        """Raise DataError where a file or folder has the name of a growing file, but no run left it here."""
        owned = self._owned(self.left())
        if self.finished() is not None:
            return  # nothing will be written
        for target in self.targets:
            partial = partial_path(target)
            if not os.path.lexists(partial):
                continue
            is_own = target in owned and not partial.is_symlink()
            if is_own and partial.is_dir():
                is_own = all(_RAY_FILES.fullmatch(path.name) for path in partial.iterdir())
            if not is_own or not (partial.is_dir() or partial.is_file()):
                raise DataError(
                    f"{partial} is there, but no run of {self.output.name} left it: move it away, or give "
                    "another output"
                )

    def _owned(self, state: RunState | None) -> list[Path]:
        """The tables beside which the run that was here left files."""
        if state is None:
            return [self.output] if self.state_path.exists() else []  # it is damaged, and to be replaced
        if state.is_tidy:
            return []
        errors = str(state.fingerprint.get("errors_file", "none"))
        return [
            self.output,
            *([] if errors == "none" else [Path(os.path.normpath(self.output.parent / errors))]),
        ]

    def left(self) -> RunState | None:
        """The state that a run left, whether its output is there or not."""
        try:
            return read_state(self.state_path)
        except DataError:
            if self.existing == "overwrite":
                return None
            raise


def _relative(path: Path, folder: Path) -> str:
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # Windows: on another drive
        return str(path)


def remove_ray_folder(folder: Path) -> None:
    """Remove a folder that the workers of a cluster filled; one that holds anything else stays."""
    for path in folder.iterdir():
        if _RAY_FILES.fullmatch(path.name):
            path.unlink()
    folder.rmdir()


def _checked(path: Path, target: Path) -> Path:
    checked = checked_target(target)
    if checked.exists() and checked.samefile(path):
        raise DataError(f"output {target} is the input itself: give another file")
    return checked
