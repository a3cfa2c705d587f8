"""What the kernel says of a path: bytes of Linux 6.18, as RTM_GETROUTE was answered."""

from __future__ import annotations

import pytest

from vtid.kernel import wire as nl
from vtid.kernel.path_mtu import Path, read_learnt, read_path

OUT = nl.attribute(nl.RTA_OIF, nl.S32.pack(2))
TO = nl.attribute(nl.RTA_DST, nl.packed("203.0.113.2"))
TICKS = 59_900


def metrics(mtu: int) -> bytes:
    return nl.attribute(nl.RTA_METRICS, nl.attribute(nl.RTAX_MTU, nl.U32.pack(mtu)))


def expires(ticks: int) -> bytes:
    cacheinfo = bytes(8) + nl.S32.pack(ticks) + bytes(20)
    return nl.attribute(nl.RTA_CACHEINFO, cacheinfo)


def message(*attributes: bytes, cloned: bool = True) -> nl.Message:
    flags = nl.RTM_F_CLONED if cloned else 0
    body = nl.ROUTE.pack(nl.AF_INET, 32, 0, 0, 254, 0, 0, 1, flags) + b"".join(attributes)
    (found,) = nl.split(nl.Request(nl.RTM_NEWROUTE, 0, body).encode(1))
    return found


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        (message(OUT), Path(2)),
        (message(OUT, metrics(1400)), Path(2, mtu=1400)),
        (message(OUT, metrics(1400), expires(0)), Path(2, mtu=1400)),
        (message(OUT, metrics(1400), expires(TICKS)), Path(2, learnt=1400, expires=599.0)),
        (message(OUT, metrics(1400), expires(TICKS), cloned=False), Path(2, mtu=1400)),
        (message(OUT, metrics(1400), expires(-5)), Path(2, mtu=1400)),
    ],
    ids=["device", "route", "no expiry", "learnt", "advertised by a router", "over"],
)
def test_what_was_learnt_is_told_from_what_the_route_has(answer: nl.Message, path: Path) -> None:
    assert read_path(answer) == path


def test_an_exception_of_a_dump() -> None:
    assert read_learnt(message(TO, OUT, metrics(1400), expires(TICKS))) == ("203.0.113.2", 1400)
    assert read_learnt(message(TO, OUT)) == ("203.0.113.2", 0), "a redirect"
    assert read_learnt(message(TO, metrics(1400), cloned=False))[1] == 0, "a route"


@pytest.mark.parametrize("cut", [b"\x08", bytes(11)])
def test_what_is_cut_is_an_error(cut: bytes) -> None:
    with pytest.raises(nl.MessageError):
        read_path(message(OUT, metrics(1400), nl.attribute(nl.RTA_CACHEINFO, cut)))
