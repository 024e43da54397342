"""Standard streams that are full or closed, names that are no names, and Ctrl-C at any time: a line each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import qa_extractive
from qa_extractive.cli import main
from qa_extractive.tables.reading import read_rows

Script = Callable[..., tuple[int, str, str]]  # exit code, stdout, stderr

ROOT = Path(__file__).resolve().parents[2]
FULL = Path("/dev/full")
LONG = "a" * 300
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
needs_posix = pytest.mark.skipif(os.name == "nt", reason="streams are closed otherwise on Windows")


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text("question,context\n" + "".join(f"What fell?,Pressure {i} fell.\n" for i in range(3)))
    return path


@pytest.fixture
def script(tiny_export: Path, tmp_path: Path) -> Script:
    """Runs the script with redirections of a shell: exit code, stdout, stderr."""

    def run(*arguments: object, redirected: str = "") -> tuple[int, str, str]:
        words = [sys.executable, ROOT / "infer.py", *arguments]
        if "--version" not in arguments:
            words += ["--model", tiny_export, "--threads", "1"]
        command = ["/bin/sh", "-c", f'"$@" {redirected}', "sh", *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=200, check=False, cwd=tmp_path, input="in"
        )
        assert "Traceback" not in done.stdout + done.stderr
        assert "Exception ignored" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


ONE = ("--question", "What fell?", "--context", "The pressure fell.")


@needs_full
def test_an_answer_for_a_full_disk(script: Script) -> None:
    code, _, err = script(*ONE, redirected="> /dev/full")
    assert (code, err) == (2, "error: standard output cannot be written: No space left on device\n")
    code, _, err = script(*ONE, "--json", redirected="> /dev/full")
    assert (code, err.count("\n")) == (2, 1)


@needs_full
@pytest.mark.parametrize("unbuffered", [[], ["-u"]])
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_help_and_version_for_a_full_disk(option: str, unbuffered: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, *unbuffered, ROOT / "infer.py", option],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=200, check=False, env=environment,
        )  # fmt: skip
    says = "error: standard output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, says)


@needs_full
def test_a_report_for_a_full_disk(script: Script, papers: Path, tmp_path: Path) -> None:
    code, _, err = script("--batch", papers, redirected="> /dev/full")
    output = tmp_path / "t.answers.csv"
    assert code == 2
    assert err == (
        "error: standard output cannot be written: No space left on device; "
        f"all answers are in {output}\n"
    )  # fmt: skip
    assert read_rows(output).n_rows == 3


@needs_full
def test_a_log_for_a_full_disk_stops_nothing(script: Script, papers: Path, tmp_path: Path) -> None:
    code, out, _ = script("--batch", papers, "--log-json", redirected="2> /dev/full")
    assert (code, out) == (2, "")
    assert read_rows(tmp_path / "t.answers.csv").n_rows == 3


@needs_full
def test_errors_for_a_full_disk_keep_their_exit_code(script: Script, papers: Path) -> None:
    assert script("--batch", "none.csv", redirected="2> /dev/full")[0] == 2
    assert script("--batch", papers, redirected="> /dev/full 2> /dev/full")[0] == 2


@needs_full
def test_versions_and_help_for_a_full_disk(script: Script) -> None:
    for option in ("--version", "--help"):
        code, _, err = script("--version", option, redirected="> /dev/full")
        assert (code, err.count("\n")) == (2, 1)


@needs_posix
def test_a_log_that_nobody_reads_stops_nothing(script: Script, papers: Path, tmp_path: Path) -> None:
    words = [sys.executable, ROOT / "infer.py", "--batch", papers, "--log-json"]
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run([*map(str, words)], stderr=write_end, timeout=200, check=False)
    os.close(write_end)
    assert done.returncode == 0
    assert read_rows(tmp_path / "t.answers.csv").n_rows == 3


@needs_posix
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(script: Script, papers: Path, tmp_path: Path, closed: str) -> None:
    code, out, err = script("--batch", papers, redirected=closed)
    rows = [row.values for row in read_rows(tmp_path / "t.answers.csv")]
    assert code == 0
    assert len(rows) == 3
    assert [row["context"] for row in rows] == [f"Pressure {i} fell." for i in range(3)]
    assert (">&-" in f" {closed}".replace("2>&-", "")) is (not out)
    assert err == ""


@needs_posix
def test_one_question_and_closed_streams(script: Script) -> None:
    code, out, err = script("--question", "q", "--context", "-", redirected="<&-")
    assert (code, out) == (2, "")
    assert err == "error: standard input is closed: give the text itself, or --context-file F\n"
    code, _, err = script(*ONE, redirected=">&-")
    assert (code, err) == (2, "error: standard output is closed: give the answer somewhere to go\n")
    code, out, _ = script(*ONE, redirected="2>&-")
    assert (code, out.startswith("answer ")) == (0, True)
    code, out, _ = script("--batch", "none.csv", redirected="2>&-")
    assert (code, out) == (2, "")  # what is an error is no answer


@needs_posix
@pytest.mark.parametrize("loop", ["loop.csv", "folder/t.csv"])
@pytest.mark.parametrize("option", ["--batch", "--output", "--errors", "--context-file", "--model"])
def test_loops_of_links(
    refuses: Callable[[str, str], None], papers: Path, tmp_path: Path, loop: str, option: str
) -> None:
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "folder").symlink_to("folder")
    refuses(option, loop)


@pytest.mark.parametrize("name", [f"{LONG}.csv", f"{LONG}/t.csv", f"{'a' * 245}.csv", "t.csv/t.csv"])
@pytest.mark.parametrize("option", ["--batch", "--output", "--errors", "--context-file", "--model"])
def test_names_that_no_file_can_have(refuses: Callable[[str, str], None], option: str, name: str) -> None:
    refuses(option, name)


@pytest.fixture
def refuses(
    tiny_export: Path,
    papers: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Callable[[str, str], None]:
    """Gives ``infer`` a name that it must refuse with one line; in this process, no stream being closed."""
    monkeypatch.chdir(tmp_path)

    def run(option: str, name: str) -> None:
        arguments = {
            "--batch": ("--batch", name),
            "--context-file": ("--question", "q", "--context-file", name),
            "--model": (*ONE, "--model", name),
        }.get(option, ("--batch", papers, option, name))
        model = () if option == "--model" else ("--model", tiny_export, "--threads", "1")
        before = sorted(tmp_path.iterdir())
        code = main(["infer", *map(str, (*arguments, *model))])
        out, err = capfd.readouterr()
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith("error: ")
        assert sorted(tmp_path.iterdir()) == before

    return run


# ---------------------------------------------------------------- Ctrl-C

_SLOW_IMPORT = """
import sys, time
from qa_extractive.cli import main

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            print("importing", file=sys.stderr, flush=True)
            try:
                time.sleep(60)
            except KeyboardInterrupt as error:
                raise {raised} from error

