"""The same questions asked of every row of a table of papers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import qa_extractive.batch.local
from qa_extractive.batch import ANSWER_COLUMNS, BatchJob, Summary, answer_table
from qa_extractive.batch.destination import Existing
from qa_extractive.data.columns import ColumnNames
from qa_extractive.errors import DataError
from qa_extractive.tables.reading import read_rows
from qa_extractive.types import Question
from tests.batch_runs import PART, FirstWord, needs, partial, stop_after, write_table

Infer = Callable[..., tuple[int, str, str]]  # exit code, stdout, stderr

QUESTIONS = ("What fell?", "Who took part?", 'Why, "exactly"?')
N_PAPERS = 11  # with three questions: parts of seven rows end within a paper


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qa_extractive.batch.local, "PART_ROWS", PART)


def papers(path: Path, n: int = N_PAPERS, **cells: str) -> Path:
    rows = [{"id": f"{i:02}", "title": "A trial", "abstract": f"word{i} fell."} | cells for i in range(n)]
    return write_table(path, rows)


def ask(
    path: Path,
    output: Path,
    predictor: FirstWord | None = None,
    questions: Sequence[str] = QUESTIONS,
    existing: Existing = "refuse",
    errors: Path | None = None,
    **options: Any,
) -> Summary:
    job = BatchJob.open(path, output, existing=existing, errors=errors, questions=questions)
    return answer_table(predictor or FirstWord(), job, **options)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "csv.gz", "parquet"])
def test_a_row_for_each_paper_and_question(tmp_path: Path, suffix: str) -> None:
    needs(suffix)
    output = tmp_path / f"o.{suffix}"
    summary = ask(papers(tmp_path / f"t.{suffix}"), output)
    rows = [row.values for row in read_rows(output)]
    assert [*rows[0]][:4] == ["id", "title", "abstract", "question"]
    assert [(row["id"], row["question"]) for row in rows] == [
        (f"{i:02}", question) for i in range(N_PAPERS) for question in QUESTIONS
    ]
    assert [row["answer"] for row in rows] == [f"word{i}" for i in range(N_PAPERS) for _ in QUESTIONS]
    assert (summary.n_rows, summary.n_answered) == (3 * N_PAPERS, 3 * N_PAPERS)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("n_parts", [1, 2, 3, 4])
def test_a_run_that_is_stopped_within_a_paper_goes_on(tmp_path: Path, suffix: str, n_parts: int) -> None:
    needs(suffix)
    path, output, whole = papers(tmp_path / "t.jsonl"), tmp_path / f"o.{suffix}", tmp_path / f"w.{suffix}"
    ask(path, whole)
    assert not ask(path, output, should_stop=stop_after(n_parts)).is_complete
    predictor = FirstWord()
    summary = ask(path, output, predictor, existing="resume")
    assert (summary.n_resumed, summary.n_rows) == (n_parts * PART, 3 * N_PAPERS)
    assert predictor.n_asked == 3 * N_PAPERS - n_parts * PART
    assert output.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("other", [(), QUESTIONS[:2], QUESTIONS[::-1], (*QUESTIONS, "More?")])
def test_other_questions_are_another_run(tmp_path: Path, other: tuple[str, ...]) -> None:
    path, output = papers(tmp_path / "t.csv", question="Old?"), tmp_path / "o.csv"
    ask(path, output, should_stop=stop_after(2))
    before = partial(output).read_bytes()
    with pytest.raises(DataError, match="was started with something else, questions: "):
        ask(path, output, questions=other, existing="resume")
    assert partial(output).read_bytes() == before
    ask(path, output, existing="resume")
    with pytest.raises(DataError, match="was started with something else, questions: "):
        ask(path, output, questions=other, existing="resume")
    assert ask(path, output, existing="resume").n_resumed == 3 * N_PAPERS


@pytest.mark.parametrize(
    ("column", "kept"), [("question", "input_question"), ("Question", "Question"), ("query", "query")]
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_questions_of_the_table_are_kept_and_not_asked(
    tmp_path: Path, suffix: str, column: str, kept: str
) -> None:
    needs(suffix)
    output = tmp_path / f"o.{suffix}"
    ask(papers(tmp_path / f"t.{suffix}", 2, **{column: "Old?"}, answer="gold"), output)
    rows = [row.values for row in read_rows(output)]
    names = ["id", "title", "abstract", kept, "input_answer", "question", *ANSWER_COLUMNS]
    assert [name for name in rows[0] if name in names] == names
    assert {(row[kept], row["input_answer"]) for row in rows} == {("Old?", "gold")}
    assert [row["question"] for row in rows] == [*QUESTIONS, *QUESTIONS]


def test_the_title_is_read(tmp_path: Path) -> None:
    seen = set()

    class Titles(FirstWord):
        def check(self, question: Question) -> None:
            seen.add(question.title)

    ask(papers(tmp_path / "t.csv"), tmp_path / "o.csv", Titles())
    assert seen == {None, "A trial"}  # None: the questions alone, before the rows


def test_bad_rows_are_bad_for_each_question_and_have_the_number_of_their_paper(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,abstract\n1,word\n2,word,more\n3,word\n")
    summary = ask(path, tmp_path / "o.csv", errors=tmp_path / "e.jsonl")
    errors = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert [(error["row"], error["id"], error["question"]) for error in errors] == [
        (2, "2", question) for question in QUESTIONS
    ]
    assert (summary.n_rows, summary.n_failed) == (9, 3)


def test_columns_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("question,head,abstract\nbody,H,no\n")
    job = BatchJob.open(path, names=ColumnNames(context="question", title="head"), questions=("What?",))
    assert (job.columns.question, job.columns.context, job.columns.title) == (
        "question", "input_question", "head",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("questions", "names", "message"),
    [
        (("What?", " "), ColumnNames(), "question is empty"),
        (("What?", "Who?", "What?"), ColumnNames(), "the question 'What\\?' is given twice"),
        (("What?",), ColumnNames(question="q"), "--question-column and --question exclude each other"),
        (("What?",), ColumnNames(context="nothing"), "no column is named 'nothing'"),
        (("What?",), ColumnNames(title="nothing"), "no column is named 'nothing'"),
    ],
)
def test_questions_that_cannot_be_asked(
    tmp_path: Path, questions: tuple[str, ...], names: ColumnNames, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        BatchJob.open(papers(tmp_path / "t.csv"), names=names, questions=questions)


def test_a_table_without_papers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,question\n1,What?\n")
    with pytest.raises(DataError, match="context: no column for it"):
        BatchJob.open(tmp_path / "t.csv", questions=("What?",))


# ---------------------------------------------------------------- the command


def test_the_command_asks_each_paper(infer: Infer, tmp_path: Path) -> None:
    path = papers(tmp_path / "t.csv")
    asked = ("--batch", path, "--question", QUESTIONS[0], "--question", QUESTIONS[1])
    code, out, err = infer(*asked)
    assert (code, err) == (0, "")
    assert "rows          22 in" in out
    assert out.count(QUESTIONS[0]) == 3  # of the first five rows
    assert read_rows(tmp_path / "t.answers.csv").n_rows == 22
    code, out, err = infer(*asked, "--resume")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "resumed 22 rows"


@pytest.mark.parametrize("mode", [(), ("--quiet",), ("--log-json",)])
def test_the_command_says_that_the_tables_questions_are_not_asked(
    infer: Infer, tmp_path: Path, mode: tuple[str, ...]
) -> None:
    path = papers(tmp_path / "t.csv", question="Old?")
    code, _, err = infer("--batch", path, "--question", QUESTIONS[0], *mode)
    assert code == 0
    told = "(column 'question'), which are not asked: --question is. They are kept as 'input_question'"
    assert (told in err) is (mode != ("--quiet",))
    if mode == ("--log-json",):
        assert json.loads(err.splitlines()[0])["event"] == "note"


def test_the_command_refuses_questions_that_are_too_long_before_it_begins(
    infer: Infer, tmp_path: Path
) -> None:
    code, out, err = infer("--batch", papers(tmp_path / "t.csv"), "--question", "why " * 60)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "exceeds 32" in err
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
