"""`show protocols all` as others may read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vtid.bird.shown import shown

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*/show-protocols-all*.txt"))


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_of_what_birds_say_little_is_left_out(file: Path) -> None:
    text = file.read_text()
    lines = shown(text).splitlines()
    assert [line for line in lines if line.startswith("1002-")] == [
        line for line in text.splitlines() if line.startswith("1002-")
    ]
    assert any("BGP state:" in line for line in lines)
    assert len(lines) > 0.7 * sum(bool(line.strip()) for line in text.splitlines())


def test_descriptions_messages_and_what_is_new_are_left_out() -> None:
    text = (
        "1002-a BGP --- up 12:00 Established\n"
        "1006-  Description:    the password is hunter2\n"
        "     Message:        hunter2\n"
        "   BGP state:        Established\n"
        "     Secret key:     hunter2\n"
        "0000 \n"
    )
    assert shown(text).splitlines() == [
        "1002-a BGP --- up 12:00 Established",
        "   BGP state:        Established",
        "(4 lines are not shown)",
    ]


def test_a_neighbours_words_cannot_steer_a_terminal() -> None:
    assert "\x1b" not in shown("1002-a BGP --- start 12:00 Idle Received: \x1b[31m\n")
