"""`vtictl plan`: what vtid would do, as a person would do it."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.ctl.shell import GOLDEN, HOSTILE, Shell
from tests.http.samples import DELETE, link
from vtid.ctl import plan
from vtid.ctl.commands import _WRITERS, commands, quoted
from vtid.http import exchange
from vtid.http.api import BirdChange, Plan
from vtid.http.encode import encode
from vtid.model.bgp import BirdBlock
from vtid.model.link import Clamp, Route
from vtid.model.operation import (
    AddAddress,
    AddRoute,
    AdoptLink,
    CreateLink,
    DeleteAddress,
    DeleteBird,
    DeleteClamp,
    DeleteRoute,
    Op,
    ProbeUnderlay,
    PutBird,
    SetClamp,
    SetLink,
    SetUp,
)

if TYPE_CHECKING:
    from pathlib import Path

    from vtid.ctl.client import Json

ON: Json = {"tunnel": "V2-1", "reason": "V2-1/net{7} is up: MTU 1446 from AES_GCM_16-256 in IPv4"}
PLACE: Json = {**ON, "netns": "private", "interface": "vti42"}
XFRM = replace(link("xf.1"), kind="xfrm", local="", remote="", ikey=0, okey=0, if_id=7, netns="")
MOVED = replace(XFRM, vrf="red", link_local=False, sysctls=(("ipv6.forwarding", 1),), rp_filter=2)
BLOCK = BirdBlock("private", "V2-1", (), switched=(("vtid_vti42", True), ("other", False)))

UP = (
    CreateLink(**ON, link=link()),
    AddAddress(**PLACE, address="2001:db8:ff::/127"),
    AddAddress(**PLACE, address="10.0.0.1 peer 10.0.0.2/32"),
    SetUp(**ON, netns="private", name="vti42"),
    SetClamp(**PLACE, clamp=Clamp(1406, 1386)),
    AddRoute(**PLACE, route=Route("10.77.0.0/16", metric=0)),
    PutBird(**ON, block=BLOCK),
)
DIFF = """\
--- /var/lib/vtid/bird/private.conf
+++ /var/lib/vtid/bird/private.conf (wanted)
@@ -1 +1,3 @@
 # Written by vtid from its sessions; do not edit, the next change replaces it.
