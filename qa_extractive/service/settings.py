"""What an operator may set, checked when built."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from qa_extractive.errors import DataError

_COUNTS = ("max_questions", "max_context_characters", "max_queue", "max_batch_tokens")
_AMOUNTS = (
    *("max_body_mb", "max_upload_mb", "max_queue_mb"),
    *("upload_s", "deadline_s", "read_timeout_s", "drain_s"),
)


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Limits and habits of the service.

    Attributes:
        max_body_mb: Largest request body, in MB of 1,000,000 bytes.
        max_upload_mb: Largest file of papers, in the same unit.
        upload_s: Longest time that such a file may take to arrive, and again to be read.
        max_questions: Most questions, or papers, in one call.
        max_context_characters: Longest context; a longer one could not be answered in time, and cutting
            a text into windows takes memory.
        max_queue: Most requests admitted and not yet answered.
        max_queue_mb: Most text of such requests, in millions of characters.
        deadline_s: Longest time from a request's validation to its answer.
        read_timeout_s: Longest time that a client may take to send its body.
        drain_s: Longest time that requests in flight get after SIGTERM.
        max_batch_tokens: Tokens handed to the model at once; one longer window runs alone.
        max_wait_ms: How long the first window of a batch waits for others; 0: not at all.
        api_key: What a caller must present; None: nothing.
        cors_origins: Origins whose pages may call; empty: none but the service's own.
        log_texts: Whether questions and answers are written to the log.
    """

    max_body_mb: float = 8.0
    max_upload_mb: float = 32.0
    upload_s: float = 60.0
    max_questions: int = 1000
    max_context_characters: int = 500_000
    max_queue: int = 256
    max_queue_mb: float = 16.0
    deadline_s: float = 30.0
    read_timeout_s: float = 10.0
    drain_s: float = 30.0
    max_batch_tokens: int = 4096
    max_wait_ms: float = 2.0
    api_key: str | None = field(default=None, repr=False)
    cors_origins: tuple[str, ...] = ()
    log_texts: bool = False

    def __post_init__(self) -> None:
        """Raise DataError where a limit is out of its range or the key is one that cannot be sent."""
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise DataError(f"{_option(name)} must be at least 1, got {getattr(self, name)}")
        for name in (*_AMOUNTS, "max_wait_ms"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0.0 or (value == 0.0 and name in _AMOUNTS):
                raise DataError(f"{_option(name)} must be a positive number, got {value}")
        if self.api_key is not None and not _can_be_sent(self.api_key):
            raise DataError("the API key must be printable ASCII without blanks: set another, or unset it")

    @property
    def max_body_bytes(self) -> int:
        """Largest request body."""
        return int(self.max_body_mb * 1_000_000)

    @property
    def max_upload_bytes(self) -> int:
        """Largest file of papers."""
        return int(self.max_upload_mb * 1_000_000)

    @property
    def max_queue_characters(self) -> int:
        """Most text of admitted requests."""
        return int(self.max_queue_mb * 1_000_000)


DEFAULTS = ServiceSettings()
SETTING_NAMES = tuple(each.name for each in fields(ServiceSettings))


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _can_be_sent(key: str) -> bool:
    return bool(key) and key.isascii() and key.isprintable() and " " not in key
