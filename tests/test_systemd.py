"""The files for systemd, udev and networkd: what they promise, and that systemd understands them.

`systemd-analyze verify` needs a machine with systemd, which the lab is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from vtid.config.load import load
from vtid.model.link import LINK_GROUP

SYSTEMD = Path(__file__).parents[1] / "systemd"


def settings(name: str) -> dict[str, dict[str, list[str]]]:
    """Sections of a unit file with the values of each key."""
    sections: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] | None = None
    for line in (SYSTEMD / name).read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            section = sections.setdefault(heading[1], defaultdict(list))
            continue
        key, equals, value = line.partition("=")
        assert section is not None, f"{name}: {line!r} stands before any section"
        assert equals, f"{name}: {line!r} is no assignment"
        assert key.isalnum(), f"{name}: {line!r} is no assignment"
        section[key].append(value)
    return sections


SERVICE = settings("vtid.service")


def words(key: str) -> set[str]:
    return {word for value in SERVICE["Service"][key] for word in value.split()}


def test_the_service_speaks_what_the_daemon_speaks() -> None:
    """notify-reload is systemd 253's, and Debian 12 has 252."""
    service = SERVICE["Service"]
    assert service["Type"] == ["notify"]
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert service["WatchdogSec"] == ["30s"]


def test_strongswan_orders_and_does_not_gate() -> None:
    assert "strongswan.service" in SERVICE["Unit"]["After"][0].split()
    assert not {"Requires", "BindsTo", "PartOf", "Requisite"} & SERVICE["Unit"].keys()


def test_the_hardening_leaves_what_vtid_does() -> None:
    capabilities = {"CAP_NET_ADMIN", "CAP_NET_RAW"}
    assert words("CapabilityBoundingSet") == words("AmbientCapabilities") == capabilities
    assert {"AF_NETLINK", "AF_UNIX", "AF_INET", "AF_INET6"} == words("RestrictAddressFamilies")
    assert "-/proc/sys/net" in words("ReadWritePaths")
    assert "PrivateNetwork" not in SERVICE["Service"]


def test_namespaces_are_entered_with_the_drop_in_only() -> None:
    assert words("RestrictNamespaces") == {"yes"}
    added = settings("vtid.service.d/namespaces.conf")["Service"]
    assert added["CapabilityBoundingSet"] == added["AmbientCapabilities"] == ["CAP_SYS_ADMIN"]
    assert added["RestrictNamespaces"] == ["", "net"], "the first takes back what the unit says"


def test_raw_sockets_are_taken_away_with_the_drop_in_only() -> None:
    """Subtracted, so that it does not matter which other drop-in is read before it."""
    taken = settings("vtid.service.d/no-probes.conf")["Service"]
    assert taken == {
        key: ["~CAP_NET_RAW"] for key in ("AmbientCapabilities", "CapabilityBoundingSet")
    }


def test_the_unit_asks_for_the_profile_that_there_is() -> None:
    (name,) = SERVICE["Service"]["AppArmorProfile"]
    profile = (SYSTEMD / "apparmor.d/vtid").read_text()
    assert name == "-vtid", "without the profile the service starts as well"
    assert re.findall(r"^profile (\S+) ", profile, re.MULTILINE) == ["vtid"]


def test_the_profile_allows_what_the_unit_gives() -> None:
    profile = (SYSTEMD / "apparmor.d/vtid").read_text()
    named = re.findall(r"^  capability (\w+),", profile, re.MULTILINE)
    added = settings("vtid.service.d/namespaces.conf")["Service"]["AmbientCapabilities"]
    assert {f"CAP_{name.upper()}" for name in named} == words("AmbientCapabilities") | set(added)
    config = load("")
    for path in (config.vici.socket, config.daemon.control_socket):
        assert _allows(profile, path, "rw"), path
    for folder in words("StateDirectory"):
        assert _allows(profile, f"/var/lib/{folder}/bird/.main.conf.new", "rwl"), folder


