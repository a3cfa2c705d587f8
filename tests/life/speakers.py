"""BGP over the tunnel: a BIRD for each gateway, and what vtid.toml says of it.

Rules of this file: texts and waiting only; what a BIRD announces stands in the test.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.birds import RealBird
from tests.lab.machine.shell import CheckError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.life.gateways import Gateway

CONFIG = """
router id 1.0.0.{number};
protocol device {{ }}
{more}
include "{include}*";
"""

INSTANCE = """
[[bird]]
name = "life"
socket = "{bird.socket}"
include = "{bird.include}"
"""


@contextmanager
def bird(gateway: Gateway, more: str = "") -> Iterator[RealBird]:
    """Run a BIRD that includes what vtid writes; `more` is the rest of its configuration."""
    one = RealBird(gateway.charon.directory, "life", gateway.netns)
    text = CONFIG.format(number=gateway.end.number, more=more, include=one.include)
    one.config.write_text(text)
    one.start()
    try:
        yield one
    finally:
        one.stop()
        one.include.unlink(missing_ok=True)


def instance(bird: RealBird) -> str:
    """Write the `[[bird]]` of vtid.toml."""
    return INSTANCE.format(bird=bird)


def expect_established(bird: RealBird, number: int = 1) -> None:
    """Raise unless this many sessions of BGP are established."""
    lines = [line for line in bird.ask("show protocols").splitlines() if " BGP " in line]
    if sum("Established" in line for line in lines) != number:
        raise CheckError(f"{bird.name}: {lines or 'no session yet'}")
