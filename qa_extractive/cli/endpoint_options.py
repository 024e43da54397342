"""The options of ``openai:NAME``: where a generative model answers and what it costs."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qa_extractive.evaluation.chat_endpoint import EndpointSettings


def add_endpoint_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options, in a group of their own; those not given are ``EndpointSettings``' defaults."""
    group = parser.add_argument_group(
        "openai:NAME",
        "a model behind an OpenAI-compatible endpoint; the key is read from OPENAI_API_KEY, which a local "
        "server seldom wants",
    )
    group.add_argument(
        "--openai-base-url",
        metavar="URL",
        help="the URL up to /chat/completions, such as http://localhost:8000/v1 (default: OpenAI's own)",
    )
    group.add_argument(
        "--openai-rpm", type=_positive, metavar="N", help="at most N requests a minute (default: no limit)"
    )
    group.add_argument("--openai-concurrency", type=count, metavar="N", help="requests at once (default: 4)")
    group.add_argument(
        "--openai-retries", type=int, metavar="N", help="times to repeat a request that failed (default: 5)"
    )
    group.add_argument(
        "--openai-timeout", type=_positive, metavar="S", help="seconds to wait for a reply (default: 60)"
    )
    group.add_argument(
        "--openai-max-tokens",
        type=count,
        metavar="N",
        help="longest reply, reasoning included (default: 512)",
    )
    group.add_argument(
        "--openai-prompt-price", type=price, metavar="P", help="US dollars for a million prompt tokens"
    )
    group.add_argument(
        "--openai-completion-price", type=price, metavar="P", help="the same for completion tokens"
    )


def endpoint_settings(options: argparse.Namespace) -> EndpointSettings:
    """The settings that the options give; ``--seed`` is sent too.

    Raises:
        QAError: The URL or the key cannot be used.
    """
    from qa_extractive.evaluation.chat_endpoint import EndpointSettings
    from qa_extractive.evaluation.usage import Prices

    given = {
        "base_url": options.openai_base_url,
        "requests_per_minute": options.openai_rpm,
        "n_concurrent": options.openai_concurrency,
        "n_retries": options.openai_retries,
        "timeout_s": options.openai_timeout,
        "max_tokens": options.openai_max_tokens,
        "seed": options.seed,
    }
    prices = Prices(options.openai_prompt_price, options.openai_completion_price)
    settings = {name: value for name, value in given.items() if value is not None}
    return EndpointSettings(prices=prices, **settings)


def _positive(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0.0):
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


def price(text: str) -> float:
    """A number that is not negative."""
    value = float(text)
    if not (math.isfinite(value) and value >= 0.0):
        raise argparse.ArgumentTypeError(f"{text} is not a price")
    return value


def count(text: str) -> int:
    """A whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("give at least 1")
    return value
