"""What keeps a BIRD from having its sessions although it answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bird.test_content import block, content
from vtid.bird.push import Pusher
from vtid.bird.report import misconfigured, report
from vtid.bird.sessions import Sessions
from vtid.bird.states import State
from vtid.model.bgp import BgpState


def looks(*, connected: bool = True, version: str = "2.0.12") -> tuple[Sessions, Pusher]:
    """A BIRD that has taken a file with one session, and shows none of them."""
    sessions, pusher = Sessions("main", "/run/ctl"), Pusher("main", "/etc/vtid.conf")
    control: Any = object()
    sessions.control, sessions.version = control if connected else None, version
    pusher.protocols, pusher.state = frozenset({"vtid_a"}), State.ACCEPTED
    return sessions, pusher


def said(sessions: Sessions, pusher: Pusher, *, released: bool = True) -> str:
    one, _ = content()
    one.put(block("a"))
    found = misconfigured("main", sessions, pusher, one, released=released)
    return "; ".join(filter(None, found))


def test_a_file_that_bird_does_not_include() -> None:
    assert "/etc/vtid.conf" in said(*looks())


def test_a_session_that_is_there_shows_that_it_does() -> None:
    sessions, pusher = looks()
    sessions.states = (BgpState("vtid_a", "up", "Established", "12:00"),)
    assert not said(sessions, pusher)


def test_nothing_is_said_of_a_bird_that_cannot_have_it_yet() -> None:
    assert not said(*looks(connected=False))
    assert not said(*looks(), released=False)
    sessions, pusher = looks()
    pusher.state = State.WAITING
    assert not said(sessions, pusher)


def test_a_template_for_another_version() -> None:
    assert "bgp-1.6" in said(*looks(version="1.6.8"))


@pytest.mark.parametrize("connected", [True, False])
def test_the_report(*, connected: bool) -> None:
    sessions, pusher = looks(connected=connected)
    pusher.pushes = 7
    found = report("main", sessions, pusher, "an error", 99.0)
    assert (found.connected, found.pushes, found.answered_at) == (connected, 7, 99.0)
    assert (found.instance, found.error, found.version) == ("main", "an error", "2.0.12")
