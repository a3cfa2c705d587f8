"""Kernel modules, by the lists of a kernel and of modprobe."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from vtid.daemon.look_modules import modules
from vtid.daemon.looks import UnseenError

THERE = "lib/modules/6.1"


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_both_lists_are_needed_and_read(tmp_path: Path) -> None:
    write(tmp_path, f"{THERE}/modules.dep", "kernel/net/ipv4/ip_vti.ko.xz: kernel/net/a-b.ko.xz\n")
    with pytest.raises(UnseenError, match="as in a container"):
        modules(tmp_path, "6.1")
    write(tmp_path, f"{THERE}/modules.builtin", "kernel/net/xfrm/xfrm-interface.ko\n")
    write(tmp_path, "proc/modules", "esp4 28672 0 - Live 0x0\n")
    found = modules(tmp_path, "6.1")
    assert found.known == {"ip_vti", "xfrm_interface"}
    assert found.ready == {"xfrm_interface", "esp4"}
    assert not found.is_locked
    write(tmp_path, "proc/sys/kernel/modules_disabled", "1\n")
    assert modules(tmp_path, "6.1").is_locked


def test_what_modprobe_may_not_load(tmp_path: Path) -> None:
    for name in ("modules.dep", "modules.builtin"):
        write(tmp_path, f"{THERE}/{name}", "")
    bars = {
        "ip_vti": "blacklist ip-vti",
        "a": "  blacklist a # not needed here",
        "b": "install b /bin/false",
        "c": "install c /usr/bin/true # not needed here",
        "d": "install d /bin/sh -c 'exit 1'",
        "e": 'install e sh -c "exit 0"',
        "f": "install f exit 1",
        "g": "install g :",
    }
    does_not = (
        "# blacklist n",
        "install n /sbin/modprobe x",
        "install n /bin/true && /sbin/modprobe --ignore-install n",
        "install n /bin/truelove",
        "install n sh -c '/sbin/modprobe --ignore-install n'",
        "blacklist",
        "",
    )
    write(tmp_path, "etc/modprobe.d/hard.conf", "\n".join((*does_not, *bars.values(), "")))
    found = modules(tmp_path, "6.1").barred
    assert found == dict.fromkeys(bars, "/etc/modprobe.d/hard.conf")


@pytest.mark.lab
def test_a_real_kernel_has_what_a_gateway_needs() -> None:
    found = modules(Path("/"), platform.release())
    assert {"ip_vti", "ip6_vti", "xfrm_interface", "xfrm_user", "esp4", "esp6"} <= found.known
