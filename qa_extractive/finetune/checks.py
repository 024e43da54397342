"""Whether a job can be learned and measured: what is wrong, what is odd, and the rows that are left."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qa_extractive.alignment.align import align_examples
from qa_extractive.alignment.types import AlignmentReport
from qa_extractive.data.contexts import Context
from qa_extractive.data.loading import Problem
from qa_extractive.errors import DataError
from qa_extractive.finetune.job import Job, folded
from qa_extractive.types import Example

MIN_TEST_ROWS = 30
_N_SHOWN = 3
_INVISIBLE = frozenset("\u200b\u2060\ufeff\u00ad")
_KEPT_CONTROLS = frozenset("\n\r\t")


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found out about a job, a line each.

    Attributes:
        errors: Why it cannot be used.
        warnings: What is odd, and what was done about it.
        facts: What there is.
    """

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckedJob:
    """A job whose rows are aligned and whose copies and leaks are left out.

    Attributes:
        job: With the rows that are left.
        findings: What was found out.
        train_alignment: How many answers of the training rows stand in their texts.
        test_alignment: The same of the test rows.
    """

    job: Job
    findings: Findings
    train_alignment: AlignmentReport
    test_alignment: AlignmentReport

    def require_usable(self) -> None:
        """Raise DataError, with all that is wrong on one line, where there are errors."""
        errors = self.findings.errors
        if errors:
            more = f"{len(errors)} things are wrong: " if len(errors) > 1 else ""
            raise DataError(f"{self.job.name} cannot be used: {more}{'; '.join(errors)}")


def check(job: Job, *, accepts: Callable[[Example], bool] = lambda _: True) -> CheckedJob:
    """Align the rows of a job, leave out copies and what leaks from the test rows, and say so.

    Args:
        job: As read.
        accepts: Whether the base can read an example: not where its question is too long.
    """
    notes = _Notes()
    train = notes.without("training row", "its question is too long for the base", job.train, accepts)
    test = job.test  # a row that is too long to be read fails there, and counts
    train = _without_copies(train, notes)
    _note_contradictions(train, notes)
    train = _without_leaks(train, test, notes)
    contexts = _without_test_contexts(job.contexts, test, notes)
    _note_odd_text(train, test, contexts, notes)
    replay = _replayed(job.replay, test, accepts, notes)
    aligned, aligned_test = align_examples(train), align_examples(test)
    checked = replace(
        job, train=aligned.examples, test=aligned_test.examples, contexts=contexts, replay=replay
    )
    notes.facts = [*_facts(checked, aligned.report, aligned_test.report), *notes.facts]
    if job.problems:
        notes.warnings.insert(0, f"{len(job.problems)} rows cannot be read: {_shown(job.problems)}")
    _note_numbers(checked, aligned.report, notes)
    errors = job.errors or tuple(_errors(checked, aligned.report))
    findings = Findings(errors, tuple(notes.warnings), tuple(notes.facts))
    return CheckedJob(checked, findings, aligned.report, aligned_test.report)


