"""Try what looks at the mesh's alerts, on two played vtids: python3 -m tests.lab.alerts.trial.

One goes and comes back, and a tunnel of the other goes down: each alert fires for its cause, and
the judge says so. It takes the place of a mesh in `make alerts`, where there is no VTI.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.http.samples import UP, FakeDaemon, sa, status
from tests.lab.alerts import prometheus
from tests.lab.alerts.alarms import Watched
from tests.lab.alerts.causes import Cause
from tests.lab.machine.shell import CheckError, eventually
from vtid.http.server import Server
from vtid.http.telemetry import Telemetry
from vtid.model.bounds import Bound
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from collections.abc import Iterator

CARRYING = replace(
    UP, bgp=(), probe=None, mtu_limit=Bound.CIPHERS, sas=(sa(installed_at=time.time()),)
)
TUNNELS = tuple(replace(CARRYING, tunnel=name) for name in ("gw-b", "gw-c", "gw-d", "gw-e", "gw-f"))
WELL = status(*TUNNELS, birds=())
LOST = replace(TUNNELS[0], state=TunnelState.DOWN, sas=(), ike=None)
ONE_DOWN = status(LOST, *TUNNELS[1:], birds=())


@dataclass(frozen=True)
class Played:
    """A gateway whose vtid is a server with a status."""

    name: str
    folder: Path

    def path(self, name: str, /) -> Path:
        return self.folder / f"{self.name}-{name}"

    @contextmanager
    def answering(self, daemon: FakeDaemon) -> Iterator[None]:
        """Serve while the context lasts, in a thread with a loop of its own."""
        loop = asyncio.new_event_loop()
        server = Server(str(self.path("vtid.sock")), [], daemon, Telemetry())
        loop.run_until_complete(server.start())
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def run(folder: Path) -> list[str]:
    """Cause one thing after the other; return which alerts fired. Raises CheckError."""
    a, b = Played("gw-a", folder), Played("gw-b", folder)
    first, second, seen = FakeDaemon(WELL), FakeDaemon(WELL), list[str]()
    with ExitStack() as stack:
        stack.enter_context(a.answering(first))
        gone = ExitStack()
        gone.enter_context(b.answering(second))
        stack.callback(gone.close)
        watched = Watched(stack.enter_context(prometheus.running((a, b), folder / "prometheus")))

        wait = watched.began("a trial", Cause(("gw-b",), frozenset({"VtidAbsent"})))
        gone.close()
        wait()
        gone.enter_context(b.answering(second))
        seen.append(watched.ended(lasts=False))

        wait = watched.began(
            "a trial", Cause(("gw-a", "gw-b"), frozenset({"VtidTunnelDown"}), within=True)
        )
        first.answer = ONE_DOWN
        wait()
        first.answer = WELL
        seen.append(watched.ended(lasts=False))

        watched.began("a trial", Cause(("gw-b",)))
        first.answer = replace(WELL, config_error="line 3")
        _expect_strange(watched)
        _expect_pictured(watched)
    return seen


def _expect_strange(watched: Watched) -> None:
    """Raise CheckError unless the judge finds what no cause explains."""
    found = eventually(partial(_complaint, watched), 60)
    if found != "alerts that this does not explain: VtidConfigRefused (gw-a)":
        raise CheckError(found)


def _expect_pictured(watched: Watched) -> None:
    """Raise CheckError unless the picture has what fires, and a mark where it began."""
    picture = watched.picture()
    if picture is None or "VtidConfigRefused" not in picture.panels["Firing alerts"]:
        raise CheckError(f"the picture lacks what fires: {picture}")


def _complaint(watched: Watched) -> str:
    try:
        seen = watched.ended(lasts=True)
    except CheckError as error:
        return str(error)
    raise CheckError(f"a refused configuration raises {seen}")


def main() -> int:
    """Run all; 0 if everything is as it should be."""
    with tempfile.TemporaryDirectory() as name:
        try:
            seen = run(Path(name))
        except CheckError as error:
            print(f"alerts: {error}")
            return 1
    assert seen == ["VtidAbsent (gw-b)", "VtidTunnelDown (gw-a to gw-b)"], seen
    print(f"alerts: {'; '.join(seen)}; and what nothing explains is found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
