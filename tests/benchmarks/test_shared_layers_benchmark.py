"""``benchmarks/shared_layers.py``: its times are of more work than one question, its curve is labelled."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("torch")

from qa_extractive import Predictor
from qa_extractive.predictor import DEFAULT_MODEL
from qa_extractive.types import Example, Question

ROOT = Path(__file__).resolve().parents[2]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(ROOT / "benchmarks")
    import shared_layers


def test_twenty_questions_take_longer_than_one_and_less_than_twenty_times_that() -> None:
    (found,) = shared_layers.relative_times(
        Predictor(n_threads=1), DEFAULT_MODEL, shared_layers.abstracts(2), repeats=1
    )
    assert 1.5 < found < 20


def test_f1_is_that_of_the_best_span() -> None:
    context = "We gave 212 adults the salt substitute."
    right, wrong = (
        Example(f"{i}", Question("How many adults got it?", context), references=(reference,))
        for i, reference in enumerate(("212", "potassium"))
    )
    f1, other = shared_layers.span_f1(Predictor(n_threads=1), [right, wrong])
    assert (f1 > 0, other) == (True, 0.0)


def test_the_curve_names_the_layers(tmp_path: Path) -> None:
    rows = [
        {"layers": n, "gained": [-2.0 * n, -3.0 * n, -n], "twenty_over_one": 9.0 - n, "range": [4, 9]}
        for n in (1, 4)
    ]
    shared_layers.plot({"rows": rows}, tmp_path / "curve.svg")
    drawn = (tmp_path / "curve.svg").read_text()
    assert "<!-- 1 shared -->" in drawn
    assert "<!-- 4 shared -->" in drawn
