"""A free-form reference answer -> weak span labels, each with a confidence."""

from __future__ import annotations

from qa_extractive.alignment.align import (
    DEFAULT_THRESHOLD,
    TIERS,
    AlignedExamples,
    Alignment,
    AlignmentReport,
    Tier,
    align,
    align_example,
    align_examples,
)

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
