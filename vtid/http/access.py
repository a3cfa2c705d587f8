"""Access: who may use the metrics addresses, and by which names they may be called. Pure.

DNS rebinding: a page from evil.example has its name resolve to 127.0.0.1, and then its visitor's
browser lets it read what listens there. The browser still says `Host: evil.example`. So a name has
to be known: an address is no name, and who is asked for `localhost` needs no DNS (RFC 6761).

An address of a network is open to that network, and Prometheus calls it by whatever name its
targets have. There, names are compared only where some are configured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address

ANY = "*"
"""As a host: every name."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Where TLS has what it needs; words as in exporter-toolkit's `tls_server_config`."""

    cert_file: str
    key_file: str
    client_ca_file: str = ""
    client_auth_type: str = "RequireAndVerifyClientCert"
    """What `client_ca_file` is for, where there is one."""
    min_version: str = "TLS12"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use the metrics addresses."""

    hosts: tuple[str, ...] = ()
    """Names in lower case; `*.example.net` is every name below example.net, `*` every name."""
    users: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names with the bcrypt hashes of their passwords; none: everybody."""
    tls: Tls | None = None
    page: bool = False
    """Whether `/` has the page: it tells more of peers, and in one look, than the metrics do."""


def is_known(host: str, reached: str, own_names: frozenset[str], hosts: tuple[str, ...]) -> bool:
    """Whether a client that reached the address `reached` may call it as its Host header says.

    Without a name there is nothing to compare: a browser always sends one.
    """
    name = _name(host)
    if not name or _is_address(name) or name in own_names:
        return True
    if name == "localhost" or name.endswith(".localhost"):
        return True
    if not hosts:
        return not _is_loopback(reached)
    return any(_matches(name, pattern) for pattern in hosts)


def _name(host: str) -> str:
    """Return what stands before the port, in the form that is compared."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().removesuffix(".")


def _matches(name: str, pattern: str) -> bool:
    return pattern in {name, ANY} or (pattern.startswith("*.") and name.endswith(pattern[1:]))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    ip = ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)  # what a dual-stack socket shows
    return (mapped or ip).is_loopback
