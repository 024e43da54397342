"""Texts without answers become rows: phrases, questions by rule, a teacher's answers, and what is dropped."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from qa_extractive._utils.sentences import split_sentences
from qa_extractive.alignment.align import align_examples
from qa_extractive.data.contexts import Context, load_contexts
from qa_extractive.errors import DataError, QAError
from qa_extractive.evaluation.chat_protocol import Reply
from qa_extractive.finetune import pseudo_labels
from qa_extractive.finetune.chat_teacher import ChatTeacher, parse_pairs
from qa_extractive.finetune.made_questions import MadeQuestion, make_questions
from qa_extractive.finetune.phrases import phrases
from qa_extractive.finetune.pseudo_labels import (
    ABSTAINED,
    DISAGREED,
    FAILED,
    REPEATED,
    UNSURE,
    LabellingSettings,
    label_contexts,
    rehearsal_questions,
)
from qa_extractive.finetune.validation import check_teacher
from qa_extractive.types import Answer, Example, Question, Span

RACE = (
    "The Desert Race\nThe Desert Race was won by Anna Lind in 1998 after 12 hours of driving. It was long. "
    "We found that tired drivers brake 31% later than rested ones."
)


def asked(text: str, n: int = 50) -> dict[str, tuple[str, str]]:
    """Each question made for a text, with how it was made and what is expected."""
    made = make_questions(Context("c", text), n, random.Random(3))
    assert all(m.expected and text[m.expected.start : m.expected.end] == m.expected.text for m in made)
    return {m.question.question: (m.kind, m.expected.text) for m in made if m.expected}


def test_phrases_are_whole_and_do_not_overlap() -> None:
    sentence = split_sentences(RACE.partition("\n")[2])[0]
    text = RACE.partition("\n")[2]
    found = phrases(text, sentence)
    assert [(p.kind, text[p.start : p.end]) for p in found] == [
        ("name", "Desert Race"), ("name", "Anna Lind"), ("date", "1998"), ("number", "12 hours"),
    ]  # fmt: skip
    assert all(a.end <= b.start for a, b in pairwise(found))


def test_questions_ask_for_what_was_cut_out() -> None:
    made = asked(RACE)
    cloze = "The Desert Race was won by who or what in 1998 after 12 hours of driving?"
    assert made[cloze] == ("cloze", "Anna Lind")
    assert made["The Desert Race was won by Anna Lind in what year after 12 hours of driving?"] == (
        "cloze",
        "1998",
    )
    assert made["The Desert Race was won by Anna Lind in 1998 after how long of driving?"][1] == "12 hours"
    claims = {question: text for question, (kind, text) in made.items() if kind == "claim"}
    ((claim, span),) = claims.items()
    assert "31%" in claim
    assert "We found" not in claim
    assert span == "We found that tired drivers brake 31% later than rested ones."
    assert not any(question.startswith("It was") for question in made), "nobody knows what it is"
    assert not any("\n" in question or "The Desert Race The" in question for question in made)


def test_a_subject_and_what_is_said_of_it_ask_for_each_other() -> None:
    made = asked("Lake Mira (born of a landslide) is a mountain lake in the north, known for its trout.")
    assert made["What is Lake Mira?"] == ("template", "mountain lake in the north")
    assert made["Who or what is a mountain lake in the north, known for its trout?"] == (
        "template",
        "Lake Mira",
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n ",
        "?",
        "…" * 50,
        "A" * 500,
        "1 2 3 4 5 6 7 8.",
        "Ω 🧪 é\u0301 \u202e x y z w v u.",
        "\ud800 " * 9,
    ],
)
def test_any_text_is_asked_about_without_an_error(text: str) -> None:
    asked(text)


def test_the_same_seed_asks_the_same_and_a_sentence_is_asked_once_first() -> None:
    assert list(asked(RACE, 2)) == list(asked(RACE, 2))
    kinds = [kind for kind, _ in asked(RACE, 2).values()]
    assert "claim" in kinds, "two questions are about two sentences"


class FakeTeacher:
    """Answers with what it is told; makes questions if it has any."""

    name = "fake"

    def __init__(self, answers: Sequence[Answer | QAError], made: list[MadeQuestion] | None = None) -> None:
        self.answers, self.made, self.asked = list(answers), made, [] if made is None else made

    def answer_rows(self, questions: Sequence[Question]) -> list[Answer | QAError]:
        return self.answers[: len(questions)]

    def make(self, context: Context, n_questions: int) -> list[MadeQuestion] | None:
        return None if self.made is None else [m for m in self.made if m.question.context == context.text]

    def backend_for(self, tokenizer: object) -> None:
        return


def answer(text: str, context: str, score: float = 0.9) -> Answer:
    start = context.index(text)
    return Answer(text, start, start + len(text), score, 0.9, False)


def test_what_is_dropped_is_counted_by_the_reason() -> None:
    context = "The cat sat on the red mat in Rome."

    def made(question: str, expected: str) -> MadeQuestion:
        start = context.index(expected)
        return MadeQuestion(
            "cloze", Question(question, context), Span.cut(context, start, start + len(expected))
        )

    questions = [
        made("Where?", "Rome"), made("On what?", "red mat"), made("Who?", "cat"), made("What city?", "Rome"),
        made("Who sat?", "cat"), made("where?", "Rome"),
    ]  # fmt: skip
    answers = [
        answer("Rome", context), answer("the red mat", context, 0.6), answer("Rome", context),
        answer("Rome", context, 0.2), Answer("", 0, 0, 0.9, 0.1, True), answer("Rome", context),
    ]  # fmt: skip
    settings = LabellingSettings()
    found = label_contexts([Context("c", context)], FakeTeacher(answers, questions), settings)
    (counts,) = found.counts
    assert (counts.kind, counts.n_made, counts.n_kept) == ("cloze", 6, 2)
    assert counts.dropped == {DISAGREED: 1, UNSURE: 1, ABSTAINED: 1, REPEATED: 1}
    first, second = found.examples
    assert (first.spans[0].text, first.spans[0].score, first.answerable) == ("Rome", 0.9, True)
    assert second.spans[0].text == "red mat", "what was asked for, not what was answered"
    assert second.spans[0].score == 0.6
    everything = label_contexts(
        [Context("c", context)],
        FakeTeacher([*answers[:5], QAError("no")], [*questions[:5], made("Why?", "Rome")]),
        LabellingSettings(min_score=0.0, min_agreement=0.0),
    )
    assert everything.counts[0].dropped == {ABSTAINED: 1, FAILED: 1}


def test_a_text_that_comes_with_a_question_is_answered_by_the_teacher() -> None:
    context = Context("c", "Rain fell for 40 days.", question="How long did it rain?")
    found = label_contexts([context], FakeTeacher([answer("40 days", context.text)]), LabellingSettings())
    (example,) = found.examples
    assert (example.question.question, example.spans[0].text) == ("How long did it rain?", "40 days")
    assert found.counts[0].kind == "given"


def test_texts_are_chosen_by_a_hash_and_not_by_their_place() -> None:
    contexts = [
        Context(str(i), f"The village of Num{i} Town lies in the valley of Lake Mira.") for i in range(30)
    ]
    settings = LabellingSettings(n_contexts=5, n_questions=2)
    chosen = pseudo_labels.choose_contexts(contexts, settings)
    backwards = pseudo_labels.choose_contexts(contexts[::-1], settings)
    assert len(chosen) == 5
    assert chosen == backwards[::-1]
    assert len(pseudo_labels.choose_contexts(contexts, LabellingSettings(n_contexts=0))) == 30
    rehearsed = rehearsal_questions(contexts, settings, 100)
    assert len(rehearsed) == 10
    assert rehearsed == rehearsal_questions(contexts, settings, 100)
    assert len(rehearsal_questions(contexts, settings, 4)) == 4
    assert not any(e.spans or e.references or e.answerable is not None for e in rehearsed)


@pytest.mark.parametrize(
    "settings", [{"n_contexts": -1}, {"n_questions": 0}, {"min_score": 1.5}, {"min_agreement": float("nan")}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        LabellingSettings(**settings)


def test_texts_are_read_from_tables_with_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text('Abstract,title,year\n"A, text",T,1\n ,U,2\nB,,3\n', encoding="utf-8")
    loaded = load_contexts([path])
    assert [(c.id, c.text, c.title, c.question) for c in loaded.contexts] == [
        ("texts-1", "A, text", "T", None), ("texts-3", "B", None, None),
    ]  # fmt: skip
    assert [problem.row for problem in loaded.problems] == [2]
    (tmp_path / "none.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"none\.csv: context: no column"):
        load_contexts([tmp_path / "none.csv"])


class FakeEndpoint:
    """Replies one after another; an error is raised."""

    def __init__(self, *replies: str | QAError) -> None:
        self.replies = list(replies)
        self.messages: list[object] = []

    def complete(self, messages: object) -> Reply:
        self.messages.append(messages)
        reply = self.replies.pop(0)
        if isinstance(reply, QAError):
            raise reply
        return Reply(reply, False, None, None)


def test_a_generative_teacher_asks_and_its_quotes_must_stand_there() -> None:
    context = Context("c", "Sleep fell by 2 h. Weight did not change.", title="Mice")
    pairs = [
        {"question": "By how\nmuch did sleep fall?", "quote": "2 H"},
        {"question": "What rose?", "quote": "blood pressure"},
        {"question": " ", "quote": "Weight"},
        {"question": "Did weight change?", "quote": "Weight did not change"},
    ]
    endpoint = FakeEndpoint(f"Sure [as asked]:\n```json\n{json.dumps(pairs)}\n```", "[]", QAError("down"))
    teacher = ChatTeacher(FakeTeacher([]), endpoint, "Read about mice.")  # type: ignore[arg-type]
    made = teacher.make(context, 4)
    assert [(m.question.question, m.expected.text) for m in made if m.expected] == [
        ("By how much did sleep fall?", "2 h"), ("Did weight change?", "Weight did not change"),
    ]  # fmt: skip
    sent = json.dumps(endpoint.messages[0])
    assert "Read about mice." in sent
    assert "Title: Mice" in sent
    assert teacher.make(context, 4) == [], "nonsense is no question"
    with pytest.raises(QAError, match="down"):
        teacher.make(context, 4)
    for nonsense in ("", "no", "[1, 2]", '{"question": 1}', "[" * 5000):
        with pytest.raises(ValueError, match="not the JSON list"):
            parse_pairs(nonsense)


def test_a_teacher_that_fails_to_ask_is_counted() -> None:
    class Failing(FakeTeacher):
        def make(self, context: Context, n_questions: int) -> list[MadeQuestion] | None:
            raise QAError("down")

    found = label_contexts([Context("c", RACE)], Failing([]), LabellingSettings())
    assert found.examples == ()
    assert found.counts[0].dropped == {FAILED: 1}


def _rows(n: int) -> tuple[Example, ...]:
    rows = [
        Example(
            str(i),
            Question(
                "How far did the risk fall?", f"We met in May. The risk fell to {i} percent. It rained."
            ),
            references=(f"{i} percent",),
            answerable=True,
        )
        for i in range(n)
    ]
    return align_examples(rows).examples


def test_a_teacher_must_beat_a_reader_without_a_model() -> None:
    rows = _rows(6)
    good = [answer(e.references[0], e.question.context) for e in rows]
    poor = [answer("It rained", e.question.context) for e in rows]
    best = check_teacher(FakeTeacher(good), rows, min_f1=None, n_bootstrap=20, seed=1)
    worst = check_teacher(FakeTeacher(poor), rows, min_f1=None, n_bootstrap=20, seed=1)
    assert best is not None
    assert worst is not None
    assert (best.f1, best.can, worst.f1, worst.can) == (1.0, True, 0.0, False)
    assert 0.0 < best.bar < 1.0
    let = check_teacher(FakeTeacher(poor), rows, min_f1=0.0, n_bootstrap=0, seed=1)
    assert let is not None
    assert let.can, "the user may lower the bar to nothing"
    assert check_teacher(FakeTeacher([]), [], min_f1=None, n_bootstrap=0, seed=1) is None


def test_labelling_loads_no_torch() -> None:
    code = (
        "import qa_extractive.finetune.pseudo_labels, qa_extractive.finetune.checks;"
        "import qa_extractive.finetune.report, sys;"
        "print(*[m for m in ('torch', 'transformers', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
