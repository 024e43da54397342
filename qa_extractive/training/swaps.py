"""One word of a question exchanged, so that its context no longer answers it: hard negatives by rule.

A number becomes another number, a name one from another question of its source, a group or direction
its counterpart; never one that the context holds. Yes/no questions stay out: their answer would be "no".
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from qa_extractive.data.question_forms import is_yes_no
from qa_extractive.training.questions import AS_WRITTEN, even_look
from qa_extractive.types import VERDICTS, Example

_NUMBER = re.compile(r"(?<![\w.,-])\d+(?:\.\d+)?(?![\w-]|[.,]\d)")
_NAME = re.compile(r"(?<!^)\b(?:[A-Z][\w’'-]*[A-Za-z\d])(?: (?:of |the |and )?[A-Z][\w’'-]*\w)*")
_COUNTERPARTS = (
    "men women", "male female", "males females", "boys girls", "children adults", "infants teenagers",
    "mothers fathers", "mice humans", "rats monkeys", "patients volunteers", "smokers non-smokers",
    "increase decrease", "increased decreased", "rise fall", "rose fell", "gain loss", "higher lower",
    "highest lowest", "largest smallest", "largest fastest", "first last", "first second", "second third",
    "oldest newest", "longest shortest", "best worst", "most least", "more fewer", "before after",
    "during before", "early late", "earlier later", "acute chronic", "urban rural", "public private",
    "northern southern", "eastern western", "north south", "east west", "left right", "upper lower",
    "inside outside", "internal external", "positive negative", "maximum minimum", "start end", "began ended",
    "weeks years", "months years", "days months", "hours weeks", "minutes days", "daily weekly",
    "winter summer", "spring autumn", "morning evening", "oral intravenous", "type 1 type 2",
    "short-term long-term", "primary secondary", "systolic diastolic", "blood urine", "heart kidney",
    "lung liver", "brain heart", "breast prostate", "supervised unsupervised", "theory experiment",
)  # fmt: skip


def _pairs() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in _COUNTERPARTS:
        words = pair.split()
        half = len(words) // 2
        one, other = " ".join(words[:half]), " ".join(words[half:])
        found.setdefault(one, []).append(other)
        found.setdefault(other, []).append(one)
    return found


_OTHERS = _pairs()
_GROUP = re.compile(
    rf"\b(?:{'|'.join(map(re.escape, sorted(_OTHERS, key=len, reverse=True)))})\b", re.IGNORECASE
)


def names_of(examples: Sequence[Example]) -> list[str]:
    """The distinct names in the questions of examples, to exchange others for."""
    found = (match[0] for example in examples for match in _NAME.finditer(as_written(example)))
    return sorted(set(found))


def swapped(example: Example, names: Sequence[str], rng: random.Random) -> str | None:
    """The question with one thing exchanged for one that its context and title lack.

    None for a yes/no question, and where there is nothing to exchange.

    Args:
        example: An answerable example.
        names: As of ``names_of``.
        rng: Chooses what is exchanged, and for what.
    """
    asked = as_written(example)
    if example.verdict in VERDICTS or is_yes_no(asked):
        return None
    held = f"{example.question.title or ''} {example.question.context}".lower()
    options = [
        (match, other)
        for match, other in _options(asked, names, rng)
        if not _occurs(other, f"{held} {asked.lower()}") and _occurs(match[0], held)
    ]
    if not options:
        return None
    match, other = rng.choice(options)
    changed = asked[: match.start()] + _cased(other, match[0]) + asked[match.end() :]
    return even_look(changed) if AS_WRITTEN in example.fields else changed


def as_written(example: Example) -> str:
    """The question with the capitals of its source, where its reader noted them."""
    return str(example.fields.get(AS_WRITTEN, example.question.question))


def _options(asked: str, names: Sequence[str], rng: random.Random) -> Iterator[tuple[re.Match[str], str]]:
    for match in _NUMBER.finditer(asked):
        yield match, _other_number(match[0], rng)
    for match in _GROUP.finditer(asked):
        yield match, rng.choice(_OTHERS[match[0].lower()])
    for match in _NAME.finditer(asked):
        if names:
            yield match, rng.choice(names)


def _other_number(number: str, rng: random.Random) -> str:
    """One of the same look: a year stays a year, decimals stay as many."""
    if "." in number:
        decimals = len(number.partition(".")[2])
        return f"{float(number) * rng.choice((0.5, 0.8, 1.25, 1.5, 2.0)):.{decimals}f}"
    value = int(number)
    if len(number) == 4 and 1000 <= value <= 2100:
        return str(value + rng.choice((-40, -12, -7, -3, -1, 1, 3, 7, 12)))
    return str(max(1, value + rng.choice((-1, 1)) * max(1, round(value * rng.choice((0.2, 0.5, 1.0))))))


def _occurs(text: str, lowered: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(text.lower())}(?!\w)", lowered) is not None


def _cased(text: str, like: str) -> str:
    return text[:1].upper() + text[1:] if like[:1].isupper() else text
