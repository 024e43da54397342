"""When, on what machine and by which command something was measured: a report without them ages badly."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from qa_extractive._utils.cpus import available_cpus

# What decides how int8 products are summed and how fast they are, as Linux and macOS name it.
_SETS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX-VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_int8": "AMX int8",
    "asimd": "NEON",
    "asimddp": "NEON dot product",
    "i8mm": "i8mm",
    "bf16": "bf16",
}
_WANTED = {"dot products of int8 (VNNI)": ("vnni", "dp", "i8mm", "amx"), "bfloat16": ("bf16",)}
_MACOS_SETS = {
    "hw.optional.avx2_0": "avx2",
    "hw.optional.arm.AdvSIMD": "asimd",
    "hw.optional.arm.FEAT_DotProd": "asimddp",
    "hw.optional.arm.FEAT_I8MM": "i8mm",
    "hw.optional.arm.FEAT_BF16": "bf16",
}
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
        names = " ".join(name for name, shown in _SETS.items() if shown in self.instruction_sets)
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
    cpu, sets = _linux_cpu(root) if (root / "proc/cpuinfo").is_file() else _other_cpu()
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


def _linux_cpu(root: Path) -> tuple[str, tuple[str, ...]]:
    """Name and instruction sets of the first CPU of ``/proc/cpuinfo``."""
    values: dict[str, str] = {}
    with suppress(OSError):
        for line in (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            values.setdefault(name.strip().lower(), value.strip())
    known = f"{values.get('flags', '')} {values.get('features', '')}".split()
    return values.get("model name", "") or platform.processor(), _named(known)


def _other_cpu() -> tuple[str, tuple[str, ...]]:
    if sys.platform != "darwin":
        return platform.processor(), ()
    name = _sysctl("machdep.cpu.brand_string") or platform.processor()
    return name, _named([known for key, known in _MACOS_SETS.items() if _sysctl(key) == "1"])


def _sysctl(name: str) -> str:
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=False)
        return done.stdout.strip()
    return ""


def _named(known: Sequence[str]) -> tuple[str, ...]:
    return tuple(shown for name, shown in _SETS.items() if name in known)
