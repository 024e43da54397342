"""``--kept-folder``: a later command does not read again the papers that an earlier one read."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from qa_extractive.cli import infer, main, mcp, models, serve, table
from qa_extractive.inference.onnx_backend import OnnxBackend

PAPERS = {
    "one": "Ninety people took part. The dose was 20 mg a day, and nobody was harmed by it.",
    "two": "The dose fell from 8 mg to 4 mg. Three people had to leave.",
}
EARLIER, LATER = "Which dose was taken?", "Who was harmed by it?"


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    folder = tmp_path / "papers"
    folder.mkdir()
    for name, text in PAPERS.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def _table(papers: Path, question: str, output: Path, *options: str) -> list[list[str]]:
    command = ["table", str(papers), "--questions", question, "--output", str(output), "--quiet", *options]
    assert main([*command, "--threads", "1"]) == 0
    with output.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_a_later_table_reads_no_paper_again(
    papers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ["--kept-folder", str(tmp_path / "kept")]
    expected = _table(papers, LATER, tmp_path / "expected.csv", "--effort", "cached")
    _table(papers, EARLIER, tmp_path / "earlier.csv", *kept)
    n_files = len(list((tmp_path / "kept").iterdir()))
    assert n_files >= len(PAPERS), "one question suffices for the effort cached"

    def read_again(*_: Any) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(OnnxBackend, "_read_paper", read_again)
    assert _table(papers, LATER, tmp_path / "later.csv", *kept) == expected
    assert len(list((tmp_path / "kept").iterdir())) == n_files


def test_another_effort_is_one_line(papers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["table", str(papers), "--questions", EARLIER, "--output", str(tmp_path / "t.csv")]
    assert main([*command, "--kept-folder", str(tmp_path / "kept"), "--effort", "fast"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == ["error: kept_folder goes with the effort 'cached', not 'fast'"]
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    ("questions", "options", "effort"),
    [(1, [], None), (2, [], "cached"), (1, ["--kept-mb", "9"], "cached"), (2, ["--effort", "full"], "full")],
)
def test_the_cache_is_used_where_it_is_of_use_or_asked_for(
    monkeypatch: pytest.MonkeyPatch, questions: int, options: list[str], effort: str | None
) -> None:
    monkeypatch.setattr(models, "named_predictor", lambda name, **settings: settings)
    parser = argparse.ArgumentParser()
    table.add_arguments(parser)
    parsed = parser.parse_args(["p", "--questions", "q", "--output", "o.csv", *options])
    opened: Any = table._predictor(parsed, questions)
    assert opened.get("effort") == effort


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--effort", "fast", "--kept-mb", "9"], "--kept-mb goes with --effort cached"),
        (["--effort", "cached", "--kept-folder-mb", "9"], "--kept-folder-mb goes with --kept-folder"),
    ],
)
@pytest.mark.parametrize("command", ["infer", "table"])
def test_an_option_that_nothing_comes_of_is_one_line(
    papers: Path,
    tmp_path: Path,
    command: str,
    options: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = {
        "infer": ["infer", "--question", EARLIER, "--context", PAPERS["one"]],
        "table": ["table", str(papers), "--questions", EARLIER, "--output", str(tmp_path / "t.csv")],
    }
    assert main([*asked[command], *options]) == 2
    assert capsys.readouterr().err.splitlines() == [f"error: {said}: give that too, or leave it out"]


class _OpenedError(Exception):
    pass


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (infer, ["--question", "q", "--context", "c"]),
        (table, ["p", "--questions", "q", "--output", "o.csv"]),
        (serve, ["--port", "0"]),
        (mcp, []),
    ],
)
def test_what_opens_a_model_takes_the_folder(
    monkeypatch: pytest.MonkeyPatch, command: ModuleType, arguments: list[str]
) -> None:
    opened: dict[str, Any] = {}

    def named_predictor(name: str, **settings: Any) -> None:
        opened.update(settings)
        raise _OpenedError

    monkeypatch.setattr(models, "named_predictor", named_predictor)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    kept = ["--effort", "cached", "--kept-folder", "D", "--kept-folder-mb", "7"]
    options = parser.parse_args([*arguments, *kept])
    opens: dict[ModuleType, Callable[[], object]] = {
        infer: lambda: infer.predictor_of(options),
        table: lambda: table._predictor(options, 1),
        serve: lambda: serve.run(options),
        mcp: lambda: mcp._predictor(options),
    }
    with pytest.raises(_OpenedError):
        opens[command]()
    assert (opened["effort"], opened["kept_folder"], opened["kept_folder_mb"]) == ("cached", "D", 7)
