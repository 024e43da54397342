"""The house rules: imports go one way, the package is light, its public names are these."""

from __future__ import annotations

import ast
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

import qa_extractive

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "qa_extractive"

# In the order of the README's map. A module or subpackage may import only what stands above it.
LAYERS = (
    "errors",
    "types",
    "settings",
    "config",
    "_utils",
    "metrics",
    "tables",
    "papers",
    "data",
    "sentences",
    "dataset",
    "alignment",
    "inference",
    "graph",
    "model",
    "archive",
    "packing",
    "rows",
    "evidence",
    "extraction",
    "predictor",
    "export",
    "training",
    "batch",
    "evidence_table",
    "evaluation",
    "report",
    "finetune",
    "service",
    "mcp_server",
    "integrations",
    "cli",
    "__main__",
)
HEAVY = (
    *("torch", "transformers", "pandas", "pyarrow", "sklearn", "scipy", "datasets", "optimum", "onnx"),
    *(
        "ray",
        "fastapi",
        "mcp",
        "pydantic",
        "openai",
        "jinja2",
        "tqdm",
        "openpyxl",
        "xlsxwriter",
        "pypdfium2",
        "bibtexparser",
        "haystack",
        "langchain_core",
        "llama_index",
        "spacy",
        "pint",
        "dateparser",
        "text_to_num",
    ),
)


def _modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def _unit(dotted: str) -> str:
    """``qa_extractive.metrics.scores.text`` -> ``metrics``."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else ""


def _imports(path: Path) -> set[str]:
    """The units of the package that a file imports anywhere, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {_unit(a.name) for a in node.names if a.name.startswith("qa_extractive")}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("qa_extractive"):
            if node.module == "qa_extractive":
                found |= {a.name for a in node.names}
            else:
                found.add(_unit(node.module))
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative import"
    return found - {""}


@pytest.mark.parametrize("path", _modules(), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_go_downward(path: Path) -> None:
    unit = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert unit in LAYERS, f"{unit} has no place in LAYERS: give it one, here and in the README's map"
    if unit == "predictor":  # ``from_pretrained`` reaches up to ``export.cache``, lazily, for users' sake
        allowed = {*LAYERS[: LAYERS.index(unit) + 1], "export"}
    else:
        allowed = set(LAYERS[: LAYERS.index(unit) + 1])
    assert _imports(path) <= allowed | {"__version__"}


def test_paths_of_before_go_on_working() -> None:
    code = (
        "from qa_extractive.alignment import align, align_examples\n"
        "from qa_extractive.batch.kernel import AnswerKernel\n"
        "from qa_extractive.dataset.loading import load_examples\n"
        "from qa_extractive.graph.forms import float_products\n"
        "from qa_extractive.packing.packing import pack\n"
        "from qa_extractive.sentences import split_sentences\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_readme_maps_every_unit() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [unit for unit in LAYERS if unit != "__main__" and f"`{unit}" not in readme]
    assert not missing


def test_the_public_names_are_these() -> None:
    assert sorted(qa_extractive.__all__) == [
        "Answer",
        "DataError",
        "Evidence",
        "Example",
        "ExportError",
        "ModelError",
        "PaperText",
        "Predictor",
        "QAError",
        "Question",
        "Span",
        "__version__",
    ]
    for name in qa_extractive.__all__:
        assert getattr(qa_extractive, name) is not None


@pytest.mark.parametrize("statement", ["import qa_extractive", "from qa_extractive import Predictor"])
def test_importing_loads_nothing_heavy(statement: str) -> None:
    code = f"{statement}; import sys; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_predicting_loads_nothing_heavy() -> None:
    code = (
        "from qa_extractive import Predictor; Predictor().answer('What fell?', 'Pressure fell by 5 mmHg.');"
        f"import sys; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_the_wheel_carries_every_file_that_is_no_module() -> None:
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    patterns = settings["options.package_data"]["qa_extractive"].split()
    carried = {path for pattern in patterns for path in PACKAGE.glob(pattern) if path.is_file()}
    carried |= {path for path in (PACKAGE / "models").rglob("*") if path.is_file()}
    others = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert "models/**" in patterns
    assert PACKAGE / "report" / "templates" / "report.html" in carried
    assert others <= carried


def test_no_file_names_a_path_of_a_machine_or_edits_sys_path() -> None:
    for path in _modules():
        text = path.read_text(encoding="utf-8")
        assert "sys.path" not in text, path
        assert "/home/" not in text, path
