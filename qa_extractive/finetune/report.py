"""What came of a job -> ``report.md``, ``report.json`` and the lines that the command prints."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qa_extractive.evaluation.figures import Evaluation
from qa_extractive.finetune.checks import Findings
from qa_extractive.finetune.gate import Verdict, f1_difference
from qa_extractive.finetune.outcome import FileCheck, Outcome
from qa_extractive.finetune.pseudo_labels import DROPPED, Labelled
from qa_extractive.finetune.scores import Changes, RowChange, Scores
from qa_extractive.finetune.validation import TeacherCheck
from qa_extractive.report.blocks import Block, Bullets, Paragraph, Section, Table, plain
from qa_extractive.report.calibration import held_rows
from qa_extractive.report.cells import UNDEFINED, count, decimal, percent, points
from qa_extractive.report.markdown import markdown
from qa_extractive.tables.writing import replace_surrogates

MARKDOWN_FILE, JSON_FILE = "report.md", "report.json"
_SCORES = ("", "F1 as answered", "never abstaining", "EM as answered", "abstained", "F1 against the first")
_CELL = 160


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Write ``report.md`` and ``report.json`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = markdown(outcome_section(outcome))
    (folder / MARKDOWN_FILE).write_text(text, encoding="utf-8", errors="replace")
    values = json.dumps(replace_surrogates(outcome_values(outcome)), indent=1, ensure_ascii=False)
    (folder / JSON_FILE).write_text(values + "\n", encoding="utf-8")


def findings_lines(findings: Findings) -> list[str]:
    """The findings as lines for a terminal, errors first."""
    return [
        *(f"error: {plain(line, 600)}" for line in findings.errors),
        *(f"warning: {plain(line, 600)}" for line in findings.warnings),
        *(plain(line, 600) for line in findings.facts),
    ]


def score_lines(scores: Scores) -> list[str]:
    """The table of scores as lines of a Markdown table."""
    rows = [_SCORES, *_score_rows(scores)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_SCORES))]
    lines = [f"| {' | '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))} |" for row in rows]
    return [lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]]


def verdict_lines(verdict: Verdict) -> list[str]:
    """What the gate says, a line each."""
    return [
        *(f"gate passed: {line}" for line in verdict.passed),
        *(f"gate failed: {line}" for line in verdict.failed),
    ]


def outcome_section(outcome: Outcome) -> Section:
    """The whole report."""
    blocks: list[Block] = [
        Paragraph(_headline(outcome)),
        Section("Scores", tuple(_scores(outcome))),
        Section("Threshold and probabilities", tuple(_calibrated(outcome))),
        Section("The file", tuple(_file(outcome.file))),
        Section("The data", tuple(_data(outcome.checked.findings))),
        Section("The teacher", tuple(_teacher(outcome.teacher))),
        Section("What the unlabelled texts gave", tuple(_labelled(outcome.labelled, outcome.has_logits))),
    ]
    if outcome.changes is not None:
        blocks.append(Section("Row by row", tuple(_changes(outcome.changes, outcome))))
    blocks.append(Section("Settings", (_settings(outcome),)))
    return Section(f"Task {plain(outcome.checked.job.name)}", tuple(blocks))


def outcome_values(outcome: Outcome) -> dict[str, Any]:
    """The same as plain values that ``json`` can write; no path of this machine."""
    job = outcome.checked.job
    return {
        "task": job.name,
        "n_train": len(job.train),
        "n_test": len(job.test),
        "n_unlabelled": len(job.contexts),
        "findings": dataclasses.asdict(outcome.checked.findings),
        "train_alignment": outcome.checked.train_alignment.to_dict(),
        "test_alignment": outcome.checked.test_alignment.to_dict(),
        "teacher": None if outcome.teacher is None else outcome.teacher.to_dict(),
        "labelled": {
            "n_contexts": outcome.labelled.n_contexts,
            "n_without_questions": outcome.labelled.n_without_questions,
            "n_rows": len(outcome.labelled.examples),
            "sources": [counts.to_dict() for counts in outcome.labelled.counts],
            "learned_from_logits": outcome.has_logits,
        },
        "students": {name: dataclasses.asdict(s.report) for name, s in outcome.students.items()},
        "systems": {e.system: e.to_dict() for e in outcome.scores.evaluations},
        "comparisons": [c.to_dict() for c in outcome.scores.comparisons],
        "calibrated": {name: fitted.to_dict() for name, fitted in outcome.calibrated.items()},
        "choice": dataclasses.asdict(outcome.choice),
        "file": dataclasses.asdict(outcome.file),
        "gate": {"accepted": outcome.verdict.is_accepted, **dataclasses.asdict(outcome.verdict)},
        "changes": None if outcome.changes is None else outcome.changes.to_dict(),
        "settings": dataclasses.asdict(outcome.config),
    }


def _headline(outcome: Outcome) -> str:
    if outcome.verdict.is_accepted:
        return f"Shipped: {outcome.choice.name} ({outcome.choice.reason})."
    failed = "; ".join(outcome.verdict.failed)
    return f"Refused: {outcome.choice.name}. {failed}. It is kept aside and was not packed."


def _scores(outcome: Outcome) -> list[Block]:
    blocks: list[Block] = [
        Table("Test rows; percent, 95 % bootstrap intervals", _SCORES, tuple(_score_rows(outcome.scores)))
    ]
    if outcome.choice.f1:
        found = ", ".join(f"{name} {percent(f1)}" for name, f1 in outcome.choice.f1.items())
        blocks.append(Paragraph(f"Cross-validated F1 on the labelled rows, as answered: {found}."))
    lines = verdict_lines(outcome.verdict)
    return [*blocks, Bullets(tuple(lines))] if lines else blocks


def file_line(file: FileCheck) -> str:
    """The file beside its checkpoint, in a line."""
    return (
        f"F1 on the test rows, never abstaining: {percent(file.file_f1)} as {file.format}, "
        f"{percent(file.torch_f1)} in torch"
    )


def _file(file: FileCheck) -> list[Block]:
    return [
        Paragraph(f"{file_line(file)}. The format was chosen without their answers: {file.why}. Tried:"),
        Bullets(file.tried),
    ]


def _score_rows(scores: Scores) -> list[tuple[str, ...]]:
    return [_score_row(evaluation, scores) for evaluation in scores.evaluations]


def _score_row(evaluation: Evaluation, scores: Scores) -> tuple[str, ...]:
    shipped, forced = evaluation.shipped, evaluation.forced
    difference = f1_difference(scores.comparisons, evaluation.system)
    change = UNDEFINED if difference is None else points(difference.difference, difference.interval)
    return (
        plain(evaluation.system),
        percent(shipped.squad.f1, shipped.f1_interval),
        percent(forced.squad.f1, forced.f1_interval),
        percent(shipped.squad.em, shipped.em_interval),
        percent(evaluation.abstained_share),
        change,
    )


def _calibrated(outcome: Outcome) -> list[Block]:
    """What fitting across folds changed, for the student that was chosen."""
    fitted = outcome.calibrated.get(outcome.choice.name)
    if fitted is None:
        n = outcome.students[outcome.choice.name].report.n_calibration
        held_out = (
            f"Fitted to {n:,} rows that were held out." if n else "Those of the base: nothing was fitted."
        )
        return [Paragraph(held_out)]
    no_better = f"Those of the base stay: {' and '.join(fitted.worse)}"
    kept = "Those after are the student's" if fitted.is_better else no_better
    said = (
        f"{kept}. Fitted to {fitted.n} rows, {fitted.n - fitted.n_answerable} of them without an answer "
        "(made ones included), each read by a student trained without its document, and measured across "
        f"{fitted.n_folds} folds in the same way."
    )
    return [Table("Across folds", ("", "before", "after"), held_rows(fitted)), Paragraph(said)]


def _data(findings: Findings) -> list[Block]:
    return [Bullets(tuple(map(plain, (*findings.facts, *(f"Odd: {line}" for line in findings.warnings)))))]


def _teacher(check: TeacherCheck | None) -> list[Block]:
    if check is None:
        return [Paragraph("Not measured: no labelled row has an answer.")]
    header = ("", "F1, never abstaining")
    rows = [
        (plain(e.system), percent(e.forced.squad.f1, e.forced.f1_interval))
        for e in (check.teacher, *check.baselines)
    ]
    can = "It can do the task" if check.can else "It cannot do the task"
    wanted = "more than" if check.is_above else "at least"
    failed = f" It failed on {check.teacher.n_failed}." if check.teacher.n_failed else ""
    said = f"{can}: {wanted} {percent(check.bar)} was wanted on {check.teacher.n} labelled rows.{failed}"
    return [Table("The training rows that have an answer; percent", header, tuple(rows)), Paragraph(said)]


def _labelled(labelled: Labelled, has_logits: bool) -> list[Block]:
    if not labelled.n_contexts:
        return [Paragraph("There were none.")]
    header = ("questions", "made", "kept", *DROPPED)
    rows = [
        (c.kind, count(c.n_made), count(c.n_kept), *(count(c.dropped.get(why, 0)) for why in DROPPED))
        for c in labelled.counts
    ]
    learned = "its span logits too" if has_logits else "its hard labels alone"
    said = (
        f"{labelled.n_contexts:,} texts were used; {labelled.n_without_questions:,} gave no question. "
        f"The student learned from {learned}."
    )
    return [Table("Rows by how their question was made", header, tuple(rows)), Paragraph(said)]


def _changes(changes: Changes, outcome: Outcome) -> list[Block]:
    said = (
        f"{outcome.choice.name} against {outcome.base_name}, as answered: {len(changes.better)} better, "
        f"{len(changes.worse)} worse, {len(changes.same)} the same."
    )
    tables = [
        _change_table(title, rows)
        for title, rows in (("Got worse", changes.worse), ("Got better", changes.better))
        if rows
    ]
    return [Paragraph(said), *tables]


def _change_table(title: str, rows: Sequence[RowChange]) -> Table:
    header = ("row", "question", "right answer", "before", "after", "F1")
    cells = tuple(
        (
            plain(row.id, 40),
            plain(row.question, _CELL),
            plain(row.reference, _CELL) or "(no answer)",
            plain(row.before, _CELL) or "(abstained)",
            plain(row.after, _CELL) or "(abstained)",
            f"{decimal(row.before_f1)} to {decimal(row.after_f1)}",
        )
        for row in rows
    )
    return Table(f"{title} ({len(rows)})", header, cells, is_text=True)


def _settings(outcome: Outcome) -> Table:
    values = dataclasses.asdict(outcome.config)
    settings = outcome.settings
    own = {
        "temperature": settings.temperature,
        "distillation weight": settings.distillation_weight if outcome.has_logits else 0.0,
        "anchor weight": settings.anchor_weight if settings.keeps_base else 0.0,
        "texts at most": settings.labelling.n_contexts,
        "questions a text": settings.labelling.n_questions,
        "least score of the teacher": settings.labelling.min_score,
        "least agreement of the round trip": settings.labelling.min_agreement,
    }
    rows = tuple((name, str(value)) for name, value in (values | own).items())
    return Table("The run on the labelled rows, and what led to it", ("setting", "value"), rows)
