"""FRR over the tunnels of vtid: the lines of docs/frr.md, between two gateways.

    make frr

It needs Debian's package frr, which the lab's other tests do not have, so that its name is not one
that pytest collects.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab.machine.shell import CheckError, eventually, inside, run
from tests.life.kinds import BOTH_KINDS
from tests.life.texts import INTERFACE
from tests.life.wires import add_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

PROGRAMS = Path("/usr/lib/frr")
PAGE = (Path(__file__).parents[2] / "docs" / "frr.md").read_text()
PATIENCE = 60.0
"""Seconds: BGP's own timers, on an emulated machine."""

ROUTES = 'routes = [{ to = "10.9.0.0/16", metric = 20 }]'
SWAPPED = (
    ("65001", "65002"),
    ("10.255.0.1", "10.255.0.2"),
    ("1.0.0.1", "1.0.0.2"),
    ("10.1.", "10.2."),
)


def conf(gateway: Gateway) -> str:
    """Return the page's frr.conf: as it stands for the first gateway, or the other way round."""
    text = PAGE.partition("```frr\n")[2].partition("```")[0]
    if gateway.end.number == 1:
        return text
    for one, other in SWAPPED:
        text = text.replace(one, "\0").replace(other, one).replace("\0", other)
    return text


@contextmanager
def frr(gateway: Gateway) -> Iterator[None]:
    """Run zebra and bgpd in a gateway's namespace, as their own user."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="frr-")))
        shutil.chown(directory, "frr", "frr")
        (directory / "zebra.conf").write_text("frr defaults traditional\n")
        (directory / "bgpd.conf").write_text(conf(gateway))
        for name in ("zebra", "bgpd"):
            options = (
                *("-f", str(directory / f"{name}.conf"), "-z", str(directory / "zserv.api")),
                *("-i", str(directory / f"{name}.pid"), "--vty_socket", str(directory)),
                *("-P", "0", "--log", f"file:{directory}/{name}.log"),
            )
            command = inside(gateway.netns, str(PROGRAMS / name), *options)
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            eventually(partial(_expect_socket, directory / f"{name}.vty"), PATIENCE)
        yield


@BOTH_KINDS
def test_sessions_routes_and_the_loss_of_the_sa(pair: Pair) -> None:
    with ExitStack() as stack:
        for gateway in pair.both:
            address = f"10.{gateway.end.number}.0.1/32"
            add_address(gateway.netns, address, "lo")
            stack.callback(gateway.ip, "address", "del", address, "dev", "lo")
            gateway.configure(gateway.policy(ROUTES if gateway is pair.a else ""))
        for gateway in pair.both:
            stack.enter_context(frr(gateway))
        pair.establish()
        eventually(partial(_expect_routes, pair), PATIENCE)
        run(pair.a.netns, "ping", "-n", "-c", "3", "-i", "0.1", "-I", "10.1.0.1", "10.2.0.1")
        before = pair.a.link()["ifindex"], pair.a.link()["mtu"]

        pair.a.charon.swanctl("--rekey", "--child", "net")
        _expect_routes(pair)
        assert (pair.a.link()["ifindex"], pair.a.link()["mtu"]) == before

        eventually(pair.a.end_sas, PATIENCE)
        eventually(partial(_expect_none, pair), PATIENCE)
        pair.initiate()
        eventually(partial(_expect_routes, pair), PATIENCE)


def _routes(gateway: Gateway) -> dict[str, str]:
    """Routes that FRR has in the kernel, each with its line."""
    lines = run(gateway.netns, "ip", "route", "show", "proto", "bgp").splitlines()
    return {line.split()[0]: line for line in lines}


def _expect_routes(pair: Pair) -> None:
    """Each has the other's network, and `b` has what vtid of `a` added and FRR redistributes."""
    a, b = _routes(pair.a), _routes(pair.b)
    if "10.2.0.0/16" not in a or not {"10.1.0.0/16", "10.9.0.0/16"} <= b.keys():
        raise CheckError(f"routes of FRR: {a} and {b}")
    for line in (*a.values(), *b.values()):
        if f"dev {INTERFACE} " not in line:
            raise CheckError(f"not through the tunnel: {line}")


def _expect_none(pair: Pair) -> None:
    if _routes(pair.a) or _routes(pair.b):
        raise CheckError(f"routes of FRR: {_routes(pair.a)} and {_routes(pair.b)}")


def _expect_socket(path: Path) -> None:
    if not path.exists():
        raise CheckError(f"{path} is not there yet")
