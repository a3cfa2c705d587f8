"""What has been asked of the lab and what came back: each check's own evidence.

Rules of this file: lines are kept only while a caller collects them.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from tests.lab.report.results import Command

if TYPE_CHECKING:
    from collections.abc import Iterator

_transcript: ContextVar[list[Command] | None] = ContextVar("transcript", default=None)


@contextmanager
def transcript() -> Iterator[list[Command]]:
    """Collect what is run and asked for as long as the context lasts."""
    commands: list[Command] = []
    token = _transcript.set(commands)
    try:
        yield commands
    finally:
        _transcript.reset(token)


def note(netns: str, line: str, output: str) -> None:
    """Add a command and what came back to the transcript, if there is one.

    Of a command that is asked again at once, the last answer counts.
    """
    commands = _transcript.get()
    if commands is None:
        return
    if commands and (commands[-1].netns, commands[-1].line) == (netns, line):
        commands.pop()
    commands.append(Command(netns, line, output.rstrip()))


def length() -> int:
    """How many commands the transcript has."""
    return len(_transcript.get() or ())


def shorten(to: int) -> None:
    """Forget all but the first commands: what came of the others is asked again."""
    commands = _transcript.get()
    if commands is not None:
        del commands[to:]
