"""Runs the example of a library on the page of the integrations, and compares what it prints."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs/INTEGRATIONS.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_DECIMAL = re.compile(r"\d+\.\d+")


def sections() -> dict[str, list[tuple[str, str]]]:
    """The language and the text of each block, by the heading that it stands below."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {heading: _BLOCK.findall(text) for heading, text in zip(parts[1::2], parts[2::2], strict=True)}


def check_example(heading: str) -> None:
    """Probabilities may differ by 0.02, as from one kind of CPU to another."""
    (_, code), (_, said) = sections()[heading]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, PAGE.name, "exec"), {})
    found = printed.getvalue()
    assert _DECIMAL.sub("N", found) == _DECIMAL.sub("N", said)
    numbers = [list(map(float, _DECIMAL.findall(text))) for text in (found, said)]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.02)
