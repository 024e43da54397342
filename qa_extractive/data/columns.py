"""Which column of a table plays which part, found by its usual name or named by the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

from qa_extractive.errors import DataError
from qa_extractive.tables.headers import NO_REPEATS, Repeats, fold
from qa_extractive.tables.reading import Row
from qa_extractive.types import Question

# The usual names, lower case, in the order in which they are looked for.
_USUAL = {
    "question": ("question", "query", "claim"),
    "context": ("context", "abstract", "paper", "text", "passage", "document"),
    "title": ("title",),
    "answer": ("answer", "answers", "reference", "references"),
    "id": ("id",),
    "answerable": ("answerable",),
}
# Those that no option names.
_IMPOSSIBLE = ("is_impossible", "impossible", "unanswerable")
_START, _END = ("answer_start",), ("answer_end",)
_VERDICT = ("verdict",)
# The columns of SQuAD as the Hugging Face hub has it, where ``title`` names a document.
_SQUAD_TABLE = {"id", "title", "context", "question", "answers"}
_N_NAMES_SHOWN = 30

COMMAND_REMEDY = "--{part}-column NAME"
"""How a column is named on the command line."""


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The columns a user names (``--question-column`` and its like); None is to be found by usual names.

    Attributes:
        question: Else ``question``, ``query`` or ``claim``.
        context: Else ``context``, ``abstract``, ``paper``, ``text``, ``passage`` or ``document``.
        title: Else ``title``.
        answer: Else ``answer``, ``answers``, ``reference`` or ``references``.
        id: Else ``id``.
        answerable: Else ``answerable``.
    """

    question: str | None = None
    context: str | None = None
    title: str | None = None
    answer: str | None = None
    id: str | None = None
    answerable: str | None = None


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The columns of one table by the part they play, spelled as in the table; None: it has none.

    Attributes:
        question: Of the question.
        context: Of the context.
        title: Of the paper's title.
        answer: Of the reference answers.
        id: Of the id.
        answerable: Of whether the context answers the question.
        document: Of the document's id; only in SQuAD's own layout, where the column ``title`` holds it.
        impossible: Of whether the context does not answer the question, as SQuAD 2.0 says it.
        start: Of where the answer starts.
        end: Of where it ends.
        is_annotated: Whether an annotation tool wrote it: a row without an answer is not labelled yet.
        verdict: Of what the context says to a yes/no question; it stays among the further fields, since
            other tables have other things there.
    """

    question: str
    context: str
    title: str | None = None
    answer: str | None = None
    id: str | None = None
    answerable: str | None = None
    document: str | None = None
    impossible: str | None = None
    start: str | None = None
    end: str | None = None
    is_annotated: bool = False
    verdict: str | None = None

    @property
    def asked(self) -> frozenset[str]:
        """The columns that a question is made of."""
        return frozenset(name for name in (self.question, self.context, self.title) if name is not None)

    @property
    def used(self) -> frozenset[str]:
        """The columns that play a part; what is left are further fields."""
        names = astuple(replace(self, verdict=None))
        return frozenset(name for name in names if isinstance(name, str))

    @property
    def if_silent(self) -> bool | None:
        """What a row without an answer says that says nothing else: that there is none, or nothing."""
        return None if self.answer is None or self.is_annotated or self.impossible else False


def resolve_columns(
    columns: Sequence[str],
    names: ColumnNames,
    *,
    need_answer: bool = False,
    repeats: Repeats = NO_REPEATS,
    remedy: str = COMMAND_REMEDY,
) -> TableColumns:
    """Find the columns, whatever the case of their names and the white space around them.

    A table with exactly the columns id, title, context, question and answers is SQuAD: its title is
    taken for a document's id, unless ``names.title`` says otherwise.

    Args:
        columns: The columns there are.
        names: Those the user named.
        need_answer: Whether a table without answers is an error.
        repeats: Which columns share a name.
        remedy: How the caller's user names a column, with ``{part}`` for what it holds.

    Raises:
        DataError: A named or needed column is missing; it lists the columns and gives the remedy. Or several
            columns of one name hold different things, and none was named by the user.
    """
    found = {part: _find(columns, part, getattr(names, part), repeats, remedy) for part in _USUAL}
    for part in ("question", "context", "answer") if need_answer else ("question", "context"):
        if found[part] is None:
            raise _missing(columns, part, "no column for it by a usual name", remedy)
    title, document = found["title"], None
    if names.title is None and {fold(name) for name in columns} == _SQUAD_TABLE:
        title, document = None, title
    return TableColumns(
        question=found["question"] or "",
        context=found["context"] or "",
        title=title,
        answer=found["answer"],
        id=found["id"],
        answerable=found["answerable"],
        document=document,
        impossible=_first(columns, _IMPOSSIBLE),
        start=_first(columns, _START),
        end=_first(columns, _END),
        verdict=_first(columns, _VERDICT),
    )


def context_columns(
    columns: Sequence[str], names: ColumnNames, repeats: Repeats = NO_REPEATS
) -> tuple[str, str | None, str | None]:
    """The columns of the context, of the title and of the question of a table that may ask nothing.

    Args:
        columns: The columns there are.
        names: Those the user named. A title or question so named may be missing.
        repeats: Which columns share a name.

    Raises:
        DataError: There is no context, the one named is missing, or it is not clear which column it is.
    """
    context = _by_name(columns, names.context) if names.context else _find(columns, "context", None, repeats)
    if context is None:
        raise _missing(columns, "context", "no column for it")
    title, question = (
        _find(columns, part, named if named and _by_name(columns, named) else None, repeats)
        for part, named in (("title", names.title), ("question", names.question))
    )
    return context, title, question


def question_from_row(row: Row, columns: TableColumns) -> Question:
    """The question of a row; a blank title is none, and no context an empty one.

    Raises:
        DataError: The row is bad, it has no question, or a cell is no text.
    """
    if row.error is not None:
        raise DataError(row.error)
    question, context = row.values.get(columns.question), row.values.get(columns.context)
    if question is None:
        raise DataError(f"column {columns.question!r} has no value: give text")
    context = "" if context is None else context
    title = None if columns.title is None else row.values.get(columns.title)
    if isinstance(title, str) and not title.strip():
        title = None
    return Question(question=question, context=context, title=title)


def _find(
    columns: Sequence[str], part: str, named: str | None, repeats: Repeats, remedy: str = COMMAND_REMEDY
) -> str | None:
    if named is not None:
        if named in columns:
            return named
        match = _by_name(columns, named)
        if match is None:
            raise _missing(columns, part, f"no column is named {named!r}", remedy)
        return match
    open_to_choice = [name for name in columns if name not in repeats.shadowed]
    found = _first(open_to_choice, _USUAL[part])
    if found in repeats.contested:
        same = [name for name in columns if name in repeats.contested and fold(name).startswith(fold(found))]
        shown = ", ".join(map(repr, same[:_N_NAMES_SHOWN]))
        use = remedy.format(part=part)
        raise DataError(f"{part}: several columns are named {found!r} and differ (here {shown}): use {use}")
    return found


def _first(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """The first of some names that is a column, as spelled there."""
    return next(filter(None, (_by_name(columns, name) for name in names)), None)


def _by_name(columns: Sequence[str], wanted: str) -> str | None:
    same = [name for name in columns if fold(name) == fold(wanted)]
    return wanted if wanted in same else next(iter(same), None)


def _missing(columns: Sequence[str], part: str, what: str, remedy: str = COMMAND_REMEDY) -> DataError:
    shown = ", ".join(repr(name) for name in columns[:_N_NAMES_SHOWN])
    more = ", ..." if len(columns) > _N_NAMES_SHOWN else ""
    hint = ""
    if len(columns) == 1 and any(mark in columns[0] for mark in ";\t|"):
        hint = " (its cells are not parted by what its name says: save it again as CSV or TSV)"
    return DataError(f"{part}: {what}; the columns are {shown}{more}: use {remedy.format(part=part)}{hint}")
