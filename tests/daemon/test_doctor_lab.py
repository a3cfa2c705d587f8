"""The doctor beside a real charon, in a namespace where much is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.charon import Charon, pair, run
from tests.vici.record import conf
from tests.vici.record_conns import GATEWAY, PEER, lines
from vtid.config.load import load
from vtid.core.doctor import examine
from vtid.daemon.look_modules import modules
from vtid.model.facts import CharonLists, HostFacts
from vtid.nft import ruleset

if TYPE_CHECKING:
    from vtid.config.keys import Config

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


def within(netns: str) -> tuple[str, ...]:
    return ("ip", "netns", "exec", netns)


def look(netns: str, config: Path) -> Any:
    """What the doctor says in a namespace; "" is this process's own."""
    doctor = (sys.executable, "-m", "vtid", "--doctor", "--config", str(config))
    return json.loads(run(*(within(netns) if netns else ()), *doctor))


def findings(charon: Charon, config: str, directory: Path) -> set[tuple[str, str]]:
    """What the doctor finds beside a charon, but for what is this machine's own."""
    path = directory / "vtid.toml"
    path.write_text(config.format(vici=charon.vici, socket=directory / "none"))
    found = {
        (one["id"], one["subject"].partition("{")[0])
        for one in look(charon.netns, path)["findings"]
    }
    return {one for one in found if one[0] not in {"networkd-routes", "clock-unsynchronised"}}


def test_what_is_wrong_is_found_and_nothing_else(tmp_path: Path) -> None:
    with pair(conf(1, 2, "192.0.2.2"), conf(2, 1, "%any")) as (a, _):
        a.swanctl("--initiate", "--child", "net")
        a.ip("route", "add", "10.77.0.0/24", "dev", "eth0", "table", "220")
        found = findings(a, CONFIG, tmp_path)
    assert found == {
        ("charon-routes", "table 220"),
        ("forwarding-off", "net.ipv4.ip_forward"),
        ("missing-if-ids", "six/net"),
        ("policy-without-connection", "gone/*"),
        ("transport-mode", "four/plain"),
    }


UP = """
[daemon]
control_socket = "{socket}"
[vici]
socket = "{vici}"
[[tunnel]]
connection = "six"
interface = "vti1"
"""

CLAMPED = ruleset.build({name: {"vti1": 1340} for name in ruleset.MAPS})

SMALLER = """
table inet firewall {
  chain c { type filter hook forward priority 0; policy accept;
    oifname "vti*" tcp flags syn tcp option maxseg size set 1200; }
}
"""

FIRST = "insert rule inet vtid clamp accept"
"""In the way of all our rules."""


def test_mtu_and_mss_of_a_tunnel_that_is_up(tmp_path: Path) -> None:
    """A veth stands in for the interface; SA, route and nftables are real."""
    with pair(conf(1, 2, "192.0.2.2"), conf(2, 1, "%any")) as (a, _):

        def found() -> set[tuple[str, str]]:
            mine = {"mss-not-clamped", "mss-shadowed", "mtu-above-path"}
            return {one for one in findings(a, UP, tmp_path) if one[0] in mine}

        def load(text: str) -> None:
            subprocess.run([*within(a.netns), "nft", "-f", "-"], input=text, text=True, check=True)

        a.swanctl("--initiate", "--child", "net")
        a.ip("link", "add", "vti1", "type", "veth", "peer", "name", "far")
        assert found() == {("mtu-above-path", "vti1"), ("mss-not-clamped", "vti1")}
        a.ip("link", "set", "vti1", "mtu", "1380")
        load(CLAMPED)
        assert found() == set()
        load(SMALLER)
        assert found() == {("mss-shadowed", "vti1")}
        load(f"delete table inet firewall\n{FIRST}")
        assert found() == {("mss-not-clamped", "vti1")}


TUNNEL = '[[tunnel]]\nconnection = "a"\ninterface = "vti1"\n'

LISTENER = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("listens", flush=True)
while True:
    listener.accept()[0].close()
"""


def test_a_daemon_without_a_capability_is_found(tmp_path: Path) -> None:
    """Another program listens in vtid's place, with less than root has."""
    control, config = str(tmp_path / "s"), tmp_path / "vtid.toml"
    config.write_text(f'[daemon]\ncontrol_socket = "{control}"\n{TUNNEL}')
    less = ("setpriv", "--bounding-set=-net_raw,-sys_admin")
    with subprocess.Popen(
        [*less, sys.executable, "-c", LISTENER, control],
        stdout=subprocess.PIPE,
        text=True,
    ) as listener:
        assert listener.stdout and listener.stdout.readline() == "listens\n"  # noqa: PT018
        found = [one for one in look("", config)["findings"] if one["id"] == "missing-capability"]
        listener.terminate()
    assert [one["subject"] for one in found] == ["CAP_NET_RAW"]


def missing(config: Config, host: HostFacts) -> set[str]:
    found = examine(config, CharonLists(), host)
    return {one.subject for one in found if one.id == "missing-module"}


def test_a_module_that_the_kernel_lacks_is_found(tmp_path: Path) -> None:
    """VRFs are a module of every Debian kernel; here its list of modules lacks it."""
    config = load(TUNNEL.replace("interface", 'vrf = "red"\ninterface'))
    there = max(Path("/lib/modules").iterdir())
    for name in ("modules.dep", "modules.builtin"):
        lines = (there / name).read_text().splitlines()
        target = tmp_path / there.relative_to("/") / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(line for line in lines if "/vrf.ko" not in line))
    whole, less = (HostFacts(modules=modules(root, there.name)) for root in (Path("/"), tmp_path))
    assert missing(config, whole) == set()
    assert missing(config, less) == {"vrf"}


