"""Looks: the doctor's looks at this machine, and what could not be looked at. Part of the edge.

Rules of this file:

* A look returns what it found, or None where there is nothing of the kind. It raises where there
  may be something that it cannot see: that is a `Gap`, and the other looks go on.
* A look that fails in another way is a gap as well: the doctor is for machines that are not well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from vtid.model.facts import Gap
from vtid.netns import NetnsError
from vtid.nft.library import NftError
from vtid.nft.ruleset import RulesetError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")


class UnseenError(Exception):
    """Something cannot be looked at; says why, and the way out where there is one."""


class Looks:
    """Takes looks, and keeps what could not be seen."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []

    def at(self, what: str, look: Callable[[], T]) -> T | None:
        """Return what a look found; None where it found nothing, or could not see."""
        try:
            return look()
        except Exception as error:  # noqa: BLE001 - see above; the gap has it
            self.cannot(what, error)
        return None

    def cannot(self, what: str, error: Exception) -> None:
        """Note that something cannot be looked at."""
        self.gaps.append(Gap(what, _reason(error)))


def _reason(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"{error.filename or 'this'} is not for this user to read: run it as root"
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(filter(None, (str(error.filename or ""), error.strerror)))
    return str(error) if isinstance(error, _TOLD) else f"{type(error).__name__}: {error}"


_TOLD = (UnseenError, NetnsError, NftError, RulesetError)
"""Errors whose text is for an operator."""


def read(path: Path) -> str | None:
    """Return the text of a file, None where there is none. Raises OSError."""
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
