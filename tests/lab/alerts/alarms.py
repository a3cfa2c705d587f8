"""Alarms: what Prometheus raises during each failure, beside what the failure explains.

Rules of this file:

* A failure begins when no alert is active, unless the one before lasts.
* What a failure has to raise is waited for while it lasts; what it raised is judged in its end.
* While the failure lasts that a later one fixes, every query of the dashboard is asked.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from functools import partial
from itertools import dropwhile
from typing import TYPE_CHECKING, NamedTuple

from tests.lab.alerts import prometheus
from tests.lab.alerts.causes import Cause, Fired, words
from tests.lab.alerts.pictures import PANELS, Picture, ask, panel
from tests.lab.machine.shell import CheckError, eventually
from tests.lab.topology.figures import RUN
from tests.prometheus import dashboard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.lab.alerts.prometheus import Prometheus
    from tests.lab.topology.stations import Mesh

SURE_PATIENCE = 90.0

BEFORE = 15.0
"""Seconds before a failure that its picture shows."""

DATA = "alerts.json"
"""File in the output folder, which `page` takes."""


class Alarms:
    """Nobody looks: there is no Prometheus."""

    def began(self, _name: str, _cause: Cause) -> Callable[[], None]:
        """Note that a failure begins; return what waits for the alerts that it has to raise."""
        return lambda: None

    def ended(self, *, lasts: bool) -> str:  # noqa: ARG002 - nobody looks
        """Return the alerts that fired; raises CheckError for those that have another cause."""
        return ""


class _Window(NamedTuple):
    """A failure, and when it was."""

    name: str
    begin: float
    end: float
    lasts: bool


class Watched(Alarms):
    """A Prometheus looks."""

    def __init__(self, one: Prometheus) -> None:
        self.silent: tuple[str, ...] = ()
        """Panels of the dashboard that had no series during the one that lasted."""
        self._prometheus = one
        self._windows: list[_Window] = []
        self._name, self._cause, self._since = "", Cause(), 0.0

    def began(self, name: str, cause: Cause) -> Callable[[], None]:
        """Note that a failure begins; return what waits for the alerts that it has to raise."""
        self._name, self._cause, self._since = name, cause, time.time()
        return partial(eventually, self._expect_sure, SURE_PATIENCE)

    def _expect_sure(self) -> None:
        missing = self._cause.missing(self._fired())
        if missing:
            raise CheckError(f"alerts that do not fire: {', '.join(sorted(missing))}")

    def _fired(self) -> frozenset[Fired]:
        return self._prometheus.fired(self._since)

    def ended(self, *, lasts: bool) -> str:
        """Return the alerts that fired; raises CheckError for those that have another cause."""
        if lasts:
            self._ask_dashboard()
        else:
            self._prometheus.quiet()
        self._windows.append(_Window(self._name, self._since, time.time(), lasts))
        fired = self._fired()
        if strange := self._cause.strange(fired):
            raise CheckError(f"alerts that this does not explain: {words(strange)}")
        self._expect_sure()
        return words(fired)

    def _ask_dashboard(self) -> None:
        """Ask every query of the dashboard. Raises CheckError where Prometheus refuses one."""
        now = time.time()
        self.silent = tuple(
            one.title
            for row in dashboard.ROWS.values()
            for one in row
            if not ask(self._prometheus, one, self._since, now)
        )

    def picture(self) -> Picture | None:
        """Return what the dashboard's queries gave from the failure that lasted to its end."""
        shown = list(dropwhile(lambda one: not one.lasts, self._windows))
        if not shown:
            return None
        start, end = shown[0].begin - BEFORE, shown[-1].end
        happened = [(one.begin, one.name) for one in shown]
        panels = {title: ask(self._prometheus, panel(title), start, end) for title in PANELS}
        return Picture.of(start, end, happened, panels)


@contextmanager
def watching(mesh: Mesh, out: Path) -> Iterator[Alarms]:
    """Run a Prometheus beside the mesh; leave what it saw of the failure that lasted in `out`."""
    with prometheus.running(list(mesh.stations), RUN / "prometheus") as one:
        watched = Watched(one)
        yield watched
        if picture := watched.picture():
            data = {"silent": watched.silent, "picture": picture.as_json()}
            (out / DATA).write_text(json.dumps(data) + "\n")
