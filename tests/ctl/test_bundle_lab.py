"""`vtictl debug-bundle` of a real vtid beside a real charon and BIRD, which all have secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.birds import bird
from tests.charon import pair
from tests.ctl.test_bundle import ENTRIES, PLANTED, journalctl, read
from tests.vici.record import conf

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

WAIT = 60

CONFIG = f"""
[daemon]
control_socket = "THERE/s"
hooks = "THERE/hooks.d"
[vici]
socket = "VICI"
[[tunnel]]
connection = "six"
interface = "vti1"
vars = {{ key = "{PLANTED} in vars" }}
[tunnel.bgp]
neighbor = "10.0.0.2"
local_as = 65001
remote_as = 65002
password_file = "THERE/peer.password"
[[bird]]
name = "main"
socket = "THERE/bird.ctl"
include = "THERE/vtid.bird.conf"
"""

BIRD = f"""
router id 1.0.0.1;
protocol device {{}}
protocol bgp secretive {{
  description "the password is {PLANTED}";
  local 10.0.0.1 as 65001; neighbor 10.0.0.9 as 65002;
  password "{PLANTED} of BIRD";
  ipv4 {{ import all; export none; }};
}}
include "THERE/vtid.bird*.conf";
"""

OF_CHARON = "golden"
"""In the swanctl.conf of both ends (`tests/vici/record.py`)."""


def test_a_bundle_of_real_daemons_has_what_helps_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journalctl(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("VTID_TOKEN", PLANTED)
    (tmp_path / "peer.password").write_text(f"{PLANTED} of one\n")
    (tmp_path / "hooks.d").mkdir()
    hook = tmp_path / "hooks.d" / "a"
    hook.write_text(f"#!/bin/sh\n# {PLANTED}\n")
    hook.chmod(0o777)
    with pair(conf(1, 2, "192.0.2.2"), conf(2, 1, "%any")) as (a, _):
        a.swanctl("--initiate", "--child", "net")
        text = CONFIG.replace("THERE", str(tmp_path)).replace("VICI", a.vici)
        (tmp_path / "vtid.toml").write_text(text)
        inside = ["ip", "netns", "exec", a.netns, sys.executable, "-m"]
        options = ["--config", str(tmp_path / "vtid.toml")]
        with (
            bird(BIRD.replace("THERE", str(tmp_path)), tmp_path, netns=a.netns),
            subprocess.Popen([*inside, "vtid", *options], stderr=subprocess.DEVNULL) as vtid,
        ):
            try:
                _ready(tmp_path / "s")
                path = tmp_path / "out.tar.gz"
                asked = [*inside, "vtid.ctl.main", "debug-bundle", str(path), *options]
                subprocess.run([*asked, "--socket", str(tmp_path / "s")], check=True)
            finally:
                vtid.terminate()
    found = read(path)
    secrets = (PLANTED, OF_CHARON)
    assert [name for name, text in found.items() if any(one in text for one in secrets)] == []
    assert found["missing.txt"] == ""
    (one,) = (ike for ike in json.loads(found["sas.json"])["ike_sas"] if ike["connection"] == "six")
    assert one["children"]
    assert "1002-secretive" in found["bird-main.txt"]
    assert "eth0 kind veth" in found["links.txt"]
    assert len(found["log.txt"].splitlines()) == len(ENTRIES) + 1
    inputs = {one["input"] for one in json.loads(found["recent.json"])["inputs"]}
    assert inputs >= {"ConfigLoaded", "SaSnapshot", "LinkSnapshot", "BirdState"}
    assert "hook-refused" in {one["id"] for one in json.loads(found["doctor.json"])["findings"]}
    assert "hooks" in {one["subject"] for one in json.loads(found["summary.json"])["troubles"]}


def _ready(socket: Path) -> None:
    """Wait until vtid knows charon and kernel, and BIRD answered."""
    deadline = time.monotonic() + WAIT
    command = [
        sys.executable,
        "-m",
        "vtid.ctl.main",
        "status",
        "-o",
        "json",
        "--socket",
        str(socket),
    ]
    while True:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        answer = json.loads(done.stdout) if done.stdout.startswith("{") else {}
        if answer.get("ready") and answer["birds"][0]["connected"] and answer["troubles"]:
            return
        assert time.monotonic() < deadline, done
        time.sleep(0.2)
