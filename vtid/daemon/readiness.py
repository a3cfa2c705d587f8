"""Readiness: what must have connected once, or be known to be absent, before vtid is ready.

Once ready, vtid stays ready: later losses show in status and metrics, and a reload that adds
something does not make a running gateway unready.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.input import BirdState, ClampSnapshot, LinkSnapshot, NetnsLost, SaSnapshot, ViciLost

if TYPE_CHECKING:
    from vtid.model.input import Input

_VICI = "charon's VICI socket"


class Readiness:
    """A checklist."""

    def __init__(self) -> None:
        self._open = {_VICI}

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """The open items, in words."""
        return tuple(sorted(self._open))

    def expect_namespace(self, netns: str) -> None:
        """Wait for links and nftables of a namespace, "" for vtid's own."""
        self._expect(_links(netns), _nftables(netns))

    def expect_bird(self, instance: str) -> None:
        """Wait until the state of a BIRD is known."""
        self._expect(_bird(instance))

    def tick_off(self, event: Input) -> bool:
        """Tick off what an input answers; return whether it was the last item."""
        if not self._open:
            return False
        self._open -= set(_told_by(event))
        return not self._open

    def _expect(self, *what: str) -> None:
        if self._open:
            self._open.update(what)


def _told_by(event: Input) -> tuple[str, ...]:
    match event:
        case SaSnapshot() | ViciLost():
            return (_VICI,)
        case LinkSnapshot(netns):
            return (_links(netns),)
        case ClampSnapshot(netns):
            return (_nftables(netns),)
        case NetnsLost(netns):
            return (_links(netns), _nftables(netns))
        case BirdState(instance):
            return (_bird(instance),)
    return ()


def _links(netns: str) -> str:
    return f"links in namespace {netns!r}" if netns else "links"


def _nftables(netns: str) -> str:
    return f"nftables in namespace {netns!r}" if netns else "nftables"


def _bird(instance: str) -> str:
    return f"BIRD {instance!r}"
