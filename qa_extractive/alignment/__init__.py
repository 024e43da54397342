"""A free-form reference answer -> weak span labels, each with a confidence."""

from __future__ import annotations

from qa_extractive.alignment.align import DEFAULT_THRESHOLD, align, align_example, align_examples
from qa_extractive.alignment.types import TIERS, AlignedExamples, Alignment, AlignmentReport, Tier

__all__ = [
    "DEFAULT_THRESHOLD",
    "TIERS",
    "AlignedExamples",
    "Alignment",
    "AlignmentReport",
    "Tier",
    "align",
    "align_example",
    "align_examples",
]
