"""An OpenAI-compatible chat-completions endpoint: messages in, a text and its token counts out.

The protocol is that of ``POST {base_url}/chat/completions``
(https://platform.openai.com/docs/api-reference/chat), which vLLM, llama.cpp, Ollama and most hosts speak; the
package ``openai`` sends the requests. They are paced, repeated where that may help, and never redirected: the
key stays with one host. The package's own retries are off: they keep no rate, wait two minutes at most, and
do not hold the other threads back.
"""

from __future__ import annotations

import logging
import math
import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from qa_extractive.errors import QAError
from qa_extractive.evaluation.chat_protocol import RefusedError, Reply, refusal_of, reply_of
from qa_extractive.evaluation.usage import Prices

DEFAULT_BASE_URL = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"

_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.5, 30.0
_RENAMED = {"max_tokens": "max_completion_tokens"}
_DROPPED = frozenset({"temperature", "seed"})
_N_UNREACHED = 3
_SHOWN_CHARACTERS = 200

_NO_PRICES = Prices()

_log = logging.getLogger(__name__)

ChatMessage = Mapping[str, str]


def _environment_key() -> str | None:
    """The key in the environment, without the line break that files put after it; None for none."""
    return os.environ.get(KEY_VARIABLE, "").strip() or None


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Where a generative model answers, and how it is asked.

    Attributes:
        base_url: What stands before ``/chat/completions``.
        api_key: Sent as a bearer token; None for none. By default that of $OPENAI_API_KEY.
        prices: Of a million tokens, for the cost.
        requests_per_minute: At most this many requests in any minute, evenly spaced; None for no limit.
        n_concurrent: Requests at once.
        n_retries: Times that a request is repeated after a 408, 409, 425, 429 or 5xx, a timeout or a
            broken connection.
        timeout_s: Seconds without a byte after which a request counts as lost.
        max_tokens: The longest reply, reasoning included where the model reasons.
        seed: Sent with each request, and of the jitter.
    """

    base_url: str = DEFAULT_BASE_URL
    api_key: str | None = field(default_factory=_environment_key, repr=False)
    prices: Prices = _NO_PRICES
    requests_per_minute: float | None = None
    n_concurrent: int = 4
    n_retries: int = 5
    timeout_s: float = 60.0
    max_tokens: int = 512
    seed: int = 17

    def __post_init__(self) -> None:
        """Raise QAError for a URL or a number that cannot be used."""
        if "@" in self.base_url:
            raise QAError(f"the base URL must hold no user or password: put the key into {KEY_VARIABLE}")
        if not _is_base_url(self.base_url):
            raise QAError(f"base URL {self.base_url!r} is not like http://localhost:8000/v1")
        rates = (1.0 if self.requests_per_minute is None else self.requests_per_minute, self.timeout_s)
        if not all(math.isfinite(rate) and rate > 0.0 for rate in rates):
            raise QAError("requests_per_minute and timeout_s must be positive")
        if self.n_concurrent < 1 or self.n_retries < 0 or self.max_tokens < 1:
            raise QAError("n_concurrent and max_tokens must be at least 1, n_retries at least 0")

    @property
    def url(self) -> str:
        """The address of the endpoint."""
        return f"{self.base_url.rstrip('/')}/chat/completions"

    @property
    def needs_key(self) -> bool:
        """Whether it is known to refuse requests without a key; a local server seldom wants one."""
        return urlsplit(self.base_url).hostname == urlsplit(DEFAULT_BASE_URL).hostname


def _is_base_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        is_http = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False
    return is_http and not (url.query or url.fragment) and text.isascii() and not re.search(r"[\s\0]", text)


class RateLimiter:
    """Lets requests through evenly spaced. Safe to use from several threads at once."""

    def __init__(
        self, per_minute: float | None, *, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        """Take the limit, None for none, and what tells and what passes the time, in seconds."""
        self._interval = 60.0 / per_minute if per_minute else 0.0
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._next = -math.inf

    def wait(self) -> None:
        """Return when the next request may be made."""
        with self._lock:
            now = self._clock()
            at = max(now, self._next)
            self._next = at + self._interval
        if at > now:
            self._sleep(at - now)

    def hold(self, seconds: float) -> None:
        """Let no further request through for so long; those that already wait for their turn go on."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)


