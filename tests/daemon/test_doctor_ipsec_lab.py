"""The doctor where the kernel drops what a VTI between two namespaces receives; no charon."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.charon import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.lab

NEAR, FAR = "vtid-drop-a", "vtid-drop-b"
OUTER = {NEAR: "192.0.2.1", FAR: "192.0.2.2"}
INNER = {NEAR: "10.8.0.1", FAR: "10.8.0.2"}

CONFIG = """
[daemon]
control_socket = "{there}/none"
[vici]
socket = "{there}/none"
[[tunnel]]
connection = "a"
interface = "vti1"
kind = "{kind}"
"""


def in_netns(netns: str, command: str) -> str:
    return run("ip", "netns", "exec", netns, *command.split())


@contextmanager
def tunnel() -> Iterator[None]:
    """A VTI with an SA from NEAR to FAR, of which FAR has no policy."""
    key = "0x" + "42" * 20
    try:
        for netns in OUTER:
            run("ip", "netns", "add", netns)
        run(*f"ip -n {NEAR} link add e type veth peer name e netns {FAR}".split())
        for netns, other in ((NEAR, FAR), (FAR, NEAR)):
            ends = f"local {OUTER[netns]} remote {OUTER[other]}"
            for command in (
                "link set lo up",
                "link set e up",
                f"address add {OUTER[netns]}/30 dev e",
                f"link add vti1 type vti {ends} key 1",
                "link set vti1 up",
                f"address add {INNER[netns]} peer {INNER[other]} dev vti1",
            ):
                run(*f"ip -n {netns} {command}".split())
            sa = f"src {OUTER[NEAR]} dst {OUTER[FAR]}"
            algorithm = f"aead rfc4106(gcm(aes)) {key} 128"
            state = f"xfrm state add {sa} proto esp spi 0x100 mode tunnel mark 1 {algorithm}"
            run(*f"ip -n {netns} {state}".split())
        out = f"xfrm policy add dir out mark 1 tmpl {sa} proto esp mode tunnel"
        run(*f"ip -n {NEAR} {out}".split())
        yield
    finally:
        for netns in OUTER:
            subprocess.run(["ip", "netns", "delete", netns], check=False)


def findings(there: Path, kind: str) -> set[tuple[str, str]]:
    """What the doctor finds in FAR while NEAR sends."""
    (there / "vtid.toml").write_text(CONFIG.format(there=there, kind=kind))
    ping = ("ip", "netns", "exec", NEAR, "ping", "-q", "-i", "0.2", INNER[FAR])
    with subprocess.Popen(ping, stdout=subprocess.DEVNULL) as sending:
        try:
            doctor = f"{sys.executable} -m vtid --doctor --config {there}/vtid.toml"
            found = json.loads(in_netns(FAR, doctor))["findings"]
        finally:
            sending.terminate()
    return {(one["id"], one["subject"]) for one in found}


def test_drops_are_named_by_counter_and_kernel(tmp_path: Path) -> None:
    with tunnel():
        found = findings(tmp_path, "vti")
        assert ("policy-check", "vti1") in found
        assert ("vti-drops", "XfrmInNoPols") in found
        found = findings(tmp_path, "xfrm")
        assert ("xfrm-errors", "XfrmInNoPols") in found
