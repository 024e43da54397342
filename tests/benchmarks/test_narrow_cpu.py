"""``benchmarks/narrow_cpu.c``: a process that takes its CPU for one with AVX2 alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "benchmarks" / "narrow_cpu.c"
CPUINFO = Path("/proc/cpuinfo")


def can_hide() -> bool:
    """Whether a compiler is there and CPUID can be made to fault."""
    flags = CPUINFO.read_text(encoding="utf-8").split() if CPUINFO.is_file() else []
    return "cpuid_fault" in flags and "avx2" in flags and shutil.which("gcc") is not None


pytestmark = pytest.mark.skipif(not can_hide(), reason="needs gcc, AVX2, and a CPU that lets CPUID fault")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("narrow") / "narrow_cpu.so"
    command = ["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(built), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return built


def python(library: Path, code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    environment.pop("QA_EXTRACTIVE_INT8", None)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_its_name_and_instructions_say_so_and_sums_saturate(library: Path) -> None:
    code = """
from qa_extractive._utils.instructions import cpu_and_instructions
from qa_extractive.inference.onnx_forms import sums_saturate
name, instructions = cpu_and_instructions()
print(name.endswith("(simulated: AVX2 alone)"), instructions, sums_saturate())
"""
    done = python(library, code)
    assert done.stdout.strip() == "True ('AVX2',) True", done.stderr


def test_children_are_narrow_too_and_other_files_are_read_as_they_are(library: Path, tmp_path: Path) -> None:
    other = tmp_path / "cpuinfo"
    other.write_text("flags: avx512f", encoding="utf-8")
    code = f"""
import subprocess, sys
read = "print('avx512' in open('/proc/cpuinfo').read(), open({str(other)!r}).read())"
print(subprocess.run([sys.executable, "-c", read], capture_output=True, text=True).stdout)
"""
    done = python(library, code)
    assert done.stdout.strip() == "False flags: avx512f", done.stderr


def test_a_fault_that_is_not_cpuid_is_one_as_before(library: Path) -> None:
    crash = "import ctypes; ctypes.string_at(0)"
    assert python(library, crash).returncode == -signal.SIGSEGV
    done = python(library, f"import faulthandler; faulthandler.enable(); {crash}")
    assert done.returncode == -signal.SIGSEGV
    assert "Segmentation fault" in done.stderr


def test_answers_are_those_of_exact_sums(library: Path) -> None:
    code = """
from qa_extractive import Predictor, Question
from qa_extractive.inference import onnx_backend
text = "Systolic pressure fell by 3.3 mmHg with the salt substitute and by 0.2 mmHg with salt."
asked = [Question("How far did systolic pressure fall?", text), Question("Who paid?", text)]
import os
answers = []
for kind in ("", "unsigned"):
    os.environ["QA_EXTRACTIVE_INT8"] = kind
    answers.append(Predictor(n_threads=1).answer_batch(asked))
print(onnx_backend.weights_form(), answers[0] == answers[1])
"""
    done = python(library, code)
    assert done.stdout.split() == ["unsigned", "True"], done.stderr
