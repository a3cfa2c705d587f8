"""What cannot work, on real charons and a real kernel: each has its error, the others go on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.charon import Charon, namespace, pair, run
from vtid.ctl.client import RemoteError, ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.lab

PATIENCE = 90
"""Seconds that anything may take; software emulation is slow."""

CHILDREN = {
    "good": "mark_in = 1\n mark_out = 1",
    "other": "mark_in = 2\n mark_out = 2",
    "markless": "",
    "twice": "mark_in = 4\n mark_out = 4",
    "a-name-much-too-long": "mark_in = 5\n mark_out = 5",
    "taken": "mark_in = 6\n mark_out = 6",
    "nowhere": "mark_in = 7\n mark_out = 7",
}

POLICIES = """
[daemon]
control_socket = "{folder}/control.sock"
metrics = []
[vici]
socket = "{vici}"
[defaults]
hold_time = "0s"
[[tunnel]]
connection = "six"
child = "good"
interface = "vti{{mark}}"
addresses = ["2001:db8:ff::/127"]
[tunnel.bgp]
neighbor = "2001:db8:ff::1"
local_as = 65001
remote_as = 65002
[[tunnel]]
connection = "four"
child = "good"
interface = "v4ti{{mark}}"
[[tunnel]]
connection = "four"
child = "other"
interface = "samepair"
[[tunnel]]
connection = "four"
child = "transport"
interface = "transport"
[[tunnel]]
connection = "four"
child = "markless"
interface = "markless"
[[tunnel]]
connection = "f*"
child = "twice"
interface = "twice"
[[tunnel]]
connection = "*our"
child = "tw*"
interface = "thrice"
[[tunnel]]
connection = "four"
child = "a-name*"
interface = "{{child}}"
[[tunnel]]
connection = "four"
child = "taken"
interface = "taken"
netns = "{inner}"
[[tunnel]]
connection = "four"
child = "nowhere"
interface = "nowhere"
netns = "vtid-test-nowhere"
[[bird]]
name = "absent"
socket = "{folder}/bird.ctl"
include = "{folder}/no-such-folder/vtid.conf"
"""


def swanctl_conf(local: int, remote: int) -> str:
    """Both families between the two ends, a child for each sort of trouble in IPv4."""
    four = "".join(child(number, *one) for number, one in enumerate(CHILDREN.items()))
    transport = (
        "transport { mode = transport\n local_ts = dynamic[17/7]\n remote_ts = dynamic[17/7] }"
    )
    return f"""
connections {{
  six {{ {ends(f"2001:db8::{local}", f"2001:db8::{remote}")}
    children {{ {child(0, "good", CHILDREN["good"])} }} }}
  four {{ {ends(f"192.0.2.{local}", f"192.0.2.{remote}")}
    children {{ {four} {transport} }} }}
}}
secrets {{ ike-test {{ secret = "just a test" }} }}
"""


def child(number: int, name: str, marks: str) -> str:
    # narrow selectors: a policy without a mark must not catch what is not its own
    selector = f"10.99.{number}.0/24"
    return f"{name} {{ local_ts = {selector}\n remote_ts = {selector}\n {marks} }}\n"


def ends(local: str, remote: str) -> str:
    return f"""version = 2
    local_addrs = {local}
    remote_addrs = {remote}
    local {{ auth = psk }}
    remote {{ auth = psk }}"""


@contextmanager
def vtid(charon: Charon, config: Path) -> Iterator[None]:
    command = ["ip", "netns", "exec", charon.netns, sys.executable, "-m", "vtid", "--config"]
    with (config.parent / "log").open("w") as log:
        process = subprocess.Popen([*command, str(config)], stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE)


class Rig:
    def __init__(self, charon: Charon, inner: str, folder: Path) -> None:
        self.charon, self.inner, self.folder = charon, inner, folder

    def status(self) -> dict[str, Any]:
        try:
            return ask(str(self.folder / "control.sock"), "GET", "/v1/status")
        except RemoteError:  # not yet
            return {}

    def problem(self, *words: str) -> str:
        """The one line that has these words, as soon as it is there."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            status = self.status()
            lines = [
                *status.get("problems", ()),
                *(one["error"] for one in status.get("tunnels", ())),
            ]
            for line in lines:
                if all(word in line for word in words):
                    return str(line)
            time.sleep(0.2)
        raise AssertionError(f"no line with {words}: {lines}\n{(self.folder / 'log').read_text()}")

    def wait_for_links(self, names: set[str]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not names <= self.links():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.2)

    def links(self) -> set[str]:
        return {one["ifname"] for one in json.loads(self.charon.ip("-j", "link"))}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("vtid")
    with ExitStack() as stack:
        a, _ = stack.enter_context(pair(swanctl_conf(1, 2), swanctl_conf(2, 1)))
        inner = stack.enter_context(namespace(f"{a.netns}-in"))
        run("ip", "-n", inner, "link", "add", "taken", "type", "dummy")
        config = folder / "vtid.toml"
        config.write_text(POLICIES.format(folder=folder, vici=a.vici, inner=inner))
        stack.enter_context(vtid(a, config))
        rig = Rig(a, inner, folder)
        a.swanctl("--initiate", "--ike", "six", "--child", "good")
        a.swanctl("--initiate", "--ike", "four", "--child", "good")
        rig.wait_for_links({"vti1", "v4ti1"})
        for name in (*CHILDREN, "transport"):
            if name != "good":
                a.swanctl("--initiate", "--ike", "four", "--child", name)
        yield rig


