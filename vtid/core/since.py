"""Since: when each trouble began, beside the errors that others keep. Pure."""

from __future__ import annotations

from enum import Enum


class Kind(Enum):
    """What can be in trouble, apart from tunnels, which have a time of their own."""

    VICI = "vici"
    NETNS = "netns"
    BIRD = "bird"
    SA = "sa"


class Since:
    """When what is in trouble began to be, in seconds of the state's clock."""

    def __init__(self) -> None:
        self._began: dict[tuple[Kind, str | int], float] = {}

    def begin(self, kind: Kind, name: str | int, now: float) -> None:
        """Note that something is in trouble; the first time counts."""
        self._began.setdefault((kind, name), now)

    def end(self, kind: Kind, name: str | int) -> None:
        """Note that all is well with something."""
        self._began.pop((kind, name), None)

    def of(self, kind: Kind, name: str | int) -> float | None:
        """Return when a trouble began, None if that was before anything was filed."""
        return self._began.get((kind, name))