def _allows(profile: str, path: str, how: str) -> bool:
    """Whether a rule of a profile allows a path; of its patterns, those that ours has."""
    rules = re.findall(r"^  (\S*/\S*) (\w+),", profile.replace("@{run}", "/run"), re.MULTILINE)
    return any(
        set(how) <= set(allowed) and re.fullmatch(_pattern(rule), path) for rule, allowed in rules
    )


def _pattern(rule: str) -> str:
    text = re.escape(rule).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    return text.replace(r"\{,local/\}", "(local/)?")


def test_the_user_is_the_one_that_is_made_and_let_in() -> None:
    (user,) = words("User")
    lines = (SYSTEMD / "sysusers.d/vtid.conf").read_text().splitlines()
    assert [line.split()[:2] for line in lines if line[0] != "#"] == [["u", user]]
    (let_in,) = settings("strongswan.service.d/vtid.conf")["Service"]["ExecStartPost"]
    assert let_in == f"-/bin/chgrp {user} {load('').vici.socket}"
    lines = (SYSTEMD / "tmpfiles.d/vtid.conf").read_text().splitlines()
    assert [line.split() for line in lines if line[0] != "#"] == [
        ["d", "/etc/vtid", "2750", "root", user],
        ["d", f"/var/lib/{words('StateDirectory').pop()}", "0755", user, user],
    ]


def test_the_control_socket_is_in_the_runtime_directory() -> None:
    assert words("RuntimeDirectory") == {"vtid"}


def test_networkd_leaves_our_routes_and_links_alone() -> None:
    assert settings("networkd.conf.d/vtid.conf")["Network"] == {
        "ManageForeignRoutes": ["no"],
        "ManageForeignRoutingPolicyRules": ["no"],
    }
    assert settings("90-vtid.network") == {
        "Match": {"Property": ["ID_VTID=1"]},
        "Link": {"Unmanaged": ["yes"]},
    }


def test_udev_knows_our_links_by_their_group() -> None:
    lines = (SYSTEMD / "99-vtid.rules").read_text("utf-8").splitlines()
    (rule,) = [line for line in lines if not line.startswith("#")]
    assert f'ATTR{{netdev_group}}=="{LINK_GROUP}"' in rule
    assert 'ENV{ID_VTID}="1"' in rule
    # a condition has ==, an assignment =; the wrong one of the two matches everything
    for word in rule.split(", "):
        # and udev takes no empty value: it warns, and then tries to run ""
        assert re.fullmatch(r'[A-Z]+(\{\w+\})?(==|!=|=)"[^"]+"', word)


@pytest.mark.lab
@pytest.mark.any_kernel
def test_systemd_understands_the_service(tmp_path: Path) -> None:
    """All but ExecStart, which is not installed where the tests run."""
    text = (SYSTEMD / "vtid.service").read_text("utf-8")
    unit = tmp_path / "vtid.service"
    unit.write_text(re.sub(r"^ExecStart=.*", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if "vtid.service" in line]
    assert complaints == []
    assert done.returncode == 0


@pytest.mark.lab
@pytest.mark.any_kernel
@pytest.mark.parametrize("drop_in", ["", "namespaces.conf", "no-probes.conf"])
def test_systemd_finds_little_exposed(tmp_path: Path, drop_in: str) -> None:
    """At most 2.0 of 10, of which systemd 252 gives 0.5 for the host's network alone."""
    shutil.copy(SYSTEMD / "vtid.service", tmp_path)
    if drop_in:
        folder = tmp_path / "vtid.service.d"
        folder.mkdir()
        shutil.copy(SYSTEMD / "vtid.service.d" / drop_in, folder)
    judge = ["systemd-analyze", "security", "--offline=true", "--threshold=20"]
    done = subprocess.run(
        [*judge, tmp_path / "vtid.service"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
