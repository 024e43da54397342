"""The date that a quote states, as precise as it stands. Needs the [extract] extra."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from threading import Lock
from typing import Any

from qa_extractive.extraction.values import NoValueError, quoted, the_only

_MAX_CHARACTERS = 200
_YEAR = re.compile(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)")
_MONTH = re.compile(
    r"\b(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b",
    re.IGNORECASE,
)
_ISO = re.compile(r"\d{4}-\d\d-\d\d")
_IN_DIGITS = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{4}")
_DAY = r"(?:\d{1,2}(?:st|nd|rd|th)?)"
_DATE = re.compile(
    rf"{_ISO.pattern}|{_IN_DIGITS.pattern}|(?:{_DAY}\s(?:of\s)?)?{_MONTH.pattern}\.?,?\s(?:{_DAY},?\s)?{_YEAR.pattern}"
    rf"|(?:(?<=\bin\s)|(?<=\bof\s)|(?<=\bby\s)|(?<=\bsince\s)|(?<=\buntil\s)|(?<=\bduring\s)|^){_YEAR.pattern}(?=\W*$)",
    re.IGNORECASE,
)
_CUT_BEFORE = re.compile(r"[\d/]\s?(?:[-–—/]|to|and|or)?\s?$")
_ORDERS = ("DMY", "MDY")
_LOCK = Lock()  # dateparser keeps what it has learnt of a language for all threads


def date_in(quote: str) -> str:
    """The one date of a quote: "2019-03-12", "2019-03" or "2019", as precise as it stands.

    Raises:
        NoValueError: There is none with its year, more than one, or one that could be read in two ways.
    """
    if len(quote) > _MAX_CHARACTERS:
        raise NoValueError(f"a quote of more than {_MAX_CHARACTERS} characters is no date")
    found = [match for match in _DATE.finditer(quote) if not _CUT_BEFORE.search(quote[: match.start()])]
    the_only([match[0] for match in found], "date with its year")
    others = quote[: found[0].start()] + quote[found[0].end() :]
    if _YEAR.search(others) or _MONTH.search(others):
        raise NoValueError("the quote holds more than one date")
    return _read(found[0][0])


def _read(text: str) -> str:
    if _ISO.fullmatch(text):
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            raise NoValueError(f"{quoted(text)} is no day of the calendar") from None
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
