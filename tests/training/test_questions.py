"""Questions by rule, each rule on a title that it was made for."""

from __future__ import annotations

import random
from typing import Any

import pytest

from qa_extractive.training import questions


class _First(random.Random):
    """Always the first choice."""

    def choice(self, options: Any) -> Any:
        return options[0]


@pytest.mark.parametrize(
    ("title", "question"),
    [
        ("Does aspirin reduce mortality?", "Does aspirin reduce mortality?"),
        ("Stroke after surgery: does aspirin help?", "does aspirin help?"),
        ("Effects of aspirin on mortality.", "What are the effects of aspirin on mortality?"),
        ("The effect of zinc on growth", "What is the effect of zinc on growth?"),
        ("Effectiveness of vitamin D in children", "What is the effectiveness of vitamin D in children?"),
        ("Aspirin improves survival in adults", "Does aspirin improve survival in adults?"),
        ("Loss of MMP9 inhibits tumour growth", "Does loss of MMP9 inhibit tumour growth?"),
        ("MMP9 promotes growth of tumours", "Does MMP9 promote growth of tumours?"),
        ("Statins reduce mortality in adults", "Do statins reduce mortality in adults?"),
        ("The liver is a target of insulin", "Is the liver a target of insulin?"),
        ("mRNA levels were high in mice", "Were mRNA levels high in mice?"),
        ("limits of detection in blood", "What was found about limits of detection in blood?"),
        ("Aspirin in stroke", "What was found about aspirin in stroke?"),
        ("p53 and its friends {0}", "What was found about p53 and its friends {0}?"),
    ],
)
def test_a_question_from_a_title(title: str, question: str) -> None:
    assert questions.from_title(title, _First()) == question


@pytest.mark.parametrize(
    ("title", "stripped"),
    [
        ("Effects of zinc on growth: a randomised controlled trial", "Effects of zinc on growth"),
        ("Effects of zinc on growth – a cohort study in Peru", "Effects of zinc on growth"),
        ("Effects of zinc on growth. Results of a pilot study", "Effects of zinc on growth"),
        ("Effects of zinc on growth [ISRCTN12345]", "Effects of zinc on growth"),
        ("Effects of zinc on growth: a trial (NCT0001).", "Effects of zinc on growth"),
        ("Effects of zinc: the role of iron", "Effects of zinc: the role of iron"),
        ("Zinc: a randomised trial", "Zinc: a randomised trial"),
    ],
)
def test_the_design_and_the_registration_leave_the_title(title: str, stripped: str) -> None:
    assert questions.takeaway(title, _First()) == f"What is the main contribution of the paper {stripped}?"


def test_the_wording_varies_with_the_generator_and_only_with_it() -> None:
    title = "Aspirin in stroke"
    asked = [questions.from_title(title, random.Random(i)) for i in range(40)]
    assert asked == [questions.from_title(title, random.Random(i)) for i in range(40)]
    assert len(set(asked)) == 5, "every wording comes up, the bare query too"
    assert all("aspirin in stroke" in each for each in asked)


def test_a_prompt_names_its_parts() -> None:
    asked = [
        questions.from_prompt("Pain.", " Aspirin ", "ACE inhibitors", random.Random(i)) for i in range(40)
    ]
    assert "What is the effect of aspirin on pain compared with ACE inhibitors?" in asked
    assert len(set(asked)) == 5
    assert all("aspirin" in each and "pain" in each for each in asked)
    assert not any("{" in each or "pain." in each for each in asked)


@pytest.mark.parametrize(
    ("label", "right"),
    [
        ("significantly increased", {"increase": "yes", "reduce": "no", "difference": "yes", "same": "no"}),
        ("significantly decreased", {"increase": "no", "reduce": "yes", "difference": "yes", "same": "no"}),
        ("no significant difference", {"increase": "no", "reduce": "no", "difference": "no", "same": "yes"}),
    ],
)
def test_a_prompt_asked_for_its_direction_has_the_verdict_of_its_label(
    label: str, right: dict[str, str]
) -> None:
    found = [
        questions.from_prompt_direction("Pain.", "Aspirin", "rest", label, random.Random(i))
        for i in range(60)
    ]
    asked = {pair for pair in found if pair is not None}
    assert len({question for question, _ in asked}) == 6
    for word, verdict in right.items():
        assert {v for question, v in asked if word in question} == {verdict}
    assert questions.from_prompt_direction("Pain", "A", "B", "invalid", random.Random(0)) is None


@pytest.mark.parametrize(
    ("question", "opposite"),
    [
        ("Is zinc better than iron?", "Is zinc worse than iron?"),
        ("Does tea reduce pain?", "Does tea increase pain?"),
        ("Is pain lower?", None),
        ("Do more people sleep longer?", None),
        ("Does tea work?", None),
        ("Is it unlower-able?", None),
    ],
)
def test_the_opposite_turns_the_one_word_of_direction(question: str, opposite: str | None) -> None:
    assert questions.opposite(question) == opposite


@pytest.mark.parametrize(
    ("claim", "question"),
    [
        ("Aspirin inhibits platelet production.", "Does aspirin inhibit platelet production?"),
        ("Rates of death among smokers.", "Is it true that rates of death among smokers?"),
        ("32% of liver patients had pain.", "Is it true that 32% of liver patients had pain?"),
    ],
)
def test_a_question_from_a_claim(claim: str, question: str) -> None:
    assert questions.from_claim(claim, _First()) == question
