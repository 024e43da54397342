"""Kinds of CPU are told apart by all that the system says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from qa_extractive._utils.instructions import cpu_and_instructions, cpu_kind

X86 = (
    "processor\t: 0\nvendor_id\t: Maker\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: A CPU\n"
    "cpu MHz\t\t: 2600.1\nflags\t\t: fpu avx2 avx512f avx512bw\n"
)
ARM = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\n"


def _kind(tmp_path: Path, cpuinfo: str) -> tuple[str, ...]:
    (tmp_path / "proc").mkdir(exist_ok=True)
    (tmp_path / "proc" / "cpuinfo").write_text(cpuinfo, encoding="utf-8")
    return cpu_kind(tmp_path)


@pytest.mark.parametrize(
    ("cpuinfo", "old", "new"),
    [
        (X86, "avx512bw", "avx512er"),  # none of the two is in INSTRUCTION_SETS
        (X86, ": 85", ": 106"),
        (X86, "family\t: 6", "family\t: 25"),
        (X86, "A CPU", "Another"),
        (X86, "Maker", "Other"),
        (ARM, "0x41", "0xc0"),
        (ARM, "0xd0c", "0xd40"),
        (ARM, "asimd", "asimd sve"),
    ],
)
def test_another_kind_of_cpu_is_another(tmp_path: Path, cpuinfo: str, old: str, new: str) -> None:
    assert old in cpuinfo
    assert _kind(tmp_path, cpuinfo) != _kind(tmp_path, cpuinfo.replace(old, new))


def test_what_changes_from_moment_to_moment_does_not_count(tmp_path: Path) -> None:
    later = X86.replace("2600.1", "3100.7") + "\n" + X86.replace("processor\t: 0", "processor\t: 1")
    assert _kind(tmp_path, X86) == _kind(tmp_path, later)


def test_without_proc_there_is_a_kind_too(tmp_path: Path) -> None:
    assert cpu_kind(tmp_path)[0] == cpu_and_instructions(tmp_path)[0]