@pytest.mark.parametrize(
    "words",
    [
        ("four/transport", "transport mode", "mode = transport"),
        ("four/markless", "no mark", "mark_in = ", "connections.four.children.markless"),
        ("four/twice", "claimed by 2 policies", "connection = "),
        ("four/a-name-much-too-long", "no interface name", "15"),
        ("taken", "belongs to someone else", "dummy", "interface = "),
        ("vtid-test-nowhere", "ip netns add vtid-test-nowhere"),
        ("samepair", "v4ti1", "one vti for each"),
    ],
    ids=lambda words: words[0],
)
def test_it_is_told_with_the_way_out(rig: Rig, words: tuple[str, ...]) -> None:
    assert "\n" not in rig.problem(*words)


def test_the_others_go_on(rig: Rig) -> None:
    rig.problem("samepair")
    up = {one["interface"] for one in rig.status()["tunnels"] if one["state"] == "up"}
    assert up == {"vti1", "v4ti1"}
    ours = rig.links() - {"lo", "eth0", "ip_vti0", "ip6_vti0", "ip6tnl0", "tunl0"}
    assert ours == {"vti1", "v4ti1"}


def test_what_is_not_ours_is_untouched(rig: Rig) -> None:
    rig.problem("belongs to someone else")
    (taken,) = json.loads(run("ip", "-n", rig.inner, "-j", "-d", "link", "show", "taken"))
    assert taken["linkinfo"]["info_kind"] == "dummy"
    assert "ifalias" not in taken


def test_a_bird_that_cannot_be_served_is_told(rig: Rig) -> None:
    (bird,) = rig.status()["birds"]
    assert "no-such-folder" in bird["error"] or "start BIRD" in bird["error"]
    assert not (rig.folder / "no-such-folder").exists()


def test_without_privilege_each_tunnel_says_what_is_missing(rig: Rig, tmp_path: Path) -> None:
    config = tmp_path / "vtid.toml"
    config.write_text(
        POLICIES.format(folder=tmp_path, vici=rig.charon.vici, inner=rig.inner).replace(
            'interface = "v', 'interface = "w'
        )
    )
    drop = "-net_admin,-sys_admin"
    command = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}", sys.executable]
    enter = ["ip", "netns", "exec", rig.charon.netns, *command]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*enter, "-m", "vtid", "--config", str(config)], stderr=log)
        try:
            poor = Rig(rig.charon, rig.inner, tmp_path)
            assert "CAP_NET_ADMIN" in poor.problem("wti1", "CAP_NET_ADMIN")
            assert "wti1" not in rig.links()
        finally:
            process.terminate()
            process.wait(PATIENCE)
