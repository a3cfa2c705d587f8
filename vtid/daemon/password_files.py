"""Password files: what `password_file` of a BGP session names. An edge.

Rules of this file:

* A file is read once for each time that the configuration is, however many sessions name it.
* No message has anything of what is in a file; each has the way out.
* A file of any kind and size costs no more than a password: no pipe is waited for.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from vtid.config.bgp import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENOUGH = 1024
"""Bytes to read: more than any password has."""

_WAY_OUT = "vtid's user must be able to read it: chgrp vtid, mode 0640"

_OF_THE_SERVICE = "/run/credentials/vtid.service"
"""Where systemd puts the service's credentials; for a check beside it."""


class PasswordFiles:
    """Reads password files, and keeps warnings about those that are open to others."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._credentials = environ.get("CREDENTIALS_DIRECTORY") or _OF_THE_SERVICE
        self._known: dict[str, str | ValueError] = {}
        self.warnings: list[str] = []

    def read(self, name: str) -> str:
        """Return the password in the file that a key names. Raises ValueError."""
        found = self.look_at(name)
        if isinstance(found, ValueError):
            raise ValueError(str(found))  # noqa: TRY004 - what it is, not of which type
        return found

    def look_at(self, name: str) -> str | ValueError:
        """Read a file, and return its password, or why there is none."""
        if name not in self._known:
            self._known[name] = self._answer(name)
        return self._known[name]

    def contents(self) -> tuple[tuple[str, str], ...]:
        """Return each file that was asked for with its password, or why there is none."""
        return tuple((name, str(found)) for name, found in sorted(self._known.items()))

    def _answer(self, name: str) -> str | ValueError:
        try:
            content, mode = _content(self._path(name))
            password = _password(content)
        except OSError as error:
            return ValueError(f"{name}: {self._reason(name, error)}")
        except ValueError as error:
            return ValueError(f"{name}: {error}")
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            may = "read" if mode & stat.S_IROTH else "write"
            why = f"everybody on this machine may {may} it (mode {stat.S_IMODE(mode):04o})"
            self.warnings.append(f"password_file {name}: {why}: chgrp vtid, chmod 0640")
        return password

    def _path(self, name: str) -> str:
        if not name.startswith(CREDENTIALS):
            return name
        return f"{self._credentials}/{name.removeprefix(CREDENTIALS)}"

    def _reason(self, name: str, error: OSError) -> str:
        if isinstance(error, PermissionError):
            return f"{error.strerror}; {_WAY_OUT}"
        if not isinstance(error, FileNotFoundError):
            return str(error.strerror)
        if not name.startswith(CREDENTIALS):
            return f"{error.strerror}; write the password into it ({_WAY_OUT})"
        credential = name.removeprefix(CREDENTIALS)
        missing = f"no credential {credential!r} in {self._credentials}"
        return f"{missing}; LoadCredential={credential}:FILE in the unit and a restart put it there"


def _content(path: str) -> tuple[bytes, int]:
    """Return the beginning of a regular file, and its mode. Raises OSError and ValueError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise ValueError("is a directory: name the file in it")
        if not stat.S_ISREG(mode):
            raise ValueError("is no regular file: name one that has the password and nothing else")
        return os.read(descriptor, _ENOUGH), mode
    finally:
        os.close(descriptor)


def _password(content: bytes) -> str:
    """Return what stands on the one line of a file. Raises ValueError."""
    line, _, rest = content.partition(b"\n")
    if b"\0" in content:
        raise ValueError("has a NUL: write the password as plain text, not UTF-16 or binary")
    if rest:
        raise ValueError("has more than one line: it may have the password and nothing else")
    if not line:
        raise ValueError("is empty: write the password into it")
    if line.endswith(b"\r"):
        raise ValueError("ends with a carriage return: save it with Unix line ends")
    return line.decode("ascii", "replace")
