from __future__ import annotations

import pytest

from vtid.bird.refusal import refusal, words
from vtid.bird.render import HEADER, compose
from vtid.model.input import BirdRefusal
from vtid.scrub import QUOTES_VARS

GOOD = compose({"t0": "  bad;\n"})
WRITTEN = compose({"t0": "  bad;\n", "t1": "  bad;\n", "t2": "fine;\n", "t3": "  bad;\n"})
PATH = "/etc/bird/vtid.conf"


def at(line: str, nth: int = 0) -> int:
    return [number for number, one in enumerate(WRITTEN.split("\n"), 1) if one == line][nth]


def test_line_of_a_block() -> None:
    message = f"{PATH}:{at('  bad;', 1)}:3 syntax error"
    found = refusal(message, PATH, WRITTEN, GOOD)
    assert found == BirdRefusal(message, "bad;", ("t1", "t3"))
    where = "(tunnel 't1' and 1 more; all others go on)"
    assert words(found) == f"{message} {where}; {QUOTES_VARS}`bad;`"


def test_line_that_was_good_before() -> None:
    message = f"{PATH}:{at('  bad;')}:3 syntax error"
    assert refusal(message, PATH, WRITTEN, GOOD) == BirdRefusal(message, "bad;")


def test_a_name_that_another_tunnel_takes_is_not_the_fault_of_who_had_it() -> None:
    """BIRD tells of the second of two, `Symbol already defined`, and blocks are sorted."""
    line = "protocol bgp 'vtid_p-z_4' {"
    good = compose({"p-z": f"{line}\n}}\n"})
    written = compose({"a": f"{line}\n}}\n", "b": "fine;\n", "p-z": f"{line}\n}}\n"})
    number = len(written.split("\n")) - written.split("\n")[::-1].index(line)
    found = refusal(f"{PATH}:{number}:29 Symbol already defined", PATH, written, good)
    assert found.tunnels == ("a",)


@pytest.mark.parametrize(
    "message", ["/etc/bird/bird.conf:7:1 oops", f"{PATH}:1:1 oops", f"{PATH}:999:1 oops", "oops"]
)
def test_line_of_nobody(message: str) -> None:
    found = refusal(message, PATH, WRITTEN, GOOD)
    assert (found.tunnels, found.quoted) == ((), "")
    assert words(found) == message


@pytest.mark.parametrize(
    ("line", "quoted"),
    [
        ('  password "s3cret";', 'password "…";'),
        ('  password "s3cret', 'password "…"'),
        ("  authentication; Password s3cret;", 'authentication; Password "…"'),
    ],
)
def test_secrets_are_not_quoted(line: str, quoted: str) -> None:
    written = compose({"t": f"{line}\n"})
    number = written.split("\n").index(line) + 1
    assert refusal(f"{PATH}:{number}:1 x", PATH, written, HEADER).quoted == quoted