sys.meta_path.insert(0, Finder())
sys.exit(main(sys.argv[1:]))
"""


@needs_posix
@pytest.mark.parametrize("name", ["qa_extractive.cli.infer", "numpy", "onnxruntime", "tokenizers"])
@pytest.mark.parametrize("raised", ["error", "ImportError('initialization failed')", "SystemError('no')"])
def test_ctrl_c_during_an_import(papers: Path, tiny_export: Path, name: str, raised: str) -> None:
    code = _SLOW_IMPORT.format(name=name, raised=raised)
    words = [sys.executable, "-c", code, "infer", "--batch", papers, "--model", tiny_export]
    with subprocess.Popen([*map(str, words)], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "importing\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read() == "interrupted\n"


@needs_posix
@pytest.mark.parametrize(
    "module", ["argparse", "qa_extractive.cli", "numpy", "qa_extractive.inference.windows"]
)
def test_ctrl_c_after_an_import(papers: Path, tiny_export: Path, module: str) -> None:
    """From the first import of the script on: what Python does before that is not ours."""
    words = [sys.executable, "-X", "importtime", ROOT / "infer.py", "--batch", papers, "--model", tiny_export]
    with subprocess.Popen([*map(str, words)], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while process.stderr.readline().split("|")[-1].strip() != module:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        err = [line for line in process.communicate(timeout=60)[1].splitlines() if "import time:" not in line]
    assert (process.returncode, err) in ((-signal.SIGINT, []), (130, ["interrupted"]))


# ---------------------------------------------------------------- versions


@pytest.mark.parametrize("command", [[], ["infer"], ["evaluate"], ["prepare"]])
def test_the_version(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--version"])
    assert (stopped.value.code, capsys.readouterr().out) == (
        0,
        f"qa-extractive {qa_extractive.__version__}\n",
    )


def test_the_version_of_the_script(script: Script) -> None:
    assert script("--version") == (0, f"qa-extractive {qa_extractive.__version__}\n", "")
