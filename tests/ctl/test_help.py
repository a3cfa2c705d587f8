"""The help: every command and argument is explained, and every example is good."""

from __future__ import annotations

import argparse
import re
import shlex
from typing import TYPE_CHECKING

import pytest

from vtid.ctl.main import _parser

if TYPE_CHECKING:
    from collections.abc import Iterator


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """All commands, without those that only hold others."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in dict.fromkeys(action.choices.values()):
                yield from list(commands(one)) or [one]


ALL = {parser.prog.removeprefix("vtictl "): parser for parser in commands(_parser())}


@pytest.mark.parametrize("name", ALL)
def test_a_command_says_what_it_does_and_how_it_ends(name: str) -> None:
    parser = ALL[name]
    assert re.fullmatch(r"[A-Z].*\.", parser.description or "", re.DOTALL)
    statuses, _, examples = (parser.epilog or "").partition("\n\n")
    assert statuses.startswith("exit status:\n  0   ")
    assert re.search(r"\n  64  wrong usage", statuses)
    assert "never" not in statuses
    assert examples.startswith("examples:\n  ")


@pytest.mark.parametrize("name", ALL)
def test_every_argument_is_explained(name: str) -> None:
    assert [action.dest for action in ALL[name]._actions if not action.help] == []


@pytest.mark.parametrize("name", ALL)
def test_the_help_fits_a_terminal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in ALL[name].format_help().splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("name", ALL)
def test_the_examples_are_taken(name: str) -> None:
    examples = (ALL[name].epilog or "").partition("examples:\n")[2].splitlines()
    for example in examples:
        words = re.search(rf"vtictl {name}[^<>|)]*", example)
        assert words, f"{example!r} does not call it"
        args = _parser().parse_args(shlex.split(words[0])[1:])
        assert callable(args.func)
