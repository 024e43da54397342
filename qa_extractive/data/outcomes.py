"""What reading a record comes to: an Example, or what is wrong with the record."""

from __future__ import annotations

from collections.abc import Callable

from qa_extractive.errors import DataError
from qa_extractive.types import Example

# The number of the record in its file, from 1, and what it came to.
Outcome = tuple[int, Example | DataError]


def attempt(build: Callable[[], Example], where: str = "") -> Example | DataError:
    """The Example built, or the DataError met, its message led by ``where`` if that is not empty."""
    try:
        return build()
    except DataError as error:
        return DataError(f"{where}: {error}") if where else error
