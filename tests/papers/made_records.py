"""Made-up records of papers, each with a token of its own in its title and its abstract."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass

from qa_extractive.papers.reading import Outcome, Skipped

N_RECORDS = 1000
TOKEN = re.compile(r"zq\d{4}qz")
_SUBJECTS = "Moss;Bracken on slates;“Quoted” lichen;Ferns, sedges & rushes;A/B peat: part 2".split(";")
_LATIN = (
    "The growth of the moss was measured in 14 plots (p < 0.05; 95% CI 1.2-3.4)",
    '"Wet" plots held 3.2 l, which is more than the dry ones; the others held 10-20 ml',
    "Grün, Ångström & Núñez saw the same of 5 µm spores at 20 °C",
    "el musgo de los tejados pesa más que la hierba de las paredes",
    "We did not see a change, as the slates were heated to 40 °C and then left in the rain",
)
_OTHERS = (
    "Мох на крыше удерживает воду",
    "屋顶上的苔藓保持水分",
    "الطحالب على السطح تحتفظ بالماء",
    "το βρύο κρατά το νερό (α = 0,05)",
)
_FAMILIES = ("Green", "Roe", "O'Moss", "Núñez Peat", "van der Fern")


@dataclass(frozen=True, slots=True)
class Record:
    """A record; what it has not is empty or None.

    Attributes:
        number: Its place in the export, from 1.
        paragraphs: Of its abstract.
        authors: Family name, comma, given name.
    """

    number: int
    title: str
    paragraphs: tuple[str, ...]
    year: int | None
    doi: str | None
    authors: tuple[str, ...]

    @property
    def abstract(self) -> str:
        return " ".join(self.paragraphs)


def made_records(*, only_latin: bool = False) -> list[Record]:
    """The records of an export, the same each time."""
    rng = random.Random(7)
    return [_record(number, rng, only_latin) for number in range(1, N_RECORDS + 1)]


def _record(number: int, rng: random.Random, only_latin: bool) -> Record:
    token = f"zq{number:04d}qz"
    sentences = [rng.choice(_LATIN) for _ in range(rng.randint(1, 5))]
    if not only_latin and number % 5 == 0:
        sentences.append(rng.choice(_OTHERS))
    first = f'"{token}" began it.' if number % 6 == 0 else f"Of {token} we know little."
    paragraphs = (first, ". ".join(sentences) + ".")
    authors = [f"{rng.choice(_FAMILIES)}, {given}" for given in "Anne Rick Jo".split()[: rng.randint(1, 3)]]
    return Record(
        number,
        f"{rng.choice(_SUBJECTS).strip('“”' if only_latin else '')}, {token}, in {rng.randint(2, 9)} places",
        () if number % 10 == 3 else paragraphs,
        None if number % 11 == 4 else rng.randint(1950, 2026),
        None if number % 7 == 2 else f"10.9999/moss.{number}",
        () if number % 13 == 5 else tuple(authors),
    )


def assert_counted(found: Iterable[Outcome], records: list[Record]) -> None:
    """Each record is exactly one row, with what it has, or one that was skipped for having no text."""
    outcomes = list(found)
    assert len(outcomes) == len(records)
    by_number: dict[int, Outcome] = {}
    for each in outcomes:
        number = each.record if isinstance(each, Skipped) else each[0]
        assert number is not None, each
        assert number not in by_number
        by_number[number] = each
    for record in records:
        outcome = by_number[record.number]
        if isinstance(outcome, Skipped):
            assert (outcome.kind, record.paragraphs) == ("no text", ()), outcome
            continue
        paper = outcome[1]
        assert TOKEN.findall(paper.title) == TOKEN.findall(paper.text) == TOKEN.findall(record.title)
        assert (paper.title, paper.abstract) == (record.title, record.abstract), (paper, record)
        assert (paper.year, paper.doi) == (record.year, record.doi), (paper, record)
