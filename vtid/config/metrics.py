"""Metrics: the table `[metrics]`, with the keys that exporters of Prometheus have for TLS. Pure.

`tls_server_config` and `basic_auth_users` have names and values as in the web.yml of Prometheus'
exporter-toolkit, so that who knows one knows the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from vtid.config.tables import UNWRITTEN, Raw, Table
from vtid.config.types import AbsolutePath
from vtid.model.bgp import Secret
from vtid.model.groups import Group

_BCRYPT = re.compile(r"\$2[aby]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
"""crypt(5): the cost has two digits, 4 to 31."""


def _host_name(text: str) -> str:
    found = re.fullmatch(r"\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*", text.lower())
    if not found:
        raise ValueError(f'{text!r} is not a host name, "*.example.net" or "*"')
    return found[0]


def _users(value: object) -> tuple[tuple[str, Secret], ...]:
    """Take a table of hashes by user. The messages never repeat a value."""
    if not isinstance(value, dict):
        raise ValueError("has to be a table")  # noqa: TRY004 - of the file, and not of a call
    for name, found in value.items():
        if not name or ":" in name or not name.isprintable():
            raise ValueError(f"{name!r} is no user name: RFC 7617 forbids colons and controls")
        if not isinstance(found, str) or not _BCRYPT.fullmatch(found):
            raise ValueError(f"{name} has no bcrypt hash: `htpasswd -nBC 10 {name}` makes one")
    return tuple((name, Secret(found)) for name, found in sorted(value.items()))


HostName: TypeAlias = Annotated[str, _host_name]
Users: TypeAlias = Annotated[tuple[tuple[str, Secret], ...], Raw(_users)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsServerConfig(Table):
    """`[metrics.tls_server_config]`: TLS, where there is a certificate."""

    cert_file: AbsolutePath | None = None
    key_file: AbsolutePath | None = None
    client_ca_file: AbsolutePath | None = None
    client_auth_type: (
        Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] | None
    ) = None
    """None: a certificate is required where there is a CA for it."""
    min_version: Literal["TLS12", "TLS13"] = "TLS12"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics(Table):
    """`[metrics]`: who may use the metrics addresses, and whether the page is there."""

    hosts: tuple[HostName, ...] = ()
    page: bool = False
    """Whether `/` shows the tunnels: identities and addresses of peers, with what is wrong."""
    disable: tuple[Group, ...] = ()
    """Groups of metrics that are left out."""
    tls_server_config: TlsServerConfig = TlsServerConfig()
    basic_auth_users: Users = field(default=(), metadata={UNWRITTEN: True})
    """Left out where a configuration is written: a recording has no use for it."""