SETTINGS = """
[daemon]
control_socket = "{socket}"
[[tunnel]]
connection = "a"
interface = "vti1"
addresses = ["10.0.0.1/30"]
[[tunnel]]
connection = "b"
interface = "vti2"
netns = "{inner}"
addresses = ["10.0.1.1/30"]
"""


def test_settings_of_the_kernel_are_found_in_every_namespace(tmp_path: Path) -> None:
    """veths stand in: the settings are those of any interface."""
    outer, inner = "vtid-doctor-a", "vtid-doctor-b"
    config = tmp_path / "vtid.toml"
    config.write_text(SETTINGS.format(socket=tmp_path / "none", inner=inner))
    try:
        for netns, name in ((outer, "vti1"), (inner, "vti2")):
            run("ip", "netns", "add", netns)
            run("ip", "-n", netns, "link", "add", name, "type", "veth", "peer", "name", "far")
            for setting in (f"{name}.rp_filter=1", f"{name}.disable_policy=0"):
                run(*within(netns), "sysctl", "-qw", f"net.ipv4.conf.{setting}")
        run(*within(inner), "sysctl", "-qw", "net.ipv4.ip_forward=1")
        found = {(one["id"], one["subject"]) for one in look(outer, config)["findings"]}
        assert found >= {
            ("policy-check", "vti1"),
            ("strict-rp-filter", "vti1"),
            ("forwarding-off", "net.ipv4.ip_forward"),
            ("policy-check", f"{inner}/vti2"),
            ("strict-rp-filter", f"{inner}/vti2"),
        }
        assert ("forwarding-off", f"{inner}/net.ipv4.ip_forward") not in found
    finally:
        for netns in (outer, inner):
            subprocess.run(["ip", "netns", "delete", netns], check=False)


WITHOUT_KEYS = """
[vici]
socket = "{vici}"
[[tunnel]]
connection = "site"
child = "lan"
interface = "vti1"
"""


def test_sas_without_policy_and_without_marks_are_found(tmp_path: Path) -> None:
    with pair(lines(GATEWAY), lines(PEER)) as (a, b):
        for charon, nets in ((a, (1, 6)), (b, (2, 4, 7))):
            for net in nets:  # for kernel-libipsec
                charon.ip("address", "add", f"10.{net}.0.1/32", "dev", "lo")
        for child in ("lan", "split"):
            a.swanctl("--initiate", "--ike", "site", "--child", child)
        found = findings(a, WITHOUT_KEYS, tmp_path)
    assert found >= {("connection-without-policy", "site/split"), ("missing-marks", "site/lan")}


BIRDS = """
[daemon]
control_socket = "{there}/none"
[[tunnel]]
connection = "a"
interface = "vti1"
[tunnel.bgp]
neighbor = "10.0.0.2"
local_as = 65001
remote_as = 65002
[[bird]]
name = "main"
socket = "/run/bird/bird.ctl"
include = "{there}/vtid.conf"
"""


@pytest.mark.parametrize("is_included", [False, True])
def test_a_bird_that_does_not_include_the_file_is_found(
    tmp_path: Path,
    is_included: bool,  # noqa: FBT001
) -> None:
    """In a mount namespace in which Debian's place of bird.conf has that of the test."""
    bird_conf, config = tmp_path / "bird.conf", tmp_path / "vtid.toml"
    bird_conf.write_text(f'include "{tmp_path}/*.conf";\n' if is_included else "\n")
    config.write_text(BIRDS.format(there=tmp_path))
    doctor = f"{sys.executable} -m vtid --doctor --config {config}"
    script = f"mount --bind {bird_conf} /etc/bird/bird.conf && exec {doctor}"
    found = json.loads(run("unshare", "--mount", "sh", "-c", script))["findings"]
    assert ("bird-include" in {one["id"] for one in found}) is not is_included


@pytest.mark.parametrize("wanted", ["*.conf", "main.con[f]"])
def test_a_bird_starts_with_what_is_advised_before_the_file_is_there(
    tmp_path: Path, wanted: str
) -> None:
    conf = tmp_path / "bird.conf"

    def parses(include: str) -> bool:
        conf.write_text(f'include "{tmp_path}/vtid/{include}";\nprotocol device {{}}\n')
        return not subprocess.run(["bird", "-p", "-c", str(conf)], check=False).returncode

    (tmp_path / "vtid").mkdir()
    assert parses(wanted)
    assert not parses("main.conf")
    (tmp_path / "vtid/main.conf").write_text("nonsense;\n")
    assert not parses(wanted), "it is read"


def test_an_address_that_charon_installed_is_found(tmp_path: Path) -> None:
    config = """
[vici]
socket = "{vici}"
[[tunnel]]
connection = "home"
interface = "home"
"""
    with pair(lines(GATEWAY), lines(PEER), extra="install_virtual_ip = yes") as (a, b):
        a.ip("address", "add", "10.1.0.1/32", "dev", "lo")  # for kernel-libipsec
        b.swanctl("--initiate", "--ike", "home", "--child", "net")
        assert ("charon-virtual-ip", "10.99.0.1") in findings(b, config, tmp_path)
