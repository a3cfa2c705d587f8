"""Alarms: what Prometheus raises during each failure, beside what the failure explains.

Rules of this file:

* A failure begins when no alert is active, unless the one before lasts.
* What a failure has to raise is waited for while it lasts; what it raised is judged in its end.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tests.lab.alerts import prometheus
from tests.lab.alerts.causes import Cause, Fired, words
from tests.lab.alerts.pictures import PANELS, Picture
from tests.lab.machine.shell import CheckError, eventually
from tests.lab.topology.figures import RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.lab.alerts.prometheus import Prometheus
    from tests.lab.topology.stations import Mesh

SURE_PATIENCE = 90.0

AROUND = 15.0
"""Seconds before and after a failure that its pictures show."""

DATA = "alerts.json"
"""File in the output folder, from which `pictures` draws."""


class Alarms:
    """Nobody looks: there is no Prometheus."""

    def began(self, _cause: Cause) -> Callable[[], None]:
        """Note that a failure begins; return what waits for the alerts that it has to raise."""
        return lambda: None

    def ended(self, *, lasts: bool) -> str:  # noqa: ARG002 - nobody looks
        """Return the alerts that fired; raises CheckError for those that have another cause."""
        return ""


class Watched(Alarms):
    """A Prometheus looks."""

    def __init__(self, one: Prometheus) -> None:
        self.windows: list[tuple[float, float, bool]] = []
        """Begin and end of each failure, and whether it lasts."""
        self._prometheus = one
        self._cause, self._since = Cause(), 0.0

    def began(self, _cause: Cause) -> Callable[[], None]:
        """Note that a failure begins; return what waits for the alerts that it has to raise."""
        self._cause, self._since = _cause, time.time()
        return partial(eventually, self._expect_sure, SURE_PATIENCE)

    def _expect_sure(self) -> None:
        missing = self._cause.missing(self._fired())
        if missing:
            raise CheckError(f"alerts that do not fire: {', '.join(sorted(missing))}")

    def _fired(self) -> frozenset[Fired]:
        return self._prometheus.fired(self._since)

    def ended(self, *, lasts: bool) -> str:
        """Return the alerts that fired; raises CheckError for those that have another cause."""
        if not lasts:
            self._prometheus.quiet()
        self.windows.append((self._since, time.time(), lasts))
        fired = self._fired()
        if strange := self._cause.strange(fired):
            raise CheckError(f"alerts that this does not explain: {words(strange)}")
        self._expect_sure()
        return words(fired)

    def picture(self) -> Picture | None:
        """Return what the dashboard's queries gave from the failure that lasted to its end."""
        began = next((begin for begin, _, lasts in self.windows if lasts), None)
        if began is None:
            return None
        start, end = began - AROUND, self.windows[-1][1]
        return Picture.of(
            start, end, {panel.title: panel.ask(self._prometheus, start, end) for panel in PANELS}
        )


@contextmanager
def watching(mesh: Mesh, out: Path) -> Iterator[Alarms]:
    """Run a Prometheus beside the mesh; leave what it saw of the failure that lasted in `out`."""
    with prometheus.running(list(mesh.stations), RUN / "prometheus") as one:
        watched = Watched(one)
        yield watched
        if picture := watched.picture():
            (out / DATA).write_text(json.dumps(picture.as_json(), indent=1) + "\n")
