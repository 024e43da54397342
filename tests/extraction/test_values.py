"""What a quote states, or why it states no value of the type that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from qa_extractive.extraction.dates import date_in
from qa_extractive.extraction.numbers import integer_in, number_in, percentage_in
from qa_extractive.extraction.quantities import quantity_in
from qa_extractive.extraction.values import NoValueError, items_in
from qa_extractive.types import Span


@pytest.mark.parametrize(
    ("quote", "value"),
    [
        ("212 adults", 212),
        ("n = 1,200", 1200),
        ("-0.5", -0.5),
        ("54.3 ± 12.1 years", 54.3),
        ("120 (60%)", 120),
        ("45%", 45),
        ("0.87 (95% CI 0.80 to 0.95; p < 0.001)", 0.87),
    ],
)
def test_numbers(quote: str, value: float) -> None:
    assert number_in(quote) == value


@pytest.mark.parametrize("quote", ["Twelve patients", "twelve", "A total of twelve nurses"])
def test_numbers_in_words(quote: str) -> None:
    pytest.importorskip("text_to_num")
    assert number_in(quote) == 12


@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        ("a few adults", "holds no number"),
        ("one-third", "holds no number"),
        ("40 and 50", "more than one number: '40', '50'"),
        ("at least 40 adults", "'≥40' is no plain number"),
        ("<18 years", "'<18' is no plain number"),
        ("12–18 months", "'12–18' is no plain number"),
        ("$5 million", "is no plain number"),
        ("3 × 10^5", "is no plain number"),
        ("9" * 400, "is no plain number"),
    ],
)
def test_what_is_no_number(quote: str, reason: str) -> None:
    with pytest.raises(NoValueError) as raised:
        number_in(quote)
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


def test_whole_numbers() -> None:
    assert integer_in("12 wards") == 12
    assert type(integer_in("12.0")) is int
    with pytest.raises(NoValueError, match=r"12\.5 is no whole number"):
        integer_in("12.5")


def test_percentages() -> None:
    for quote in ("45%", "45 percent", "45 per cent", "45 of 100 (45 %)", "45% (95% CI 40 to 50%)"):
        assert percentage_in(quote) == 45
    for quote in ("0.45", "5 percentage points", "40–50%", "40% and 50%"):
        with pytest.raises(NoValueError):
            percentage_in(quote)


@pytest.mark.parametrize(
    ("quote", "number", "unit"),
    [
        ("3.3 mmHg (95% CI 2.1 to 4.5)", 3.3, "millimeter_Hg"),
        ("130 mm Hg", 130, "millimeter_Hg"),
        ("18 cm H2O", 18, "centimeter_H2O"),
        ("50 mg/day", 50, "milligram / day"),
        ("20 mg per day", 20, "milligram / day"),
        ("5 mg·kg−1", 5, "milligram / kilogram"),
        ("27 kg/m2", 27, "kilogram / meter ** 2"),
        ("80 mcg", 80, "microgram"),
        ("37 °C", 37, "degree_Celsius"),
        ("500 IU", 500, "international_unit"),
        ("300 cells/µL", 300, "cell / microliter"),
        ("54.3 ± 12.1 years", 54.3, "year"),
    ],
)
def test_quantities(quote: str, number: float, unit: str) -> None:
    pytest.importorskip("pint")
    assert quantity_in(quote) == {"number": number, "unit": unit}


@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        ("many tablets", "no quantity"),
        ("2 tablets", "no unit that is known"),
        ("5 points", "pint knows no unit 'points'"),  # a typographer's to pint
        ("4 foo/bar", "pint knows no unit"),
        ("12–18 months", "is no plain number"),
        ("5 mg and 10 mg", "more than one quantity"),
        ("60 mL/min/1.73 m2", "more than one quantity"),
    ],
)
def test_what_is_no_quantity(quote: str, reason: str) -> None:
    pytest.importorskip("pint")
    with pytest.raises(NoValueError, match=reason):
        quantity_in(quote)


@pytest.mark.parametrize(
    ("quote", "value"),
    [
        ("12 March 2019", "2019-03-12"),
        ("the 12th of March, 2019", "2019-03-12"),
        ("from Mar. 12, 2019", "2019-03-12"),
        ("2019-03-12", "2019-03-12"),
        ("13/04/2019", "2019-04-13"),
        ("Recruitment began in March 2019.", "2019-03"),
        ("in 2019", "2019"),
        ("2019", "2019"),
    ],
)
def test_dates_are_as_precise_as_they_stand(quote: str, value: str) -> None:
    pytest.importorskip("dateparser")
    assert date_in(quote) == value


@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        ("two weeks ago", "no date"),
        ("3 March", "no date"),
        ("n = 2019", "no date"),
        ("2019 adults", "no date"),
        ("50.5", "no date"),
        ("2–5 March 2019", "no date"),
        ("March to June 2019", "more than one date"),
        ("March 2019 to June 2020", "more than one date"),
        ("03/04/2019", "could change places"),
        ("31 February 2019", "no day of the calendar"),
        ("2019-13-04", "no day of the calendar"),
        ("March 2019 " * 50, "more than 200 characters"),
    ],
)
def test_what_is_no_date(quote: str, reason: str) -> None:
    pytest.importorskip("dateparser")
    with pytest.raises(NoValueError, match=reason):
        date_in(quote)


@pytest.mark.parametrize(
    ("quote", "items"),
    [
        ("headache, nausea and a dry mouth", ["headache", "nausea", "a dry mouth"]),
        ("headache, nausea, and fever", ["headache", "nausea", "fever"]),
        ("salt (or sugar, honey) and oil", ["salt (or sugar, honey)", "oil"]),
        ("1,200 men; 800 women, all nurses", ["1,200 men", "800 women, all nurses"]),
        ("headache", ["headache"]),
    ],
)
def test_items_are_verbatim(quote: str, items: list[str]) -> None:
    text = f"It was {quote}."
    found = items_in(text, Span.cut(text, 7, 7 + len(quote), 0.5))
    assert [each.text for each in found] == items
    assert all(text[each.start : each.end] == each.text and each.score == 0.5 for each in found)


@pytest.mark.parametrize("parse", [number_in, integer_in, percentage_in, quantity_in, date_in])
@pytest.mark.parametrize(
    "quote", ["m**9**9**9", "1e999999 kg", "((((", "2 kg^999999999", "\ud800 5", "5 \x00", "²"]
)
def test_hostile_quotes_have_a_reason_or_a_value(parse: Callable[[str], object], quote: str) -> None:
    for library in ("pint", "dateparser", "text_to_num"):
        pytest.importorskip(library)
    with suppress(NoValueError):
        assert parse(quote) is not None
