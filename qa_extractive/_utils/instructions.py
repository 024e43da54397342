"""The CPU's name and what it can: a time without them says little."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

INSTRUCTION_SETS = {
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
"""What decides how int8 products are summed and how fast they are: as Linux names it, and its usual name."""

_KIND_FIELDS = (
    *("vendor_id", "cpu family", "model", "flags"),
    *("cpu implementer", "cpu architecture", "cpu variant", "cpu part", "features"),
)
"""Of x86, and of ARM."""

_MACOS_SETS = {
    "hw.optional.avx2_0": "avx2",
    "hw.optional.arm.AdvSIMD": "asimd",
    "hw.optional.arm.FEAT_DotProd": "asimddp",
    "hw.optional.arm.FEAT_I8MM": "i8mm",
    "hw.optional.arm.FEAT_BF16": "bf16",
}


def cpu_and_instructions(root: Path = Path("/")) -> tuple[str, tuple[str, ...]]:
    """Name of the CPU, empty if the system does not tell, and those of its ``INSTRUCTION_SETS``.

    Args:
        root: Folder that holds ``proc``; for tests.
    """
    return _linux_cpu(root) if (root / "proc/cpuinfo").is_file() else _other_cpu()


def cpu_kind(root: Path = Path("/")) -> tuple[str, ...]:
    """All that tells kinds of CPU apart, also where ``INSTRUCTION_SETS`` does not name it.

    Args:
        root: As of ``cpu_and_instructions``.
    """
    values = _first_cpu(root)
    name, instructions = cpu_and_instructions(root)
    return (name, *instructions, *(values.get(field, "") for field in _KIND_FIELDS))


def _linux_cpu(root: Path) -> tuple[str, tuple[str, ...]]:
    """Name and instruction sets of the first CPU of ``/proc/cpuinfo``."""
    values = _first_cpu(root)
    known = f"{values.get('flags', '')} {values.get('features', '')}".split()
    return values.get("model name", "") or platform.processor(), _named(known)


def _first_cpu(root: Path) -> dict[str, str]:
    """The fields of the first CPU of ``/proc/cpuinfo``, by their names in lower case; none elsewhere."""
    values: dict[str, str] = {}
    with suppress(OSError):
        for line in (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            values.setdefault(name.strip().lower(), value.strip())
    return values


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
    return tuple(shown for name, shown in INSTRUCTION_SETS.items() if name in known)
