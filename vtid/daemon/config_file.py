"""The configuration file, and the password files that it names: read, and compared. An edge."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.config.load import ConfigError, load
from vtid.daemon.password_files import PasswordFiles

if TYPE_CHECKING:
    from pathlib import Path

    from vtid.config.keys import Config


@dataclass(frozen=True, slots=True)
class Found:
    """A configuration that is good, and what is known of the files it comes from."""

    config: Config
    warnings: tuple[str, ...]
    """What the administrator should know all the same, one line each."""
    prints: Prints


@dataclass(frozen=True, slots=True)
class Prints:
    """What tells one state of the files from another."""

    digest: str
    """SHA-256 of the configuration file; empty if it could not be read."""
    secrets: str
    """SHA-256 of the passwords; it is shown nowhere."""


def read(file: Path) -> Found:
    """Read the configuration, with its passwords.

    Raises OSError, UnicodeDecodeError or ConfigError; `describe` has the words for them.
    """
    content, passwords = file.read_bytes(), PasswordFiles()
    config = load(content.decode("utf-8"), passwords.read)
    prints = Prints(_sha256(content), _secrets(passwords))
    return Found(config, tuple(passwords.warnings), prints)


def prints(file: Path, config: Config) -> Prints:
    """Return the prints that the files have now, of which `config` names those with passwords."""
    passwords = PasswordFiles()
    for name in {session.password_file for one in config.policies for session in one.bgp}:
        if name is not None:
            passwords.look_at(name)
    try:
        digest = _sha256(file.read_bytes())
    except OSError:
        digest = ""
    return Prints(digest, _secrets(passwords))


def describe(error: Exception, file: Path) -> tuple[str, ...]:
    """Return lines about a configuration that cannot be used, for an operator."""
    if isinstance(error, ConfigError):
        return tuple(error.format(str(file)).splitlines())
    if isinstance(error, PermissionError):
        why = "vtid's user must be able to read it: chgrp vtid, mode 0640"
        return (f"{file}: {error.strerror}; {why}",)
    if isinstance(error, OSError):
        return (f"{file}: {error.strerror}; name the file with --config FILE",)
    return (f"{file}: {error}",)


def _secrets(passwords: PasswordFiles) -> str:
    return _sha256(repr(passwords.contents()).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
