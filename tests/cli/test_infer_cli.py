from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.cli import infer_table, main
from qa_extractive.tables.reading import read_rows
from tests.batch_runs import write_table

Infer = Callable[..., tuple[int, str, str]]  # exit code, stdout, stderr

ROOT = Path(__file__).parents[2]
QUESTION = "What was the effect?"
CONTEXT = "The drug reduced mortality. The risk was not increased."
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489")


@pytest.fixture
def refused(infer: Infer) -> Callable[..., str]:
    """Runs ``infer`` on what it must refuse with one line on stderr: that line."""

    def run(*arguments: object, **options: Path) -> str:
        code, out, err = infer(*arguments, **options)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err

    return run


def questions(path: Path, n: int = 1, **cells: object) -> Path:
    """A table of one question and n contexts, no two alike."""
    contexts = [CONTEXT, *(f"{CONTEXT} {i} percent did." for i in range(1, n))]
    rows = enumerate(contexts)
    return write_table(path, [{"id": i, "question": QUESTION, "context": text} | cells for i, text in rows])


def plain_csv(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    """The rows of a CSV by Python's own reader."""
    csv.field_size_limit(10**9)
    text = path.read_bytes().decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def assert_verbatim(table: Iterable[Mapping[str, str]]) -> int:
    """Every row either failed, abstained, or holds a piece of its context; the number answered."""
    n_answered = 0
    for values in table:
        if values["error"]:
            assert not values["score"]
        elif values["answer"]:
            n_answered += 1
            start, end = int(values["answer_start"]), int(values["answer_end"])
            assert values["context"][start:end] == values["answer"]
            assert values["answer"] in values["sentence"]
        else:
            assert not values["answer_start"]
            assert not values["sentence"]
            assert 0.0 <= float(values["answerable"]) <= 1.0
    return n_answered


# ---------------------------------------------------------------- a table


def test_a_long_name_of_a_cpu_hides_neither_how_many_nor_their_instructions(
    infer: Infer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = (
        "Some Processor With A Name That Goes On For Longer Than A Line @ 2.80GHz",
        ("AVX2", "AVX-512 VNNI"),
    )
    monkeypatch.setattr(infer_table, "cpu_and_instructions", lambda: cpu)
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = infer("--batch", questions(tmp_path / "papers.csv", 25))
    assert re.search(
        r"^CPU           \d+ CPUs, AVX2, AVX-512 VNNI, Some Processor.*\.\.\.$", out, re.MULTILINE
    )


def test_a_table_is_answered_beside_the_input(infer: Infer, tmp_path: Path) -> None:
    path = questions(tmp_path / "papers.csv", 25)
    code, out, err = infer("--batch", path, "--threshold", "0")
    assert (code, err) == (0, "")
    table = plain_csv(tmp_path / "papers.answers.csv")
    assert assert_verbatim(table) == 25
    assert [values["id"] for values in table] == [str(i) for i in range(25)]
    assert "25 in" in out
    assert "p50" in out
    assert "of 1" in out
    assert "budget        3 s a batch: ok" in out
    assert re.search(r"^CPU           \d+ CPUs, ", out, re.MULTILINE)
    assert out.count(QUESTION) == 5
    assert f" -> {table[0]['answer']} (" in out
    assert f"answers       {tmp_path / 'papers.answers.csv'}\n" in out


def test_abstained_rows_say_so(infer: Infer, tmp_path: Path) -> None:
    code, out, _ = infer("--batch", questions(tmp_path / "t.csv", 3), "--threshold", "1")
    table = plain_csv(tmp_path / "t.answers.csv")
    assert code == 0
    assert assert_verbatim(table) == 0
    n_unsure = out.count("-> Not sure. Closest: ")
    assert n_unsure + out.count("-> This paper does not say.") == 3
    assert f"abstained     3: {n_unsure} not sure, {3 - n_unsure} not in the paper\n" in out


def test_fewer_than_twenty_questions_are_said_to_be(infer: Infer, tmp_path: Path) -> None:
    assert "none: fewer than 20 questions" in infer("--batch", questions(tmp_path / "t.csv", 3))[1]


def test_failed_rows_do_not_stop_the_others(infer: Infer, tmp_path: Path) -> None:
    table = [{"question": QUESTION, "context": CONTEXT} for _ in range(24)]
    table[1]["question"] = " "
    table[2]["context"] = ""
    table[3]["question"] = "why " * 60
    path = write_table(tmp_path / "t.csv", table)
    code, out, _ = infer("--batch", path, "--threshold", "0")
    found = plain_csv(tmp_path / "t.answers.csv")
    assert code == 1
    assert len(found) == 24
    assert assert_verbatim(found) == 21
    assert [i for i, values in enumerate(found) if values["error"]] == [1, 3]
    assert "question is empty" in found[1]["error"]
    assert (found[2]["answer"], found[2]["answerable"], found[2]["error"]) == ("", "0.0", "")
    assert "exceeds 32" in found[3]["error"]
    assert "failed        2" in out
    assert "row 4: line 5: question of" in out


def test_ragged_rows_fail_alone(infer: Infer, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        f"id,question,context\n1,{QUESTION},{CONTEXT}\n2,{QUESTION}\n3,{QUESTION},a,b\n4,{QUESTION},{CONTEXT}\n"
    )
    code, _, _ = infer("--batch", path, "--threshold", "0")
    found = plain_csv(tmp_path / "t.answers.csv")
    assert code == 1
    assert [bool(values["error"]) for values in found] == [False, True, True, False]
    assert assert_verbatim(found) == 2
    assert "line 3: 2 cells where the header has 3" in found[1]["error"]


def test_lines_that_are_no_json_fail_alone(infer: Infer, tmp_path: Path) -> None:
    good = json.dumps({"question": QUESTION, "context": CONTEXT, "n": {"a": [1]}})
    surrogate = json.dumps({"question": QUESTION, "context": "\ud83d " + CONTEXT})
    path = tmp_path / "t.jsonl"
    path.write_text(f"{good}\n{{broken\n[1]\n{surrogate}\n")
    code, _, _ = infer("--batch", path, "--threshold", "0")
    found = [json.loads(line) for line in (tmp_path / "t.answers.jsonl").read_text("utf-8").splitlines()]
    assert code == 1
    assert [bool(values["error"]) for values in found] == [False, True, True, False]
    assert found[0]["n"] == {"a": [1]}
    assert assert_verbatim(found) == 2


HARD_CONTEXTS = {
    "nul": "The drug\0reduced\0 the risk.",
    "nul only": "\0\0",
    "emoji": "👩‍🔬🧪 The drug 💊 reduced 😀 mortality by 5 % 🎉.",
    "right to left": "התרופה הפחיתה את התמותה. \u202eThe drug\u202c خفض الدواء الوفيات.",
    "line ends": "The drug\r\nreduced\rthe\nrisk.\u2028Placebo did not.",
    "quotes": 'The "drug", so called, is "=1+1".',
    "combining": "The e\u0301ffect was 中文 ≥ 5 µg\ufeff.",
    "special tokens": "[SEP] The drug [CLS] reduced [MASK] risk [SEP].",
    "one character": "a",
}


def test_hard_contexts_keep_their_offsets(infer: Infer, tmp_path: Path) -> None:
    table = [{"question": QUESTION, "context": context} for context in HARD_CONTEXTS.values()]
    code, out, err = infer("--batch", write_table(tmp_path / "t.csv", table), "--threshold", "0")
    found = plain_csv(tmp_path / "t.answers.csv")
    assert (code, err) == (0, "")
    assert [values["context"] for values in found] == [*HARD_CONTEXTS.values()]
    assert assert_verbatim(found) >= len(found) - 1  # NULs alone hold no answer
    assert "\u202e" not in out


def test_what_the_terminal_sees_holds_no_control_characters(infer: Infer, tmp_path: Path) -> None:
    path = questions(tmp_path / "t.csv", question="What \x1b[31m was\0 \u202ethe effect?")
    _, out, _ = infer("--batch", path, "--threshold", "0")
    assert out.replace("\n", "").isprintable()


@pytest.mark.parametrize("n_words", [20_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_a_long_context(infer: Infer, tmp_path: Path, n_words: int) -> None:
    words = random.Random(17).choices(
        "the drug trial patients risk mortality reduced zebra 17".split(), k=n_words
    )
    table = [{"question": QUESTION, "context": context} for context in (CONTEXT, " ".join(words) + ".")]
    code, _, _ = infer("--batch", write_table(tmp_path / "t.csv", table), "--threshold", "0")
    found = plain_csv(tmp_path / "t.answers.csv")
    assert code == 0
    assert assert_verbatim(found) == 2


@pytest.mark.slow
def test_ten_thousand_rows(infer: Infer, tmp_path: Path) -> None:
    table = [{"question": QUESTION, "context": f"The risk was {i} percent."} for i in range(10_000)]
    code, out, _ = infer("--batch", write_table(tmp_path / "t.csv", table))
    found = plain_csv(tmp_path / "t.answers.csv")
    assert code == 0
    assert [values["context"] for values in found] == [values["context"] for values in table]
    assert_verbatim(found)
    assert "of 500" in out


@pytest.mark.parametrize(
    "suffix", ["csv", "tsv", "jsonl", "csv.gz", "tsv.gz", "jsonl.gz", "csv.zst", "parquet"]
)
def test_formats(infer: Infer, tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    code, _, _ = infer("--batch", questions(tmp_path / f"t.{suffix}", 3), "--threshold", "0")
    found = [row.values for row in read_rows(tmp_path / f"t.answers.{suffix}")]
    assert code == 0
    assert assert_verbatim(found) == 3


def test_the_output_may_have_another_format(infer: Infer, tmp_path: Path) -> None:
    path = questions(tmp_path / "t.csv", 3)
    code, _, _ = infer("--batch", path, "--output", tmp_path / "out.tsv", "--threshold", "0")
    assert code == 0
    assert assert_verbatim(plain_csv(tmp_path / "out.tsv", "\t")) == 3


def test_input_columns_of_the_same_name_are_kept(infer: Infer, tmp_path: Path) -> None:
    path = questions(tmp_path / "t.csv", answer="gold", score="7", input_score="8", error="none")
    infer("--batch", path, "--threshold", "0")
    (values,) = plain_csv(tmp_path / "t.answers.csv")
    kept = ("input_answer", "input_input_score", "input_score", "input_error")
    assert [values[name] for name in kept] == ["gold", "7", "8", "none"]
    assert assert_verbatim([values]) == 1


def test_columns_may_be_named(infer: Infer, tmp_path: Path) -> None:
    path = write_table(
        tmp_path / "t.csv", [{"q": QUESTION, "body": CONTEXT, "question": "", "context": "no"}]
    )
    named = ("--question-column", "q", "--context-column", "body", "--title-column", "question")
    code, _, _ = infer("--batch", path, *named, "--threshold", "0")
    (values,) = plain_csv(tmp_path / "t.answers.csv")
    assert code == 0
    assert values["body"][int(values["answer_start"]) : int(values["answer_end"])] == values["answer"]


def test_top_k_adds_candidates(infer: Infer, tmp_path: Path) -> None:
    infer("--batch", questions(tmp_path / "t.csv"), "--threshold", "0", "--top-k", "3")
    (values,) = plain_csv(tmp_path / "t.answers.csv")
    spans = json.loads(values["candidates"])
    assert 1 <= len(spans) <= 3
    assert spans[0]["text"] == values["answer"]
    assert all(CONTEXT[span["start"] : span["end"]] == span["text"] for span in spans)


def test_an_output_that_is_there_is_replaced_with_a_note(infer: Infer, tmp_path: Path) -> None:
    path = questions(tmp_path / "t.csv")
    (tmp_path / "t.answers.csv").write_text("earlier")
    _, out, _ = infer("--batch", path, "--threshold", "0", "--overwrite")
    assert "(replaced)" in out
    assert assert_verbatim(plain_csv(tmp_path / "t.answers.csv")) == 1


def test_quiet_prints_nothing(infer: Infer, tmp_path: Path) -> None:
    path = questions(tmp_path / "t.csv", question="")
    assert infer("--batch", path, "--quiet") == (1, "", "")


def test_progress_is_shown_on_a_terminal_and_wiped(
    infer: Infer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = questions(tmp_path / "t.csv", 41)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("qa_extractive.cli.progress._SECONDS_BETWEEN", {"line": 0.0})
    _, _, err = infer("--batch", path)
    lines = err.split("\r")
    assert any(line.startswith("40 of 41 rows, ") for line in lines)
    assert not lines[-2].strip()
    assert lines[-1] == ""


# ---------------------------------------------------------------- exit codes


def test_a_missed_budget_is_3_only_where_one_was_given(infer: Infer, tmp_path: Path) -> None:
    path = questions(tmp_path / "t.csv", 20)
    code, out, _ = infer("--batch", path, "--budget-s", "0.000001")
    assert code == 3
    assert "missed by 1 of 1 batches" in out
    assert infer("--batch", path, "--overwrite", "--budget-s", "1000")[0] == 0
    assert infer("--batch", path, "--overwrite")[0] == 0


def test_failed_rows_come_before_a_missed_budget(infer: Infer, tmp_path: Path) -> None:
    table = [{"question": q, "context": CONTEXT} for q in ("", QUESTION)]
    assert infer("--batch", write_table(tmp_path / "t.csv", table), "--budget-s", "0.000001")[0] == 1


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "soon"])
def test_a_budget_is_a_positive_number(
    tiny_export: Path, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["infer", "--batch", "t.csv", f"--budget-s={value}"])
    assert stopped.value.code == 2
    assert "--budget-s" in capsys.readouterr().err


# ---------------------------------------------------------------- what is refused


def test_files_that_are_not_there_or_no_files(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "does not exist" in refused("--batch", tmp_path / "none.csv")
    assert "is a folder" in refused("--batch", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "is empty"),
        ("empty.jsonl", b"", "is empty"),
        ("empty.csv.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("header.csv", b"question,context\n", "has no rows"),
        ("blank.csv", b"question,context\n\n\n", "has no rows"),
        ("column.csv", b"question,body\nwhat?,The drug.\n", "context: no column for it"),
        ("twice.csv", b"question,context,context\na,b,c\n", "several columns are named 'context' and differ"),
        (
            "mixed.csv",
            "question,context\nwhy?,5 µg\n".encode() + b"what?,5 \xb5g\n",
            "line 3, byte 36: 0xb5 is not UTF-8",
        ),
        ("png.csv", PNG, "0x89 is not UTF-8"),
        ("random.csv", random.Random(17).randbytes(5000), "is not UTF-8"),
        ("zeros.csv", bytes(5000), ""),
        ("plain.csv.gz", b"question,context\na,b\n", "is not compressed with gzip"),
        (
            "cut.csv.gz",
            gzip.compress(b"question,context\na,b\n" * 99, mtime=0)[:-9],
            "is cut short or damaged",
        ),
        ("gzip.csv", gzip.compress(b"question,context\na,b\n", mtime=0), "is compressed with gzip"),
        ("book.csv", b"PK\x03\x04\xff\xff", "an Excel workbook"),
        ("book.xlsx", b"PK\x03\x04\xff\xff", "must end in"),
        ("quote.csv", b'question,context\nwhat?,"open\n', "never closes"),
        ("png.parquet", PNG, "is not a Parquet file"),
    ],
)
def test_files_that_cannot_be_read(
    refused: Callable[..., str], tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    (tmp_path / name).write_bytes(content)
    error = refused("--batch", tmp_path / name)
    assert message in error
    assert name in error
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_outputs_that_cannot_be_written(refused: Callable[..., str], tmp_path: Path) -> None:
    path = questions(tmp_path / "t.csv")
    before = path.read_bytes()
    assert "is the input itself" in refused("--batch", path, "--output", path)
    assert "must end in" in refused("--batch", path, "--output", tmp_path / "out.doc")
    assert "create it first" in refused("--batch", path, "--output", tmp_path / "no" / "out.csv")
    (tmp_path / "out.csv").mkdir()
    assert "is a folder" in refused("--batch", path, "--output", tmp_path / "out.csv")
    assert path.read_bytes() == before


def test_models_and_settings_that_cannot_be_used(refused: Callable[..., str], tmp_path: Path) -> None:
    path = questions(tmp_path / "t.csv")
    assert "no-model" in refused("--batch", path, model=tmp_path / "no-model")
    assert "threshold must lie in [0, 1]" in refused("--batch", path, "--threshold", "2")
    assert "top_k" in refused("--batch", path, "--top-k", "0")
    assert "max_risk" in refused("--batch", path, "--max-risk", "2")
    assert "exclude each other" in refused("--batch", path, "--max-risk", "0.1", "--threshold", "0.5")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--batch", "t.csv", "--json"), "--json goes with --question"),
        (("--batch", "t.csv", "--context", "c"), "--context goes with --question"),
        (("--question", "q", "--context", "c", "--output", "o.csv"), "--output goes with --batch"),
        (("--question", "q", "--context", "c", "--budget-s", "3"), "--budget-s goes with --batch"),
        (("--question", "q", "--context", "c", "--title-column", "t"), "--title-column goes with --batch"),
        (("--batch", "t.csv", "--question", "q", "--title", "T"), "--title goes with --question alone"),
        (("--batch", "t.csv", "--context-file", "c"), "--context-file goes with --question alone"),
        ((), "no question is given: use --batch F, or --question Q with --context C"),
        (("--context", "c"), "no question is given"),
        (("--question", "q"), "--question needs --context"),
        (("--question", " ", "--context", "c"), "question is empty"),
        (("--question", "why " * 60, "--context", "c"), "exceeds 32"),
    ],
)
def test_arguments_that_do_not_go_together(
    refused: Callable[..., str], arguments: tuple[str, ...], message: str
) -> None:
    assert message in refused(*arguments)


@pytest.mark.parametrize(
    "arguments", [["--question", "q", "--context", "c", "--context-file", "f"], ["--threshold", "high"]]
)
def test_arguments_that_argparse_refuses(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["infer", *arguments])
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


# ---------------------------------------------------------------- one question


def test_one_question(infer: Infer, tiny_export: Path) -> None:
    from qa_extractive.predictor import Predictor

    answer = Predictor(tiny_export, threshold=0.0).answer(QUESTION, CONTEXT, "A trial")
    asked = ("--question", QUESTION, "--context", CONTEXT, "--title", "A trial", "--threshold", "0")
    code, out, err = infer(*asked)
    assert (code, err) == (0, "")
    assert f"answer      {answer.text}\n" in out
    assert f"offsets     [{answer.start}:{answer.end}]\n" in out
    assert answer.sentence is not None
    assert f"sentence    {answer.sentence.text}\n" in out
    assert f"answerable  {answer.answerable:.3f}" in out
    assert "or " not in out
    code, out, err = infer(*asked, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == answer.to_dict()


def test_one_question_that_is_not_answered(infer: Infer) -> None:
    asked = ("--question", QUESTION, "--context", CONTEXT, "--threshold", "1")
    code, out, _ = infer(*asked)
    assert code == 0
    assert out.startswith(("answer      Not sure. Closest: ", "answer      This paper does not say.\n"))
    assert "below the threshold of 1.000" in out
    assert "sentence" not in out
    values = json.loads(infer(*asked, "--json")[1])
    assert values["abstained"]
    assert (values["text"], values["start"], values["end"], values["sentence"]) == ("", 0, 0, None)
    assert values["candidates"]


@pytest.mark.parametrize(
    ("answerable", "threshold", "status", "said"),
    [
        (0.7, 0.5, "answered", "answer      fell\n"),
        (0.45, 0.5, "unsure", "answer      Not sure. Closest: fell\noffsets     [3:7]\nscore       0.310  "),
        (0.2, 0.5, "unsure", "answer      Not sure. Closest: fell\n"),
        (0.19, 0.5, "not_reported", "answer      This paper does not say.\nanswerable  0.190, below "),
    ],
)
def test_the_three_states_of_an_answer(
    infer: Infer, monkeypatch: pytest.MonkeyPatch, answerable: float, threshold: float, status: str, said: str
) -> None:
    from qa_extractive.predictor import Predictor
    from qa_extractive.types import Answer, Span

    span, other = Span("fell", 3, 7, 0.31), Span("It", 0, 2, 0.1)
    abstained = answerable < threshold
    text, start, end = ("", 0, 0) if abstained else ("fell", 3, 7)
    answer = Answer(text, start, end, 0.31, answerable, abstained, None, (span, other))
    assert answer.status == status
    monkeypatch.setattr(Predictor, "answer_batch", lambda self, questions: [answer for _ in questions])
    asked = ("--question", "what?", "--context", "It fell.")
    code, out, err = infer(*asked)
    assert (code, err) == (0, "")
    assert out.startswith(said)
    assert ("fell" in out) is (status != "not_reported")
    assert json.loads(infer(*asked, "--json")[1])["status"] == status
    _, out, _ = infer(*asked, "--top-k", "2")
    assert out.count("or          ") == (2 if status == "not_reported" else 1)


@pytest.mark.parametrize(
    ("verdict", "probs", "said"),
    [
        ("yes", (0.82, 0.1, 0.08), "Yes (82 %): fell"),
        ("no", (0.003, 0.996, 0.001), "No (over 99 %): fell"),
        ("mixed", (0.3, 0.3, 0.4), "Mixed (40 %): fell"),
        (None, None, "fell"),
    ],
)
def test_a_verdict_stands_before_its_quote(
    infer: Infer,
    monkeypatch: pytest.MonkeyPatch,
    verdict: str | None,
    probs: tuple[float, float, float] | None,
    said: str,
) -> None:
    from qa_extractive.predictor import Predictor
    from qa_extractive.types import Answer, Span

    span = Span("fell", 3, 7, 0.31)
    answer = Answer("fell", 3, 7, 0.31, 0.9, False, span, (span,), verdict, probs)
    monkeypatch.setattr(Predictor, "answer_batch", lambda self, questions: [answer for _ in questions])
    _, out, _ = infer("--question", "Did it fall?", "--context", "It fell.")
    assert out.startswith(f"answer      {said}\nsentence    fell\n")


def test_candidates_are_printed_where_asked_for(infer: Infer) -> None:
    _, out, _ = infer("--question", QUESTION, "--context", CONTEXT, "--threshold", "0", "--top-k", "3")
    assert out.count("or          ") == 2


def test_several_questions_of_one_text(infer: Infer) -> None:
    asked = ("--question", QUESTION, "--question", "Was the risk increased?", "--context", CONTEXT)
    code, out, _ = infer(*asked)
    assert code == 0
    assert [line for line in out.splitlines() if line.startswith("question")] == [
        f"question    {QUESTION}",
        "question    Was the risk increased?",
    ]
    code, out, _ = infer(*asked, "--json", "--threshold", "0")
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [answer["text"] for answer in answers] == [
        json.loads(infer("--question", question, *asked[4:], "--json", "--threshold", "0")[1])["text"]
        for question in (asked[1], asked[3])
    ]


# ---------------------------------------------------------------- texts and files


@pytest.mark.parametrize(
    "name",
    [
        "nofile.txt", "paper.PDF", "papers/paper.docx", "a.xml.gz", " paper.html\n", "./paper", "../paper",
        "/data/paper", "~/paper", "C:\\papers\\paper", "papier_é.txt", "2024.nature.s41586-1.pdf",
    ],
)  # fmt: skip
def test_a_context_that_looks_like_a_missing_file_is_refused(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    error = refused("--question", QUESTION, "--context", name)
    assert f"{name.strip()} looks like the name of a file, which does not exist" in error
    assert "--context-file" in error


@pytest.mark.parametrize("name", ["paper.txt", "paper", "my paper.txt", "The drug fell", "LICENSE"])
def test_a_context_that_is_a_file_is_refused(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(CONTEXT)
    error = refused("--question", QUESTION, "--context", name)
    assert f"{name} is a file: give --context-file {name}" in error


@pytest.mark.parametrize(
    "text",
    [
        "Mortality", "fell.", "12.5", "p=0.05", "The data are in table.csv", "CO2/H2O", "e.g.", "data.",
        "It fell.The", "10.1038/s41586-020-2649-2", "word " * 2000, "x" * 5000, "a.txt\nb.txt", "/ 5", "…/…",
    ],
)  # fmt: skip
def test_a_context_that_is_a_short_text_is_read(
    infer: Infer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert infer("--question", QUESTION, "--context", text)[0] == 0
    assert infer("--question", QUESTION, "--context", "folder")[0] == 0


@pytest.mark.parametrize(
    "content",
    [CONTEXT, f"\ufeff{CONTEXT}\r\n", "😀 The drug\r\nreduced\rmortality.\n", CONTEXT.encode("utf-16")],
)
def test_the_context_from_a_file(infer: Infer, tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "the paper.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    text = content.decode("utf-16") if isinstance(content, bytes) else content.removeprefix("\ufeff")
    asked = ("--question", QUESTION, "--context-file", path, "--threshold", "0", "--json")
    code, out, err = infer(*asked)
    values = json.loads(out)
    assert (code, err) == (0, "")
    assert values["text"]
    assert text[values["start"] : values["end"]] == values["text"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("paper.pdf", b"%PDF-1.4\n1 0 obj\n", "is a PDF, not text: ask it with 'qa-extractive table'"),
        ("paper.pdf", b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "is a PDF"),
        ("paper.docx", b"PK\x03\x04\xff\xff", "not text"),
        ("none.txt", None, "does not exist: check the path"),
        (".", None, "is a folder: give a file"),
    ],
)
def test_context_files_that_cannot_be_read(
    refused: Callable[..., str], tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert message in refused("--question", QUESTION, "--context-file", tmp_path / name)


@pytest.mark.parametrize("kind", ["text", "white space", "file", "standard input"])
def test_an_empty_context_answers_nothing(
    infer: Infer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "empty.txt").write_bytes(b"")
    feed(monkeypatch, b"")
    given = {
        "text": ("--context", ""),
        "white space": ("--context", " \n"),
        "file": ("--context-file", tmp_path / "empty.txt"),
        "standard input": ("--context", "-"),
    }[kind]
    code, out, err = infer("--question", QUESTION, *given, "--threshold", "0.1")
    assert code == 0
    assert out.startswith("answer      This paper does not say.\n")
    assert err == "note: the context is empty, so it holds no answer\n"


def feed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), "ascii"))


@pytest.mark.parametrize("option", ["--context", "--context-file"])
def test_the_context_from_standard_input(infer: Infer, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    context = "😀 The drug\r\nreduced mortality.\n"
    feed(monkeypatch, context.encode("utf-8"))
    code, out, _ = infer("--question", QUESTION, option, "-", "--threshold", "0", "--json")
    values = json.loads(out)
    assert code == 0
    assert values["text"]
    assert context[values["start"] : values["end"]] == values["text"]


@pytest.mark.parametrize(
    ("data", "message"),
    [("The µ".encode("latin-1"), "byte 4: not UTF-8"), (PNG, "not UTF-8")],
)
def test_standard_input_that_cannot_be_used(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, data: bytes, message: str
) -> None:
    feed(monkeypatch, data)
    assert message in refused("--question", QUESTION, "--context", "-")


@pytest.mark.parametrize("context", ["", " \n", "-"])
def test_an_empty_context_is_an_abstention_with_a_note(
    infer: Infer, monkeypatch: pytest.MonkeyPatch, context: str
) -> None:
    feed(monkeypatch, b"")
    code, out, err = infer("--question", QUESTION, "--context", context, "--threshold", "0", "--json")
    values = json.loads(out)
    assert (code, values["abstained"], values["answerable"], values["candidates"]) == (0, True, 0.0, [])
    assert "note: the context is empty" in err


# ---------------------------------------------------------------- the script itself


def script(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONIOENCODING": options.pop("encoding", "utf-8")}
    command = [sys.executable, str(ROOT / "infer.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=200, env=environment, check=False, **options)
    assert b"Traceback" not in done.stderr
    return done


def test_the_script_prints_what_an_ascii_terminal_can_show(tiny_export: Path, tmp_path: Path) -> None:
    path = questions(tmp_path / "t.csv", 2, question="What was the effect 😀?")
    done = script("--batch", path, "--model", tiny_export, "--threshold", "0", encoding="ascii", cwd=tmp_path)
    assert done.returncode == 0
    assert b"effect \\U0001f600?" in done.stdout
    assert assert_verbatim(plain_csv(tmp_path / "t.answers.csv")) == 2


def test_the_script_reads_standard_input(tiny_export: Path, tmp_path: Path) -> None:
    asked = ("--question", QUESTION, "--context", "-", "--model", tiny_export, "--threshold", "0", "--json")
    done = script(*asked, input=CONTEXT.encode(), cwd=tmp_path)
    values = json.loads(done.stdout)
    assert done.returncode == 0
    assert CONTEXT[values["start"] : values["end"]] == values["text"]


@pytest.mark.skipif(os.name == "nt", reason="pipes close otherwise on Windows")
def test_the_script_survives_a_reader_that_leaves(tiny_export: Path, tmp_path: Path) -> None:
    path = questions(tmp_path / "t.csv", 2, question="")
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, str(ROOT / "infer.py"), "--batch", str(path), "--model", str(tiny_export)]
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, timeout=200, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (1, b"")
    assert len(plain_csv(tmp_path / "t.answers.csv")) == 2


def test_a_text_that_is_too_long_is_refused_and_a_huge_one_is_told(
    tiny_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from qa_extractive.cli import infer
    from qa_extractive.rows import answer_rows

    for module in (answer_rows, infer):
        monkeypatch.setattr(module, "LONG_CONTEXT_CHARACTERS", 100)
    long = "The risk fell. " * 10
    model = ["--model", str(tiny_export), "--threads", "1"]
    limit = ["--max-context-characters", "120"]
    one = ["infer", "--question", "What fell?", "--context", long, *model]
    assert main(one) == 0
    assert capsys.readouterr().err == "note: a context of 150 characters takes minutes\n"
    assert main([*one, *limit]) == 2
    assert capsys.readouterr().err.startswith("error: context of 150 characters exceeds 120: split it")
    table = tmp_path / "t.csv"
    table.write_text(f"question,context\nWhat fell?,The risk fell.\nWhat fell?,{long}\n")
    batch = ["infer", "--batch", str(table), "--log-json", *model]
    assert main(batch) == 0
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = [event["message"] for event in events if event["event"] == "warning"]
    assert [message.split(" takes")[0] for message in told] == ["row 2: a context of 150 characters"]
    errors = tmp_path / "e.csv"
    assert main([*batch, *limit, "--overwrite", "--errors", str(errors)]) == 1
    assert "warning" not in capsys.readouterr().err
    assert "context too long" in errors.read_text()
    assert "context of 150 characters exceeds 120" in errors.read_text()
