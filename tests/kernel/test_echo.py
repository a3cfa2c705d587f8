"""Probes that never reach a socket."""

from __future__ import annotations

from vtid.kernel.echo import Echo
from vtid.model.input import Input, OpFailed
from vtid.model.operation import SendProbe


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