class ChatEndpoint:
    """One model behind an endpoint. Safe to use from several threads at once.

    Where a request shows that none can succeed (a wrong key, model or URL, an empty account, a server
    that three requests in all their attempts never reached), the later ones fail at once.
    """

    def __init__(
        self,
        model: str,
        settings: EndpointSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the model's name at the endpoint; nothing is sent yet."""
        import openai

        self.n_requests = 0
        self.refused_parameters: tuple[str, ...] = ()
        self._model, self._settings, self._sleep = model, settings, sleep
        self._headers = {} if settings.api_key else {"Authorization": openai.Omit()}
        self._limiter = RateLimiter(settings.requests_per_minute, clock=clock, sleep=sleep)
        self._parameters = {"temperature": 0, "seed": settings.seed, "max_tokens": settings.max_tokens}
        self._client = openai.OpenAI(
            base_url=settings.base_url,
            api_key=settings.api_key or "none",
            timeout=settings.timeout_s,
            max_retries=0,
            http_client=openai.DefaultHttpxClient(follow_redirects=False),
        )
        self._random = random.Random(settings.seed)
        self._lock = threading.Lock()
        self._has_replied = False
        self._n_unreached = 0
        self._given_up: str | None = None

    def complete(self, messages: Sequence[ChatMessage]) -> Reply:
        """The model's reply at temperature 0.

        Raises:
            QAError: There is none, after the retries.
        """
        n_tried = 0
        while True:
            if self._given_up is not None:
                raise QAError(self._given_up)
            n_tried += 1
            try:
                reply = self._ask(messages)
            except RefusedError as refusal:
                if not refusal.is_passing or n_tried > self._settings.n_retries:
                    raise QAError(self._failed(refusal, n_tried)) from None
                self._pause(refusal, n_tried)
            else:
                self._has_replied = True
                return reply

    def _ask(self, messages: Sequence[ChatMessage]) -> Reply:
        """The reply to one request, or to a few where the endpoint does not know a parameter."""
        while True:
            body = {"model": self._model, "messages": list(messages), **self._parameters}
            try:
                return self._send(body)
            except RefusedError as refusal:
                if not self._adapt(refusal.parameter, body):
                    raise

    def _adapt(self, parameter: str, body: Mapping[str, Any]) -> bool:
        """Rename or drop a parameter that was sent and refused; False if it is none of those."""
        if parameter not in body or parameter not in (*_RENAMED, *_DROPPED):
            return False
        with self._lock:
            if parameter in self._parameters:
                value = self._parameters[parameter]
                kept = {name: each for name, each in self._parameters.items() if name != parameter}
                renamed = {_RENAMED[parameter]: value} if parameter in _RENAMED else {}
                self._parameters = kept | renamed
                if not renamed:
                    self.refused_parameters += (parameter,)
                    _log.warning("%s takes no %s: it is left out", self._model, parameter)
        return True

    def _send(self, body: Mapping[str, Any]) -> Reply:
        from openai import APIConnectionError, APIStatusError

        self._limiter.wait()
        with self._lock:
            self.n_requests += 1
        try:
            chat = self._client.chat.completions.with_raw_response
            return reply_of(chat.create(**body, extra_headers=self._headers).content)
        except APIStatusError as error:
            raise refusal_of(error.status_code, error.body, error.response.headers) from None
        except (APIConnectionError, UnicodeError) as error:  # time-outs, lost connections, impossible names
            reason = error.__cause__ or error
            message = f"{type(reason).__name__}: {reason}"
            raise RefusedError(message, is_passing=True, is_reached=False) from None

    def _pause(self, refusal: RefusedError, n_tried: int) -> None:
        """Wait as long as the endpoint asks, all threads, or else twice as long as last time.

        Half of that is random, so that requests that failed together do not return together.
        """
        if refusal.wait_s > 0.0:
            self._limiter.hold(refusal.wait_s)
            return
        longest = min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** (n_tried - 1))
        self._sleep(longest * (0.5 + 0.5 * self._random.random()))

    def _failed(self, refusal: RefusedError, n_tried: int) -> str:
        """What to say of a request that is given up, and of the later ones if they share its fate."""
        tried = f", tried {n_tried} times" if n_tried > 1 else ""
        message = f"{self._settings.url}: {_one_line(self._without_key(str(refusal)))}{tried}"
        with self._lock:
            self._n_unreached += not refusal.is_reached
            is_silent = not self._has_replied and self._n_unreached >= _N_UNREACHED
            if refusal.is_final or is_silent:
                self._given_up = message
        return message

    def _without_key(self, text: str) -> str:
        return text.replace(self._settings.api_key, "***") if self._settings.api_key else text


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"
