"""Configuration of BGP sessions: `[tunnel.bgp]`, `[defaults.bgp]`, and what their keys can be.

Rules of this file:

* As in `types`: a type is `Annotated` with one function that returns the value or raises
  `ValueError` with a sentence that says what to write instead. It never repeats a password.
* A key that is left out (None) leaves BIRD's default.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from vtid.config.tables import KEY, Raw, Table, between
from vtid.config.types import (
    AsNumber,
    Families,
    Filter,
    InstanceNameOrEmpty,
    Neighbor,
    NeighborOrEmpty,
    SymbolOrEmpty,
    absolute_path,
    family_of,
    parse_seconds,
    single_host,
)
from vtid.model.bgp import Secret

_TIME_MAX = 65535
_HOLD_MIN = 3
"""Seconds; RFC 4271 section 4.2."""

_PASSWORD_MAX = 80
"""Bytes of a TCP MD5 key: the kernel's TCP_MD5SIG_MAXKEYLEN."""

CREDENTIALS = "$CREDENTIALS_DIRECTORY/"
"""What a `password_file` begins with that is a credential of the service (systemd.exec(5))."""

SECRETS = frozenset({"password", "password_file"})
"""Keys that exclude each other; one of a session replaces either of `[defaults.bgp]`."""


def _whole_seconds(value: object) -> int:
    seconds = parse_seconds(value)
    if seconds != int(seconds) or not 1 <= seconds <= _TIME_MAX:
        raise ValueError(f"{value!r} is not whole seconds from 1s to {_TIME_MAX}s")
    return int(seconds)


def _hold_time(value: object) -> int:
    seconds = parse_seconds(value)
    if seconds != int(seconds) or not _HOLD_MIN <= seconds <= _TIME_MAX:
        raise ValueError(
            f"{seconds:g}s is not a BGP hold time: whole seconds from {_HOLD_MIN}s to {_TIME_MAX}s"
        )
    return int(seconds)


def _error_wait(value: object) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 2:  # noqa: PLR2004 - a pair
        raise ValueError('has to be an array of the least and the longest wait: ["1s", "30s"]')
    least, longest = map(_whole_seconds, value)
    if least > longest:
        raise ValueError(f"the least wait, {least}s, is longer than the longest, {longest}s")
    return least, longest


def checked_password(text: str) -> Secret:
    """Return a password that BIRD and the kernel can have. Raises ValueError, without its text."""
    if not text.isascii() or not text.isprintable() or '"' in text:
        raise ValueError('a password for BIRD has printable ASCII characters, and no "')
    if not 1 <= len(text) <= _PASSWORD_MAX:
        raise ValueError(f"a TCP MD5 password has 1 to {_PASSWORD_MAX} characters")
    return Secret(text)


def _password(value: object) -> Secret:
    if not isinstance(value, str):
        raise ValueError("has to be a string")  # noqa: TRY004 - of the file, and not of a call
    return checked_password(value)


def _password_file(text: str) -> str:
    name = text.removeprefix(CREDENTIALS)
    if name != text and (not name.isprintable() or "/" in name or name in {"", ".", ".."}):
        raise ValueError(f"{text!r} has no name of a credential behind {CREDENTIALS}")
    try:
        return text if name != text else absolute_path(text)
    except ValueError as error:
        raise ValueError(f'{error}, nor a credential of systemd, "{CREDENTIALS}NAME"') from None


def _next_hop(value: object) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(one, str) for one in texts):
        raise ValueError('has to be an address, or one of each family: ["192.0.2.1", "fd00::1"]')
    found = tuple(map(single_host, texts))
    if len({*map(family_of, found)}) != len(found):
        raise ValueError(f"{', '.join(found)}: there is one next hop for each family")
    return found


def _graceful_restart(value: object) -> bool | str:
    if isinstance(value, bool) or value == "aware":
        return value if isinstance(value, bool) else "aware"
    raise ValueError(f'{value!r} is not true, false or "aware"')


BgpTime: TypeAlias = Annotated[int, Raw(_whole_seconds)]
BgpHoldTime: TypeAlias = Annotated[int, Raw(_hold_time)]
ErrorWait: TypeAlias = Annotated[tuple[int, int], Raw(_error_wait)]
NextHop: TypeAlias = Annotated[tuple[str, ...], Raw(_next_hop)]
Password: TypeAlias = Annotated[Secret, Raw(_password)]
PasswordFile: TypeAlias = Annotated[str, _password_file]
GracefulRestart: TypeAlias = Annotated[bool | Literal["aware"], Raw(_graceful_restart)]
Preference: TypeAlias = Annotated[int, between(0, 65535)]
"""Of BIRD's routes; larger wins."""
LocalPreference: TypeAlias = Annotated[int, between(0, 4294967295)]
RouteLimit: TypeAlias = Annotated[int, between(1, 4294967295)]
LimitAction: TypeAlias = Literal["warn", "block", "restart", "disable"]
Hops: TypeAlias = Annotated[int, between(1, 255)]
Role: TypeAlias = Literal["provider", "rs_server", "rs_client", "customer", "peer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _BgpKeys(Table):
    """Keys of a BGP session that `[defaults.bgp]` can set."""

    bird: InstanceNameOrEmpty = ""
    present: Literal["up", "always"] = "up"
    on_down: Literal["delete", "disable"] | None = None
    families: Families = ()
    import_filter: Filter = field(default="all", metadata={KEY: "import"})
    export_filter: Filter = field(default="none", metadata={KEY: "export"})
    import_limit: RouteLimit | None = None
    receive_limit: RouteLimit | None = None
    export_limit: RouteLimit | None = None
    limit_action: LimitAction | None = None
    preference: Preference | None = None
    local_preference: LocalPreference | None = None
    next_hop_self: bool | None = None
    next_hop: NextHop = ()
    multihop: Hops | None = None
    role: Role | None = None
    password: Password | None = None
    """As `load` returns it, also that of `password_file`, where that was read."""
    password_file: PasswordFile | None = None
    bfd: bool = False
    graceful_restart: GracefulRestart | None = None
    passive: bool = False
    hold_time: BgpHoldTime | None = None
    keepalive_time: BgpTime | None = None
    connect_retry_time: BgpTime | None = None
    connect_delay_time: BgpTime | None = None
    error_wait_time: ErrorWait | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bgp(_BgpKeys):
    """`[tunnel.bgp]`: one BGP session over the tunnel; an array of tables for several.

    As `load` returns it, `bird` names a `[[bird]]` and `families` is not empty. An empty `name`
    leaves the naming to vtid.
    """

    neighbor: Neighbor
    local_as: AsNumber
    remote_as: AsNumber
    name: SymbolOrEmpty = ""
    local_address: NeighborOrEmpty = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultBgp(_BgpKeys):
    """`[defaults.bgp]`: completes the sessions that tunnels have, and makes none."""

    local_as: AsNumber | None = None
    remote_as: AsNumber | None = None
