"""The facts of a machine that is a directory."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
from typing import TYPE_CHECKING

from vtid.config.load import load
from vtid.daemon import facts
from vtid.daemon.doctor import diagnosis
from vtid.daemon.hook_files import Programs, User
from vtid.daemon.look_networkd import networkd
from vtid.daemon.looks import Looks
from vtid.model.facts import CharonLists
from vtid.nft.look import Rules

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from vtid.model.facts import HostFacts


NOTHING = CharonLists()


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def gaps(found: HostFacts) -> dict[str, str]:
    return {gap.what: gap.why for gap in found.gaps}


def test_a_machine_without_anything_has_no_facts_and_says_so(tmp_path: Path) -> None:
    config = load(f'[daemon]\ncontrol_socket = "{tmp_path}/none"')
    found = facts.host_facts(config, NOTHING, tmp_path)
    (own,) = found.namespaces.values()
    assert (own.sysctls, own.xfrm_growth, found.modules) == ({}, {}, None)
    assert (found.networkd, found.bird_conf, found.daemon_capabilities) == (None, None, None)
    missing = gaps(found)
    assert "no /proc/net/xfrm_stat" in missing["packets that IPsec drops"]
    assert "/lib/modules/" in missing["kernel modules"]
    assert f"none listens on {tmp_path}/none" in missing["the vtid that runs"]
    assert "settings of the kernel" in missing
    assert "systemd-networkd" not in missing, "where none runs there is nothing to see"


def test_a_namespace_that_is_not_there_is_a_gap(tmp_path: Path) -> None:
    config = load('[[tunnel]]\nconnection = "a"\ninterface = "v"\nnetns = "nowhere"\n')
    found = facts.host_facts(config, NOTHING, tmp_path)
    assert list(found.namespaces) == [""]
    assert "does not exist: create it" in gaps(found)["namespace nowhere"]


def test_what_this_user_may_not_read_is_a_gap(tmp_path: Path) -> None:
    def refused() -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))

    looks = Looks()
    assert looks.at("a file", refused) is None
    (gap,) = looks.gaps
    assert (gap.what, gap.why) == (
        "a file",
        f"{tmp_path} is not for this user to read: run it as root",
    )


def test_a_look_that_fails_is_a_gap_and_the_others_go_on(tmp_path: Path) -> None:
    write(tmp_path, "proc/thread-self/net/xfrm_stat", "XfrmInError \tmany\n")
    write(tmp_path, "proc/sys/net/ipv4/ip_forward", "1\n")
    found = facts.host_facts(load(""), NOTHING, tmp_path)
    assert "ValueError" in gaps(found)["packets that IPsec drops"]
    assert found.namespaces[""].sysctls == {"ipv4/ip_forward": "1"}


def test_a_setting_that_cannot_be_read_leaves_the_other_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> str | None:
        if path.name in {"ip_forward", "ip_tables_names"}:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return None

    write(tmp_path, "proc/sys/net/ipv4/ip_forward", "1\n")
    monkeypatch.setattr("vtid.daemon.look_netns.read", refuse)
    monkeypatch.setattr("vtid.daemon.look_netns.look", Rules)
    found = facts.host_facts(load(""), NOTHING, tmp_path)
    assert found.namespaces[""].clamps == {}
    missing = gaps(found)
    assert "run it as root" in missing["settings of the kernel"]
    assert "run it as root" in missing["whether iptables-legacy has rules"]


def test_iptables_legacy_is_told_as_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtid.daemon.look_netns.look", lambda: Rules(has_iptables=True))
    write(tmp_path, "proc/thread-self/net/ip6_tables_names", "filter\nmangle\n")
    missing = gaps(facts.host_facts(load(""), NOTHING, tmp_path))
    assert "iptables-legacy-save" in missing["rules of iptables-legacy"]
    assert "iptables-save" in missing["rules of iptables-nft"]


def test_chains_that_are_reached_by_a_jump_are_told_as_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtid.daemon.look_netns.look", lambda: Rules(by_jump=("inet fw ppp",)))
    missing = gaps(facts.host_facts(load(""), NOTHING, tmp_path))
    assert "reached by a jump" in missing["MSS rules of chain inet fw ppp"]


def test_a_hook_that_may_not_be_run_is_told(tmp_path: Path) -> None:
    """As on a gateway: the file is there, and anybody may write to it."""
    hook = tmp_path / "hook"
    hook.write_text("")
    hook.chmod(0o777)
    config = load(f'[daemon]\nhooks = "{tmp_path}"')
    looks = Looks()
    assert any(str(tmp_path) in line for line in facts.hooks(config, tmp_path, looks))
    assert [gap.what for gap in looks.gaps] == ["whether vtid's user may run its hooks"]
    assert facts.hooks(load(""), tmp_path, Looks()) == ()


def test_hooks_are_looked_at_for_the_user_of_the_vtid_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_them = User(990, frozenset({990}))

    def programs(folder: Path, user: User | None) -> Programs:
        return Programs(refused=(f"{folder} for {user}",))

    monkeypatch.setattr(facts, "user", lambda _control, _root: runs_them)
    monkeypatch.setattr(facts, "programs", programs)
    config = load(f'[daemon]\nhooks = "{tmp_path}"')
    assert facts.hooks(config, tmp_path, Looks()) == (f"{tmp_path} for {runs_them}",)


def test_sysctls_and_counters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "proc/sys/net/ipv4/ip_forward", "0\n")
    write(tmp_path, "proc/sys/net/ipv4/conf/vti1/rp_filter", "1\n")
    write(tmp_path, "proc/thread-self/net/xfrm_stat", "XfrmInError \t3\nXfrmInNoPols \t1\n")

    dev = "Inter-|   Receive\n  vti1: 900 {} 0 0 0 0 0 0 1200 {} 0 0 0 0 0 0\n"
    write(tmp_path, "proc/thread-self/net/dev", dev.format(9, 12))

    async def later(_seconds: float) -> None:
        write(tmp_path, "proc/thread-self/net/xfrm_stat", "XfrmInError \t3\nXfrmInNoPols \t8\n")
        write(tmp_path, "proc/thread-self/net/dev", dev.format(9, 15))

    monkeypatch.setattr(asyncio, "sleep", later)
    found = facts.host_facts(load(""), NOTHING, tmp_path, 2.0).namespaces[""]
    assert found.sysctls == {"ipv4/ip_forward": "0", "ipv4/conf/vti1/rp_filter": "1"}
    assert found.xfrm_growth == {"XfrmInError": 0, "XfrmInNoPols": 7}
    assert found.traffic == {"vti1": (0, 3)}


def test_the_last_drop_in_of_networkd_wins(tmp_path: Path) -> None:
    assert networkd(tmp_path) is None
    (tmp_path / "run/systemd/netif").mkdir(parents=True)
    key = "ManageForeignRoutes"
    write(tmp_path, "etc/systemd/networkd.conf", f"[Network]\n#{key}=no\n{key}=yes\n")
    write(tmp_path, "usr/lib/systemd/networkd.conf.d/b.conf", f"[Network]\n{key}=yes\n")
    write(tmp_path, "etc/systemd/networkd.conf.d/a.conf", f"[Network]\n{key}=1\n")
    write(
        tmp_path, "etc/systemd/networkd.conf.d/b.conf", f"[Other]\n{key}=1\n[Network]\n{key}=no\n"
    )
    assert networkd(tmp_path) == {key: "no"}


def test_of_the_main_files_of_networkd_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/netif").mkdir(parents=True)
    key = "ManageForeignRoutes"
    write(tmp_path, "usr/lib/systemd/networkd.conf", f"[Network]\n{key}=no\n")
    write(tmp_path, "etc/systemd/networkd.conf", "[Network]\nOther=1\n")
    assert networkd(tmp_path) == {"Other": "1"}


def test_capabilities_are_those_of_the_process_that_listens(tmp_path: Path) -> None:
    config = load(f'[daemon]\ncontrol_socket = "{tmp_path}/s"')
    write(tmp_path, f"proc/{os.getpid()}/status", "Name:\tvtid\nCapEff:\t0000000000001000\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        assert facts.host_facts(config, NOTHING, tmp_path).daemon_capabilities == 1 << 12


def test_the_diagnosis_is_json(tmp_path: Path) -> None:
    config = load(f'[vici]\nsocket = "{tmp_path}/none"')
    found = json.loads(diagnosis(config, tmp_path, 0))
    assert found["findings"][0]["id"] == "charon-unreachable"
    assert found["not_seen"][0] == {
        "what": "connections and SAs",
        "why": "charon does not answer",
    }
