"""What an endpoint's responses mean: a reply, or why there is none and what may be done.

Hosts differ in how they put an error; all forms met are read.
"""

from __future__ import annotations

import email.utils
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST_RETRY_AFTER_S = 300.0

_PASSING = frozenset({408, 409, 425, 429})  # and all from 500
_FINAL = frozenset({401, 402, 404})  # the key, the account, the model or the URL: the same for every row
_NO_QUOTA = "insufficient_quota"  # a 429 that waiting does not heal


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote.

    Attributes:
        text: The message; empty where it holds no text.
        is_cut: Whether it ends because ``max_tokens`` were reached.
        prompt_tokens: Tokens read; None where the endpoint does not tell.
        completion_tokens: Tokens written; None where the endpoint does not tell.
    """

    text: str
    is_cut: bool
    prompt_tokens: int | None
    completion_tokens: int | None


class RefusedError(Exception):
    """A request that brought no reply.

    Attributes:
        is_passing: Whether the same request may succeed later.
        is_final: Whether no other request can succeed either.
        is_reached: Whether the endpoint said anything.
        wait_s: Seconds that the endpoint asks to wait; 0 where it does not.
        parameter: The parameter that it names as the cause; may be empty.
    """

    def __init__(
        self,
        message: str,
        *,
        is_passing: bool = False,
        is_final: bool = False,
        is_reached: bool = True,
        wait_s: float = 0.0,
        parameter: str = "",
    ) -> None:
        super().__init__(message)
        self.is_passing, self.is_final, self.is_reached = is_passing, is_final, is_reached
        self.wait_s, self.parameter = wait_s, parameter


def reply_of(payload: bytes) -> Reply:
    """The reply that the body of a 200 holds; some hosts put an error there instead."""
    try:
        values = json.loads(payload)
    except (ValueError, RecursionError):
        raise RefusedError("its response is not JSON", is_passing=True) from None
    if isinstance(values, dict) and (error := values.get("error")):
        code = error.get("code") if isinstance(error, dict) else None
        raise refusal_of(code if isinstance(code, int) else 400, error, {})
    try:
        choice = values["choices"][0]
        text, reason = choice["message"].get("content"), choice.get("finish_reason")
        counts = values.get("usage") or {}
        prompt, completion = counts.get("prompt_tokens"), counts.get("completion_tokens")
    except (LookupError, TypeError, AttributeError):
        raise RefusedError("its response is no chat completion: check the base URL") from None
    text = text if isinstance(text, str) else ""
    return Reply(text, reason == "length", _count(prompt), _count(completion))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def refusal_of(status: int, error: object, headers: Mapping[str, str]) -> RefusedError:
    """What an HTTP error says, its JSON or its text, and what may be done."""
    values = error if isinstance(error, dict) else {}
    said = values.get("message") or str(error)
    has_quota = values.get("code") != _NO_QUOTA
    is_moved = 300 <= status < 400
    wait_s = retry_after_s(headers.get("Retry-After"))
    hint = ""
    if status in (401, 403):
        hint = "; is the key set, and right?"
    elif is_moved:
        hint = f"; it redirects to {headers.get('Location')}: give that as the base URL"
    elif wait_s > LONGEST_RETRY_AFTER_S:
        hint = f"; it asks to wait {wait_s:,.0f} s"
    return RefusedError(
        f"HTTP {status} {said}{hint}",
        is_passing=_may_pass(status) and has_quota and wait_s <= LONGEST_RETRY_AFTER_S,
        is_final=status in _FINAL or is_moved or not has_quota,
        wait_s=wait_s,
        parameter=str(values.get("param") or "") if status == 400 else "",
    )


def _may_pass(status: int) -> bool:
    return status in _PASSING or status >= 500


def retry_after_s(value: str | None) -> float:
    """Seconds that a ``Retry-After`` asks for (RFC 9110, 10.2.3): a number, or a date to wait for."""
    if not value:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0
