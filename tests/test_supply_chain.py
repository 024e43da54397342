"""Nothing that is built, tested or served here comes from a name that somebody else can move."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
LOCKS = [ROOT / "deploy/requirements-serve.txt", ROOT / "deploy/requirements-build.txt"]
_PIN = re.compile(r"^([a-z0-9-]+)==(\S+?)(?: ; (.+?))? \\$", re.MULTILINE)


def texts() -> list[Path]:
    """What tells people and machines how to install: settings, scripts, pages, code."""
    folders = (
        ".ci",
        ".github",
        "benchmarks",
        "deploy",
        "docs",
        "examples",
        "qa_extractive",
        "recipes",
        "tests",
    )
    kinds = {"", ".md", ".py", ".yml", ".yaml", ".toml", ".cfg", ".txt", ".ipynb", ".tf", ".html"}
    found = [*ROOT.iterdir(), *(path for name in folders for path in (ROOT / name).rglob("*"))]
    return [path for path in found if path.is_file() and path.suffix in kinds]


def test_actions_are_pinned_by_their_commits() -> None:
    used = [
        line.strip() for path in WORKFLOWS for line in path.read_text("utf-8").splitlines() if "uses:" in line
    ]
    assert len(used) >= 4
    for line in used:
        assert re.fullmatch(r"(- )?uses: [\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_base_images_are_pinned_by_their_digests() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    bases = [line for line in lines if line.startswith("FROM ")]
    assert len(bases) == 2
    for line in bases:
        assert re.fullmatch(r"FROM \S+@sha256:[0-9a-f]{64}( AS \w+)?", line), line
    assert len({line.split()[1] for line in bases}) == 1, "built on one image and run on another"
    assert not [line for line in lines if line.startswith("# syntax=")], "an image that floats, to build with"


def test_hooks_are_pinned_by_their_commits() -> None:
    revisions = re.findall(
        r"^ +rev: (.+)$", (ROOT / ".pre-commit-config.yaml").read_text("utf-8"), re.MULTILINE
    )
    assert revisions
    for revision in revisions:
        assert re.fullmatch(r"[0-9a-f]{40} +# v\d+\.\d+\.\d+", revision), revision


def test_no_second_index_is_named() -> None:
    """Where pip knows two indexes, whoever registers a name at either can give it a higher version."""
    second = re.compile("extra" + ".index", re.IGNORECASE)
    assert len(texts()) > 300
    for path in texts():
        assert not second.search(path.read_text("utf-8", errors="replace")), path


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_line_of_a_lock_has_its_hashes(path: Path) -> None:
    entries = re.split(r"\n(?=[^\s#])", "\n" + path.read_text("utf-8"))[1:]
    entries = [entry for entry in entries if not entry.startswith("#")]
    assert entries
    for entry in entries:
        pin, *hashes = entry.rstrip().split(" \\\n")
        assert _PIN.match(f"{pin} \\"), pin
        assert hashes, pin
        assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}", each) for each in hashes), pin


def test_the_lock_holds_the_pins_that_are_tested() -> None:
    """The image runs the versions that the tests run with, on each Python."""
    constraints: dict[str, set[str]] = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition(";")[0].strip().partition("==")
            constraints.setdefault(name, set()).add(version)
    locked: dict[str, set[str]] = {}
    for name, version, marker in _PIN.findall(LOCKS[0].read_text("utf-8")):
        if "win32" not in marker:
            locked.setdefault(name, set()).add(version)
    assert {"numpy", "onnxruntime", "tokenizers", "pandas", "fastapi", "uvicorn", "prometheus-client"} <= set(
        locked
    )
    assert {
        name: versions for name, versions in locked.items() if versions - constraints.get(name, set())
    } == {}


def test_the_image_takes_hashes_only() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    installs = [
        each for line in text.splitlines() if "pip" in line for each in line.split("&&") if "pip" in each
    ]
    installs = [each for each in installs if re.search(r"pip (install|wheel|download)", each)]
    assert len(installs) == 4
    for each in installs:
        is_own = "--no-deps" in each and ("--no-index" in each or "--no-build-isolation" in each)
        assert is_own or "--require-hashes" in each, each
