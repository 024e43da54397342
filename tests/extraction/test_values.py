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
        ("45% ± 5", 45),
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


# Each kind of quote that states no single plain value, or states one that is easily misread.
NOT_PLAIN = {
    "blanks": [
        "1 250 mg",
        "0 500 mg",
        "12'500 mg",
        "3 10 000 IU",
        "20  000 IU",
        "0,250 mg",
        "0,004",
        "7,5 mg",
        "20.000 mg",
    ],
    "several": [
        *(
            "118/76 mmHg",
            "between 8 and 9 mg",
            "8 or 9 mg",
            "8, 9 and 12 mg",
            "6 × 7 cm",
            "6 x 7 cm",
            "6 by 7 cm",
        ),
        *("8 mg, 9 mg", "8 & 9 mg", "8 mg (9)", "8:9", "8/9", "1 in 9", "7 of 90", "7 per 1000", "8 mg/9 mg"),
        *(
            "nine of 80",
            "Nine or ten nurses",
            "one in nine",
            "twenty and six",
            "six to seven days",
            "8 + 9 mg",
        ),
    ],
    "ranges": [
        *(
            "30 mg-60 mg",
            "8 mg–9 mg",
            "8 mg/d-9 mg/d",
            "8 mg to 9 mg",
            "8‐9 mg",
            "8‑9 mg",
            "8‒9 mg",
            "8―9 mg",
        ),
        *("8﹣9 mg", "8 through 9 mg", "8 to9 mg", "8…9 mg", "8..9 mg", "8~9 mg", "six-to-seven days"),
    ],
    "signs": [
        "minus 8 kg",
        "‑8 kg",
        "—8 kg",
        "﹣8 kg",
        "－8 kg",
        "negative eight kg",
        "minus eight kg",
        "was − 8 kg",
    ],
    "bounds": [
        *(
            "Over 70 mg",
            "70 mg or more",
            "70 mg, or more",
            "70 mg (or more)",
            "70 mg and above",
            "70 mg or so",
        ),
        *(
            "70 plus",
            "70+ mg",
            "70 mg or less",
            "under 70 mg",
            "exceeding 70 mg",
            "seven mg or more",
            "70-odd",
            "70 mg or even more",
        ),
        *("up to seven mg", "at most 70 mg", "70 mg at most", "maximum 70 mg", "70 mg max", "nearly 70 mg"),
        *("about 70 mg", "~70 mg", "&lt; 70 mg", "within 70 days", "not 70 mg", "under the age of 70 years"),
        *("a minimum dose of 70 mg", "70 days or longer", "older than seven years", "fewer than seven"),
    ],
    "parts": [
        *(
            "4½ weeks",
            "4 ½ weeks",
            "4 and a half weeks",
            "4 1/2 weeks",
            "15k",
            "15 k",
            "15M",
            "15 M",
            "15m",
            "15bn",
        ),
        *(
            "4 × 25 mg",
            "point six",
            "4 dozen",
            "15 lakh",
            "a few hundred",
            "hundreds",
            "two thirds",
            "half of 30",
        ),
        *(
            "two dozen",
            "4th",
            "4x",
            "no one",
            "3:1",
            "4 million",
            "twelve and a half days",
            "15 ‰ of 3",
            "10⁄3",
        ),
    ],
}


@pytest.mark.parametrize("quote", [quote for quotes in NOT_PLAIN.values() for quote in quotes])
@pytest.mark.parametrize("parse", [number_in, integer_in, percentage_in, quantity_in])
def test_what_states_no_single_plain_value_has_a_reason(parse: Callable[[str], object], quote: str) -> None:
    for library in ("pint", "text_to_num"):
        pytest.importorskip(library)
    for each in (quote, quote.replace("mg", "%"), f"We saw {quote}."):
        with pytest.raises(NoValueError) as raised:
            parse(each)
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("quote", "value"),
    [
        ("20 000", 20000),
        ("20 000 to", 20000),
        ("1 250 000 adults", 1250000),
        ("1 234 567 adults", 1234567),
        ("98765432109876543210", 98765432109876543210),
        ("-98765432109876543210", -98765432109876543210),
        ("–8", -8),
        ("+8", 8),
        ("34 (12%)", 34),
        ("34 patients with COVID-19", 34),
        ("HbA1c fell by 8", 8),
        ("34-item scale", 34),
        ("between-group difference of 8", 8),
        ("34 adults and children", 34),
    ],
)
def test_numbers_that_are_plain_for_all_that_is_around(quote: str, value: float) -> None:
    found = number_in(quote)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("quote", "value"),
    [
        ("one", 1),
        ("Two centres", 2),
        ("zero", 0),
        ("six (9%)", 6),
        ("one hundred and six", 106),
        ("thirty-six", 36),
        ("five point two", 5.2),
    ],
)
def test_small_and_long_numbers_in_words(quote: str, value: float) -> None:
    pytest.importorskip("text_to_num")
    assert number_in(quote) == value


@pytest.mark.parametrize(
    ("before", "quote", "after"),
    [
        ("", "70", " or more adults"),
        ("", "70", " adults or more"),
        ("At least ", "70", " adults"),
        ("", "8", "–9 weeks"),
        ("between 8 and ", "9", " weeks"),
        ("from 8 to ", "9", " weeks"),
        ("", "8", " or 9 weeks"),
        ("", "118", "/76"),
        ("-", "8", ""),
        ("minus ", "8", ""),
        ("", "8", "½"),
        ("", "8", " million"),
        ("", "8", ".5"),
        ("8.", "5", ""),
        ("1,", "250", ""),
        ("", "8", "%"),
        ("&lt; ", "8", ""),
        ("twenty-", "six", ""),
        ("six ", "hundred", ""),
        ("", "six", " million"),
    ],
)
def test_what_touches_the_quote_counts(before: str, quote: str, after: str) -> None:
    pytest.importorskip("text_to_num")
    assert number_in(quote) > 0
    with pytest.raises(NoValueError, match="is no plain number: there is"):
        number_in(quote, before, after)


