"""The AppArmor profile in force: vtid does all that it has to, and nothing that it has not.

    make apparmor

It needs a kernel of its own and Debian's package apparmor, which the lab's other tests do not have,
so that its name is not one that pytest collects.

Rules of this file: whatever the kernel denies to the profile is a failure, but for what a hook does
in order to be denied.
"""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.charon import Charon, namespace, run
from tests.life.texts import Side, child, connection, swanctl_conf
from tests.systemd import Manager, booted
from tests.test_systemd_lab import BEGIN, DROP_INS, ROOT, answers, configure

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.lab

PROFILE = ROOT / "systemd/apparmor.d/vtid"
SECURITY = Path("/sys/kernel/security")
OUTER, PEER, INNER = "192.0.2.1", "192.0.2.2", "inner"
NARROW = Side(child(ts="local_ts = 169.254.1.0/30\n remote_ts = 169.254.1.0/30"))
"""So that Debian's charon, as it is configured, has no route to install."""
METRICS = "127.0.0.1:9150"
READ = f"import urllib.request as r; print(r.urlopen('http://{METRICS}/metrics').read().decode())"

CONFIG = """
[daemon]
metrics = ["{metrics}"]
hooks = "/etc/vtid/hooks.d"

[[tunnel]]
connection = "net"
child = "net"
interface = "vti42"
netns = "{netns}"
initiate = true
addresses = ["{address}", "2001:db8:ff::/127"]
sysctls = {{ipv6 = {{hop_limit = 77}}}}
[tunnel.probe]
interval = "1s"
[tunnel.bgp]
neighbor = "169.254.1.1"
local_as = 65001
remote_as = 65002

[[bird]]
name = "main"
socket = "/run/bird/bird.ctl"
include = "/var/lib/vtid/bird/main.conf"
"""

UP = "tunnels: 1 up"
LOG = "/var/lib/vtid/log"
"""There is no journal in this systemd."""

FORBIDDEN = "/etc/debian_version"
"""A file that everybody may read, and that the profile does not name."""

TELLING = "cat > /var/lib/vtid/told"
READING = f"cat {FORBIDDEN} > /var/lib/vtid/read || echo refused > /var/lib/vtid/read"

INSTALLED = f"""
mkdir -p /usr/lib/vtid /etc/vtid/hooks.d
mount -t tmpfs -o mode=755 tmpfs /usr/lib/vtid
mkdir /usr/lib/vtid/code /usr/lib/vtid/packages
cp -r {shlex.quote(str(ROOT))}/vtid /usr/lib/vtid/code
mount --bind /opt/vtid /usr/lib/vtid/packages
cd /usr/local/bin
sed -i 's,PYTHONPATH=[^ ]*,PYTHONPATH=/usr/lib/vtid/code:/usr/lib/vtid/packages,
  s, -m , -P -m ,' vtid vtictl
cd -
cp {shlex.quote(str(ROOT))}/systemd/vtid.service.d/namespaces.conf vtid.service.d
printf '[Service]\\nStandardOutput=append:{LOG}\\nStandardError=append:{LOG}\\n' \
  > vtid.service.d/log.conf
ip netns add {INNER}
"""
"""Where the package has its code: the lab's own place is not in the profile."""


def denied() -> list[str]:
    """What the kernel's log has of things denied to vtid and to its hooks."""
    said = run("dmesg").splitlines()
    return [line for line in said if 'apparmor="DENIED"' in line and 'profile="vtid"' in line]


