"""docs/sessions.md is whole: every command is on it, was answered, and fits a terminal."""

from __future__ import annotations

import re
import shlex

from tests import man, sessions
from vtid.ctl import main as vtictl
from vtid.ctl.terminal import WIDTH

PAGE = sessions.PAGE.read_text()
TYPED = sessions.typed(PAGE)

WIDE = re.compile(r"vtictl (show|events|plan|reload|suggest|doctor|debug-bundle)\b")
"""What has lines to be copied, or that say why: they are as long as what they tell."""

SILENT = re.compile(r"(mv|sed|ip link set)\b|vtictl bird render --diff$")
"""What answers nothing where all is well."""


def test_no_command_lacks_a_session() -> None:
    commands = {one.prog for one in man._commands(vtictl._parser())}
    assert "vtictl bird render" in commands
    lines = [line for line, _ in TYPED]
    assert [one for one in commands if not any(f"{one} " in f"{line} " for line in lines)] == []


def test_what_is_typed_is_a_command() -> None:
    for line in (line for line, _ in TYPED if line.startswith("vtictl ")):
        words = shlex.split(re.split(r" (?:\||&&) ", line)[0])
        assert vtictl._parser().parse_args(words[1:]).func


def test_each_was_answered() -> None:
    assert [line for line, answer in TYPED if bool(answer) == bool(SILENT.match(line))] == []


def test_the_answers_fit_a_terminal() -> None:
    wide = [line for line, answer in TYPED if any(len(one) > WIDTH for one in answer.splitlines())]
    assert [line for line in wide if not WIDE.search(line)] == []


def test_the_page_stays_as_it_is_where_the_answers_do() -> None:
    answers = iter(answer for _, answer in TYPED)
    assert sessions.answered(PAGE, lambda _: next(answers)) == PAGE
    assert all(sessions.fixed(answer) == answer for _, answer in TYPED)


def test_other_answers_take_the_place_of_those_that_were_there() -> None:
    page = "text\n\n    $ one\n    1\n\n    1\n    $ two\n\n    $ three\n    3\n\ntext\n"
    assert sessions.typed(page) == [("one", "1\n\n1\n"), ("two", ""), ("three", "3\n")]
    now = sessions.answered(page, lambda line: f"{line} \n\n!\n" if line != "three" else "")
    assert now == (
        "text\n\n    $ one\n    one\n\n    !\n    $ two\n    two\n\n    !\n\n    $ three\n\ntext\n"
    )


def test_what_differs_from_run_to_run_is_fixed_and_columns_stay() -> None:
    table = "SA       AGE   REKEY IN  IN/OUT\nV2-1[3]  2h3m  -         9.4k/12k\n"
    assert sessions.fixed(table).splitlines()[1] == "V2-1[1]  23h59m  -         130k/130k"
    assert sessions.fixed("a{117}   1m2s  up\n") == "a{2}     42s   up\n"
    assert sessions.fixed("10.255.0.1/24 mtu 1446, 1406/1386\n") == (
        "10.255.0.1/24 mtu 1446, 1406/1386\n"
    )


def test_widths_do_not_count_and_words_do() -> None:
    page = "    $ vtictl x\n    a   b\n"
    assert sessions.words(page) == sessions.words(page.replace("   b", " b"))
    assert sessions.words(page) != sessions.words(page.replace("b", "c"))


def test_how_far_a_slow_command_was_is_no_part_of_its_answer() -> None:
    answer = (
        "vtictl: 3 of 4 operations done, waiting\nvtictl: not up yet: 1 down\n1 tunnel paused\n"
    )
    assert sessions.fixed(answer) == "1 tunnel paused\n"
    assert sessions.fixed("vtictl: no tunnel 'x'\n") == "vtictl: no tunnel 'x'\n"


def test_a_resync_that_had_to_correct_something_is_seen() -> None:
    assert sessions.fixed("3 operations were needed\n") == "3 operations were needed\n"
