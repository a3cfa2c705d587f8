"""The facts of a machine that is a directory."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import TYPE_CHECKING

from vtid.config.load import load
from vtid.daemon import facts
from vtid.daemon.doctor import diagnosis

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_a_machine_without_anything_has_no_facts(tmp_path: Path) -> None:
    found = facts.host_facts(load(""), tmp_path, 0)
    assert (found.sysctls, found.xfrm_growth, found.modules) == ({}, {}, None)
    assert (found.networkd, found.bird_conf, found.daemon_capabilities) == (None, None, None)


def test_sysctls_and_counters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "proc/sys/net/ipv4/ip_forward", "0\n")
    write(tmp_path, "proc/sys/net/ipv4/conf/vti1/rp_filter", "1\n")
    write(tmp_path, "proc/net/xfrm_stat", "XfrmInError \t3\nXfrmInNoPols \t1\n")

    dev = "Inter-|   Receive\n  vti1: 900 {} 0 0 0 0 0 0 1200 {} 0 0 0 0 0 0\n"
    write(tmp_path, "proc/net/dev", dev.format(9, 12))

    def later(_seconds: float) -> None:
        write(tmp_path, "proc/net/xfrm_stat", "XfrmInError \t3\nXfrmInNoPols \t8\n")
        write(tmp_path, "proc/net/dev", dev.format(9, 15))

    monkeypatch.setattr(time, "sleep", later)
    found = facts.host_facts(load(""), tmp_path, 2.0)
    assert found.sysctls == {"ipv4/ip_forward": "0", "ipv4/conf/vti1/rp_filter": "1"}
    assert found.xfrm_growth == {"XfrmInError": 0, "XfrmInNoPols": 7}
    assert found.traffic == {"vti1": (0, 3)}


def test_modules_need_both_lists(tmp_path: Path) -> None:
    there = "lib/modules/6.1"
    write(tmp_path, f"{there}/modules.dep", "kernel/net/ipv4/ip_vti.ko.xz: kernel/net/a-b.ko.xz\n")
    assert facts.modules(tmp_path, "6.1") is None
    write(tmp_path, f"{there}/modules.builtin", "kernel/net/xfrm/xfrm-interface.ko\n")
    assert facts.modules(tmp_path, "6.1") == frozenset({"ip_vti", "xfrm_interface"})


def test_the_last_drop_in_of_networkd_wins(tmp_path: Path) -> None:
    assert facts.networkd(tmp_path) is None
    (tmp_path / "run/systemd/netif").mkdir(parents=True)
    key = "ManageForeignRoutes"
    write(tmp_path, "etc/systemd/networkd.conf", f"[Network]\n#{key}=no\n{key}=yes\n")
    write(tmp_path, "usr/lib/systemd/networkd.conf.d/b.conf", f"[Network]\n{key}=yes\n")
    write(tmp_path, "etc/systemd/networkd.conf.d/a.conf", f"[Network]\n{key}=1\n")
    write(
        tmp_path, "etc/systemd/networkd.conf.d/b.conf", f"[Other]\n{key}=1\n[Network]\n{key}=no\n"
    )
    assert facts.networkd(tmp_path) == {key: "no"}


def test_capabilities_are_those_of_the_process_that_listens(tmp_path: Path) -> None:
    config = load(f'[daemon]\ncontrol_socket = "{tmp_path}/s"')
    write(tmp_path, f"proc/{os.getpid()}/status", "Name:\tvtid\nCapEff:\t0000000000001000\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        assert facts.host_facts(config, tmp_path, 0).daemon_capabilities == 1 << 12


def test_the_diagnosis_is_json(tmp_path: Path) -> None:
    config = load(f'[vici]\nsocket = "{tmp_path}/none"')
    findings = json.loads(diagnosis(config, tmp_path, 0))["findings"]
    assert [one["id"] for one in findings] == ["charon-unreachable"]