@pytest.fixture(scope="module")
def in_force(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Load the profile as `aa-enforce` would leave it."""
    assert Path("/sys/module/apparmor/parameters/enabled").read_text().strip() == "Y"
    if not (SECURITY / "apparmor").is_dir():
        run("mount", "-t", "securityfs", "securityfs", str(SECURITY))
    enforced = tmp_path_factory.mktemp("apparmor") / "vtid"
    text = PROFILE.read_text()
    assert ", complain)" in text
    enforced.write_text(text.replace(", complain)", ")"))
    run("apparmor_parser", "--replace", "--skip-cache", str(enforced))
    assert "vtid (enforce)" in (SECURITY / "apparmor/profiles").read_text()


@pytest.fixture(scope="module")
def systemd(
    in_force: None,  # noqa: ARG001 - before vtid starts
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Manager]:
    """A systemd with charon, BIRD and vtid, a peer's charon at the other end of its wire."""
    with booted(BEGIN + INSTALLED) as manager, peer(manager, tmp_path_factory.mktemp("peer")):
        text = shlex.quote(swanctl_conf(connection(OUTER, PEER, NARROW)))
        manager.run("sh", "-c", f"printf '%s' {text} > /etc/swanctl/swanctl.conf")
        for service in ("strongswan", "bird"):
            manager.run("systemctl", "start", service)
        yield manager
        print(manager.run("tail", "-n", "40", LOG), *denied(), sep="\n")  # where a test failed


@contextmanager
def peer(manager: Manager, directory: Path) -> Iterator[None]:
    """Run a charon that answers, at the other end of an eth0 of systemd's namespace."""
    with namespace("peer") as netns:
        run(*f"ip -n {netns} link add eth0 type veth peer eth0 netns {manager.pid}".split())
        run(*f"ip -n {netns} address add {PEER}/24 dev eth0".split())
        run(*f"ip -n {netns} link set eth0 up".split())
        manager.run(*f"ip address add {OUTER}/24 dev eth0".split())
        manager.run("ip", "link", "set", "eth0", "up")
        conf = swanctl_conf(connection(PEER, OUTER, NARROW))
        with Charon(netns, directory, conf):
            yield


def hook(manager: Manager, line: str) -> None:
    text = shlex.quote(f"#!/bin/sh\n{line}\n")
    place = "/etc/vtid/hooks.d/10-note"
    manager.run("sh", "-c", f"printf '%s' {text} > {place}; chmod 755 {place}")


def config(address: str = "169.254.1.0/31") -> str:
    return CONFIG.format(metrics=METRICS, netns=INNER, address=address)


def test_all_that_vtid_does_is_allowed(systemd: Manager) -> None:
    hook(systemd, TELLING)
    systemd.run("mkdir", "-p", DROP_INS)
    configure(systemd, config())
    label = systemd.run("cat", f"/proc/{systemd.show('MainPID')}/attr/current")
    assert label == "vtid (enforce)"
    systemd.eventually(lambda: systemd.show("StatusText") == UP)
    inside = ("ip", "netns", "exec", INNER)
    for look, word in (
        ((*inside, "ip", "address", "show", "vti42"), "169.254.1.0/31"),
        ((*inside, "cat", "/proc/sys/net/ipv6/conf/vti42/hop_limit"), "77"),
        ((*inside, "nft", "list", "table", "inet", "vtid"), "vti42"),
        (("birdc", "show", "protocols"), "vtid_vti42"),
        (("cat", "/var/lib/vtid/told"), '"event": "up"'),
        (("python3", "-c", READ), "vtid_tunnel_probe_alive{"),
    ):
        systemd.eventually(partial(answers, systemd, look, word))

    told = shlex.quote(config("169.254.1.2/31"))
    systemd.run("sh", "-c", f"umask 027; printf '%s' {told} > /etc/vtid/vtid.toml")
    systemd.run("systemctl", "reload", "vtid")
    look = (*inside, "ip", "address", "show", "vti42")
    systemd.eventually(partial(answers, systemd, look, "169.254.1.2/31"))
    systemd.run("systemctl", "restart", "vtid")
    systemd.eventually(lambda: systemd.show("StatusText") == UP)
    assert denied() == []


def test_what_the_profile_does_not_name_is_refused(systemd: Manager) -> None:
    as_vtid = ("setpriv", "--reuid=vtid", "--clear-groups", "cat", FORBIDDEN)
    assert systemd.run(*as_vtid), "without the profile, it may be read"
    before = denied()
    hook(systemd, READING)
    systemd.run("systemctl", "restart", "vtid")
    systemd.eventually(partial(answers, systemd, ("cat", "/var/lib/vtid/read"), "refused"))
    (line,) = denied()[len(before) :]
    assert f'name="{FORBIDDEN}"' in line
