"""What reaches a terminal: shown, never obeyed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.printable import escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("V2-1", "V2-1"),
        ("Zürich", "Zürich"),
        ("a\nb\x1b[2J", "a\\nb\\x1b[2J"),
        ("\u202egro", "\\u202egro"),
    ],
)
def test_what_is_not_printable_is_shown(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(st.text())
def test_whatever_it_was_it_is_printable_and_one_line(text: str) -> None:
    assert escape(text).isprintable()
