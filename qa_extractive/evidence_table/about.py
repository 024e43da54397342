"""What a table says of itself: what was read, by which model, and how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qa_extractive.settings import FULL

WHAT_IT_IS_NOT = (
    "Each quote is verbatim from its paper, found by a small language model. Nobody has judged the quality "
    "of the studies, and the counts and lists are no meta-analysis: read the quotes in their papers before "
    "you rely on them."
)


@dataclass(frozen=True, slots=True)
class About:
    """What stands beside a table.

    Attributes:
        source: The folder or file that was read.
        questions: What each paper was asked, in order.
        n_papers: Rows of the table.
        skipped: What was not read: file, record (or None), kind and reason.
        n_skipped: How many there are, more perhaps than are listed.
        model: Name of the model.
        version: Of this package.
        threshold: Below this ``answerable`` nothing is given as an answer, in [0, 1].
        max_risk: The highest share of wrong answers that the threshold was chosen for; None for the
            model's own threshold.
        effort: That the papers were read at.
    """

    source: str
    questions: tuple[str, ...]
    n_papers: int
    skipped: tuple[tuple[str, int | None, str, str], ...]
    n_skipped: int
    model: str
    version: str
    threshold: float
    max_risk: float | None
    effort: str = FULL

    def lines(self) -> Sequence[tuple[str, str]]:
        """What to print, each line with its name."""
        bound = (
            "the model's own threshold"
            if self.max_risk is None
            else f"at most {self.max_risk:.0%} of the given answers are wrong, with 95 % confidence, if "
            "these papers and questions are like those of the calibration"
        )
        return (
            ("Papers", f"{self.n_papers:,} from {self.source}, {self.n_skipped:,} skipped"),
            ("Model", f"{self.model} at the effort {self.effort!r}, qa-extractive {self.version}"),
            (
                "Answers",
                f"given where the paper answers with a probability of {self.threshold:.2f} or more: {bound}",
            ),
            (
                "sure, likely, doubtful",
                "the quote is right with a probability of .8 or more, .5 or more, or less",
            ),
            ("not sure", "no answer is given; the closest passage is shown because it is worth a look"),
            ("not reported", "the paper does not seem to say"),
            ("Not to be read as", WHAT_IT_IS_NOT),
        )
