"""The page does what it says: its example prints that, and its configurations start the command."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qa_extractive.cli.mcp import add_arguments

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "docs" / "MCP.md").read_text("utf-8"), re.M | re.S)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def test_the_example_prints_what_the_page_says() -> None:
    pytest.importorskip("mcp")
    (code,), (said,) = blocks("python"), blocks("text")
    started = 'command="qa-extractive", args=["mcp"]'
    assert started in code
    here = f'command={sys.executable!r}, args=["-m", "qa_extractive", "mcp"], cwd={str(ROOT)!r}'
    done = subprocess.run(
        [sys.executable, "-c", code.replace(started, here)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout == said, done.stderr


def test_the_configurations_are_understood() -> None:
    assert len(blocks("json")) == 2
    for text in blocks("json"):
        (servers,) = json.loads(text).values()
        entry = servers["qa-extractive"]
        assert entry["command"] == "qa-extractive"
        name, *given = entry["args"]
        assert name == "mcp"
        parser = argparse.ArgumentParser(exit_on_error=False)
        add_arguments(parser)
        parser.parse_args(given)
