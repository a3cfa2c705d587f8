"""Every key of a session, with two real BIRDs that establish it. Needs root."""

from __future__ import annotations

import re
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.bird.keys import CASES, LOOPBACKS, Case, fits, session
from tests.birds import Daemon, bird, declared, eventually, ip, linked_namespaces
from vtid.bird.render import compose, render
from vtid.bird.template import shipped
from vtid.model.bgp import BirdBlock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.birds import RealBird

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

LEFT, RIGHT = "vtid-keys-a", "vtid-keys-b"

MORE = 'protocol bfd {{ interface "t1" {{ interval 100 ms; }}; }}\ninclude "{}";'

TRIED = [
    pytest.param(daemon, name, id=f"{daemon}-{name}")
    for daemon in declared()
    for name, case in CASES.items()
    if fits(daemon, case)
]


@pytest.fixture(scope="module", autouse=True)
def veth() -> Iterator[None]:
    with linked_namespaces(LEFT, RIGHT, "t1"):
        for number, netns in ((1, LEFT), (2, RIGHT)):
            for address in (f"2001:db8:ff::{number - 1}/127", f"fe80::{number}/64"):
                ip(f"-n {netns} address add {address} dev t1 nodad")
            ip(f"-n {netns} address add 169.254.1.{number - 1}/31 dev t1")
            ip(f"-n {netns} address add {LOOPBACKS[number - 1]}/128 dev lo")
            ip(f"-n {netns} route add {LOOPBACKS[2 - number]} via fe80::{3 - number} dev t1")
        yield


@pytest.mark.parametrize(("daemon", "name"), TRIED)
def test_a_pair_establishes_it(daemon: Daemon, name: str, tmp_path: Path) -> None:
    case = CASES[name]
    with ExitStack() as stack:
        left, _ = (stack.enter_context(_bird(daemon, number, case, tmp_path)) for number in (1, 2))
        eventually(lambda: "Established" in left.ask("show protocols vtid_t1"), "a session")
        eventually(lambda: re.search(case.shows, left.ask(case.command)), _said(left, case))


@pytest.mark.parametrize("daemon", declared(), ids=str)
def test_no_session_without_the_password(daemon: Daemon, tmp_path: Path) -> None:
    """The kernel of the left one drops what is not signed."""
    dropped = _unsigned()
    with ExitStack() as stack:
        left = stack.enter_context(_bird(daemon, 1, CASES["password"], tmp_path))
        stack.enter_context(_bird(daemon, 2, CASES["ebgp"], tmp_path))
        eventually(lambda: _unsigned() > dropped, "a segment that is not signed")
        assert "Established" not in left.ask("show protocols vtid_t1")


def _unsigned() -> int:
    """TCP segments to the left one that lacked the signature they had to have (RFC 2385)."""
    lines = ip(f"netns exec {LEFT} cat /proc/net/netstat").splitlines()
    names, values = (line.split() for line in lines[:2])
    return int(values[names.index("TCPMD5NotFound")])


@pytest.mark.parametrize("daemon", declared(), ids=str)
def test_a_session_is_back_soon(daemon: Daemon, tmp_path: Path) -> None:
    """The neighbour is silent for longer than the hold time; BIRD's own wait is a minute then."""
    case = Case({"hold_time": 3})
    with ExitStack() as stack:
        left, right = (
            stack.enter_context(_bird(daemon, number, case, tmp_path)) for number in (1, 2)
        )

        def up() -> bool:
            return "Established" in left.ask("show protocols vtid_t1")

        eventually(up, "a session")
        assert right.process
        right.process.send_signal(signal.SIGSTOP)
        eventually(lambda: not up(), "the end of the hold time")
        waits = re.search(r"Error wait: +[\d.]+/(\d+)", left.ask("show protocols all vtid_t1"))
        right.process.send_signal(signal.SIGCONT)
        assert waits
        assert int(waits[1]) == 1
        eventually(up, "the session again")


def _bird(
    daemon: Daemon, number: int, case: Case, directory: Path
) -> AbstractContextManager[RealBird]:
    name, netns = ("left", LEFT) if number == 1 else ("right", RIGHT)
    include = directory / f"vtid.{name}.conf"
    block = BirdBlock("b", "t1", (session(daemon, number, case),))
    include.write_text(compose({"t1": render(block, shipped(daemon.template))}))
    return bird(daemon.config(number, MORE.format(include)), directory, name, netns, daemon)


def _said(left: RealBird, case: Case) -> str:
    return f"{case.shows} in {left.ask(case.command)}"
