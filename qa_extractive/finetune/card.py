"""What the card of a task's model says beside the card of its training run."""

from __future__ import annotations

from pathlib import Path

from qa_extractive.finetune.outcome import Outcome
from qa_extractive.report.cells import percent
from qa_extractive.report.markdown import escaped
from qa_extractive.training.card import CARD_FILE


def add_to_card(folder: Path, outcome: Outcome) -> None:
    """Add the task, the data and the scores to ``README.md`` of a model's folder."""
    path = folder / CARD_FILE
    known = path.read_text(encoding="utf-8") if path.is_file() else "# An extractive span reader\n"
    path.write_text(f"{known.rstrip()}\n\n{card_section(outcome)}", encoding="utf-8", errors="replace")


def card_section(outcome: Outcome) -> str:
    """The section as Markdown; it states nothing that was not measured."""
    job, labelled = outcome.checked.job, outcome.labelled
    _, evaluation = outcome.scores.of(outcome.choice.name)
    shipped, forced = evaluation.shipped, evaluation.forced
    lines = [
        f"## The task: {escaped(job.name)}",
        "",
        *([f"> {escaped(job.description)}", ""] if job.description else []),
        f"- {len(job.train):,} labelled rows, {len(job.replay):,} replayed",
        f"- {len(labelled.examples):,} rows made of {labelled.n_contexts:,} unlabelled texts; "
        f"this model: {escaped(outcome.choice.name)}",
        f"- Teacher: {_teacher(outcome)}",
        f"- F1 on {evaluation.n:,} test rows as answered: {percent(shipped.squad.f1, shipped.f1_interval)}; "
        f"never abstaining {percent(forced.squad.f1, forced.f1_interval)} (95 % bootstrap intervals)",
    ]
    return "\n".join([*lines, ""])


def _teacher(outcome: Outcome) -> str:
    check = outcome.teacher
    if check is None:
        return "not measured, for want of labelled rows with an answer"
    own = percent(check.f1, check.teacher.forced.f1_interval)
    return f"{escaped(check.teacher.system)}, F1 {own} on {check.teacher.n:,} training rows"
