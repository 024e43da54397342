"""The example notebooks: they can be executed, and their commands and links are those of the project."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "examples" / "from_csv_to_service.ipynb"
SHORT = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))  # kept without outputs


def code_cells(path: Path = NOTEBOOK) -> list[Any]:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cells: list[Any]) -> str:
    """All that the cells gave, as text."""
    outputs = [output for cell in cells for output in cell.outputs]
    return "\n".join(str(each.get("text") or each.get("data", {}).get("text/plain")) for each in outputs)


def check(cells: list[Any]) -> None:
    """Every cell was executed, in order and without an error, and nothing tells of the machine."""
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert kinds == {"stream", "execute_result", "display_data"}
    assert not any(output.get("name") == "stderr" for cell in cells for output in cell.outputs)
    assert cells[-1].outputs[0].data["text/plain"] == "0", "the service ended with another code"
    text = printed(cells)
    for name in ("train", "export", "evaluate"):
        assert f"$ qa-extractive {name} " in text
    assert "'text': " in text, "the service's answer is not shown"
    assert not re.search(r"(^|[\s'\"(])(/|[A-Z]:\\)\w|127\.0\.0\.1|Traceback", text)


def test_the_notebook_was_executed() -> None:
    check(code_cells())


def test_its_code_compiles() -> None:
    for cell in code_cells():
        compile(cell.source, f"cell {cell.id}", "exec")


def test_its_commands_are_understood() -> None:
    source = "\n".join(cell.source for cell in code_cells())
    joined = re.sub(r'"\s*\n\s*f?"', "", source)  # strings that stand beside each other are one
    commands = re.findall(r'f"qa-extractive ([^"]+)"', joined)
    assert [command.split()[0] for command in commands] == ["train", "export", "evaluate", "serve"]
    for command in commands:
        name, *given = command.split()
        parser = argparse.ArgumentParser(exit_on_error=False)
        import_module(f"qa_extractive.cli.{name}").add_arguments(parser)
        parser.parse_args(given)


@pytest.mark.parametrize("path", [NOTEBOOK, *SHORT], ids=lambda path: path.stem)
def test_what_it_links_to_is_there(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    links = re.findall(r"\]\(([^)]+)\)", "\n".join(c.source for c in cells if c.cell_type == "markdown"))
    assert links
    assert all((path.parent / link.partition("#")[0]).is_file() for link in links)
    assert f"]({path.relative_to(ROOT).as_posix()})" in (ROOT / "README.md").read_text(encoding="utf-8")


def execute(path: Path) -> None:
    """Run a notebook where it lies, with the package of this tree; its outputs are written into it."""
    for_python = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-c", "from nbclient.cli import main; main()", "--inplace", path.name],
        cwd=path.parent,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(for_python)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", SHORT, ids=lambda path: path.stem)
def test_a_short_one_can_be_executed(path: Path, tmp_path: Path) -> None:
    for module in ("ipykernel", "nbclient", "pandas", "pypdfium2", "reportlab"):
        pytest.importorskip(module)
    assert not any(cell.outputs or cell.execution_count for cell in code_cells(path)), "strip its outputs"
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    copy = tmp_path / path.relative_to(ROOT)
    execute(copy)
    cells = code_cells(copy)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not re.search(r"Traceback|Warning", printed(cells))
    assert not any(output.get("name") == "stderr" for cell in cells for output in cell.outputs)
    expected = {
        "first_answers": ("3.3 mmHg", "not_reported", "max_risk=0.2: threshold"),
        "evidence_table": ("12 papers", "184"),
    }
    for text in expected[path.stem]:
        assert text in printed(cells)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_it_can_be_executed(tmp_path: Path) -> None:
    """In a copy of what it reads, so that the tree stays as it is."""
    pytest.importorskip("ipykernel")
    pytest.importorskip("nbclient")
    pytest.importorskip("transformers")
    for name in ("examples", "data"):
        shutil.copytree(ROOT / name, tmp_path / name)
    path = tmp_path / "examples" / NOTEBOOK.name
    execute(path)
    cells = code_cells(path)
    check(cells)
    assert [cell.execution_count for cell in cells] == [cell.execution_count for cell in code_cells()]
    assert (tmp_path / "runs" / "notebook" / "model.tar.gz").is_file()
