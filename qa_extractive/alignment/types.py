"""What an alignment gives: the label of one example, and the account of a whole data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qa_extractive.types import Example, Span

Tier = Literal["given", "exact", "normalised", "window", "sentence", "none"]
TIERS: tuple[Tier, ...] = ("given", "exact", "normalised", "window", "sentence", "none")


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where a reference answer stands in its context.

    Attributes:
        tier: The tier that found it.
        spans: Candidate labels, best first; any of them may be the right one. Each score is the
            confidence in that span. Empty if and only if the tier is "none".
    """

    tier: Tier
    spans: tuple[Span, ...] = ()

    @property
    def confidence(self) -> float:
        """The confidence in the best span, in [0, 1]; 0.0 if there is none."""
        return max((span.score for span in self.spans), default=0.0)


@dataclass(frozen=True, slots=True)
class TierStats:
    """One tier's part in a data set.

    Attributes:
        tier: The tier.
        n: Examples it labelled (for "none": that it left unlabelled).
        share: ``n`` over all examples counted, in [0, 1].
        mean_confidence: Mean confidence of its alignments, in [0, 1].
    """

    tier: Tier
    n: int
    share: float
    mean_confidence: float


@dataclass(frozen=True, slots=True)
class AlignmentReport:
    """How well the references of a data set can be found in its contexts.

    Counted are the examples that have a reference or a given span and are not marked unanswerable.

    Attributes:
        n: Examples counted.
        n_skipped: Examples not counted.
        tiers: One entry for each tier, in the order of ``TIERS``.
        oracle_f1: Mean over the counted examples with a reference of the highest token F1 that any
            run of words of the context reaches; no extractive model can do better. In [0, 1].
        oracle_sentence_f1: The same for the best single sentence.
        n_oracle: Examples in these two means.
    """

    n: int
    n_skipped: int
    tiers: tuple[TierStats, ...]
    oracle_f1: float
    oracle_sentence_f1: float
    n_oracle: int

    @classmethod
    def of(
        cls, alignments: Sequence[Alignment], n_skipped: int, oracles: Sequence[tuple[float, float]]
    ) -> AlignmentReport:
        """The report of the alignments counted and the (span, sentence) oracle F1s of the examples."""
        stats = tuple(_stats(tier, alignments) for tier in TIERS)
        spans, sentences = _mean([o[0] for o in oracles]), _mean([o[1] for o in oracles])
        return cls(len(alignments), n_skipped, stats, spans, sentences, len(oracles))

    @property
    def n_labelled(self) -> int:
        """Examples that have a label now."""
        return sum(stats.n for stats in self.tiers if stats.tier != "none")

    def tier(self, name: Tier) -> TierStats:
        """The entry of one tier."""
        return self.tiers[TIERS.index(name)]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values that ``json`` can write."""
        tiers = {
            s.tier: {"n": s.n, "share": s.share, "mean_confidence": s.mean_confidence} for s in self.tiers
        }
        return {
            "n": self.n,
            "n_skipped": self.n_skipped,
            "n_labelled": self.n_labelled,
            "tiers": tiers,
            "oracle_f1": self.oracle_f1,
            "oracle_sentence_f1": self.oracle_sentence_f1,
            "n_oracle": self.n_oracle,
        }


@dataclass(frozen=True, slots=True)
class AlignedExamples:
    """A data set with its labels.

    Attributes:
        examples: All examples, in the order given, labelled where their reference was found.
        alignments: For each example how; "none" for one that was skipped.
        report: The account.
    """

    examples: tuple[Example, ...]
    alignments: tuple[Alignment, ...]
    report: AlignmentReport


def _stats(tier: Tier, alignments: Sequence[Alignment]) -> TierStats:
    own = [alignment.confidence for alignment in alignments if alignment.tier == tier]
    return TierStats(tier, len(own), len(own) / len(alignments) if alignments else 0.0, _mean(own))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
