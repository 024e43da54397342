"""What came of sorting papers -> ``report.md``, ``report.json`` and the table of the terminal."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from qa_extractive.finetune.triage.rows import TriageRows
from qa_extractive.finetune.triage.run import TriageOutcome
from qa_extractive.finetune.triage.scores import Difference, Score
from qa_extractive.report.blocks import Block, Bullets, Section, Table, plain
from qa_extractive.report.cells import count, decimal, number, percent, points, signed
from qa_extractive.report.markdown import markdown
from qa_extractive.tables.writing import replace_surrogates

MARKDOWN_FILE, JSON_FILE = "report.md", "report.json"
_HEADER = ("", "accuracy", "F1 of yes", "AUROC", "calibration error", "s for 1,000")


def write_triage(folder: Path, outcome: TriageOutcome) -> Path:
    """Write both files; the path of the Markdown."""
    path = folder / MARKDOWN_FILE
    path.write_text(markdown(triage_section(outcome)), encoding="utf-8", errors="replace")
    values = json.dumps(replace_surrogates(triage_values(outcome)), indent=1, ensure_ascii=False)
    (folder / JSON_FILE).write_text(values + "\n", encoding="utf-8")
    return path


def rows_lines(rows: TriageRows) -> list[str]:
    """What was read, as lines for a terminal."""
    problems = [f"warning: {plain(str(problem))}" for problem in rows.problems[:3]]
    more = len(rows.problems) - len(problems)
    return [
        *problems,
        *([f"warning: {more:,} more rows cannot be used"] if more > 0 else []),
        *(f"warning: {line}" for line in rows.warnings),
        *_facts(rows),
    ]


def score_lines(outcome: TriageOutcome) -> list[str]:
    """The table of scores as lines of a Markdown table, then the differences."""
    cells = [_HEADER, *map(_row, outcome.scores)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(_HEADER))]
    lines = [f"| {' | '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))} |" for row in cells]
    rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
    return [lines[0], rule, *lines[1:], *map(_difference, outcome.differences)]


def triage_section(outcome: TriageOutcome) -> Section:
    """The whole report."""
    blocks: list[Block] = [
        Bullets(tuple(map(plain, (*_facts(outcome.rows), _how(outcome), *outcome.rows.warnings)))),
        Table(
            "Test rows; shares in percent, 95 % bootstrap intervals over whole documents",
            _HEADER,
            tuple(map(_row, outcome.scores)),
        ),
        Bullets(tuple(map(_difference, outcome.differences))),
    ]
    if outcome.by_question:
        header = ("question", "rows", "yes", *(f"{s.system}: accuracy, AUROC" for s in outcome.scores))
        cells = tuple(_question_row(asked, own) for asked, own in outcome.by_question.items())
        blocks.append(Table("By question", header, cells))
    if outcome.rows.problems:
        shown = [plain(str(problem)) for problem in outcome.rows.problems[:20]]
        blocks.append(Section(f"Not used ({len(outcome.rows.problems)})", (Bullets(tuple(shown)),)))
    return Section(f"Sorting papers: {plain(outcome.rows.name)}", tuple(blocks))


def triage_values(outcome: TriageOutcome) -> dict[str, Any]:
    """The same as plain values that ``json`` can write; no path of this machine."""
    return {
        "rows": outcome.rows.name,
        "n_train": len(outcome.rows.train),
        "n_train_yes": _n_yes(outcome.rows.train),
        "n_test": len(outcome.rows.test),
        "n_test_yes": _n_yes(outcome.rows.test),
        "n_not_used": len(outcome.rows.problems),
        "warnings": outcome.rows.warnings,
        "train_encoder": outcome.settings.train_encoder,
        "trained": dataclasses.asdict(outcome.trained),
        "systems": {s.system: dataclasses.asdict(s) for s in outcome.scores},
        "differences": [d.to_dict() for d in outcome.differences],
        "by_question": {
            asked: {s.system: dataclasses.asdict(s) for s in own}
            for asked, own in outcome.by_question.items()
        },
    }


def _facts(rows: TriageRows) -> Iterator[str]:
    for what, own in (("training", rows.train), ("test", rows.test)):
        documents, questions = {e.document for e in own}, {e.question.question for e in own}
        share = percent(_n_yes(own) / len(own))
        yield (
            f"{len(own):,} {what} rows of {len(documents):,} texts and {len(questions):,} questions: "
            f"{_n_yes(own):,} yes ({share} %)"
        )


def _how(outcome: TriageOutcome) -> str:
    trained = outcome.trained
    what = "encoder and answerability head" if outcome.settings.train_encoder else "answerability head alone"
    spans = "the spans are the base's, to the bit" if trained.keeps_spans else "the spans may differ"
    return (
        f"trained: {what}, {trained.n_steps} steps on {trained.n_trained:,} rows in {trained.seconds:.0f} s, "
        f"probability fitted on {trained.n_calibrated:,} rows not seen; {spans}"
    )


def _n_yes(rows: Sequence[Any]) -> int:
    return sum(bool(example.answerable) for example in rows)


def _row(score: Score) -> tuple[str, ...]:
    return (
        score.system,
        percent(score.accuracy, score.accuracy_interval),
        percent(score.f1, score.f1_interval),
        decimal(score.auroc, score.auroc_interval),
        decimal(score.calibration_error),
        number(score.s_per_1000),
    )


def _question_row(asked: str, scores: Sequence[Score]) -> tuple[str, ...]:
    cells = (f"{percent(score.accuracy)}, {decimal(score.auroc)}" for score in scores)
    return (plain(asked, 80), count(scores[0].n), count(scores[0].n_yes), *cells)


def _difference(difference: Difference) -> str:
    shown = signed if difference.figure == "auroc" else points
    name = {"f1": "F1 of yes", "auroc": "AUROC"}.get(difference.figure, difference.figure)
    value = shown(difference.difference, difference.interval)
    return f"{difference.system} against {difference.against}, {name}: {value}"
