"""The settings that decide an answer, in one object that is passed on whole."""

from __future__ import annotations

import dataclasses
import numbers
from dataclasses import dataclass, field

from qa_extractive.errors import ModelError

FULL, FAST, CACHED = EFFORTS = ("full", "fast", "cached")
NATIVE, EXACT = PRODUCTS = ("native", "exact")
KEPT_MB = 500  # size of the context cache by default
KEPT_FOLDER_MB = 5_000  # the same on disk: some 1,500 abstracts where one layer reads them apart
N_DECODED = 20
"""Candidates decoded of each question at least, so that scores of the first do not depend on ``top_k``."""

LONG_CONTEXT_CHARACTERS = 1_000_000
"""A longer text takes minutes to read, and is hardly a paper: users are told which one it is."""

_ANSWER_NEUTRAL = {"decides_answers": False}


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """All that a user chooses about how questions are answered, except the number of threads.

    A predictor holds one and passes it on whole: to its pickle, to the workers of a cluster, to the service
    and to the fingerprint of a run. A field goes everywhere by being here; it has the name of the keyword
    argument of ``Predictor`` that sets it.

    Attributes:
        threshold: Abstain below this answerable probability, in [0, 1].
        top_k: Candidates of each answer, at least 1.
        effort: "full", "fast" or "cached".
        kept_mb: Megabytes of memory for the context cache, at least 1; no answer depends on it.
        precision: "native", the products that the file was made for; or "exact", float products.
        max_context_characters: A longer context is an error and not read, at least 1; None for no limit.
        kept_folder: Absolute path of the folder of the context cache on disk, None for none; only at the
            effort "cached", and no answer depends on it.
        kept_folder_mb: Megabytes that it may have, at least 1.
    """

    threshold: float
    top_k: int = 5
    effort: str = FULL
    kept_mb: int = field(default=KEPT_MB, metadata=_ANSWER_NEUTRAL)
    precision: str = NATIVE
    max_context_characters: int | None = None
    kept_folder: str | None = field(default=None, metadata=_ANSWER_NEUTRAL)
    kept_folder_mb: int = field(default=KEPT_FOLDER_MB, metadata=_ANSWER_NEUTRAL)

    def __post_init__(self) -> None:
        """Raise ModelError for a value outside its range."""
        if not 0.0 <= checked_number(self.threshold, "threshold") <= 1.0:
            raise ModelError(f"threshold must lie in [0, 1], got {self.threshold}")
        checked_count(self.top_k, "top_k")
        checked_count(self.kept_mb, "kept_mb")
        checked_count(self.kept_folder_mb, "kept_folder_mb")
        if self.max_context_characters is not None:
            checked_count(self.max_context_characters, "max_context_characters")
        check_effort(self.effort)
        if self.kept_folder is not None and self.effort != CACHED:
            raise ModelError(f"kept_folder goes with the effort {CACHED!r}, not {self.effort!r}")
        if self.precision not in PRODUCTS:
            raise ModelError(
                f"there is no precision {self.precision!r:.40}: use {' or '.join(map(repr, PRODUCTS))}"
            )

    @property
    def n_decoded(self) -> int:
        """Candidates to decode of each question."""
        return max(self.top_k, N_DECODED)

    @property
    def kept_bytes(self) -> int:
        """Bytes of memory for the context cache; 0 at an effort without one."""
        return self.kept_mb * 1_000_000 if self.effort == CACHED else 0

    def chosen(self, threshold: float | None = None, top_k: int | None = None) -> AnswerSettings:
        """These settings with what one call chooses, which is checked; None leaves a setting as it is."""
        return dataclasses.replace(
            self,
            threshold=self.threshold if threshold is None else threshold,
            top_k=self.top_k if top_k is None else top_k,
        )

    def identity(self) -> dict[str, str | int | float]:
        """What decides an answer, by name; a limit that is not set is left out."""
        deciding = [each.name for each in dataclasses.fields(self) if each.metadata != _ANSWER_NEUTRAL]
        deciding.sort(key=lambda name: name != "effort")  # first: the threshold may follow from it
        return {name: getattr(self, name) for name in deciding if getattr(self, name) is not None}


def check_effort(effort: object) -> None:
    """Raise ModelError unless it is one of ``EFFORTS``."""
    if effort not in EFFORTS:
        raise ModelError(f"there is no effort {effort!r:.40}: use {', '.join(map(repr, EFFORTS))}")


def checked_number(value: object, name: str) -> float:
    """The value of the argument ``name`` if it is a real number; ModelError otherwise."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    raise ModelError(f"{name} must be a number, got {value!r}")


def checked_count(value: object, name: str) -> int:
    """The value of the argument ``name`` if it is a whole number of at least 1; ModelError otherwise."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ModelError(f"{name} must be a whole number of at least 1, got {value!r}")
