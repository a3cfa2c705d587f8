"""The configuration's files: `vtid.toml`, `conf.d/*.toml` beside it, and password files. An edge.

Rules of this file:

* Files of `conf.d` are read in the order of their names, by code point, after `vtid.toml`. Hidden
  ones do not count, which are those of editors and Kubernetes' `..data`, nor do other endings
  (`.bak`, `.toml~`); whatever else ends with `.toml` has to be a file that can be read.
* Everything that is wrong with the files is told at once.
* No pipe in `conf.d` is waited for. `vtid.toml` itself may be one: `--config /dev/stdin`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.config.documents import Source
from vtid.config.load import ConfigError, Problem, load_all
from vtid.daemon.password_files import PasswordFiles
from vtid.printable import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from vtid.config.keys import Config

CONF_D = "conf.d"
"""The directory beside `vtid.toml`."""


@dataclass(frozen=True, slots=True)
class Found:
    """A configuration that is good, and what is known of the files it comes from."""

    config: Config
    files: int
    """How many there are, but for password files."""
    warnings: tuple[str, ...]
    """What the administrator should know all the same, one line each."""
    prints: Prints


@dataclass(frozen=True, slots=True)
class Prints:
    """What tells one state of the files from another."""

    digest: str
    """SHA-256 of the configuration's files; empty if one could not be read."""
    secrets: str
    """SHA-256 of the passwords; it is shown nowhere."""


class UnreadableError(ConfigError):
    """Files cannot be read; its problems say which and why, and quote nothing of them."""


def read(file: Path) -> Found:
    """Read the configuration, with its passwords. Raises ConfigError."""
    try:
        return parse(sources(file))
    except UnreadableError:
        raise
    except ConfigError as error:
        raise ConfigError((*error.problems, *_alone(file))) from None


def parse(found: Sequence[Source]) -> Found:
    """Return the configuration that its files have, with its passwords. Raises ConfigError."""
    passwords = PasswordFiles()
    config = load_all(found, passwords.read)
    prints = Prints(_digest(found), _secrets(passwords))
    return Found(config, len(found), tuple(passwords.warnings), prints)


def prints(file: Path, config: Config) -> Prints:
    """Return the prints that the files have now, of which `config` names those with passwords."""
    passwords = PasswordFiles()
    for name in {session.password_file for one in config.policies for session in one.bgp}:
        if name is not None:
            passwords.look_at(name)
    try:
        digest = _digest(sources(file))
    except UnreadableError:
        digest = ""
    return Prints(digest, _secrets(passwords))


def lines(error: ConfigError) -> tuple[str, ...]:
    """Return what is wrong with a configuration that was read here, one line each."""
    return tuple(error.format("").splitlines())


def sources(file: Path) -> list[Source]:
    """Return the texts of a configuration file and of those in `conf.d` beside it.

    Raises UnreadableError for all that cannot be read.
    """
    found: list[Source] = []
    problems: list[Problem] = []
    try:
        files = [file, *_beside(file.parent / CONF_D)]
    except OSError as error:
        files = [file]
        problems.append(_problem(file.parent / CONF_D, _reason(error)))
    for one in files:
        name = escape(str(one))
        try:
            found.append(Source(_text(one, any_kind=one is file), name))
        except OSError as error:
            reason = _reason(error, one)
            if one is file and isinstance(error, FileNotFoundError):
                reason = f"{reason}; name the file with --config FILE"
            problems.append(_problem(one, reason))
        except ValueError as error:
            problems.append(_problem(one, str(error)))
    if problems:
        raise UnreadableError(tuple(problems))
    return found


def _beside(folder: Path) -> Iterable[Path]:
    """Return the files of `conf.d`, none where there is no such directory. Raises OSError."""
    try:
        names = [one.name for one in folder.iterdir()]
    except FileNotFoundError:
        return ()
    counting = (name for name in names if name.endswith(".toml") and not name.startswith("."))
    return (folder / name for name in sorted(counting))


def _text(file: Path, *, any_kind: bool) -> str:
    """Return what a file has. Raises OSError, or ValueError for what is no text."""

    def opener(path: str, flags: int) -> int:
        return os.open(path, flags if any_kind else flags | os.O_NONBLOCK)

    with open(file, "rb", opener=opener) as opened:
        if not any_kind and not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise ValueError("is no regular file: remove it, or give it another ending than .toml")
        content = opened.read()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise ValueError(f"line {line} has the byte 0x{byte:02x}: save it as UTF-8") from None


def _alone(file: Path) -> tuple[Problem, ...]:
    """Return that a file of `conf.d` was read without those that it belongs to, if it was."""
    if file.parent.name != CONF_D:
        return ()
    whole = f"name the file beside {CONF_D} to check all of them together"
    return (
        _problem(file, f"was read alone, without other files' [defaults] and [[bird]]; {whole}"),
    )


def _problem(file: Path, message: str) -> Problem:
    return Problem("", message, file=escape(str(file)))


def _reason(error: OSError, file: Path | None = None) -> str:
    reason = str(error.strerror)
    if isinstance(error, PermissionError):
        return f"{reason}; vtid's user must be able to read it: chgrp vtid, mode 0640"
    if isinstance(error, IsADirectoryError):
        return f"{reason}: name a file; in {CONF_D}, a directory has another ending than .toml"
    if isinstance(error, FileNotFoundError) and file and file.is_symlink():
        return f"{reason}: it is a link to {escape(str(file.readlink()))}"
    return reason


def _digest(sources: Iterable[Source]) -> str:
    """SHA-256 of the files; of the first alone, it is that of its content."""
    first, *others = sources
    digest = hashlib.sha256(first.text.encode())
    for source in others:
        digest.update(f"\0{source.file}\0{source.text}".encode())
    return digest.hexdigest()


def _secrets(passwords: PasswordFiles) -> str:
    return hashlib.sha256(repr(passwords.contents()).encode()).hexdigest()