def test_what_is_further_away_does_not_count() -> None:
    assert number_in("70", "In all, over two years, ", " adults over 9 took part.") == 70
    assert percentage_in("9%", "It fell (", "; 95% CI 8 to 10).") == 9
    assert number_in("70", "We saw more. ", ". 8 or more left.") == 70


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
    assert percentage_in("45 ％") == 45
    for quote in (
        "45 %-points",
        "45 % points",
        "45 mol%",
        "45% of the 30 adults",
        "45% (30%)",
        "45% or more",
    ):
        with pytest.raises(NoValueError):
            percentage_in(quote)
    with pytest.raises(NoValueError, match="more than one number: '45', '30'"):
        number_in("45 % of the 30 adults")


def test_percentages_in_words() -> None:
    pytest.importorskip("text_to_num")
    assert percentage_in("Twenty per cent") == 20


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
        ("20 000 IU", 20000, "international_unit"),
        ("38.5 degrees Celsius", 38.5, "degree_Celsius"),
        ("98.6 degrees Fahrenheit", 98.6, "degree_Fahrenheit"),
        ("8 pg/mL", 8, "picogram / milliliter"),
        ("70 beats per minute", 70, "beat / minute"),
        ("8 weeks' treatment", 8, "week"),
        ("8 mg (n = 30)", 8, "milligram"),
        ("8 mg; 95% CI 7 to 9", 8, "milligram"),
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


def test_quantities_in_words() -> None:
    pytest.importorskip("pint")
    pytest.importorskip("text_to_num")
    assert quantity_in("six weeks") == {"number": 6, "unit": "week"}


@pytest.mark.parametrize(
    "quote",
    [
        *(
            "8 units/day",
            "8 units/kg",
            "8 dogs/day",
            "8 pints/cat",
            "8 points/month",
            "8 percentage points",
            "8 U/L",
        ),
        *("8 mol%", "8 mg%", "8 Pa·s", "8 kg·m", "8 kg m", "8 mg.kg-1", "8 g-equivalents", "8 g twice daily"),
        *("8 mg of iron daily", "8 mg bid", "8 mg each", "8 mg a night", "8 mg of iron/kg", "8 degrees C"),
        *("8 times a day", "8 M", "8 %-points", "8 mg/dose", "a daily dose of 8 mg"),
    ],
)
def test_units_that_are_not_sure_or_not_whole(quote: str) -> None:
    pytest.importorskip("pint")
    with pytest.raises(NoValueError):
        quantity_in(quote)


@pytest.mark.parametrize("after", ["/kg", " daily", " per day", " twice a day", "·h", "-equivalents", " m"])
def test_a_unit_that_goes_on_after_the_quote(after: str) -> None:
    pytest.importorskip("pint")
    assert quantity_in("8 mg", "They took ", " in the morning.")["unit"] == "milligram"
    with pytest.raises(NoValueError):
        quantity_in("8 mg", "They took ", after)


@pytest.mark.parametrize(
    ("quote", "value"),
    [
        ("2021-05", "2021-05"),
        ("2021/05/30", "2021-05-30"),
        ("2021.05.30", "2021-05-30"),
        ("7-Oct-2021", "2021-10-07"),
        ("October  7,\n2021", "2021-10-07"),
        ("7. October 2021", "2021-10-07"),
        ("2021 Oct 7", "2021-10-07"),
        ("October of 2021", "2021-10"),
        ("mid-October 2021", "2021-10"),
        ("since October 2021", "2021-10"),
        ("after COVID-19, in May 2021", "2021-05"),
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
        ("7th to 8th of October 2021", "there is 'to'"),
        ("7 through 8 October 2021", "there is 'through'"),
        ("the 7th and 8th October 2021", "there is 'and'"),
        ("7, 8 October 2021", "there is '7'"),
        ("before October 2021", "there is 'before'"),
        ("by 2021", "there is 'by'"),
        ("no later than October 2021", "there is 'than'"),
        ("before the end of October 2021", "there is 'before the end of'"),
        ("six days after 7 October 2021", "there is 'after'"),
        ("October 2021 or later", "there is 'or'"),
        ("October 2021 onwards", "there is 'onwards'"),
        ("October 2021 to now", "there is 'to'"),
        ("the first of October 2021", "there is 'first of'"),
        ("30 adults in October 2021", "there is '30'"),
        ("two centres in October 2021", "there is 'two'"),
        ("2005-09", "a month or a range of years"),
        ("2021-2022", "no date"),
        ("2021-05-30/2021-06-30", "no date"),
    ],
)
def test_what_is_no_date(quote: str, reason: str) -> None:
    pytest.importorskip("dateparser")
    with pytest.raises(NoValueError, match=reason):
        date_in(quote)


@pytest.mark.parametrize(
    ("before", "quote", "after"),
    [
        ("7–", "8 October 2021", ""),
        ("7 and ", "8 October 2021", ""),
        ("1", "7 October 2021", ""),
        ("before ", "October 2021", ""),
        ("", "October 2021", " or later"),
        ("", "2021", "-10"),
    ],
)
def test_what_touches_a_date_counts(before: str, quote: str, after: str) -> None:
    pytest.importorskip("dateparser")
    assert date_in(quote, "It began on ", " in Lima.").startswith("2021")
    with pytest.raises(NoValueError, match="there is"):
        date_in(quote, before, after)


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