class _Notes:
    """Warnings and facts as they come up."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.facts: list[str] = []

    def without(
        self, what: str, why: str, examples: Iterable[Example], keep: Callable[[Example], bool]
    ) -> tuple[Example, ...]:
        """The examples to keep; the others are counted."""
        given = list(examples)
        kept = [example for example in given if keep(example)]
        if len(kept) < len(given):
            out = set(map(id, kept))
            ids = [e.id for e in given if id(e) not in out]
            self.warnings.append(f"{_counted(len(ids), what)} left out ({_some(ids)}): {why}")
        return tuple(kept)


def _without_copies(train: Sequence[Example], notes: _Notes) -> tuple[Example, ...]:
    seen: set[Any] = set()

    def is_new(example: Example) -> bool:
        key = (*_asked(example), tuple(map(folded, example.references)), example.answerable)
        is_copy = key in seen
        seen.add(key)
        return not is_copy

    return notes.without("training row", "a copy of an earlier one", train, is_new)


def _note_contradictions(train: Sequence[Example], notes: _Notes) -> None:
    answers: defaultdict[Any, list[Example]] = defaultdict(list)
    for example in train:
        answers[_asked(example)].append(example)
    ids = [own[0].id for own in answers.values() if len(own) > 1]
    if ids:
        notes.warnings.append(
            f"{_counted(len(ids), 'training question')} with more than one answer to the same text "
            f"({_some(ids)}): all are kept"
        )


def _without_leaks(train: Sequence[Example], test: Sequence[Example], notes: _Notes) -> tuple[Example, ...]:
    asked = set(map(_asked, test))
    kept = notes.without("training row", "it is a test row too", train, lambda e: _asked(e) not in asked)
    texts = {folded(e.question.context) for e in test if e.question.context.strip()}
    shared = [e.id for e in kept if folded(e.question.context) in texts]
    if shared:
        notes.warnings.append(
            f"{_counted(len(shared), 'training row')} on a text of the test rows, with another question "
            f"({_some(shared)}): kept, but the test is easier for it"
        )
    repeated = [ids[0] for ids in _by_question(test).values() if len(ids) > 1]
    if repeated:
        notes.warnings.append(
            f"{_counted(len(repeated), 'test question')} asked more than once ({_some(repeated)}): kept"
        )
    return kept


def _replayed(
    replay: Sequence[Example],
    test: Sequence[Example],
    accepts: Callable[[Example], bool],
    notes: _Notes,
) -> tuple[Example, ...]:
    asked = set(map(_asked, test))
    kept = notes.without("replayed row", "its question is too long for the base", replay, accepts)
    kept = notes.without("replayed row", "it is a test row too", kept, lambda e: _asked(e) not in asked)
    return align_examples(kept).examples


def _by_question(examples: Sequence[Example]) -> dict[Any, list[str]]:
    found: defaultdict[Any, list[str]] = defaultdict(list)
    for example in examples:
        found[_asked(example)].append(example.id)
    return found


def _without_test_contexts(
    contexts: Sequence[Context], test: Sequence[Example], notes: _Notes
) -> tuple[Context, ...]:
    texts = {folded(e.question.context) for e in test}
    kept: dict[tuple[str, str], Context] = {}
    n_test = 0
    for context in contexts:
        text = folded(context.text)
        n_test += text in texts
        if text not in texts:
            kept.setdefault((text, folded(context.question or "")), context)
    n_copies = len(contexts) - n_test - len(kept)
    for n, why in ((n_test, "they are texts of the test rows"), (n_copies, "copies of earlier ones")):
        if n:
            notes.warnings.append(f"{_counted(n, 'unlabelled text')} left out: {why}")
    return tuple(kept.values())


def _note_odd_text(
    train: Sequence[Example], test: Sequence[Example], contexts: Sequence[Context], notes: _Notes
) -> None:
    """What a scraper or a wrong encoding leaves in texts; they are used as they are."""
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    texts = [
        (e.id, f"{e.question.question}\n{e.question.context}\n{' '.join(e.references)}")
        for e in (*train, *test)
    ]
    for name, text in [*texts, *((context.id, context.text) for context in contexts)]:
        for kind in _odd_kinds(text):
            kinds[kind].append(name)
    notes.warnings += [
        f"{_counted(len(ids), 'text')} with {kind} ({_some(ids)}): used as they are"
        for kind, ids in sorted(kinds.items())
    ]


def _odd_kinds(text: str) -> set[str]:
    kinds = set()
    for character in set(text):
        category = unicodedata.category(character)
        if character == "\ufffd":
            kinds.add("replacement characters, of a wrong encoding")
        elif character in _INVISIBLE:
            kinds.add("invisible characters")
        elif category == "Cs":
            kinds.add("lone surrogates")
        elif category == "Cc" and character not in _KEPT_CONTROLS:
            kinds.add("control characters")
    return kinds


def _facts(job: Job, train: AlignmentReport, test: AlignmentReport) -> list[str]:
    return [
        _counted_rows("training row", job.train, train),
        _counted_rows("test row", job.test, test),
        *([f"{_counted(len(job.contexts), 'unlabelled text')}"] if job.contexts else []),
        *([f"{_counted(len(job.replay), 'replayed row')}"] if job.replay else []),
        *([f"description: {job.description}"] if job.description else []),
    ]


def _counted_rows(what: str, examples: Sequence[Example], report: AlignmentReport) -> str:
    n_without = sum(example.answerable is False for example in examples)
    tiers = ", ".join(f"{tier.tier} {tier.n}" for tier in report.tiers if tier.n)
    found = f"{report.n_labelled} of {_counted(report.n, 'answer')} found in their texts"
    oracle = f"; best F1 that any span could reach {100 * report.oracle_f1:.1f}" if report.n_oracle else ""
    without = f"; {n_without} without an answer" if n_without else ""
    return f"{_counted(len(examples), what)}: {found}{f' ({tiers})' if tiers else ''}{without}{oracle}"


def _note_numbers(job: Job, train: AlignmentReport, notes: _Notes) -> None:
    if 0 < len(job.test) < MIN_TEST_ROWS:
        notes.warnings.append(
            f"only {_counted(len(job.test), 'test row')}: differences will be mostly chance"
        )
    lost = train.tier("none").n
    if lost:
        ids = [e.id for e in job.train if e.references and not e.spans and e.answerable is not False]
        notes.warnings.append(
            f"{_counted(lost, 'answer')} of the training rows not found in their texts ({_some(ids)}): "
            "these rows teach nothing"
        )


def _errors(job: Job, train: AlignmentReport) -> list[str]:
    errors = []
    unread = f": {_shown(job.problems)}" if job.problems else ""
    if not job.train and not job.contexts:
        errors.append(f"there is no training row that can be used{unread}")
    elif job.train and not any(e.is_labelled for e in job.train):
        labelled = any(e.references for e in job.train)
        errors.append(
            "no answer of the training rows stands in its text"
            if labelled
            else "the training rows have no answers: name their column with --answer-column"
        )
    if not job.test:
        errors.append(f"there is no test row that can be used{unread}")
    elif all(e.answerable is None and not e.references for e in job.test):
        errors.append("the test rows have no answers: name their column with --answer-column")
    return errors


def _shown(problems: Sequence[Problem]) -> str:
    return "; ".join(f"{p.path.name}, row {p.row}: {p.message}" for p in problems[:_N_SHOWN])


def _asked(example: Example) -> tuple[str, str]:
    return folded(example.question.question), folded(example.question.context)


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _some(ids: Sequence[str]) -> str:
    names = list(Counter(ids))
    return ", ".join(names[:_N_SHOWN]) + (", ..." if len(names) > _N_SHOWN else "")
