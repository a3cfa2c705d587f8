"""Access: what `[metrics]` of the configuration means for the HTTP server. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.http.server import Access, Tls

if TYPE_CHECKING:
    from vtid.config.metrics import Metrics, TlsServerConfig


def access(keys: Metrics) -> Access:
    """Return who may use the metrics addresses."""
    users = tuple((name, found.text) for name, found in keys.basic_auth_users)
    return Access(keys.hosts, users, _tls(keys.tls_server_config), page=keys.page)


def _tls(keys: TlsServerConfig) -> Tls | None:
    if not keys.cert_file or not keys.key_file:
        return None
    return Tls(
        keys.cert_file,
        keys.key_file,
        client_ca_file=keys.client_ca_file or "",
        client_auth_type=keys.client_auth_type or "RequireAndVerifyClientCert",
        min_version=keys.min_version,
    )
