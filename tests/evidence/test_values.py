"""Numbers as they stand, with units and intervals, and only where they are sure."""

from __future__ import annotations

import pytest

from qa_extractive.evidence.values import Value, asks_for_number, values_of
from qa_extractive.metrics.numbers import quantities_of
from qa_extractive.types import Answer, Span

ASKED = "By how much did it fall?"


def answered(text: str, quote: str) -> Answer:
    start = text.index(quote)
    span = Span.cut(text, start, start + len(quote))
    return Answer(quote, span.start, span.end, 1.0, 1.0, False, None, (span,))


def found(quote: str, before: str = "It fell by ", after: str = ".") -> list[tuple[object, ...]]:
    """Number, value, unit and interval of each value of a quote."""
    text = f"{before}{quote}{after}"
    values = values_of(ASKED, [text], [answered(text, quote)])
    assert all(text[each.start : each.end] == each.quote == quote for each in values)
    return [(each.number, each.value, each.unit, each.interval) for each in values]


@pytest.mark.parametrize(
    ("quote", "expected"),
    [
        ("3.3 mmHg (95% CI 2.1 to 4.5)", [("3.3", 3.3, "mmHg", "2.1 to 4.5")]),
        ("3.3 mmHg", [("3.3", 3.3, "mmHg", None)]),
        ("0.71 [95% CI, 0.60–0.84; P < .001]", [("0.71", 0.71, None, "0.60–0.84")]),
        ("12% (95% confidence interval [CI] 8% to 16%)", [("12", 12.0, "%", "8% to 16%")]),
        ("−0.5 points; 95% CrI: −0.9, −0.1", [("−0.5", -0.5, "points", "−0.9, −0.1")]),
        ("1,234 adults", [("1,234", 1234.0, None, None)]),
        ("12·5 mg/day", [("12·5", 12.5, "mg/day", None)]),
        ("by .87", [(".87", 0.87, None, None)]),
        ("5 mg in men and 10 mg in women", [("5", 5.0, "mg", None), ("10", 10.0, "mg", None)]),
        ("1.2 kg (95% CI 1.0 to 1.4) and 2.5 cm (CI 2-3)", [
            ("1.2", 1.2, "kg", "1.0 to 1.4"), ("2.5", 2.5, "cm", "2-3"),
        ]),
        ("12–18 months", [("12–18", None, "months", None)]),
        ("4 to 6 mmHg (p = 0.03)", [("4 to 6", None, "mmHg", None)]),
        ("<5 mg", [("<5", None, "mg", None)]),
        ("$1000/month", [("$1000", None, "/month", None)]),
        ("3.2 × 10^7 cells", [("3.2 × 10^7", None, "cells", None)]),
        ("2 million", [("2 million", None, None, None)]),
        ("1,5 mg", [("1,5", None, "mg", None)]),
        ("0,250 mg", [("0,250", None, "mg", None)]),
        ("20 000 IU", [("20 000", 20000.0, "IU", None)]),
        ("1 250 mg", [("1 250", None, "mg", None)]),
        ("30 mg-60 mg", [("30 mg-60", None, "mg", None)]),
        ("30‑60%", [("30‑60", None, "%", None)]),
        ("118/76 mmHg", [("118", None, None, None), ("76", None, "mmHg", None)]),
        ("8 or 9 mg", [("8", None, None, None), ("9", None, "mg", None)]),
        ("between 8 and 9 mg", [("8", None, None, None), ("9", None, "mg", None)]),
        ("over 8 mg", [("8", None, "mg", None)]),
        ("8 mg or more", [("8", None, "mg", None)]),
        ("minus 8 mg", [("8", None, "mg", None)]),
        ("4½ weeks", [("4", None, None, None)]),
        ("15k", [("15", None, None, None)]),
        ("8 mol%", [("8", None, None, None)]),
        ("8 g twice daily", [("8", None, None, None)]),
        ("54.3 ± 12.1 years", [("54.3", 54.3, None, None), ("± 12.1", None, "years", None)]),
        ("about a third", [(None, None, None, None)]),
        ("IL-6 and HbA1c", [(None, None, None, None)]),
        ("9" * 400, [("9" * 400, None, None, None)]),
        ("٣ mg", [("٣", 3.0, "mg", None)]),
    ],
)  # fmt: skip
def test_numbers_of_a_quote(quote: str, expected: list[tuple[object, ...]]) -> None:
    assert found(quote) == expected


def test_what_touches_the_quote_makes_it_no_plain_value() -> None:
    assert found("8 mg", before="It fell by at least ") == [("8", None, "mg", None)]
    assert found("8", after=" or more.") == [("8", None, None, None)]
    assert found("8 mg", after="/kg.") == [("8", None, None, None)]


def test_the_interval_may_follow_the_quote_and_belongs_to_its_last_number() -> None:
    assert found("3.3 mmHg", after=" (95% CI 2.1 to 4.5).") == [("3.3", 3.3, "mmHg", "2.1 to 4.5")]
    two = found("5 mg and 3 mg", after=" (95% CI 2 to 4).")
    assert [each[3] for each in two] == [None, "2 to 4"]
    assert found("3.3 mmHg", after=" in men. In women, 95% CI 2 to 4.") == [("3.3", 3.3, "mmHg", None)]


@pytest.mark.parametrize("quote", ["95% CI" * 500, "(" * 3000, "1 " * 3000, "1-" * 3000, "95% " * 2000])
def test_odd_quotes_take_no_time(quote: str) -> None:
    values = values_of(ASKED, [quote], [answered(quote, quote)])
    assert all(value.quote == quote for value in values)


def test_quantities_lie_where_they_say() -> None:
    text = "A: -3 °C, 20-fold, 5 mg/kg/day (n = 12), US$3."
    for each in quantities_of(text):
        assert text[each.start : each.number_end] == each.text
        assert text[each.number_end : each.end].strip(" -") == (each.unit or "")
    assert [each.text for each in quantities_of(text)] == ["-3", "20", "5", "12", "US$3"]
    assert [each.unit for each in quantities_of(text)][:3] == ["°C", "fold", "mg/kg/day"]


def test_a_paper_that_does_not_say_has_no_value_and_other_questions_only_quotes() -> None:
    text = "They took 5 mg for 3 weeks."
    silent = Answer("", 0, 0, 0.1, 0.1, True)
    said = answered(text, "5 mg for 3 weeks")
    assert values_of("What did they take?", [text, text], [silent, said]) == (
        Value(1, said.text, said.start, said.end),
    )
    assert [value.value for value in values_of("How much?", ["", text], [silent, said])] == [5.0, 3.0]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How many took part?", True),
        ("By how much did it fall?", True),
        ("How long did it last?", True),
        ("What was the median age?", True),
        ("What percentage of the adults relapsed?", True),
        ("What was given?", False),
        ("How was it measured?", False),
        ("Who took part?", False),
    ],
)
def test_what_asks_for_a_number(question: str, expected: bool) -> None:
    assert asks_for_number(question) is expected
