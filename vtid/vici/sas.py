"""What charon's messages mean: from list-sa parts and events to inputs. Pure.

Rules of this file:

* Anything in a message may be missing or come from a peer: used values are checked, shown values
  are escaped, and an unusable message is one `SaError` with one clear line.
* A CHILD_SA's section is named `name-uniqueid` in list-sa and child-updown and `name` in
  child-rekey; its keys `name` and `uniqueid` are the same in all of them.
* Times are relative to the message; `now` (Unix time) makes them absolute.

Which CHILD_SAs belong into a snapshot (src/libcharon/sa/child_sa.h, child_sa_state_t):

* INSTALLED and REKEYING carry traffic; UPDATING does too, while its endpoints change.
* REKEYED and DELETED stay in the kernel for some seconds, for packets under way. Their successor is
  listed beside them, and no further event follows at their end (child-rekey or child-updown
  announced it): in a snapshot they would never go away.
* DELETING has announced its end, or is about to. CREATED, ROUTED, INSTALLING and RETRYING have no
  SAs in the kernel yet: an event follows when they have.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from vtid.esp.algorithms import EspAlgorithms
from vtid.model.input import (
    Alert,
    ChildDown,
    ChildRekeyed,
    ChildUp,
    IkeDown,
    IkeRekeyed,
    IkeUpdated,
    Input,
)
from vtid.model.sa import FULL_MASK, ChildSa, IkeSa, Mark, SaMode
from vtid.vici.alerts import FAILURES, OTHERS, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vtid.vici.codec import Message

LIVE_STATES = frozenset({"INSTALLED", "UPDATING", "REKEYING"})
"""States of CHILD_SAs that carry traffic and whose end an event will report."""

_NAT = {"nat-local": "local", "nat-remote": "remote", "nat-fake": "fake"}
"""Keys of an IKE_SA that say which side is behind a NAT."""

MAX_TEXT = 255
"""Longest identity or name kept, in characters."""

_HASH_LENGTH = 16
"""Hexadecimal digits: 64 bits."""
_HASHED = re.compile(r"#[0-9a-f]{16}")

_READ = 4 * MAX_TEXT
"""Bytes that are looked at of what is to be shown."""

_MODES = {mode.value: mode for mode in SaMode}


class SaError(Exception):
    """A message from charon that cannot be used; says which SA and why."""


# --- values --------------------------------------------------------------------------------------


def text(section: Message, key: str, default: str = "") -> str:
    """Return a value as text that is safe to show: nothing but printable characters."""
    value = section.get(key)
    return _escape(value[:_READ]) if isinstance(value, bytes) else default


def is_yes(section: Message, key: str) -> bool:
    """Whether a value is there and says so."""
    return section.get(key) == b"yes"


def escape(value: bytes) -> str:
    r"""Escape what is not printable or not UTF-8 as `\xNN` or `\uNNNN`; cut what is too long."""
    return _escape(value[:_READ])


@lru_cache(maxsize=1024)
def _escape(value: bytes) -> str:
    """Escape; what many SAs say (algorithms, states, selectors) is there once."""
    shown = value.decode(errors="backslashreplace")
    if not shown.isprintable():
        shown = "".join(char if char.isprintable() else _escape_char(char) for char in shown)
    return shown if len(shown) <= MAX_TEXT else shown[: MAX_TEXT - 1] + "…"


def _escape_char(char: str) -> str:
    return char.encode("unicode_escape").decode()


def identity(section: Message, key: str) -> str:
    """Return an IKE identity as text that is safe to show and unique to it.

    It identifies the peer. One that had to be escaped or cut ends in a hash of the whole, and
    so does one that looks as if it did.
    """
    value, shown = section.get(key), text(section, key)
    if not isinstance(value, bytes):
        return shown
    if shown.encode() == value and not _HASHED.fullmatch(shown[-_HASH_LENGTH - 1 :]):
        return shown
    digest = hashlib.sha256(value).hexdigest()[:_HASH_LENGTH]
    return f"{shown[: MAX_TEXT - _HASH_LENGTH - 1]}#{digest}"


def number(section: Message, key: str, default: int | None = None, *, base: int = 10) -> int:
    """Return a value as an unsigned 32-bit number; `SaError` if it is none or missing."""
    value = section.get(key)
    if value is None:
        if default is None:
            raise SaError(f"{key} is missing")
        return default
    try:
        result = int(value, base) if isinstance(value, bytes) else -1
    except ValueError:
        result = -1
    if not 0 <= result < 1 << 32:
        raise SaError(f"{key} is no unsigned 32-bit number: '{text(section, key)}'")
    return result


def address(section: Message, key: str) -> str:
    """Return an address in canonical form without scope; `SaError` for %any and anything else."""
    value = section.get(key)
    if isinstance(value, bytes) and (found := _address(value[:_READ])):
        return found
    raise SaError(f"{key} is no address: '{text(section, key)}'")


@lru_cache(maxsize=1024)
def _address(value: bytes) -> str:
    """Return an address in canonical form without scope; empty for anything else."""
    try:
        return str(ipaddress.ip_address(value.partition(b"%")[0].decode()))
    except ValueError:
        return ""


def mark(section: Message, direction: str) -> Mark | None:
    """Return `mark-in` or `mark-out` with its mask: bare hex, no mask key where it is all ones."""
    if f"mark-{direction}" not in section:
        return None
    value = number(section, f"mark-{direction}", base=16)
    return _mark(value, number(section, f"mark-mask-{direction}", FULL_MASK, base=16))


_mark = lru_cache(maxsize=1024)(Mark)
"""A mark; both directions of an SA, and the SA that follows it, mostly have the same."""


def texts(section: Message, key: str) -> tuple[str, ...]:
    """Return a list of values as text that is safe to show."""
    items = section.get(key)
    return tuple(map(escape, items)) if isinstance(items, list) else ()


def mode(section: Message) -> SaMode:
    """Return the IPsec mode; OTHER for one that vtid does not know."""
    return _MODES.get(text(section, "mode"), SaMode.OTHER)


def sections(section: Message) -> Iterator[tuple[str, Message]]:
    """Return the sections in a section, by their escaped name."""
    for name, value in section.items():
        if isinstance(value, dict):
            yield escape(name.encode()), value


def section_of(section: Message, key: str) -> Message:
    """Return a section that must be there; `SaError` if it is not."""
    value = section.get(key)
    if not isinstance(value, dict):
        raise SaError(f"section {key!r} is missing")
    return value


# --- SAs -----------------------------------------------------------------------------------------


def child_sa(connection: str, ike: Message, child: Message, now: float) -> ChildSa:
    """Return a CHILD_SA; raises `SaError` if a required value is missing or wrong."""
    return ChildSa(
        unique_id=number(child, "uniqueid"),
        connection=connection,
        child=text(child, "name"),
        ike_unique_id=number(ike, "uniqueid"),
        local_host=address(ike, "local-host"),
        remote_host=address(ike, "remote-host"),
        mode=mode(child),
        protocol=text(child, "protocol"),
        esp=algorithms(child),
        encap=is_yes(child, "encap"),
        ipcomp="cpi-in" in child,
        mark_in=mark(child, "in"),
        mark_out=mark(child, "out"),
        if_id_in=number(child, "if-id-in", 0, base=16),
        if_id_out=number(child, "if-id-out", 0, base=16),
        reqid=number(child, "reqid", 0),
        cpu=number(child, "cpu") if "cpu" in child else None,
        state=text(child, "state"),
        local_id=text(ike, "local-id"),
        remote_id=remote_id(ike),
        remote_vips=_vips(ike, "remote-vips"),
        local_vips=_vips(ike, "local-vips"),
        local_ts=texts(child, "local-ts"),
        remote_ts=texts(child, "remote-ts"),
        installed_at=_past(child, "install-time", now),
        rekey_at=_coming(child, "rekey-time", now),
        expires_at=_coming(child, "life-time", now),
    )


def ike_sa(ike: Message, now: float) -> IkeSa:
    """Return an IKE_SA; raises `SaError` if a value is wrong, or it has no ID."""
    return IkeSa(
        unique_id=number(ike, "uniqueid"),
        version=number(ike, "version", 2),
        initiator=is_yes(ike, "initiator"),
        encr=text(ike, "encr-alg"),
        encr_keysize=number(ike, "encr-keysize", 0),
        integ=text(ike, "integ-alg"),
        prf=text(ike, "prf-alg"),
        dh=text(ike, "dh-group"),
        nat=tuple([side for key, side in _NAT.items() if is_yes(ike, key)]),
        established_at=_past(ike, "established", now),
        rekey_at=_coming(ike, "rekey-time", now),
        reauth_at=_coming(ike, "reauth-time", now),
    )


def _ike_sa_or_none(ike: Message, now: float) -> IkeSa | None:
    """Return an IKE_SA for those who want to know more of it; nothing depends on it."""
    try:
        return ike_sa(ike, now)
    except SaError:
        return None


def _past(section: Message, key: str, now: float) -> float:
    """Return when something came that is so many seconds past; 0 where nothing did."""
    return now - number(section, key) if key in section else 0.0


def _coming(section: Message, key: str, now: float) -> float:
    """Return when something comes that is so many seconds ahead; 0 where nothing does.

    What is overdue is negative, and comes now.
    """
    value = section.get(key)
    if not value or not isinstance(value, bytes):
        return 0.0
    if value.startswith(b"-") and value[1:].isdigit():
        return now
    return now + number(section, key)


def remote_id(ike: Message) -> str:
    """Return the identity that the peer authenticated with, unique to it."""
    for key in ("remote-eap-id", "remote-xauth-id"):
        if key in ike:
            return identity(ike, key)
    return identity(ike, "remote-id")


def _vips(ike: Message, key: str) -> tuple[str, ...]:
    """Return virtual IPs in canonical form without scope; charon wrote them, the peer did not."""
    items = ike.get(key)
    return tuple(_vip(key, item) for item in items) if isinstance(items, list) else ()


def _vip(key: str, value: bytes) -> str:
    if found := _address(value[:_READ]):
        return found
    raise SaError(f"{key} has no address: '{escape(value)}'")


def algorithms(child: Message) -> EspAlgorithms:
    """Return what the packets of a CHILD_SA are protected by."""
    return _algorithms(
        text(child, "encr-alg"),
        number(child, "encr-keysize", 0),
        text(child, "integ-alg"),
        number(child, "integ-keysize", 0),
        child.get("esn") == b"1",
    )


_algorithms = lru_cache(maxsize=64)(EspAlgorithms)
"""Algorithms that are there once, because nearly all SAs have the same."""


def _children(message: Message) -> Iterator[tuple[str, Message, str, Message]]:
    """Return connection, IKE_SA, child key (not escaped) and CHILD_SA of a list-sa or event."""
    for connection, ike in sections(message):
        for key, child in section_of(ike, "child-sas").items():
            if isinstance(child, dict):
                yield connection, ike, key, child


def parse_list_sa(message: Message, now: float) -> tuple[list[ChildSa], list[SaError]]:
    """Return the live CHILD_SAs of one list-sa part, and a line for each unusable one."""
    sas: list[ChildSa] = []
    errors: list[SaError] = []
    try:
        children = list(_children(message))
    except SaError as error:
        return [], [_about("list-sa", message, error)]
    for connection, ike, key, child in children:
        if text(child, "state") not in LIVE_STATES:
            continue
        try:
            sas.append(child_sa(connection, ike, child, now))
        except SaError as error:
            shown = escape(key.encode())
            errors.append(SaError(f"list-sa: {connection}/{shown}: {error}"))
    return sas, errors


def parse_ike_sas(message: Message, now: float) -> list[IkeSa]:
    """Return the IKE_SAs of one list-sa part; those that cannot be used are left out."""
    found = (_ike_sa_or_none(ike, now) for _, ike in sections(message))
    return [ike for ike in found if ike is not None]


def _about(event: str, message: Message, error: SaError) -> SaError:
    connections = ", ".join(connection for connection, _ in sections(message))
    return SaError(f"{event}: {connections or 'no connection'}: {error}")


# --- events --------------------------------------------------------------------------------------


def parse_event(name: str, message: Message, now: float) -> list[Input]:
    """Return the inputs for an event, none for one without news.

    Raises `SaError` where the event cannot be used.
    """
    parse = EVENTS.get(name)
    if parse is None:
        raise SaError(f"unexpected event '{escape(name.encode())}'")
    try:
        return parse(message, now)
    except SaError as error:
        raise _about(name, message, error) from None


def _child_updown(message: Message, now: float) -> list[Input]:
    if is_yes(message, "up"):
        children = _children(message)
        return [
            ChildUp(child_sa(name, ike, child, now), _ike_sa_or_none(ike, now))
            for name, ike, _, child in children
        ]
    return [ChildDown(number(child, "uniqueid")) for _, _, _, child in _children(message)]


def _child_rekey(message: Message, now: float) -> list[Input]:
    return [
        ChildRekeyed(
            number(section_of(child, "old"), "uniqueid"),
            child_sa(name, ike, section_of(child, "new"), now),
            _ike_sa_or_none(ike, now),
        )
        for name, ike, _, child in _children(message)
    ]


def _ike_updown(message: Message, _now: float) -> list[Input]:
    """Only the end matters: CHILD_SAs have events of their own when they are installed."""
    if is_yes(message, "up"):
        return []
    return [IkeDown(number(ike, "uniqueid")) for _, ike in sections(message)]


def _ike_rekey(message: Message, now: float) -> list[Input]:
    return [
        IkeRekeyed(
            number(section_of(ike, "old"), "uniqueid"),
            number(section_of(ike, "new"), "uniqueid"),
            _ike_sa_or_none(section_of(ike, "new"), now),
        )
        for _, ike in sections(message)
    ]


def _ike_update(message: Message, _now: float) -> list[Input]:
    """Told before the change: the IKE_SA's section has the old endpoints, the top the new ones."""
    hosts = address(message, "local-host"), address(message, "remote-host")
    return [IkeUpdated(number(ike, "uniqueid"), *hosts) for _, ike in sections(message)]


def _alert(message: Message, _now: float) -> list[Input]:
    kind = text(message, "type")
    if kind not in FAILURES | OTHERS:
        kind = UNKNOWN
    about = message.get("ike-sa")
    if kind in OTHERS or not isinstance(about, dict):
        return [Alert(kind)]
    for connection, ike in sections(about):
        host, identity = text(ike, "remote-host"), text(ike, "remote-id")
        peer = host + (f" ({identity})" if identity not in {"", "%any", host} else "")
        return [Alert(kind, connection, peer)]
    return [Alert(kind)]


EVENTS: dict[str, Callable[[Message, float], list[Input]]] = {
    "child-updown": _child_updown,
    "child-rekey": _child_rekey,
    "ike-updown": _ike_updown,
    "ike-rekey": _ike_rekey,
    "ike-update": _ike_update,
    "alert": _alert,
}
"""Events that mean something here, and what."""
