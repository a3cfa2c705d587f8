"""TLS: the context for connections to the metrics addresses, from files. Part of the edge.

Files are read when the configuration is, so `vtictl reload` takes up a renewed certificate;
connections that are open keep theirs. This module is imported where there is TLS: OpenSSL takes as
much memory as 2,000 policies.
"""

from __future__ import annotations

import ssl
from asyncio import base_events, sslproto
from importlib import reload
from pathlib import Path
from typing import TYPE_CHECKING

from vtid.http.listen import ServerError

if TYPE_CHECKING:
    from vtid.http.access import Tls

_VERIFY = {
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}


def context(tls: Tls) -> ssl.SSLContext:
    """Return the context for a server. Raises ServerError where a file is no good."""
    _let_in()
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = _VERSIONS[tls.min_version]
    made.options |= ssl.OP_NO_RENEGOTIATION
    made.set_alpn_protocols(["http/1.1"])
    for key in ("cert_file", "key_file", "client_ca_file"):
        _check_readable(key, getattr(tls, key))
    try:
        # the empty password keeps OpenSSL from asking for one on the terminal
        made.load_cert_chain(tls.cert_file, tls.key_file, password="")
    except ssl.SSLError as error:
        files = f"{tls.cert_file} and {tls.key_file}"
        what = "are no certificate and its unencrypted private key, in PEM"
        raise _refusal("cert_file", f"{files} {what} ({error.reason})") from error
    if tls.client_ca_file:
        try:
            made.load_verify_locations(tls.client_ca_file)
        except ssl.SSLError as error:
            what = f"{tls.client_ca_file} has no certificates in PEM ({error.reason})"
            raise _refusal("client_ca_file", what) from error
        made.verify_mode = _VERIFY[tls.client_auth_type]
    return made


def _let_in() -> None:
    """Give asyncio the ssl module: it looks once, and `vtid.daemon.slim` hides it then."""
    if vars(base_events)["ssl"] is None:
        vars(base_events)["ssl"] = ssl
        reload(sslproto)


def _check_readable(key: str, file: str) -> None:
    """Name the file that cannot be read, which the ssl module does not."""
    if not file:
        return
    try:
        Path(file).read_bytes()
    except OSError as error:
        raise _refusal(key, f"cannot read {file}: {error.strerror}") from error


def _refusal(key: str, why: str) -> ServerError:
    return ServerError(f"[metrics.tls_server_config] {key}: {why}")
