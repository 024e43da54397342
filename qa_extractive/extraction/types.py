"""A field that is asked for, and what was found of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from qa_extractive.types import Span


@dataclass(frozen=True, slots=True)
class Field:
    """One field to extract.

    Attributes:
        name: As given.
        question: What is asked of the text.
        type: One of ``extraction.fields.TYPES``.
        minimum: The least value of a number; None for any.
        maximum: The greatest.
    """

    name: str
    question: str
    type: str = "text"
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a text says of one field.

    Attributes:
        type: Of the field.
        value: What the quote states, of the type's kind, as ``json`` can write it; None where the field is
            not reported, or the quote cannot be parsed.
        quote: The verbatim answer with its probability to be right; None where the field is not reported.
        sentence: Around the quote.
        answerable: Calibrated probability that the text reports the field at all.
        status: As of ``Answer``: "answered", "unsure" or "not_reported".
        reason: Why there is a quote and no value; None otherwise.
        items: Of a list, its items, each verbatim with its offsets; empty for other types.
        verdict_probs: For yes or no, the probabilities of "yes", "no" and "mixed"; None for other types.
    """

    type: str
    value: Any
    quote: Span | None
    sentence: Span | None
    answerable: float
    status: str
    reason: str | None = None
    items: tuple[Span, ...] = ()
    verdict_probs: dict[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values that ``json`` can write."""
        return asdict(self) | {"items": [asdict(each) for each in self.items]}
