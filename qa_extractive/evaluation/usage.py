"""What a system behind an endpoint used, what that cost, and how often it quoted what is not there."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """What an endpoint charges, in one currency (US dollars in reports).

    Attributes:
        prompt: A million prompt tokens; None if not known.
        completion: A million completion tokens; None if not known.
    """

    prompt: float | None = None
    completion: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts of one run of a generative system, as the endpoint told them.

    Attributes:
        prices: What its tokens cost.
        n_questions: Questions asked; a blank context is not asked about.
        n_requests: HTTP requests made for them, repeated ones included.
        n_failed: Questions left without an answer: the requests failed, or the reply was none.
        n_malformed: Of these, replies that were not in the form asked for.
        n_no_answer: Replies that the text does not answer the question.
        n_quotes: Replies with a quote.
        n_exact_quotes: Of these, those that stand in the text character for character.
        n_not_in_text: Of the quotes, those that are not in the text, whatever their case, Unicode form,
            white space and punctuation.
        prompt_tokens: Tokens read, billed.
        completion_tokens: Tokens written, billed.
        n_unmetered: Replies that came without their token counts.
        refused_parameters: What the endpoint would not take, so that it was left out: without a
            temperature or seed its answers may differ from run to run.
    """

    prices: Prices = Prices()
    n_questions: int = 0
    n_requests: int = 0
    n_failed: int = 0
    n_malformed: int = 0
    n_no_answer: int = 0
    n_quotes: int = 0
    n_exact_quotes: int = 0
    n_not_in_text: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    n_unmetered: int = 0
    refused_parameters: tuple[str, ...] = ()

    @property
    def not_in_text_share(self) -> float | None:
        """Share of the quotes that are not in the text, in [0, 1]; None without quotes."""
        return self.n_not_in_text / self.n_quotes if self.n_quotes else None

    @property
    def cost(self) -> float | None:
        """What the tokens cost, in the currency of the prices; None where a price or a count is missing."""
        if self.prices.prompt is None or self.prices.completion is None or self.n_unmetered:
            return None
        spent = self.prompt_tokens * self.prices.prompt + self.completion_tokens * self.prices.completion
        return spent / _MILLION

    @property
    def cost_per_million_questions(self) -> float | None:
        """The cost of a million such questions; None where it is not known, or none were asked."""
        cost = self.cost
        return None if cost is None or not self.n_questions else _MILLION * cost / self.n_questions

    def __add__(self, other: Usage) -> Usage:
        """The counts of two runs of one system together, at the prices of the first."""
        summed = {name: getattr(self, name) + getattr(other, name) for name in _COUNTS}
        refused = dict.fromkeys((*self.refused_parameters, *other.refused_parameters))
        return Usage(self.prices, **summed, refused_parameters=tuple(refused))

    def to_dict(self) -> dict[str, Any]:
        """The counts and what follows from them, as plain values that ``json`` can write."""
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            "refused_parameters": list(self.refused_parameters),
            "not_in_text_share": self.not_in_text_share,
            "prompt_price_per_million": self.prices.prompt,
            "completion_price_per_million": self.prices.completion,
            "cost": self.cost,
            "cost_per_million_questions": self.cost_per_million_questions,
        }


_COUNTS = tuple(each.name for each in fields(Usage) if each.name not in ("prices", "refused_parameters"))