+
+# vtid begin "V2-1"
"""
BIRDS = (
    BirdChange("private", "/var/lib/vtid/bird/private.conf", DIFF),
    BirdChange("second", error="cannot read /x: Permission denied: chmod it"),
)


VTI = "type vti local 192.0.2.1 remote 192.0.2.2 ikey 42 okey 42"


def lines(op: Op) -> list[str]:
    told: Json = json.loads(encode(op))
    return list(commands(told))


async def test_nothing_to_do(shell: Shell) -> None:
    assert await shell("plan") == (0, "nothing to do\n", "")


async def test_a_tunnel_that_comes_and_one_that_goes(shell: Shell) -> None:
    shell.daemon.ops = (DELETE, *UP)
    shell.daemon.bird_changes = BIRDS
    code, out, _ = await shell("plan")
    assert (code, out) == (2, (GOLDEN / "vtictl-plan.txt").read_text("utf-8"))


async def test_as_json(shell: Shell) -> None:
    shell.daemon.ops, shell.daemon.bird_changes = (DELETE,), BIRDS
    code, out, _ = await shell("plan", "-o", "json")
    told = json.loads(out)
    assert (code, told["ops"][0]["op"]) == (2, "DeleteLink")
    assert [one["instance"] for one in told["birds"]] == ["private", "second"]


# --- for a configuration -------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "new & better.toml"
    path.write_text("# ünïcode")
    return path


async def test_what_a_reload_would_do(shell: Shell, config: Path) -> None:
    shell.daemon.planned = Plan(
        (DELETE,), warnings=("namespace x is not watched yet",), changes=("[[tunnel]] A/* removed",)
    )
    code, out, _ = await shell("plan", "--config", str(config))
    assert (code, out.splitlines()) == (
        2,
        [
            "# [[tunnel]] A/* removed",
            "# warning: namespace x is not watched yet",
            "# private/vti42: its policy is gone",
            "ip -n private link del dev vti42",
            "# 1 operation on 1 tunnel; interfaces: 1 to delete",
        ],
    )
    assert shell.daemon.done == [f"plan for {config}, 9 characters"]


async def test_a_reload_that_would_do_nothing(shell: Shell, config: Path) -> None:
    assert (await shell("plan", "--config", str(config)))[:2] == (0, "nothing to do\n")
    shell.daemon.planned = Plan(birds=BIRDS[:1])
    code, out, _ = await shell("plan", "--config", str(config))
    assert (code, out.splitlines()[-1]) == (2, "# nothing else")


async def test_a_reload_that_would_be_refused(shell: Shell, config: Path) -> None:
    shell.daemon.planned = Plan(ok=False, errors=("3: no", "9: neither"))
    code, out, _ = await shell("plan", "--config", str(config))
    assert code == 1
    assert out.splitlines() == [
        "configuration refused:",
        f"{config}: 3: no",
        f"{config}: 9: neither",
    ]
    code, out, _ = await shell("plan", "--config", str(config), "-o", "json")
    assert (code, json.loads(out)["ok"]) == (1, False)


async def test_the_configuration_from_a_pipe(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"abc")))
    assert (await shell("plan", "--config", "-"))[0] == 0
    assert shell.daemon.done == ["plan for standard input, 3 characters"]


async def test_a_file_that_cannot_be_sent(
    shell: Shell, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = await shell("plan", "--config", "/nowhere")
    assert (code, err) == (1, "vtictl: /nowhere: No such file or directory\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    code, _, err = await shell("plan", "--config", "-")
    assert (code, "not UTF-8" in err) == (1, True)
    monkeypatch.setattr(plan, "CONFIG_MAX", 0)
    code, _, err = await shell("plan", "--config", str(config))
    assert (code, "larger than 0 bytes" in err) == (1, True)
    assert shell.daemon.done == []


def test_both_ends_agree_on_the_size() -> None:
    assert plan.CONFIG_MAX == exchange.CONFIG_MAX


# --- operations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "said"),
    [
        (ProbeUnderlay(**ON, local="192.0.2.1", remote="192.0.2.2"),
         ["ip route get 192.0.2.2 from 192.0.2.1"]),
        (AdoptLink(**ON, link=MOVED), [
            "ip link set dev xf.1 group 0x76746964 alias vtid:private/xf.1",
        ]),
        (CreateLink(**ON, link=MOVED), [
            "ip link add xf.1 mtu 1446 group 0x76746964 type xfrm if_id 7",
            "ip link set dev xf.1 alias vtid:private/xf.1",
            "ip link set dev xf.1 master red",
            "ip link set dev xf.1 addrgenmode none",
            "sysctl -w net/ipv4/conf/xf.1/disable_policy=1",
            "sysctl -w net/ipv4/conf/xf.1/rp_filter=2",
            "sysctl -w net/ipv6/conf/xf.1/forwarding=1",
        ]),
        (SetLink(**ON, link=link(), ifindex=9, changes=("remote", "okey")), [
            f"ip -n private link set dev vti42 {VTI}",
            "ip -n private link set dev vti42 mtu 1446",
        ]),
        (SetLink(**ON, link=XFRM, ifindex=9, changes=("vrf", "link_local", "alias", "rp_filter")), [
            "ip link set dev xf.1 alias vtid:private/xf.1",
            "ip link set dev xf.1 nomaster",
            "ip link set dev xf.1 addrgenmode eui64",
            "sysctl -w net/ipv4/conf/xf.1/rp_filter=0",
        ]),
        (SetLink(**ON, link=link(), ifindex=9, changes=("mtu", "disable_policy")), [
            "ip -n private link set dev vti42 mtu 1446",
            "ip netns exec private sysctl -w net/ipv4/conf/vti42/disable_policy=1",
        ]),
        (SetUp(**ON, netns="", name="vti1", up=False), ["ip link set dev vti1 down"]),
        (DeleteAddress(**PLACE, address="10.0.0.1/30"),
         ["ip -n private address del 10.0.0.1/30 dev vti42"]),
        (DeleteRoute(**PLACE, route=Route("::/0", metric=20, table=9)),
         ["ip -n private route del ::/0 dev vti42 proto 118 metric 20 table 9"]),
        (DeleteClamp(**ON, netns="", interface="vti1"), [
            f"nft 'delete element inet vtid {name} {{ \"vti1\" }}'"
            for name in ("mss4_out", "mss4_in", "mss6_out", "mss6_in")
        ]),
        (DeleteBird(**ON, instance="main"), []),
    ],
)  # fmt: skip
def test_operations(op: Op, said: list[str]) -> None:
    assert lines(op) == said


def test_an_operation_of_a_later_vtid_is_shown_by_its_name() -> None:
    assert list(commands({"op": "Fly", "tunnel": "a", "reason": "b"})) == ["# Fly"]


def test_every_operation_on_a_tunnel_has_its_lines() -> None:
    """Those on charon and the probes are no part of a plan."""
    others = {"Initiate", "Rekey", "SendProbe"}
    known = {kind.__name__ for kind in Op.__subclasses__()} - others
    assert set(_WRITERS) == known


@pytest.mark.parametrize(
    ("word", "safe"),
    [("vti42", "vti42"), ("a b", "'a b'"), ("", "''"), ("it's; rm", "'it'\\''s; rm'")],
)
def test_words_for_the_shell(word: str, safe: str) -> None:
    assert quoted(word) == safe


async def test_nobody_speaks_to_the_terminal(shell: Shell) -> None:
    on: Json = {"tunnel": HOSTILE, "reason": HOSTILE}
    shell.daemon.ops = (CreateLink(**on, link=replace(link(), alias=HOSTILE)),)
    shell.daemon.bird_changes = (
        BirdChange(HOSTILE, HOSTILE, f"+{HOSTILE}".replace("\n", "\x85"), HOSTILE),
    )
    _, out, _ = await shell("plan")
    assert all(char.isprintable() or char == "\n" for char in out)
    assert "\n! all is well" not in out


async def test_files_of_conf_d_are_sent_with_it(shell: Shell, config: Path) -> None:
    folder = config.parent / "conf.d"
    folder.mkdir()
    for name in ("b.toml", "a.toml", ".hidden.toml", "c.bak"):
        (folder / name).write_text("")
    await shell("plan", "--config", str(config))
    (done,) = shell.daemon.done
    marks = "".join(f"\n\0file: {folder / name}\n" for name in ("a.toml", "b.toml"))
    assert done == f"plan for {config}, {9 + len(marks)} characters"
