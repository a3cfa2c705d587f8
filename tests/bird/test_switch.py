from __future__ import annotations

from vtid.bird.reply import Reply
from vtid.bird.switch import Switches, command

DONE, STRANGE = Reply(b"0009-a: disabled\n0000 \n"), Reply(b"9002 a is not a protocol\n")


def test_each_session_is_told_once() -> None:
    switches = Switches()
    assert switches.change("t1", (("a", False), ("b", True)))
    assert switches.due == {"a": False, "b": True}
    switches.answered("a", DONE, on=False)
    assert switches.due == {"b": True}
    assert not switches.change("t1", (("a", False),))
    assert switches.due == {}
    assert switches.change("t1", (("a", True),))
    assert switches.due == {"a": True}


def test_a_session_that_bird_does_not_have_is_told_again() -> None:
    switches = Switches()
    switches.change("t1", (("a", True),))
    switches.answered("a", STRANGE, on=True)
    assert switches.due == {"a": True}


def test_all_are_told_after_bird_was_away() -> None:
    switches = Switches()
    switches.change("t1", (("a", False),))
    switches.answered("a", DONE, on=False)
    switches.forget()
    assert switches.due == {"a": False}


def test_a_deleted_session_is_nobodys() -> None:
    switches = Switches()
    switches.change("t1", (("a", False),))
    switches.answered("a", DONE, on=False)
    switches.change("t1")
    switches.forget()
    assert switches.due == {}
    assert switches.change("t1", (("a", False),))


def test_commands() -> None:
    assert command("t-1", on=True) == "enable 't-1'"
    assert command("t-1", on=False) == "disable 't-1' \"vtid: the tunnel is down\""
