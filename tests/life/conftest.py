"""One pair of gateways for all tests of a tunnel's life; each begins with none."""

from __future__ import annotations

import re
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import charon
from tests.lab.machine.forked import import_vtid
from tests.lab.machine.shell import output
from tests.life import recorded
from tests.life.gateways import Gateway, Pair
from tests.life.kinds import VTI, Kind
from tests.life.texts import End

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

OUT = Path("/out")
"""Where the lab wants files: logs, and the recorded cases, to be copied to `tests/cases`."""

SPEED = """
    retransmit_timeout = 0.4
    retransmit_tries = 2
    delete_rekeyed_delay = 2
"""
"""A silent peer is given up after 0.4 + 0.72 + 1.3 s."""


TABLE = """
add table inet life
add chain inet life input { type filter hook input priority 0; policy accept; }
"""


LOOKS = (
    "ip -s -d link",
    "ip address",
    "ip route show table all",
    "ip -s xfrm state list nokeys",
    "ip -s xfrm policy",
    "cat /proc/net/xfrm_stat",
)
"""What tells why packets do not arrive."""

LAST_LINES = 60


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what kernel and charon have where a test fails, before it is cleared away."""
    report = yield
    pair = item.funcargs.get("pair")
    if report.when == "call" and report.failed and isinstance(pair, Pair):
        for gateway in pair.both:
            report.sections.append((f"gateway {gateway.name}", _seen(gateway)))
    return report


def _seen(gateway: Gateway) -> str:
    answers = [f"$ {look}\n{output(gateway.netns, *look.split())}" for look in LOOKS]
    log = gateway.charon.log.splitlines()[-LAST_LINES:]
    return "\n".join([*answers, *log])


@pytest.fixture(scope="session")
def gateways() -> Iterator[Pair]:
    import_vtid()
    with ExitStack() as stack:
        both = stack.enter_context(charon.pair("", "", extra=SPEED))
        pair = Pair(Gateway(End(1), both[0]), Gateway(End(2), both[1]))
        for gateway in pair.both:
            gateway.ip("link", "add", "dummy0", "type", "bridge")
            gateway.ip("link", "set", "dummy0", "up")
            gateway.nft(TABLE)
            gateway.configure(gateway.policy())
            stack.callback(gateway.stop_vtid)
            stack.callback(_keep_logs, gateway)
            gateway.start_vtid()
        with suppress(RuntimeError):  # the first SA takes long: the kernel loads its modules
            pair.establish()
        pair.clear()
        yield pair


def _keep_logs(gateway: Gateway) -> None:
    for file in gateway.charon.directory.glob("*.log") if OUT.is_dir() else ():
        (OUT / f"life-{gateway.end.number}-{file.name}").write_bytes(file.read_bytes())


@pytest.fixture
def pair(gateways: Pair, request: pytest.FixtureRequest) -> Iterator[Pair]:
    kind: Kind = getattr(request, "param", VTI)
    gateways.use(kind)
    gateways.steps = []
    gateways.step()
    yield gateways
    if OUT.is_dir():
        name = re.sub(r"\W+", "-", request.node.name.removeprefix("test_")).strip("-")
        recorded.write(OUT / "cases" / name.replace("_", "-"), gateways.case())
    gateways.clear()
