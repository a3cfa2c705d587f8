"""A played charon: a VICI server that has as many CHILD_SAs as asked for, and announces them.

Rules of this file:

* Messages are those of a recorded strongSwan 5.9.8, with numbers and addresses of their own.
* They are encoded before anything is measured.
"""

from __future__ import annotations

import subprocess
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.vici.fake_charon import FakeCharon, event, response

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = "2001:db8::1"
"""Our outer address in all SAs."""

_LATER = 100_000
"""Unique IDs of the SAs that replace that of tunnel N are above N times this."""


def remote(number: int) -> str:
    """Return the outer address of a peer."""
    return f"2001:db8:1::{number:x}"


def underlay() -> None:
    """Make the outer network, an interface that leads to all peers."""
    for line in (
        "link set lo up",
        "link add underlay0 type ifb",
        f"address add {LOCAL}/32 dev underlay0 nodad",
        "link set underlay0 up",
    ):
        subprocess.run(["ip", *line.split()], check=True)


class PlayedCharon(FakeCharon):
    """Lists the SAs 1 to `count`, and announces what happens to them.

    The SA of tunnel N belongs to connection `cN` and has mark N.
    """

    def __init__(self, path: Path, count: int, more: int = 0) -> None:
        """Play for `count` tunnels; `more` come and go, and are never listed."""
        super().__init__(path)
        self.numbers = range(1, count + 1)
        all_ = range(1, count + more + 1)
        self._listed = b"".join(event("list-sa", _ike(n, _child(n, n))) for n in self.numbers)
        self._silent = response()
        self._ups = {n: updown(n, up=True) for n in all_}
        self._downs = {n: updown(n, up=False) for n in all_}
        self.listed = True
        """Whether the SAs are there when vtid asks for them."""
        self.handlers["list-sas"] = self._list

    async def _list(self, _: FakeCharon) -> None:
        self.send((self._listed if self.listed else b"") + self._silent)

    def up(self, *numbers: int) -> None:
        """Announce new SAs."""
        self.send(b"".join(self._ups[number] for number in numbers))

    def down(self, *numbers: int) -> None:
        """Announce the end of SAs."""
        self.send(b"".join(self._downs[number] for number in numbers))

    def rekey(self, number: int, times: int) -> None:
        """Announce `times` rekeys."""
        self.send(rekeys(number, times))


def rekeys(number: int, times: int) -> bytes:
    """Return the events of `times` rekeys: the SA is replaced, and its predecessor gone."""
    ids = [number, *(_LATER * number + time for time in range(1, times)), number]
    return b"".join(
        rekeyed(number, old, new) + updown(number, unique_id=old, up=False)
        for old, new in pairwise(ids)
    )


def _child(number: int, unique_id: int, state: str = "INSTALLED") -> dict[str, Any]:
    return {
        "name": "net",
        "uniqueid": str(unique_id),
        "reqid": str(number),
        "state": state,
        "mode": "TUNNEL",
        "protocol": "ESP",
        "spi-in": f"{unique_id:08x}",
        "spi-out": f"{unique_id:08x}",
        "mark-in": f"{number:08x}",
        "mark-out": f"{number:08x}",
        "encr-alg": "AES_GCM_16",
        "encr-keysize": "256",
        "bytes-in": "0",
        "packets-in": "0",
        "bytes-out": "0",
        "packets-out": "0",
        "rekey-time": "3482",
        "life-time": "3960",
        "install-time": "2",
        "local-ts": ["0.0.0.0/0", "::/0"],
        "remote-ts": ["0.0.0.0/0", "::/0"],
    }


def _ike(number: int, child: dict[str, Any]) -> dict[str, Any]:
    key = f"net-{child['uniqueid']}" if "uniqueid" in child else "net"
    return {
        f"c{number}": {
            "uniqueid": str(number),
            "version": "2",
            "state": "ESTABLISHED",
            "local-host": LOCAL,
            "local-port": "500",
            "local-id": "gateway.example",
            "remote-host": remote(number),
            "remote-port": "500",
            "remote-id": f"peer{number}.example",
            "encr-alg": "AES_GCM_16",
            "encr-keysize": "256",
            "prf-alg": "PRF_HMAC_SHA2_384",
            "dh-group": "ECP_384",
            "established": "2",
            "rekey-time": "13436",
            "child-sas": {key: child},
        }
    }


def updown(number: int, *, up: bool, unique_id: int = 0) -> bytes:
    """Return the event of an SA that comes or goes."""
    state = "INSTALLED" if up else "DELETED"
    message = _ike(number, _child(number, unique_id or number, state))
    return event("child-updown", {"up": "yes", **message} if up else message)


def rekeyed(number: int, old: int, new: int) -> bytes:
    """Return the event of an SA that another one replaces."""
    pair = {"old": _child(number, old, "REKEYED"), "new": _child(number, new)}
    return event("child-rekey", _ike(number, pair))
