"""Numbers in answers must be those of the text: the metric notices every damage, the predictor does none.

The questions are those of ``data/number_questions.csv``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from qa_extractive import Predictor
from qa_extractive.data.loading import load_examples
from qa_extractive.evaluation.score import evaluate
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.windows import Window
from qa_extractive.metrics.numbers import best_numbers_match, numbers_of
from qa_extractive.metrics.text import best_exact_match
from qa_extractive.types import Answer, Example, Question, Span

EXAMPLES = load_examples(
    Path(__file__).resolve().parents[2] / "data" / "number_questions.csv", strict=True
).examples

# What is lost -> how to lose it; where it changes nothing, an answer has no such thing.
DAMAGES: dict[str, tuple[str, str | Callable[[re.Match[str]], str]]] = {
    "bound": (r"[<>≤≥~±]\s?|at least |up to ", ""),
    "sign": (r"(?<![\w⁻])[-−](?=\d)", ""),
    "point": (r"(?<!\d)\.(?=\d)", ""),
    "decimals": (r"(?<=\d)[.·]\d+(?=[^\d]|$)", ""),
    "power": (r"\s?[×x]\s?10\^\d|[⁻⁰-⁹]+(?= M)", ""),
    "raising": (r"(?<=10)\^", ""),
    "unit": (r"(?<=[\d⁵])[\s-]?(?!to|CI|people|spores|votes|x 10)[%°a-zA-Z].*$", ""),
    "rate": (r"(?:/| a | per )\w+$| h⁻¹$", ""),
    "currency": (r"(?:US)?[$€]", ""),
    "scale": (r" million", ""),
    "first of two": (r"^\d[\d.]*(?:–|:| ± )|95% CI 1.2 to ", ""),
    "second of two": (r"(?:–|:|/| ± | to )[-\d.]+(?=\D*$)", ""),
    "digit": (r"\d(?=\D*$)", lambda match: str((int(match[0]) + 1) % 10)),
    "another number": (r"$", " and 12"),
}


def _answer_of(example: Example) -> str:
    (reference,) = example.references
    return reference


def test_every_answer_stands_in_its_text_once_and_has_numbers() -> None:
    assert len(EXAMPLES) == 40
    for example in EXAMPLES:
        pattern = rf"(?<![\w.]){re.escape(_answer_of(example))}(?!\w)"
        assert len(re.findall(pattern, example.question.context)) == 1, example.id
        assert numbers_of(_answer_of(example)), example.id
        assert len(numbers_of(example.question.context)) > len(numbers_of(_answer_of(example))), example.id


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.id)
def test_the_right_answer_is_exact_and_no_damaged_one_is(example: Example) -> None:
    right = _answer_of(example)
    assert best_numbers_match(right, [right]) == 1.0
    assert best_numbers_match(f"it was {right}, they say", [right]) == 1.0
    assert best_numbers_match("", [right]) == best_numbers_match("nothing", [right]) == 0.0
    damaged = {name: re.sub(pattern, put, right) for name, (pattern, put) in DAMAGES.items()}
    for name, text in damaged.items():
        assert text == right or best_numbers_match(text, [right]) == 0.0, f"{name}: {text}"


def test_every_kind_of_damage_is_tried_and_some_are_right_to_squad() -> None:
    unseen = []
    for name, (pattern, put) in DAMAGES.items():
        pairs = [(re.sub(pattern, put, _answer_of(e)), _answer_of(e)) for e in EXAMPLES]
        changed = [(text, right) for text, right in pairs if text != right]
        assert changed, name
        unseen += [name for text, right in changed if best_exact_match(text, [right]) == 1.0]
    assert {"bound", "sign", "point", "currency"} <= set(unseen)


@pytest.mark.parametrize(
    "texts",
    [
        ("<18 years", "< 18 y", "less than 18 years", "under 18 years", "&lt; 18-year"),
        ("≥30 kg/m2", ">= 30 kg/m²", "≥ 30 kg/m^2", "at least 30 kg/m2"),
        ("≤5 mg", "no more than 5 mg", "up to 5 milligrams"),
        ("−0.3", "-0.3", "– 0.3", "(= − 0.3)", "-0·3"),
        ("3.2×10^7", "3.2 x 10(7)", "3.2 × 10⁷"),
        ("12,500", "12500", "12\u202f500"),
        ("$1000 a month", "$1,000 per month", "$1000/month", "$1000 monthly"),
        ("5 mg/kg/day", "5 mg per kg per day", "5 mg kg−1 day⁻¹", "5mg/kg/d"),
        ("62%", "62 %", "62 percent", "62 per cent"),
        ("24 months", "24-month", "24 mo"),
        ("±7 points", "+/-7 points"),
        ("5–10 mL", "5 to 10 ml"),
        ("CYP3A4", "IL-6", "HbA1c", "COVID-19", ""),
    ],
    ids=lambda texts: ascii(texts[0]),
)
def test_one_number_in_several_spellings(texts: tuple[str, ...]) -> None:
    assert {numbers_of(text) for text in texts} == {numbers_of(texts[0])}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<18", "≤18"),
        ("<18", ">18"),
        ("5 mg", "5 µg"),
        ("5 mM", "5 mm"),
        ("5 mg/day", "5 mg/week"),
        ("5%", "5 percentage points"),
        ("5 million", "5 billion"),
        ("$5", "€5"),
        ("10^6", "106"),
        ("1.2 to 3.4", "3.4 to 1.2"),
        ("5 and 6", "5"),
        ("1,5 mg", "1,6 mg"),
        (".87", "87"),
        (".87", "0.87"),
    ],
)
def test_different_numbers_are_told_apart(one: str, other: str) -> None:
    assert numbers_of(one)
    assert numbers_of(one) != numbers_of(other)


def test_any_reference_will_do_and_those_without_a_number_ask_for_none() -> None:
    assert best_numbers_match("2 to 3 weeks", ["a fortnight", "3 weeks", "2–3 weeks"]) == 1.0
    assert best_numbers_match("a fortnight", ["a fortnight", "2 weeks"]) == 0.0
    assert best_numbers_match("5 mg", ["a fortnight"]) is None
    assert best_numbers_match("5 mg", []) is None


# ---- in ``evaluate``


@dataclasses.dataclass(frozen=True)
class Quoting:
    """Answers with a piece of each reference, or abstains and has it as its candidate."""

    pattern: str = "(?!)"
    abstains: bool = False
    name: str = "quoting"

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        """The references, without what the pattern matches at their start."""
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> Answer:
        (reference,) = (_answer_of(e) for e in EXAMPLES if e.question == question)
        found = re.match(self.pattern, reference)
        start = question.context.index(reference) + (found.end() if found else 0)
        end = question.context.index(reference) + len(reference)
        span = Span.cut(question.context, start, end, 0.9)
        if self.abstains:
            return Answer("", 0, 0, 0.9, 0.1, abstained=True, candidates=(span,))
        return Answer(span.text, start, end, 0.9, 0.9, False, None, (span,))


def test_the_figure_as_given_and_never_abstaining() -> None:
    found = evaluate(Quoting(), EXAMPLES, n_bootstrap=20)
    assert (found.shipped.numbers_exact, found.forced.numbers_exact) == (1.0, 1.0)
    assert found.shipped.numbers_exact_interval == (1.0, 1.0)
    assert found.to_dict()["n_with_numbers"] == 40
    assert found.to_dict()["never_abstaining"]["numbers_exact"] == 1.0
    silent = evaluate(Quoting(abstains=True), EXAMPLES, n_bootstrap=0)
    assert (silent.shipped.numbers_exact, silent.forced.numbers_exact) == (0.0, 1.0)


def test_a_lost_sign_costs_the_figure_what_it_does_not_cost_f1() -> None:
    pattern = r"[<>~$.-]\s?"
    n_lost = sum(re.match(pattern, _answer_of(e)) is not None for e in EXAMPLES)
    assert n_lost == 10
    found = evaluate(Quoting(pattern), EXAMPLES, n_bootstrap=0)
    assert found.shipped.numbers_exact == pytest.approx(1 - n_lost / 40)
    assert found.shipped.squad.f1 == 1.0


def test_rows_without_a_number_do_not_count() -> None:
    wordy = dataclasses.replace(EXAMPLES[0], references=("children",))
    found = evaluate(Quoting(), [*EXAMPLES, dataclasses.replace(wordy, id="w")], n_bootstrap=0)
    assert (found.shipped.n_with_numbers, found.shipped.squad.n) == (40, 41)
    silent = evaluate(Quoting(), [wordy], n_bootstrap=20).shipped
    assert (silent.n_with_numbers, silent.numbers_exact, silent.numbers_exact_interval) == (0, None, None)


# ---- the predictor's spans


class Pointing:
    """A model that points at one run of characters, however it cuts numbers."""

    def __init__(self) -> None:
        self.place = (0, 0)

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        """High logits of the first and the last token of the run."""
        return [self._logits(window) for window in windows]

    def _logits(self, window: Window) -> WindowLogits:
        start, end = np.zeros((2, window.n_tokens), dtype=np.float32)
        inside = (window.offsets[:, 0] < self.place[1]) & (window.offsets[:, 1] > self.place[0])
        places = np.flatnonzero(inside)
        start[window.first + places[0]] = end[window.first + places[-1]] = 20.0
        return WindowLogits(start, end, 9.0)


@pytest.fixture(scope="module")
def pointed() -> Predictor:
    predictor = Predictor(threshold=0.0, n_threads=1)
    predictor._backend = Pointing()
    return predictor


def _points(predictor: Predictor, question: Question, start: int, end: int) -> str:
    assert isinstance(predictor._backend, Pointing)
    predictor._backend.place = (start, end)
    return predictor.answer(question.question, question.context).text


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.id)
def test_a_span_that_holds_the_answer_keeps_its_numbers(pointed: Predictor, example: Example) -> None:
    start = example.question.context.index(_answer_of(example))
    text = _points(pointed, example.question, start, start + len(_answer_of(example)))
    assert best_numbers_match(text, example.references) == 1.0, text


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.id)
def test_a_span_that_cuts_a_number_gives_it_whole(pointed: Predictor, example: Example) -> None:
    """Every run within the answer: what it holds of a number is widened to all that changes its value.

    A bound in words and a unit after a blank are words of their own, which a span may leave out.
    """
    answer = re.sub(r"^(?:at least|up to) ", "", _answer_of(example))
    whole = {_value(number) for number in numbers_of(answer)}
    begin = example.question.context.index(answer)
    for start in range(len(answer)):
        for end in range(start + 1, len(answer) + 1):
            if re.search(r"\w", answer[start:end]):
                text = _points(pointed, example.question, begin + start, begin + end)
                assert {_value(number) for number in numbers_of(text)} <= whole, (answer[start:end], text)


def _value(number: str) -> str:
    """A number without the unit that may stand apart from it."""
    return re.split(r"[ /]", number)[0]
