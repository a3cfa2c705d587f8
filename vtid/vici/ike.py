"""IKE_SAs: list-sa parts with all that charon says of them, for operators. Pure.

Rules of this file: those of `sas`, and

* An operator looks at what is wrong: an SA in any state is listed, and what is missing in it is
  left empty. Only without a unique ID it is unusable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.ike import ListedChild, ListedIke
from vtid.vici.sas import algorithms, number, remote_id, sections, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.vici.codec import Message

_ALGORITHMS = ("encr", "integ", "prf")
_NAT = ("local", "remote", "fake")
_TASKS = ("tasks-active", "tasks-queued", "tasks-passive")


def parse_ike_sas(message: Message, now: float) -> list[ListedIke]:
    """Return the IKE_SAs of one list-sa part; `now` is Unix time. Raises SaError."""
    return [_ike(name, section, now) for name, section in sections(message)]


def _ike(connection: str, ike: Message, now: float) -> ListedIke:
    children = ike.get("child-sas")
    return ListedIke(
        unique_id=number(ike, "uniqueid"),
        connection=connection,
        state=text(ike, "state"),
        version=count(ike, "version"),
        initiator=text(ike, "initiator") == "yes",
        local_host=text(ike, "local-host"),
        remote_host=text(ike, "remote-host"),
        local_port=count(ike, "local-port"),
        remote_port=count(ike, "remote-port"),
        local_id=text(ike, "local-id"),
        remote_id=remote_id(ike),
        nat=tuple(side for side in _NAT if text(ike, f"nat-{side}") == "yes"),
        algorithms=tuple(_names(ike)),
        initiator_spi=text(ike, "initiator-spi"),
        responder_spi=text(ike, "responder-spi"),
        established_at=_ago(ike, "established", now),
        rekey_at=_ahead(ike, "rekey-time", now),
        reauth_at=_ahead(ike, "reauth-time", now),
        tasks=tuple(task for key in _TASKS for task in texts(ike, key)),
        children=tuple(
            _child(child, now)
            for _, child in sections(children if isinstance(children, dict) else {})
        ),
    )


def _names(ike: Message) -> Iterator[str]:
    for kind in _ALGORITHMS:
        if name := text(ike, f"{kind}-alg"):
            size = count(ike, f"{kind}-keysize")
            yield f"{name}-{size}" if size else name
    if group := text(ike, "dh-group"):
        yield group


def _child(child: Message, now: float) -> ListedChild:
    return ListedChild(
        unique_id=number(child, "uniqueid"),
        child=text(child, "name"),
        state=text(child, "state"),
        mode=text(child, "mode"),
        protocol=text(child, "protocol"),
        esp=algorithms(child),
        encap=text(child, "encap") == "yes",
        spi_in=text(child, "spi-in"),
        spi_out=text(child, "spi-out"),
        dh_group=text(child, "dh-group"),
        reqid=count(child, "reqid"),
        bytes_in=count(child, "bytes-in"),
        packets_in=count(child, "packets-in"),
        bytes_out=count(child, "bytes-out"),
        packets_out=count(child, "packets-out"),
        used_in_at=_ago(child, "use-in", now),
        used_out_at=_ago(child, "use-out", now),
        installed_at=_ago(child, "install-time", now),
        rekey_at=_ahead(child, "rekey-time", now),
        expires_at=_ahead(child, "life-time", now),
        local_ts=texts(child, "local-ts"),
        remote_ts=texts(child, "remote-ts"),
    )


def count(section: Message, key: str) -> int:
    """Return a number of any size, 0 where there is none: charon wrote it, in 64 bits."""
    word = text(section, key)
    return int(word) if word.isascii() and word.isdecimal() else 0


def _seconds(section: Message, key: str) -> int | None:
    """Return a time in seconds, which may be past (`rekey-time` of an SA that is due)."""
    word = text(section, key)
    digits = word.removeprefix("-")
    return int(word) if digits.isascii() and digits.isdecimal() else None


def _ago(section: Message, key: str, now: float) -> float:
    seconds = _seconds(section, key)
    return 0.0 if seconds is None else now - seconds


def _ahead(section: Message, key: str, now: float) -> float:
    seconds = _seconds(section, key)
    return 0.0 if seconds is None else now + seconds
