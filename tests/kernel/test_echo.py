"""Probes that never reach a socket, or that the kernel refuses."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

import pytest

from vtid.kernel import echo as edge
from vtid.kernel.apply import Worker
from vtid.kernel.echo import Echo
from vtid.model.input import Input, OpDone, OpFailed
from vtid.model.operation import SendProbe

PROBE = SendProbe(
    tunnel="t", reason="", netns="", ifindex=1, peer="10.7.0.2", round=1, sizes=(68, 576)
)


async def test_without_interface_no_socket_is_opened_and_nothing_is_sent() -> None:
    posted: list[Input] = []
    echo = Echo(posted.append, lambda _netns: set())
    op = SendProbe(
        tunnel="t", reason="", netns="nowhere", ifindex=0, peer="10.7.0.2", round=1, sizes=(68,)
    )
    words = "echo request to 10.7.0.2: there is no interface to send it through"
    assert await echo.execute([op]) == [OpFailed(op, words)]
    assert not posted
    echo.close()


class PlayedSocket:
    """A raw socket that refuses with a number, or takes all."""

    def __init__(self) -> None:
        self.number = 0
        self.sent = 0

    def sendmsg(self, *_: Any) -> None:
        if self.number:
            raise OSError(self.number, os.strerror(self.number))
        self.sent += 1


@pytest.mark.parametrize(
    "number", sorted(set(errno.errorcode) - {errno.EMSGSIZE}), ids=errno.errorcode.__getitem__
)
def test_a_probe_that_is_refused_says_why_and_the_next_goes_out(number: int) -> None:
    """EMSGSIZE is the interface's MTU, which is raised then (test_echo_lab.py)."""
    raw, requests, worker = PlayedSocket(), [b"one", b"two"], Worker.__new__(Worker)
    raw.number = number
    result = edge._send(raw, PROBE, requests, set(), worker)  # type: ignore[arg-type]
    assert result == OpFailed(PROBE, f"echo request to 10.7.0.2: {os.strerror(number)}")
    raw.number = 0
    assert edge._send(raw, PROBE, requests, set(), worker) == OpDone(PROBE)  # type: ignore[arg-type]
    assert raw.sent == len(requests)


@pytest.mark.parametrize("number", sorted(errno.errorcode), ids=errno.errorcode.__getitem__)
async def test_a_socket_that_cannot_be_opened_is_opened_for_the_next_probe(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    echo = Echo(lambda _: None, lambda _netns: set())

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(edge, "open_raw", refuse)
        (result,) = await echo.execute([PROBE])
    assert isinstance(result, OpFailed)
    assert result.error.isprintable()
    assert os.strerror(number) in result.error or "CAP_NET_RAW" in result.error
    left, right = socket.socketpair()
    with right:
        monkeypatch.setattr(edge, "open_raw", lambda *_: left)
        monkeypatch.setattr(edge, "send", lambda *_: None)
        assert await echo.execute([PROBE]) == [OpDone(PROBE)]
        echo.close()
