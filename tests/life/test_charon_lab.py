"""charon goes and comes back: in order, as a crash, and after it hung."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks.checks import expect
from tests.lab.machine.shell import eventually
from tests.life.gateways import PATIENCE
from tests.life.kinds import BOTH_KINDS
from tests.life.texts import HOLD_TIME

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.charon import Charon
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab


@BOTH_KINDS
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_interface_waits_for_charon(pair: Pair, end: str) -> None:
    pair.establish()
    ends: dict[str, Callable[[Charon], None]] = {
        "stop": lambda charon: charon.stop(),
        "kill": lambda charon: charon.kill(),
    }
    before = pair.a.link()["ifindex"]
    ends[end](pair.a.charon)
    eventually(lambda: _expect_connected(pair.a, connected=False), PATIENCE)
    time.sleep(HOLD_TIME + 1)  # nothing must happen in it
    expect("ifindex while charon is away", pair.a.link()["ifindex"], before)
    pair.a.charon.start()
    pair.initiate()
    pair.wait_up()
    expect("ifindex", pair.a.link()["ifindex"], before)
    with pair.undisturbed():
        pass


@BOTH_KINDS
def test_charon_comes_back_without_the_sa(pair: Pair) -> None:
    pair.establish()
    pair.a.charon.kill()
    eventually(lambda: _expect_connected(pair.a, connected=False), PATIENCE)
    pair.a.charon.start()
    eventually(pair.a.expect_no_links, PATIENCE)


@BOTH_KINDS
def test_charon_hangs_and_recovers(pair: Pair) -> None:
    pair.establish()
    with pair.undisturbed():
        pair.a.charon.freeze()
        eventually(lambda: _expect_connected(pair.a, connected=False), PATIENCE)
        assert "hangs or is stopped" in pair.a.status()["vici_error"]
        pair.a.charon.thaw()
        eventually(lambda: _expect_connected(pair.a, connected=True), PATIENCE)
        pair.a.expect_known()


def _expect_connected(gateway: Gateway, *, connected: bool) -> None:
    expect(f"{gateway.name}: VICI", gateway.status()["vici_connected"], connected)
