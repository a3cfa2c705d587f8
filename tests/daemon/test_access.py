"""What [metrics] means for the HTTP server."""

from __future__ import annotations

from dataclasses import replace

from vtid.config.keys import ConfigLoaded
from vtid.config.load import load
from vtid.daemon.access import access
from vtid.daemon.codec import from_json, to_json
from vtid.http.access import Access, Tls

HASH = "$2y$10$iFE5.lWpxu2ND0aCqiiZTeNQVI9T69qdV20uSMkpdlBMcv0WzSWoO"
TEXT = f"""
[metrics]
hosts = ["gw-a.example.net"]
page = true
[metrics.tls_server_config]
cert_file = "/c"
key_file = "/k"
client_ca_file = "/a"
[metrics.basic_auth_users]
prometheus = "{HASH}"
"""


def test_everything() -> None:
    tls = Tls("/c", "/k", "/a", "RequireAndVerifyClientCert", "TLS12")
    users = (("prometheus", HASH),)
    assert access(load(TEXT).metrics) == Access(("gw-a.example.net",), users, tls, page=True)


def test_nothing() -> None:
    assert access(load("").metrics) == Access()


def test_hashes_are_shown_nowhere() -> None:
    config = load(TEXT)
    recorded = to_json(ConfigLoaded(config))
    assert "$2y$" not in f"{recorded} {config} {access(config.metrics)}"
    read = from_json(ConfigLoaded, recorded).config.metrics
    assert read == replace(config.metrics, basic_auth_users=())
