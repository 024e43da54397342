"""What reading all of PubMed costs, from what ``evidence.py`` measured, beside list prices of hosted models.

    python benchmarks/cost.py benchmarks/results/evidence.json benchmarks/results/evidence_20.json

Prints one Markdown table: CPU hours and dollars for each number of questions that was measured, then the same
work by hosted models. Prices are list prices, below, each with where and when it was read; a hosted model is
asked all questions of an abstract in one call, in a batch at half the price.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

N_ABSTRACTS = 36_000_000
CPU_HOUR = 0.0425
"""Dollars an hour and CPU: c5.2xlarge, 8 hyperthreads with VNNI, $0.34 on demand in Northern Virginia, by an
example in AWS's documentation of EC2 Auto Scaling. Spot prices and other sellers often ask less than half."""

_ABSTRACT_TOKENS, _INSTRUCTION_TOKENS = 330, 150
_QUESTION_TOKENS, _ANSWER_TOKENS = 15, 40
_BATCH = 0.5


@dataclass(frozen=True, slots=True)
class Hosted:
    """Dollars for a million tokens that are sent, and that come back."""

    name: str
    sent: float
    given: float

    def dollars(self, n_questions: int) -> float:
        """For all abstracts."""
        sent = _INSTRUCTION_TOKENS + _ABSTRACT_TOKENS + n_questions * _QUESTION_TOKENS
        given = n_questions * _ANSWER_TOKENS
        return N_ABSTRACTS * _BATCH * (sent * self.sent + given * self.given) / 1e6


HOSTED = (  # as compared at tokenmix.ai/blog/llm-api-pricing-comparison, checked there on 2026-04-30
    Hosted("Gemini 3.1 Flash-Lite", 0.25, 1.50),
    Hosted("GPT-5.4 mini", 0.75, 4.50),
    Hosted("Claude Haiku 4.5", 1.00, 5.00),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("measured", nargs="+", type=Path, help="what evidence.py wrote")
    files = [json.loads(path.read_text(encoding="utf-8")) for path in parser.parse_args().measured]
    hours: dict[int, float] = {}
    for found in files:
        hours = dict(cpu_hours(found)) | hours  # of what several measured, the first counts
    counts = sorted(hours)
    rows = [
        (f"all of PubMed, {N_ABSTRACTS:,} abstracts", [f"{n} question{'s' * (n > 1)}" for n in counts]),
        ("---", ["---"] * len(counts)),
        (f"CPU hours, {files[0]['circumstances']['cpu']}", [f"{hours[n]:,.0f}" for n in counts]),
        ("days on 64 such CPUs", [f"{hours[n] / 64 / 24:.1f}" for n in counts]),
        (f"dollars, at {CPU_HOUR} an hour and CPU", [f"{hours[n] * CPU_HOUR:,.0f}" for n in counts]),
        *((f"{each.name}, dollars", [f"{each.dollars(n):,.0f}" for n in counts]) for each in HOSTED),
    ]
    for head, cells in rows:
        print(f"| {' | '.join([head, *cells])} |")


def cpu_hours(found: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
    """The questions of each run of a file, and the CPU hours that they take of all abstracts.

    By the median of its runs, with start, reading and writing.
    """
    n_cpus = found["circumstances"]["n_cpus"]
    for name, seconds in found["seconds"].items():
        yield (
            int(name.split()[0]),
            statistics.median(seconds) / found["papers"] * N_ABSTRACTS * n_cpus / 3600,
        )


if __name__ == "__main__":
    main()
