"""Examples made up for tests: a number in its sentence, two in three answerable."""

from __future__ import annotations

from qa_extractive.types import Example, Question, Span


def made_examples(begin: int, end: int, sources: tuple[str, ...] = ("made",)) -> list[Example]:
    """Those of some numbers, each of another context; sources take turns."""
    made = []
    for i in range(begin, end):
        context = f"In the study {i} patients were treated. The risk was {i * 7} percent. We thank all."
        span = Span.cut(context, context.index("The risk"), context.index(" We thank"))
        yes = i % 3 > 0
        made.append(
            Example(
                id=str(i),
                question=Question("What was the risk?", context),
                references=(span.text,) if yes else (),
                spans=(span,) if yes else (),
                answerable=yes,
                source=sources[i % len(sources)],
            )
        )
    return made
