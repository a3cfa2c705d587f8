"""vtid as a service of a real systemd, with our files for systemd.

charon and BIRD are services of it, too, with the units of Debian. Nothing is written outside the
mount namespace: units, users, configuration and the command `vtid` lie on file systems in memory
that only this systemd sees.
"""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.systemd import Manager, booted

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[1]
DROP_INS = "/etc/systemd/system/vtid.service.d"

CONFIG = '[[tunnel]]\nconnection = "V2-1"\ninterface = "vti3"\n'
"""One tunnel that never comes up."""

WHOLE = """
[[tunnel]]
connection = "V3-1"
interface = "vti4"
presence = "always"
local = "192.0.2.1"
remote = "192.0.2.2"
mark = 42
esp = "aes256gcm16-ecp384"
netns = "{netns}"
addresses = ["169.254.1.0/31", "2001:db8:ff::/127"]
sysctls = {{ipv6 = {{hop_limit = 77}}}}
[tunnel.bgp]
neighbor = "169.254.1.1"
local_as = 65001
remote_as = 65002
present = "always"
password = "a secret"
[[bird]]
name = "main"
socket = "/run/bird/bird.ctl"
include = "/var/lib/vtid/bird/main.conf"
"""
"""All that takes a privilege: link, addresses, both ways to a sysctl, clamp, BIRD's group."""

BIRD = """
router id 192.0.2.1;
protocol device {}
include "/var/lib/vtid/bird/*.conf";
"""

BEGIN = f"""
mount -t tmpfs tmpfs /usr/local/bin
mount -t tmpfs tmpfs /var/lib
rm -rf /etc/vtid
files={shlex.quote(str(ROOT))}/systemd
cp $files/vtid.service .
cp -r $files/strongswan.service.d .
systemd-sysusers $files/sysusers.d/vtid.conf
systemd-tmpfiles --create $files/tmpfiles.d/vtid.conf
usermod -a -G bird vtid
install -d -o vtid -g bird -m 2755 /var/lib/vtid/bird
mkdir vtid.service.d
printf '[Service]\\nWatchdogSec=5s\\n' > vtid.service.d/quick.conf
printf '%s' {shlex.quote(BIRD)} > /etc/bird/bird.conf
for name in vtid vtid.ctl.main; do
  printf '#!/bin/sh\\nexport PYTHONPATH=%s\\nexec %s -m %s "$@"\\n' \
    {shlex.quote(":".join([str(ROOT), *sys.path[1:]]))} {shlex.quote(sys.executable)} $name \
    > /usr/local/bin/$name
  chmod +x /usr/local/bin/$name
done
mv /usr/local/bin/vtid.ctl.main /usr/local/bin/vtictl
umask 027
printf '%s' {shlex.quote(CONFIG)} > /etc/vtid/vtid.toml
umask 022
"""


@pytest.fixture(scope="module")
def systemd() -> Iterator[Manager]:
    with booted(BEGIN) as manager:
        yield manager


def test_start_reload_watchdog_and_stop(systemd: Manager) -> None:
    systemd.run("systemctl", "start", "vtid")
    assert systemd.show("ActiveState") == "active", "start returns after READY=1"
    systemd.eventually(lambda: systemd.show("StatusText") == "tunnels: 1 down")

    systemd.run("sh", "-c", "echo 'unknown = 1' >> /etc/vtid/vtid.toml")
    systemd.run("systemctl", "reload", "vtid")
    assert systemd.show("ActiveState") == "active", "a bad configuration ends nothing"
    systemd.run("sh", "-c", "sed -i /unknown/d /etc/vtid/vtid.toml")

    systemd.run("kill", "-STOP", systemd.show("MainPID"))
    systemd.eventually(lambda: systemd.show("NRestarts") == "1")
    systemd.eventually(lambda: systemd.show("ActiveState") == "active")

    systemd.run("systemctl", "stop", "vtid")
    assert systemd.show("ActiveState") == "inactive"
    assert systemd.show("Result") == "success"


def test_of_the_kernels_settings_those_of_the_network_can_be_written(systemd: Manager) -> None:
    """`sysctls = {ipv6 = …}` goes through /proc/sys, in any namespace: netlink has no request."""
    systemd.run("systemctl", "start", "vtid")
    inside = ("nsenter", "--mount", f"--target={systemd.show('MainPID')}", "--", "unshare", "--net")
    setting, other = "/proc/sys/net/ipv6/conf/lo/hop_limit", "/proc/sys/kernel/sysrq"
    here = systemd.run("cat", setting)
    written = systemd.run(*inside, "sh", "-c", f"echo 77 > {setting}; cat {setting}")
    assert written == "77"
    assert systemd.run("cat", setting) == here, "of another namespace"
    copy = f"value=$(cat {other}); echo $value 2>/dev/null > {other} || echo refused"
    assert systemd.run(*inside, "sh", "-c", copy) == "refused"


