"""Papers in, evidence out: the answers of ``answer_batch``, with what they say together."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qa_extractive import Evidence, PaperText, Predictor, Question
from qa_extractive.errors import DataError, ModelError
from qa_extractive.evidence.gather import texts_of
from qa_extractive.evidence.types import PaperAnswer
from qa_extractive.inference.answers import vote_probs
from qa_extractive.inference.calibration import VerdictCalibration, uncalibrated
from qa_extractive.inference.decoding import EMPTY_PREDICTION, Candidate, RawPrediction
from qa_extractive.papers.types import Paper, Passage, Section
from qa_extractive.types import NOT_REPORTED, VOTES, Answer, Span

ROOT = Path(__file__).resolve().parents[2]
DOES_IT = "Does the salt substitute lower blood pressure?"
HOW_MUCH = "By how much did systolic pressure fall?"
SALT = "We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg (95% CI 2.1 to 4.5)."
NO_SALT = "Systolic pressure did not differ between the salt substitute and table salt in 40 men."
SLEEP = "We measured the sleep of 90 nurses. Those on night shifts slept 1.4 hours less."
BODY = Paper(
    title="Salt", abstract="A trial.", sections=(Section("Results", SALT),), doi="10.1/x", pages=(0, 30)
)
PAPERS: list[Any] = [BODY, {"abstract": NO_SALT, "title": "Men", "id": "b"}, SLEEP, PaperText("")]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(n_threads=1)


# ---------------------------------------------------------------- papers


def test_what_is_a_paper() -> None:
    assert PaperText.of(SALT) == PaperText(SALT)
    made = PaperText.of(BODY)
    assert (made.text, made.title, made.id, made.pages) == (BODY.text, "Salt", "10.1/x", (0, 30))
    assert PaperText.of(made) is made
    row = PaperText.of(BODY.to_row() | {"file": "papers.nbib", "record": 3})  # as ``prepare`` writes it
    assert (row.text, row.id, row.pages) == (BODY.text, "10.1/x", (0, 30))
    values = {
        "context": SALT,
        "id": 7,
        "passages": [{"heading": "A", "start": 0, "end": 9}],
        "pages": np.array([0]),
    }
    assert PaperText.of(values) == PaperText(SALT, None, "7", (Passage("A", 0, 9),), (0,))
    assert PaperText.of({"text": None, "abstract": ""}).text == ""


def test_places() -> None:
    paper = PaperText.of(BODY)
    start = paper.text.index("3.3 mmHg")
    assert (paper.section_at(start), paper.section_at(0)) == ("Results", "Abstract")
    assert (paper.page_at(start), paper.page_at(29), paper.page_at(30)) == (2, 1, 2)
    assert PaperText("x").section_at(0) is None
    assert PaperText("x").page_at(0) is None
    within = PaperText("x" * 9, passages=(Passage("Methods", 0, 9), Passage("Methods / Drug", 3, 6)))
    assert [within.section_at(i) for i in (0, 3, 6, 9)] == ["Methods", "Methods / Drug", "Methods", None]
    empty = PaperText("x" * 9, pages=(0, 3, 3, 5))
    assert [empty.page_at(i) for i in (0, 2, 3, 8)] == [1, 1, 3, 4]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (7, "must be a text, a dict or a Paper, not int"),
        ({}, "there is no 'text'"),
        ({"text": "x", "titel": "y"}, "a key 'titel'"),
        ({"text": 3}, "text must be a string, not int"),
        ({"text": "x", "title": 3}, "title must be a string, not int"),
        ({"text": "x", "id": 1.5}, "id must be a string, not float"),
        ({"text": "x", "pages": [3, 1]}, "pages must be the places"),
        ({"text": "x", "pages": [-1]}, "pages must be the places"),
        ({"text": "x", "pages": [1 << 80]}, "pages must be the places"),
        ({"text": "x", "pages": [0.5]}, "a place must be a whole number, not float"),
        ({"text": "x", "pages": "12"}, "pages must be a list, not str"),
        ({"text": "x", "passages": [{"heading": "A"}]}, "each of passages must have"),
        ({"text": "x", "passages": [{"heading": 1, "start": 0, "end": 1}]}, "heading must be a string"),
        ({"text": "x", "passages": [{"start": 2, "end": 1}]}, "passages must start at 0"),
    ],
)
def test_what_is_no_paper(value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        PaperText.of(value)
    with pytest.raises(DataError, match=r"papers\[1\]: "):
        texts_of(["x", value])


# ---------------------------------------------------------------- votes


def prediction(*logits: float) -> RawPrediction:
    return RawPrediction((Candidate(9.0, 0, 5),), 0.0, 9.0, logits or None)


def test_the_probabilities_of_the_votes_share_what_answerable_leaves() -> None:
    verdict = VerdictCalibration(1.0, (0.0, 0.0, 0.0, 0.0))
    calibration = dataclasses.replace(uncalibrated(), verdict=verdict)
    read = prediction(2.0, 0.0, 0.0, -1.0)
    answerable, _ = calibration.probs(read)
    probs = vote_probs(read, calibration, answerable)
    assert probs
    weights = np.exp([2.0, 0.0, 0.0])
    assert probs[:3] == pytest.approx(answerable * weights / weights.sum())
    assert probs[3] == pytest.approx(1.0 - answerable)
    assert vote_probs(prediction(0.0, 0.0, 0.0, 900.0), calibration, answerable) == pytest.approx(
        (answerable / 3,) * 3 + (1.0 - answerable,)
    ), "that it may be no yes/no question changes nothing"
    assert vote_probs(EMPTY_PREDICTION, calibration, 0.0) == (0.0, 0.0, 0.0, 1.0)
    assert vote_probs(prediction(), calibration, 0.5) is None
    assert vote_probs(read, uncalibrated(), 0.5) is None


def test_the_vote_is_what_is_shown() -> None:
    span = Span("x", 0, 1)
    given = Answer("x", 0, 1, 0.9, 0.9, False, span, (span,))
    silent = Answer("", 0, 0, 0.9, 0.1, True, None, (span,))
    probs = (0.1, 0.5, 0.2, 0.2)
    assert PaperAnswer(0, None, None, given).vote is None
    assert PaperAnswer(0, None, None, silent, vote_probs=probs).vote == NOT_REPORTED
    assert PaperAnswer(0, None, None, given, vote_probs=probs).vote == "no", "the likeliest"
    said = dataclasses.replace(given, verdict="yes", verdict_probs=(0.6, 0.4, 0.0))
    assert PaperAnswer(0, None, None, said, vote_probs=probs).vote == "yes"


# ---------------------------------------------------------------- evidence


@pytest.mark.parametrize("question", [DOES_IT, HOW_MUCH])
@pytest.mark.parametrize("settings", [{}, {"threshold": 0.0, "top_k": 2}, {"threshold": 1.0}])
def test_answers_are_those_of_answer_batch(
    predictor: Predictor, question: str, settings: dict[str, Any]
) -> None:
    evidence = predictor.answer_papers(question, PAPERS, **settings)
    texts = texts_of(PAPERS)
    asked = [Question(question, paper.text, paper.title) for paper in texts]
    assert [each.answer for each in evidence.papers] == predictor.answer_batch(asked, **settings)
    assert [(each.index, each.id, each.title) for each in evidence.papers] == [
        (0, "10.1/x", "Salt"), (1, "b", "Men"), (2, None, None), (3, None, None),
    ]  # fmt: skip


def test_a_yes_no_question_is_counted(predictor: Predictor) -> None:
    evidence = predictor.answer_papers(DOES_IT, PAPERS)
    assert isinstance(evidence, Evidence)
    assert [each.vote for each in evidence.papers] == ["yes", "no", "not_reported", "not_reported"]
    tally = evidence.tally
    assert tally
    assert (tally.yes.n, tally.no.n, tally.mixed.n, tally.not_reported.n) == (1, 1, 0, 2)
    table = np.array([each.vote_probs for each in evidence.papers])
    assert table.sum(axis=1) == pytest.approx([1.0] * 4)
    assert tally.yes.expected == pytest.approx(table[:, 0].sum())
    for each in evidence.papers:
        assert each.vote_probs
        assert each.vote_probs[3] == pytest.approx(1.0 - each.answer.answerable)
        if each.answer.verdict_probs:
            expected = [each.answer.answerable * p for p in each.answer.verdict_probs]
            assert each.vote_probs[:3] == pytest.approx(expected)
    assert not evidence.values
    assert (evidence.papers[0].section, evidence.papers[0].page) == ("Results", 2)
    assert (evidence.papers[3].section, evidence.papers[3].page) == (None, None)


def test_probabilities_do_not_depend_on_the_threshold(predictor: Predictor) -> None:
    low, high = (predictor.answer_papers(DOES_IT, PAPERS, threshold=t) for t in (0.0, 1.0))
    assert [each.vote_probs for each in low.papers] == [each.vote_probs for each in high.papers]
    assert low.tally
    assert high.tally
    assert (low.tally.yes.low, low.tally.yes.high) == (high.tally.yes.low, high.tally.yes.high)
    assert high.tally.not_reported.n == 4


def test_another_question_has_values_and_no_tally(predictor: Predictor) -> None:
    evidence = predictor.answer_papers(HOW_MUCH, PAPERS)
    assert evidence.tally is None
    assert [each.vote_probs for each in evidence.papers] == [None] * 4
    value = evidence.values[0]
    assert (value.paper, value.quote, value.value, value.unit) == (0, "3.3 mmHg", 3.3, "mmHg")
    assert value.interval == "2.1 to 4.5"
    assert "converted" in evidence.limits


def test_a_model_without_a_verdict_head_gives_no_tally() -> None:
    without = Predictor(n_threads=1, threshold=0.0)
    without.calibration = dataclasses.replace(without.calibration, verdict=None)
    evidence = without.answer_papers(DOES_IT, [SALT, ""])
    assert evidence.tally is None
    assert [each.vote for each in evidence.papers] == [None, None]


def test_it_is_json(predictor: Predictor) -> None:
    for question in (DOES_IT, HOW_MUCH):
        evidence = predictor.answer_papers(question, PAPERS)
        values = json.loads(json.dumps(evidence.to_dict(), allow_nan=False))
        assert values["papers"][0]["answer"] == evidence.papers[0].answer.to_dict()
        assert values["limits"] == evidence.limits
    assert predictor.answer_papers(DOES_IT, PAPERS).to_dict()["papers"][1]["vote_probs"].keys() == set(VOTES)


def test_no_papers(predictor: Predictor) -> None:
    assert predictor.answer_papers(DOES_IT, []) == Evidence(
        DOES_IT, (), None, (), predictor.answer_papers(DOES_IT, [SALT]).limits
    )


@pytest.mark.parametrize(
    ("question", "papers", "settings", "error", "message"),
    [
        (" ", [], {}, DataError, "question is empty"),
        (7, [SALT], {}, DataError, "question must be a string"),
        ("why " * 500, [SALT], {}, DataError, "question of"),
        (DOES_IT, SALT, {}, DataError, "papers must be a list of papers, not str"),
        (DOES_IT, [SALT, 3], {}, DataError, r"papers\[1\]: a paper must be"),
        (DOES_IT, [SALT], {"threshold": 2.0}, ModelError, "threshold"),
    ],
)
def test_what_is_refused(
    predictor: Predictor,
    question: Any,
    papers: Any,
    settings: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        predictor.answer_papers(question, papers, **settings)


def test_a_paper_that_is_too_long_is_named() -> None:
    limited = Predictor(n_threads=1, max_context_characters=100)
    with pytest.raises(DataError, match=r"papers\[1\]: context of 101 characters exceeds 100"):
        limited.answer_papers(DOES_IT, [SALT, "x" * 101])


def test_importing_it_is_light() -> None:
    code = (
        "from qa_extractive import Evidence, PaperText; import sys;"
        "print(*[m for m in ('onnxruntime', 'tokenizers', 'pandas', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []
