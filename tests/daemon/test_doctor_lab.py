"""The doctor beside a real charon, in a namespace where much is wrong."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.charon import pair, run
from tests.vici.record import conf

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

CONFIG = """
[vici]
socket = "{vici}"
[[tunnel]]
connection = "six"
kind = "xfrm"
interface = "xfrm1"
[[tunnel]]
connection = "four"
interface = "vti2"
addresses = ["10.0.0.1/30"]
[[tunnel]]
connection = "gone"
interface = "vti3"
"""


def test_what_is_wrong_is_found_and_nothing_else(tmp_path: Path) -> None:
    with pair(conf(1, 2, "192.0.2.2"), conf(2, 1, "%any")) as (a, _):
        a.swanctl("--initiate", "--child", "net")
        a.ip("route", "add", "10.77.0.0/24", "dev", "eth0", "table", "220")
        config = tmp_path / "vtid.toml"
        config.write_text(CONFIG.format(vici=a.vici))
        doctor = (sys.executable, "-m", "vtid", "--doctor", "--config", str(config))
        said = run("ip", "netns", "exec", a.netns, *doctor)
    found = {(one["id"], one["subject"].partition("{")[0]) for one in json.loads(said)["findings"]}
    assert found - {("networkd-routes", "systemd-networkd")} == {
        ("charon-routes", "table 220"),
        ("forwarding-off", "net.ipv4.ip_forward"),
        ("missing-if-ids", "six/net"),
        ("policy-without-connection", "gone/*"),
        ("transport-mode", "four/plain"),
    }
