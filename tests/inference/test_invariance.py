"""The embedded model says the same, to the last bit, whatever is asked beside it and on how many threads."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qa_extractive import Predictor, Question
from qa_extractive.inference import pipeline as reading
from qa_extractive.inference.onnx_backend import OnnxBackend
from qa_extractive.inference.windows import Window
from qa_extractive.predictor import DEFAULT_MODEL
from qa_extractive.settings import EFFORTS, FULL
from qa_extractive.types import Answer

DATA = Path(__file__).resolve().parents[2] / "data"
# Words of the contexts: no token, few, around the sizes of vector registers, a whole window, three windows.
N_WORDS = (0, 1, 2, 5, 9, 13, 16, 27, 40, 60, 90, 130, 200, 300, 800)
N_TOKENS = (*range(3, 36), 47, 48, 49, 63, 64, 65, 127, 128, 129, 255, 257, 383, 384, 511, 512)


@pytest.fixture(scope="module")
def predictors() -> dict[tuple[str, int], Predictor]:
    """At every effort, with 1, 2 and 3 threads; those that keep papers have room for a few."""
    return {(e, n): Predictor(effort=e, n_threads=n, kept_mb=3) for e in EFFORTS for n in (1, 2, 3)}


@pytest.fixture(scope="module")
def asked() -> list[Question]:
    with (DATA / "training_data.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    words = " ".join(row["abstract"] for row in rows).split()
    return [
        Question(
            row["question"],
            " ".join([*row["abstract"].split(), *words][:n]),
            row["title"] if i % 2 else None,
        )
        for i, (n, row) in enumerate(zip(N_WORDS, rows, strict=False))
    ]


@pytest.fixture(scope="module")
def alone(predictors: dict[tuple[str, int], Predictor], asked: list[Question]) -> dict[str, list[Answer]]:
    """The answers at each effort."""
    return {
        effort: [predictors[effort, 1].answer(q.question, q.context, q.title) for q in asked]
        for effort in EFFORTS
    }


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    chosen=st.lists(st.integers(0, len(N_WORDS) - 1), min_size=1, max_size=14),
    effort=st.sampled_from(EFFORTS),
    n_threads=st.sampled_from([1, 2, 3]),
    chunk_questions=st.sampled_from([1, 2, 3, 256]),
    chunk_characters=st.sampled_from([1, 500, 2_000_000]),
)
def test_answers_depend_on_nothing_but_the_question(
    predictors: dict[tuple[str, int], Predictor],
    asked: list[Question],
    alone: dict[str, list[Answer]],
    monkeypatch: pytest.MonkeyPatch,
    chosen: list[int],
    effort: str,
    n_threads: int,
    chunk_questions: int,
    chunk_characters: int,
) -> None:
    monkeypatch.setattr(reading, "CHUNK_QUESTIONS", chunk_questions)
    monkeypatch.setattr(reading, "CHUNK_CHARACTERS", chunk_characters)
    batch = [asked[i] for i in chosen]
    predictor = predictors[effort, n_threads]
    assert predictor.answer_batch(batch) == [alone[effort][i] for i in chosen]


def test_the_texts_differ_in_what_they_are_fuzzed_for(
    predictors: dict[tuple[str, int], Predictor], asked: list[Question], alone: dict[str, list[Answer]]
) -> None:
    windows = predictors[FULL, 1].windower.windows(asked)
    n_windows = [sum(w.question_index == i for w in windows) for i in range(len(asked))]
    assert min(n_windows) == 0
    assert max(n_windows) >= 3
    assert len({window.n_tokens for window in windows}) > 12
    for answers in alone.values():
        assert len({answer.answerable for answer in answers}) > 12
        assert {answer.abstained for answer in answers} == {True, False}
    assert len({tuple(answers) for answers in alone.values()}) == len(EFFORTS)


@pytest.mark.parametrize("n_threads", [2, 3, 4])
def test_a_window_on_many_threads_is_the_window_on_one(n_threads: int) -> None:
    """Of every length that kernels treat apart; a session that shares a window out gives the same bytes."""
    one, many = OnnxBackend(DEFAULT_MODEL, 1), OnnxBackend(DEFAULT_MODEL, n_threads)
    draw = np.random.default_rng(17)
    for n_tokens in N_TOKENS:
        token_ids = draw.integers(1000, 30_000, n_tokens)
        types = np.repeat([0, 1], [2, n_tokens - 2])
        window = Window(0, token_ids, types, 2, np.zeros((n_tokens - 2, 2), dtype=np.int64))
        first, second = one.run([window])[0], many.run([window])[0]
        assert first.start.tobytes() == second.start.tobytes(), n_tokens
        assert first.end.tobytes() == second.end.tobytes(), n_tokens
        assert first.answerability == second.answerability, n_tokens
        assert np.ptp(first.start) > 0
