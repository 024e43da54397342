"""Task folders as people write them, hostile ones included: what is wrong is said, all of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from qa_extractive.errors import DataError
from qa_extractive.finetune.checks import CheckedJob, check
from qa_extractive.finetune.job import held_out, read_files, read_task_folder
from qa_extractive.finetune.report import findings_lines
from qa_extractive.types import Example, Question

HEADER = ("question", "answer", "context")


def row(i: int, answer: str | None = None) -> tuple[str, str, str]:
    said = f"{i} percent"
    return (
        f"What fell in trial {i}?",
        said if answer is None else answer,
        f"In trial {i} risk fell to {said}.",
    )


def write(path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def task(
    folder: Path, train: Sequence[Sequence[str]], test: Sequence[Sequence[str]], texts: Sequence[str] = ()
) -> Path:
    folder.mkdir()
    write(folder / "train.csv", train)
    write(folder / "test.csv", test)
    if texts:
        write(folder / "unstructured.csv", [[text] for text in texts], ["context"])
    (folder / "job_description.json").write_text(json.dumps({"task_description": "Find  the number."}))
    return folder


def checked(folder: Path) -> CheckedJob:
    return check(read_task_folder(folder))


TRAIN, TEST = [row(i) for i in range(12)], [row(i) for i in range(50, 90)]


def test_a_sound_folder_has_nothing_wrong(tmp_path: Path) -> None:
    found = checked(task(tmp_path / "t", TRAIN, TEST, ["A text without answers."]))
    found.require_usable()
    assert found.findings.errors == found.findings.warnings == ()
    assert found.job.description == "Find the number."
    assert (len(found.job.train), len(found.job.test), len(found.job.contexts)) == (12, 40, 1)
    assert found.train_alignment.n_labelled == 12
    assert any("12 of 12 answers" in line for line in found.findings.facts)


def test_all_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    write(folder / "train.csv", [["What?", "5"]], ["question", "answer"])
    (folder / "job_description.json").write_text("{no json")
    found = checked(folder)
    with pytest.raises(DataError, match="3 things are wrong") as caught:
        found.require_usable()
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in ("test.csv is missing", "context", "is not JSON"))
    with pytest.raises(DataError, match="is not a folder"):
        read_task_folder(tmp_path / "none")


@pytest.mark.parametrize(
    ("train", "test", "says"),
    [
        ([], TEST, "no training row"),
        (TRAIN, [], "no test row"),
        (
            [row(i, "something else entirely") for i in range(4)],
            TEST,
            "no answer of the training rows stands",
        ),
        ([(*row(1)[:2], ""), (*row(2)[:2], " ")], TEST, "no answer of the training rows stands"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused(
    tmp_path: Path, train: list[tuple[str, str, str]], test: list[tuple[str, str, str]], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        checked(task(tmp_path / "t", train, test)).require_usable()


def test_a_table_without_an_answer_column_is_refused_for_training_and_for_testing(tmp_path: Path) -> None:
    folder = task(tmp_path / "t", TRAIN, TEST)
    write(folder / "train.csv", [(q, c) for q, _, c in TRAIN], ["question", "context"])
    write(folder / "test.csv", [(q, c) for q, _, c in TEST], ["question", "context"])
    errors = checked(folder).findings.errors
    assert len(errors) == 2
    assert "training rows have no answers" in errors[0]
    assert "test rows have no answers" in errors[1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "test.csv"),
        (b'question,answer,context\n"What?,5,"never closed', "test.csv"),
        (b"question,answer,context\nWhat?,5,It was \xe9t\xe9 in \xc3\xa9t\xc3\xa9 \x81.\n", "test.csv"),
        (b"question,question,answer,context\na,b,5,It was 5.\n", "test.csv"),
    ],
)
def test_a_table_that_is_none_is_an_error_with_its_name(tmp_path: Path, content: bytes, says: str) -> None:
    folder = task(tmp_path / "t", TRAIN, TEST)
    (folder / "test.csv").write_bytes(content)
    with pytest.raises(DataError, match=says):
        checked(folder).require_usable()


def test_copies_are_left_out_and_contradictions_are_kept(tmp_path: Path) -> None:
    question, answer, context = row(3)
    train = [*TRAIN, (f"  {question.upper()} ", answer, f"{context}\n"), (question, "risk", context)]
    found = checked(task(tmp_path / "t", train, TEST))
    assert [e.id for e in found.job.train] == [*(f"train-{i}" for i in range(1, 13)), "train-14"]
    warnings = "\n".join(found.findings.warnings)
    assert "1 training row left out (train-13): a copy of an earlier one" in warnings
    assert "1 training question with more than one answer to the same text (train-4)" in warnings


def test_what_leaks_from_the_test_rows_is_left_out(tmp_path: Path) -> None:
    leaked, other_question = TEST[0], ("How much was it?", *TEST[1][1:])
    texts = [TEST[2][2].upper(), "Its own text.", "its  own TEXT."]
    found = checked(task(tmp_path / "t", [*TRAIN, leaked, other_question], TEST, texts))
    assert [e.id for e in found.job.train][-1] == "train-14", "another question on a test text is kept"
    assert len(found.job.train) == 13
    assert [context.text for context in found.job.contexts] == ["Its own text."]
    warnings = "\n".join(found.findings.warnings)
    assert "(train-13): it is a test row too" in warnings
    assert "on a text of the test rows, with another question (train-14)" in warnings
    assert "1 unlabelled text left out: they are texts of the test rows" in warnings
    assert "1 unlabelled text left out: copies" in warnings


def test_answers_that_stand_nowhere_are_counted(tmp_path: Path) -> None:
    found = checked(task(tmp_path / "t", [*TRAIN, row(20, "yes"), row(21, "")], TEST[:5]))
    found.require_usable()
    warnings = "\n".join(found.findings.warnings)
    assert "1 answer of the training rows not found in their texts (train-13)" in warnings
    assert "only 5 test rows" in warnings
    assert found.job.train[-1].answerable is False, "an empty answer says that there is none"
    assert any("1 without an answer" in line for line in found.findings.facts)


def test_odd_text_is_named_and_keeps_its_offsets(tmp_path: Path) -> None:
    odd = [
        ("Où\u200b?", "5\u00a0%", "Le risque\u0301 est tombé\u202e à 5\u00a0% \x07 🧪."),
        ("What broke?", "caf\ufffd", "The caf\ufffd broke."),
    ]
    found = checked(task(tmp_path / "t", [*TRAIN, *odd], TEST))
    warnings = "\n".join(found.findings.warnings)
    for kind in (
        "invisible characters (train-13)",
        "control characters (train-13)",
        "replacement characters, of a wrong encoding (train-14)",
    ):
        assert kind in warnings
    (span,) = found.job.train[12].spans
    assert found.job.train[12].question.context[span.start : span.end] == span.text == "5\u00a0%"
    assert all(line.isprintable() for line in findings_lines(found.findings))


def test_rows_that_cannot_be_read_are_counted_and_stop_nothing(tmp_path: Path) -> None:
    found = checked(task(tmp_path / "t", [("", "x", "No question here."), *TRAIN], TEST))
    found.require_usable()
    assert "1 rows cannot be read" in found.findings.warnings[0]
    assert len(found.job.train) == 12


def test_rows_too_long_for_the_base_are_left_out() -> None:
    examples = tuple(
        Example(str(i), Question("What? " * i, "Risk fell."), references=("Risk",), answerable=True)
        for i in (1, 50)
    )
    from qa_extractive.finetune.job import Job

    job = Job("j", train=examples, test=examples[:1])
    found = check(job, accepts=lambda e: len(e.question.question) < 100)
    assert any("too long" in line for line in found.findings.warnings)


def test_other_tables_and_no_description_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    for name, rows in (("train", TRAIN), ("test", TEST)):
        lines = [json.dumps(dict(zip(HEADER, each, strict=True))) for each in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    checked(folder).require_usable()


def test_whole_documents_are_held_out_and_the_same_ones_each_time(tmp_path: Path) -> None:
    rows = [(f"{q} {again}", a, c) for q, a, c in TRAIN for again in "ab"]
    path = write(tmp_path / "rows.csv", rows)
    job, again = read_files([path], hold_out=7), read_files([path], hold_out=7)
    assert (len(job.train), len(job.test)) == (16, 8), "two rows a document"
    assert job == again
    assert not {e.document for e in job.train} & {e.document for e in job.test}
    fifth = read_files([path])
    assert len(fifth.test) == 6
    assert held_out(job.train, 0, 17) == (job.train, ())


def test_replayed_rows_do_not_bring_the_test_rows_back(tmp_path: Path) -> None:
    old = write(tmp_path / "old.csv", [row(3), TEST[0]])
    folder = task(tmp_path / "t", TRAIN, TEST)
    found = check(read_task_folder(folder, replay=[old]))
    assert [e.id for e in found.job.replay] == ["old-1"]
    assert found.job.replay[0].spans
    assert "1 replayed row left out (old-2): it is a test row too" in found.findings.warnings


def test_test_rows_can_have_their_answers_elsewhere(tmp_path: Path) -> None:
    data = write(tmp_path / "rows.csv", TRAIN)
    asked = write(tmp_path / "asked.csv", [("a", *row(60)[::2])], ["id", "question", "context"])
    labels = write(
        tmp_path / "labels.csv", [("a", "true", "60 percent || 60")], ["id", "answerable", "reference"]
    )
    job = read_files([data], test=[asked], test_labels=labels)
    assert job.test[0].references == ("60 percent", "60")
    assert len(job.train) == 12
