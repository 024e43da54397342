"""What messages show of the values that are wrong."""

from __future__ import annotations

import pytest

from qa_extractive.errors import shortened


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("dose", "'dose'"),
        ("", "''"),
        ("x" * 38, "'" + "x" * 38 + "'"),
        ("y" * 39, "'" + "y" * 35 + "...'"),
        ("z" * 5000, "'" + "z" * 35 + "...'"),
        ("it's " * 9, "\"it's it's it's it's it's it's it's ...\""),
        ("µ" * 50, "'" + r"\xb5" * 8 + "...'"),  # no escape is cut
        ("a\nb" + "\ud800", r"'a\nb\ud800'"),
        ([1, 2], "[1, 2]"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11..."),
        (7, "7"),
        (b"0123" * 20, "b'" + "0123" * 8 + "01...'"),
    ],
)
def test_a_value_is_shown_short_and_its_quotation_closed(value: object, shown: str) -> None:
    assert shortened(value) == shown
    assert len(shown) <= 40


def test_what_python_does_not_print_is_named_by_its_type() -> None:
    assert shortened(10**5000) == "a int without end"
