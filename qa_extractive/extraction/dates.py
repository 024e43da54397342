"""The date that a quote states, as precise as it stands. Needs the [extract] extra."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from threading import Lock
from typing import Any

from qa_extractive.evidence.plain import NUMBER_WORD
from qa_extractive.extraction.values import NAME, NoValueError, quoted, the_only

_MAX_CHARACTERS = 200
_YEAR = re.compile(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)")
_MONTH = re.compile(
    r"\b(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b",
    re.IGNORECASE,
)
_YEAR_MONTH_DAY = re.compile(r"\d{4}(?P<iso>[-/.])\d{1,2}(?P=iso)\d{1,2}")
_YEAR_MONTH = re.compile(r"(?:1[5-9]|20)\d\d-(?:0[1-9]|1[0-2])")
_YEAR_LAST = r"\d{1,2}(?P<sign>[-/.])\d{1,2}(?P=sign)\d{4}"
_DAY = r"(?:\d{1,2}(?:st|nd|rd|th)?)"
_DATE = re.compile(
    rf"(?<![\d/-])(?:{_YEAR_MONTH_DAY.pattern}|{_YEAR_LAST}|{_YEAR_MONTH.pattern})(?![\d/-]|\.\d)|"
    rf"(?:{_DAY}(?:\sof\s|\.?\s|-))?{_MONTH.pattern}\.?,?[\s-](?:{_DAY},?\s|of\s)?{_YEAR.pattern}|"
    rf"{_YEAR.pattern}\s{_MONTH.pattern}(?:\s{_DAY})?(?!\d)|"
    rf"(?:(?<=\bin\s)|(?<=\bof\s)|(?<=\bby\s)|(?<=\bsince\s)|(?<=\buntil\s)|(?<=\bduring\s)|^){_YEAR.pattern}(?=\W*$)",
    re.IGNORECASE,
)
_CUT_BEFORE = re.compile(r"[\d/]\s?(?:[-–—/]|to|and|or)?\s?$")
_ORDINAL = "first|second|third|(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf|[a-z]+teen|[a-z]+tie)th"
_NOT_THEN = re.compile(
    r"(?:[<>≤≥~]|\b(?:before|after|by|prior\sto|following|than|between|within|about|around|approximately|circa|ca\.?|"
    rf"not|{_ORDINAL}))\s*(?:\b(?:the|end|start|beginning|middle|early|mid|late|month|day|of)\s)*$",
    re.IGNORECASE,
)
_ONE_OF_TWO = re.compile(r"(?:(?<![^\W\d_])[-‐‑–—/&]|\b(?:to|or|and|through|thru|till))\s*$", re.IGNORECASE)
_CUT_DAY = re.compile(rf"(?:\d|\b{_DAY}\s?(?:[-‐‑–—/,&]|to|or|and|through)\s?)$", re.IGNORECASE)
_GOES_ON = re.compile(
    r"\s*[,(]?\s*(?:[-‐‑–—/&]|(?:to|through|thru|till|until|onwards?)\b|(?:or|and)\s|at\s(?:the\s)?(?:latest|earliest))",
    re.IGNORECASE,
)
_CUT_AFTER = re.compile(
    r"\d|\s?[-‐‑–—/]\s?\d|\s*(?:onwards?\b|or\s(?:before|after|later|earlier)|at\s(?:the\s)?(?:latest|earliest))",
    re.I,
)
_ORDERS = ("DMY", "MDY")
_LOCK = Lock()  # dateparser keeps what it has learnt of a language for all threads


def date_in(quote: str, before: str = "", after: str = "") -> str:
    """The one date of a quote: "2019-03-12", "2019-03" or "2019", as precise as it stands.

    Args:
        quote: That states the date.
        before: What precedes the quote in its text, as far as it may matter.
        after: What follows it.

    Raises:
        NoValueError: There is none with its year, more than one, one that could be read in two ways, or only
            a bound or a part of one.
    """
    if len(quote) > _MAX_CHARACTERS:
        raise NoValueError(f"a quote of more than {_MAX_CHARACTERS} characters is no date")
    quote = " ".join(quote.split())
    found = [match for match in _DATE.finditer(quote) if not _CUT_BEFORE.search(quote[: match.start()])]
    the_only([match[0] for match in found], "date with its year")
    (one,) = found
    head, tail = quote[: one.start()], quote[one.end() :]
    if any(_YEAR.search(part) or _MONTH.search(part) for part in (head, tail)):
        raise NoValueError("the quote holds more than one date")
    rest = NAME.sub(" ", f"{head} {tail}")
    beside = (
        _NOT_THEN.search(before + head)
        or _ONE_OF_TWO.search(head)
        or _GOES_ON.match(tail)
        or (not head and _CUT_DAY.search(before))
        or (not tail and _CUT_AFTER.match(after))
        or NUMBER_WORD.search(rest)
        or re.search(r"\d+", rest)
    )
    if beside:
        raise NoValueError(f"beside {quoted(one[0])} there is {quoted(beside[0].strip())}")
    return _read(one[0])


def _read(text: str) -> str:
    if _YEAR_MONTH_DAY.fullmatch(text):
        try:
            return date(*map(int, re.split("[-/.]", text))).isoformat()
        except ValueError:
            raise NoValueError(f"{quoted(text)} is no day of the calendar") from None
    if _YEAR_MONTH.fullmatch(text):
        if text[-2:] > text[2:4]:
            raise NoValueError(f"{quoted(text)} may be a month or a range of years")
        return text
    with _LOCK:
        said = {_said(_parser(order).get_date_data(text)) for order in _ORDERS} - {None}
    if len(said) > 1:
        raise NoValueError(f"in {quoted(text)}, day and month could change places")
    (value,) = said or (None,)
    if value is None:
        raise NoValueError(f"{quoted(text)} is no day of the calendar")
    return value


def _said(found: Any) -> str | None:
    if found.date_obj is None:
        return None
    forms = {"year": "%Y", "month": "%Y-%m"}
    return str(found.date_obj.strftime(forms.get(found.period, "%Y-%m-%d")))


@lru_cache(len(_ORDERS))
def _parser(order: str) -> Any:
    from dateparser.date import DateDataParser

    settings = {"PARSERS": ["absolute-time"], "REQUIRE_PARTS": ["year"], "DATE_ORDER": order}
    return DateDataParser(languages=["en"], settings=settings)
