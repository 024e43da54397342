"""What CI and a release run: the same Pythons everywhere, a browser or a line about it, one version."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[1]
STEPS = ROOT / ".ci/steps"
BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(BASH is None or os.name == "nt", reason="the steps are shell scripts")


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    read = configparser.ConfigParser()
    read.read(ROOT / "setup.cfg", encoding="utf-8")
    return read


def test_the_citation_names_the_newest_release(setup: configparser.ConfigParser) -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == setup["metadata"]["version"]
    assert citation["license"] == setup["metadata"]["license_expression"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{citation['version']}] - {citation['date-released']}\n" in changelog


def test_every_place_names_the_same_pythons(setup: configparser.ConfigParser) -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    pythons = jobs["check"]["strategy"]["matrix"]["python-version"]
    classifiers = re.findall(r"Python :: (3\.\d+)$", setup["metadata"]["classifiers"], re.MULTILINE)
    assert classifiers == pythons
    oldest, newest = pythons[0], pythons[-1]
    assert setup["options"]["python_requires"] == f">={oldest}"
    ruff = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'target-version = "py{oldest.replace(".", "")}"' in ruff
    assert f"Python {oldest} to {newest}" in (ROOT / "README.md").read_text(encoding="utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"--python-version (\S+)", contributing)) == {oldest}


def test_one_pin_serves_every_python() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", pin) for pin in pins)
    assert len({pin.partition("==")[0] for pin in pins}) == len(pins)


def test_the_floor_of_the_coverage_stands_in_one_place(setup: configparser.ConfigParser) -> None:
    assert 50 <= setup.getint("coverage:report", "fail_under") <= 100
    assert "--cov" in (STEPS / "test").read_text(encoding="utf-8")
    runs = [*STEPS.iterdir(), ROOT / ".ci/run", *(ROOT / ".github/workflows").iterdir()]
    assert not [path for path in runs if "fail-under" in path.read_text(encoding="utf-8")]


def test_both_runs_of_ci_take_the_same_steps() -> None:
    by_hand = (ROOT / ".ci/run").read_text(encoding="utf-8")
    on_github = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    loop = re.search(r"for step in (.+); do", by_hand)
    assert loop is not None
    for step in [*loop[1].split(), "browser", "web"]:
        assert (STEPS / step).exists()
        assert f".ci/steps/{step}" in on_github
    assert all(f".ci/steps/{step} || true" in by_hand for step in ("browser", "web"))


# ---------------------------------------------------------------- the browser


def browser_step(folder: Path, *commands: str) -> subprocess.CompletedProcess[str]:
    """Run the step where nothing but these commands exists, each the name and the text of a shell script."""
    for name, text in zip(commands[::2], commands[1::2], strict=True):
        (folder / name).write_text(f"#!{BASH}\n{text}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    for name in ("chmod", "env"):
        (folder / name).symlink_to(shutil.which(name) or name)
    command = [str(BASH), str(STEPS / "browser")]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PATH": str(folder), "BIN": str(folder)}
    )


APT = """echo "apt-get $*" >> "$BIN/log"
if [ "$1" = install ]; then echo > "$BIN/chromium"; chmod +x "$BIN/chromium"; fi"""


@needs_bash
def test_a_browser_that_is_there_is_taken(tmp_path: Path) -> None:
    done = browser_step(tmp_path, "google-chrome", "", "apt-get", APT, "id", "echo 0")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/google-chrome\n")
    assert not (tmp_path / "log").exists()


@needs_bash
@pytest.mark.parametrize("user", [("id", "echo 0"), ("id", "echo 1000", "sudo", 'shift; "$@"')])
def test_chromium_is_installed_where_that_is_possible(tmp_path: Path, user: tuple[str, ...]) -> None:
    (tmp_path / "true").symlink_to(shutil.which("true") or "true")
    done = browser_step(tmp_path, "apt-get", APT, *user)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/chromium\n"), done.stderr
    updated, installed = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert updated.startswith("apt-get update")
    assert installed.endswith("chromium")


@needs_bash
@pytest.mark.parametrize(
    "commands",
    [
        pytest.param((), id="no apt-get"),
        pytest.param(("apt-get", APT, "id", "echo 1000"), id="no sudo"),
        pytest.param(("apt-get", APT, "id", "echo 1000", "sudo", "exit 1"), id="sudo wants a password"),
        pytest.param(("apt-get", "exit 100", "id", "echo 0"), id="apt-get fails"),
    ],
)
def test_one_line_says_that_there_is_no_browser(tmp_path: Path, commands: tuple[str, ...]) -> None:
    done = browser_step(tmp_path, *commands)
    assert done.returncode == 1
    assert done.stdout == "no Chromium here, and none by apt-get: the tests of the page skip themselves\n"
    assert done.stderr == ""


# ---------------------------------------------------------------- a release


def release_version(folder: Path, tag: str, version: str, heading: str) -> subprocess.CompletedProcess[str]:
    (folder / "setup.cfg").write_text(f"[metadata]\nversion = {version}\n", encoding="utf-8")
    text = f"# Changelog\n\n## {heading}\n\n- A line.\n\n## [0.0.9] - 2026-01-01\n"
    (folder / "CHANGELOG.md").write_text(text, encoding="utf-8")
    command = [sys.executable, str(ROOT / "tests/release_version.py"), tag, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_release_whose_versions_agree(tmp_path: Path) -> None:
    done = release_version(tmp_path, "v0.1.0", "0.1.0", "[0.1.0] - 2026-11-29")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.1.0\n", "")


@pytest.mark.parametrize(
    ("tag", "version", "heading", "said"),
    [
        ("v0.2.0", "0.1.0", "[0.1.0] - 2026-11-29", "the tag is v0.2.0, but setup.cfg has version 0.1.0"),
        ("0.1.0", "0.1.0", "[0.1.0] - 2026-11-29", "the tag is 0.1.0, but setup.cfg has version 0.1.0"),
        ("v0.1.0", "0.1.0", "[Unreleased]", "the newest heading of CHANGELOG.md is '[Unreleased]'"),
        ("v0.1.0", "0.1.0", "[0.1.0]", "the newest heading of CHANGELOG.md is '[0.1.0]'"),
        ("v0.1.1", "0.1.1", "[0.1.0] - 2026-11-29", "the newest heading of CHANGELOG.md is '[0.1.0]"),
    ],
)
def test_a_release_whose_versions_differ_is_refused(
    tmp_path: Path, tag: str, version: str, heading: str, said: str
) -> None:
    done = release_version(tmp_path, tag, version, heading)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(said)


def test_nothing_is_published_without_a_person_who_agrees() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    allowed = {name for name, job in workflow["jobs"].items() if "permissions" in job}
    assert allowed == {"publish"}
    publish = workflow["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "pypi"
    assert publish["needs"] == "build"
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
