"""Batches tokenized, run and decoded side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from qa_extractive import Predictor, Question
from qa_extractive.inference import pipeline as reading
from qa_extractive.inference import scheduler
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.onnx_backend import OnnxBackend
from qa_extractive.inference.windows import Window


class Noting:
    """Runs windows as the predictor's backend does, and notes the questions of each part it is given."""

    def __init__(self, predictor: Predictor, *, streams: bool) -> None:
        self._backend = predictor.backend
        self.parts: list[int] = []
        if streams:
            self.run_stream = self._run_stream

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        self.parts.append(len({window.question_index for window in windows}))
        return self._backend.run(windows)

    def _run_stream(self, parts: Iterable[Sequence[Window]]) -> Iterator[list[WindowLogits]]:
        yield from map(self.run, parts)


@pytest.fixture(scope="module")
def predictor(tiny_export: Path) -> Predictor:
    return Predictor(tiny_export, n_threads=1)


def questions(n: int) -> list[Question]:
    return [
        Question(f"What fell in trial {i}?", f"In trial {i} pressure fell by {i} mmHg.") for i in range(n)
    ]


@pytest.mark.parametrize(
    ("n_questions", "n_threads", "streams", "parts"),
    [
        (8, 2, True, [8]),  # so few are planned together
        (9, 2, True, [4, 5]),
        (20, 2, True, [4, 16]),
        (21, 2, True, [4, 9, 8]),
        (30, 1, True, [30]),
        (70, 1, True, [64, 6]),
        (200, 16, True, [32, 56, 56, 56]),
        (30, 2, False, [4, 13, 13]),
    ],
)
def test_the_first_part_is_small_and_all_are_read(
    predictor: Predictor, n_questions: int, n_threads: int, streams: bool, parts: list[int]
) -> None:
    asked = questions(n_questions)
    backend = Noting(predictor, streams=streams)
    found = reading.read(
        asked, predictor.windower, backend, predictor.config.decode, top_k=20, n_threads=n_threads
    )
    assert backend.parts == parts
    assert found == predictor.read_batch(asked)
    assert len(set(found)) == n_questions


def test_one_thread_is_the_one_that_calls(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("a thread was started")

    expected = predictor.answer_batch(questions(70))
    monkeypatch.setattr(scheduler, "ThreadPoolExecutor", refuse)
    assert predictor.answer_batch(questions(70)) == expected
    with pytest.raises(AssertionError, match="a thread was started"):
        Predictor(predictor.folder, n_threads=2).answer_batch(questions(70))


def test_prepared_parts_are_answered_alike(predictor: Predictor) -> None:
    asked = questions(70)
    several = Predictor(predictor.folder, n_threads=2)
    prepared = several.prepare(asked)
    assert [len(part.questions) for part in prepared] == [64, 6]
    assert several.answer_prepared(prepared) == predictor.answer_batch(asked)
    assert several.answer_prepared([]) == []


def test_an_error_while_other_parts_run_is_raised(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = Predictor(predictor.folder, n_threads=2)
    cut = several.windower.windows

    def broken(asked: Sequence[Question]) -> list[Window]:
        if any("trial 25" in each.context for each in asked):
            raise RuntimeError("no windows")
        return cut(asked)

    monkeypatch.setattr(several.windower, "windows", broken)
    with pytest.raises(RuntimeError, match="no windows"):
        several.answer_batch(questions(40))
    monkeypatch.undo()
    assert several.answer_batch(questions(40)) == predictor.answer_batch(questions(40))


def test_an_error_of_decoding_leaves_nothing_running(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = Predictor(predictor.folder, n_threads=2)

    def broken(*arguments: object, **named: object) -> None:
        raise RuntimeError("not decoded")

    monkeypatch.setattr(reading, "decode", broken)
    with pytest.raises(RuntimeError, match="not decoded") as held:
        several.answer_batch(questions(40))
    backend = several.backend
    assert isinstance(backend, OnnxBackend)
    assert backend._n_calls == 0, "while the error, and with it the frame, is held"
    assert held.value is not None
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("qa-run")]