def test_a_bad_configuration_is_not_tried_again(systemd: Manager) -> None:
    systemd.run("sh", "-c", "echo 'unknown = 1' >> /etc/vtid/vtid.toml")
    systemd.run("systemctl", "restart", "vtid")
    assert systemd.show("ActiveState") == "failed"
    assert systemd.show("ExecMainStatus") == "78"


# --- without root --------------------------------------------------------------------------------

NET_ADMIN, NET_RAW, SYS_ADMIN = 1 << 12, 1 << 13, 1 << 21
"""linux/capability.h."""


def configure(systemd: Manager, text: str) -> None:
    """Put a configuration in place, as root would, and start vtid with it."""
    systemd.run("sh", "-c", f"umask 027; printf '%s' {shlex.quote(text)} > /etc/vtid/vtid.toml")
    systemd.run("systemctl", "daemon-reload")
    systemd.run("systemctl", "restart", "vtid")


def status(systemd: Manager) -> dict[str, list[str]]:
    fields = systemd.run("cat", f"/proc/{systemd.show('MainPID')}/status").splitlines()
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in fields)}


def answers(systemd: Manager, command: tuple[str, ...], word: str) -> bool:
    """Whether a word is in what a command prints."""
    return word in systemd.run(*command)


def test_charon_and_bird_let_vtids_user_in(systemd: Manager) -> None:
    for service in ("strongswan", "bird"):
        systemd.run("systemctl", "start", service)
    assert systemd.run("stat", "-c", "%U:%G", "/run/charon.vici") == "root:vtid"


NO_PROBES = "[defaults.probe]\nmtu = false\n"

DROP_INS_FOR = {
    ("", False): ((), NET_ADMIN | NET_RAW),
    ("", True): (("no-probes",), NET_ADMIN),
    ("inner", False): (("namespaces",), NET_ADMIN | NET_RAW | SYS_ADMIN),
    ("inner", True): (("namespaces", "no-probes"), NET_ADMIN | SYS_ADMIN),
}
"""Drop-ins and capabilities, by namespace, and whether nothing is probed."""


def begin_anew(systemd: Manager) -> None:
    """Remove drop-ins and namespace of an earlier test, and have charon and BIRD run."""
    for name in ("namespaces", "no-probes"):
        systemd.run("rm", "-f", f"{DROP_INS}/{name}.conf")
    systemd.run("systemctl", "stop", "vtid")
    systemd.run("ip", "netns", "delete", "inner")
    for service in ("strongswan", "bird"):
        systemd.run("systemctl", "start", service)


@pytest.mark.parametrize(("netns", "silent"), DROP_INS_FOR)
def test_all_is_done_without_root(systemd: Manager, netns: str, silent: bool) -> None:  # noqa: FBT001
    names, capabilities = DROP_INS_FOR[netns, silent]
    begin_anew(systemd)
    for name in names:
        systemd.run("cp", f"{ROOT}/systemd/vtid.service.d/{name}.conf", DROP_INS)
    inside: tuple[str, ...] = ()
    if netns:
        systemd.run("ip", "netns", "add", netns)
        inside = ("ip", "netns", "exec", netns)
    configure(systemd, WHOLE.format(netns=netns) + (NO_PROBES if silent else ""))

    found = status(systemd)
    assert set(found["Uid"]) == {systemd.run("id", "-u", "vtid")}
    assert int(found["CapEff"][0], 16) == int(found["CapBnd"][0], 16) == capabilities
    systemd.eventually(lambda: "169.254.1.0/31" in systemd.run(*inside, "ip", "address"))
    for setting, value in (("ipv6/conf/vti4/hop_limit", "77"), ("ipv4/conf/vti4/rp_filter", "0")):
        look = (*inside, "cat", f"/proc/sys/net/{setting}")
        systemd.eventually(partial(answers, systemd, look, value))
    for look, word in (
        ((*inside, "nft", "list", "table", "inet", "vtid"), "vti4"),
        (("birdc", "show", "protocols"), "vtid_vti4"),
    ):
        systemd.eventually(partial(answers, systemd, look, word))
    assert systemd.run("stat", "-c", "%U:%G %a", "/var/lib/vtid/bird/main.conf") == "vtid:bird 640"


def test_a_password_is_a_credential_of_the_service(systemd: Manager) -> None:
    """root's file: vtid's user reads the copy that systemd made."""
    begin_anew(systemd)
    systemd.run("sh", "-c", "umask 077; echo 'of a file' > /etc/peer.password")
    drop_in = "[Service]\\nLoadCredential=peer:/etc/peer.password\\n"
    systemd.run("sh", "-c", f"printf '{drop_in}' > {DROP_INS}/credentials.conf")
    named = 'password_file = "$CREDENTIALS_DIRECTORY/peer"'
    configure(systemd, WHOLE.format(netns="").replace('password = "a secret"', named))

    shown = ("/usr/local/bin/vtictl", "bird", "render", "--passwords")
    systemd.eventually(partial(answers, systemd, shown, '"of a file"'))
    assert "of a file" not in systemd.run("/usr/local/bin/vtictl", "bird", "render")
    assert "good" in systemd.run("/usr/local/bin/vtictl", "check"), (
        "root checks with the credentials of the unit"
    )
