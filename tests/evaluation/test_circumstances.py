"""Date, CPU and command of a report."""

from __future__ import annotations

from pathlib import Path

import pytest

from qa_extractive.evaluation.circumstances import circumstances, shown_command

X86 = """processor\t: 0
model name\t: Fast CPU @ 3 GHz
flags\t\t: fpu avx2 avx512f avx512_vnni sse

processor\t: 1
model name\t: Another
flags\t\t: fpu
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm bf16\n"


@pytest.mark.parametrize(
    ("cpuinfo", "name", "sets", "missing"),
    [
        (X86, "Fast CPU @ 3 GHz", ("AVX2", "AVX-512", "AVX-512 VNNI"), ("bfloat16",)),
        (X86.replace("avx512f avx512_vnni ", ""), "Fast CPU @ 3 GHz", ("AVX2",),
         ("dot products of int8 (VNNI)", "bfloat16")),
        (X86.replace("avx512f avx512_vnni", "avx_vnni avx512_bf16"), "Fast CPU @ 3 GHz",
         ("AVX2", "AVX-VNNI", "AVX-512 BF16"), ()),
        (ARM, None, ("NEON", "NEON dot product", "i8mm", "bf16"), ()),
        ("\xff nothing known", None, (), ("dot products of int8 (VNNI)", "bfloat16")),
    ],
)  # fmt: skip
def test_the_cpu_is_named_with_what_decides_its_products(
    cpuinfo: str, name: str | None, sets: tuple[str, ...], missing: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(cpuinfo, encoding="latin-1")
    found = circumstances(["evaluate"], now=0.0, root=tmp_path)
    assert (found.instruction_sets, found.missing) == (sets, missing)
    assert name is None or found.cpu == name
    assert found.date == "1970-01-01T00:00Z"
    assert found.versions["onnxruntime"]
    assert found.n_cpus >= 1


def test_without_proc_it_still_tells_what_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert circumstances(["evaluate"], root=tmp_path).date == "1970-01-02T00:00Z"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "tomorrow")
    assert circumstances(["evaluate"], root=tmp_path).date > "2024"


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["evaluate", "--data", "a b.csv"], "evaluate --data 'a b.csv'"),
        (["--data", "/data/me/rows.csv", "--output=/tmp/out/"], "--data rows.csv --output=out"),
        (
            ["--model", "torch:/models/mine", "fast:runs/x", "hf:me/model"],
            "--model torch:mine fast:runs/x hf:me/model",
        ),
        (["--openai-base-url", "http://localhost:9/v1"], "--openai-base-url http://localhost:9/v1"),
        (["--data", "C:\\me\\rows.csv"], "--data rows.csv"),
        (["--data", "../x/rows.csv"], "--data ../x/rows.csv"),
    ],
)
def test_a_command_names_no_place_of_a_machine(arguments: list[str], shown: str) -> None:
    assert shown_command(arguments) == shown
