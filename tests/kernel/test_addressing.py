"""Addresses that are there already: what the kernel lists of them counts, without an event, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kernel.lab import vti
from tests.kernel.refusing import UNDERLAY, RefusingKernel
from vtid.kernel import apply
from vtid.model.input import AddressSeen, OpDone
from vtid.model.operation import AddAddress, CreateLink

if TYPE_CHECKING:
    import pytest

ADDRESS = "2001:db8::1/127"
CREATE = CreateLink(tunnel="p/vti7", reason="test", link=vti("p"))
ADD = AddAddress(tunnel="p/vti7", reason="test", netns="p", interface="vti7", address=ADDRESS)


def test_one_that_is_there_already_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its event may be late, or never come: nothing of it changes."""
    played = RefusingKernel()
    monkeypatch.setattr(apply, "Requests", lambda: played)
    worker = apply.Worker()
    assert worker.run([CREATE, ADD]).known == []
    answer = worker.run([ADD])
    assert answer.results == [OpDone(op=ADD, changed=False)]
    assert answer.known == [AddressSeen("p", UNDERLAY + 1, ADDRESS, ours=True)]
