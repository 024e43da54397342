"""When, on what machine and by which command something was measured: a report without them ages badly."""

from __future__ import annotations

import os
import platform
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from qa_extractive._utils.cpus import available_cpus
from qa_extractive._utils.instructions import INSTRUCTION_SETS, cpu_and_instructions

_WANTED = {"dot products of int8 (VNNI)": ("vnni", "dp", "i8mm", "amx"), "bfloat16": ("bf16",)}
_PACKAGES = ("onnxruntime", "numpy", "tokenizers")
_ABSOLUTE = re.compile(
    r"^(?P<before>(?:[a-z]+:|--[a-z-]+=)?)(?:/|[A-Za-z]:[\\/])(?!/).*?(?P<name>[^/\\]*)[/\\]?$"
)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What figures were measured under.

    Attributes:
        date: In UTC, ISO 8601, to the minute.
        command: As it was given; absolute paths by their last part alone.
        cpu: Its name; empty if the system does not tell.
        instruction_sets: Those that decide how int8 and bfloat16 are computed, by their usual names.
        n_cpus: CPUs that the process may use.
        system: Operating system and architecture.
        versions: Of Python and of the packages that answer.
    """

    date: str
    command: str
    cpu: str
    instruction_sets: tuple[str, ...]
    n_cpus: int
    system: str
    versions: Mapping[str, str]

    @property
    def missing(self) -> tuple[str, ...]:
        """What the CPU lacks of what makes int8 exact or training fast, in words."""
        names = " ".join(name for name, shown in INSTRUCTION_SETS.items() if shown in self.instruction_sets)
        return tuple(what for what, signs in _WANTED.items() if not any(sign in names for sign in signs))

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json`` can write."""
        return asdict(self)


def circumstances(
    arguments: Sequence[str], *, now: float | None = None, root: Path = Path("/")
) -> Circumstances:
    """Those of this process.

    Args:
        arguments: Of the command, its name first.
        now: Seconds since 1970; None for $SOURCE_DATE_EPOCH, which makes builds repeat, or the clock.
        root: Folder that holds ``proc``; for tests.
    """
    cpu, sets = cpu_and_instructions(root)
    return Circumstances(
        date=_date(now),
        command=shown_command(arguments),
        cpu=cpu,
        instruction_sets=sets,
        n_cpus=available_cpus(),
        system=f"{platform.system()} {platform.machine()}",
        versions={"python": platform.python_version(), **_versions()},
    )


def shown_command(arguments: Sequence[str]) -> str:
    """A command as a shell takes it, absolute paths by their last part: it names no place of a machine."""
    return shlex.join(_ABSOLUTE.sub(r"\g<before>\g<name>", argument) for argument in arguments)


def _date(now: float | None) -> str:
    seconds = now
    if seconds is None:
        with suppress(ValueError, KeyError):
            seconds = float(os.environ["SOURCE_DATE_EPOCH"])
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%MZ")


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
