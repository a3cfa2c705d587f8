"""Hooks: which programs of a directory may be run, and why others may not. An edge.

Rules of this file:

* Whoever can write a hook runs as vtid's user. So a hook, its directory and all directories above
  belong to root, and nobody else can write to them; what is otherwise is refused with the way out.
* What editors and packages leave is passed over: hidden files, `~`, `.bak`, `.dpkg-old`, …
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

_LEFT_BEHIND = ("~", ".bak", ".dpkg-old", ".dpkg-new", ".dpkg-dist", ".dpkg-tmp", ".rpmnew")

_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of a directory, in the order of their names."""

    good: tuple[Path, ...] = ()
    refused: tuple[str, ...] = ()
    """What is not run, one line each: `PATH: why: the way out`."""


@dataclass(frozen=True, slots=True)
class User:
    """Who is to run programs, for a process of another user that looks at them."""

    uid: int
    groups: frozenset[int]

    def may(self, path: Path, wanted: int) -> bool:
        """Whether the mode of a file allows what is wanted, of `os.R_OK` and `os.X_OK`.

        Where there is an access list it says more than the mode, and is not judged.
        """
        found = path.stat()
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid in self.groups else 0
        return (found.st_mode >> shift) & wanted == wanted or _has_access_list(path)


def _has_access_list(path: Path) -> bool:
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except OSError:  # this file system has none
        return False


def programs(folder: Path, owner: int = 0, user: User | None = None) -> Programs:
    """Return the programs in a directory that belongs to the user `owner`, as do they.

    `user` is to run them, where it is not this process itself.
    """
    try:
        real = Path(os.path.realpath(folder, strict=True))  # `resolve` may raise RuntimeError
        if real != folder:
            return Programs(refused=(f"{folder}: is a link, or below one: name {real}",))
        wrong = [line for one in (real, *real.parents) if (line := _wrong_folder(one, owner))]
        names = sorted(one.name for one in real.iterdir())
    except OSError as error:
        return Programs(refused=(f"{folder}: {error.strerror}: hooks are in a directory",))
    wrong = wrong or _closed(real, user)
    if wrong:
        return Programs(refused=tuple(wrong))
    good, refused = [], []
    for name in names:
        if name.startswith(".") or name.endswith(_LEFT_BEHIND):
            continue
        file = real / name
        if why := _wrong_file(file, owner, user):
            refused.append(f"{file}: {why}")
        else:
            good.append(file)
    return Programs(tuple(good), tuple(refused))


def _wrong_folder(folder: Path, owner: int) -> str:
    """Return why a directory is not safe; empty if it is. Raises OSError."""
    found = folder.stat()
    if found.st_uid not in {owner, 0}:
        return f"{folder}: belongs to user {found.st_uid}, who could replace hooks: chown root"
    if found.st_mode & _WRITABLE and not found.st_mode & stat.S_ISVTX:
        return f"{folder}: can be written by others, who could replace hooks: chmod go-w"
    return ""


def _closed(folder: Path, user: User | None) -> list[str]:
    """Return which directories keep a user from the programs, with the way out."""
    if user is None:
        return []
    above = [one for one in folder.parents if not user.may(one, os.X_OK)]
    ways = [f"{one}: vtid's user cannot enter it: chmod a+x" for one in above]
    if not user.may(folder, os.R_OK | os.X_OK):
        ways.append(f"{folder}: vtid's user cannot read it: chmod a+rx")
    return ways


def _wrong_file(file: Path, owner: int, user: User | None) -> str:
    """Return why a file is not run; empty if it is."""
    try:
        found = file.lstat()
    except OSError as error:
        return f"{error.strerror}: look whether it is still there"
    if not stat.S_ISREG(found.st_mode):
        return "is no regular file: put the program itself here, or remove it"
    if found.st_uid != owner:
        return f"belongs to user {found.st_uid}: chown root"
    if found.st_mode & _WRITABLE:
        return f"can be written by others (mode {stat.S_IMODE(found.st_mode):04o}): chmod go-w"
    if not os.access(file, os.X_OK) or (user and not user.may(file, os.X_OK)):
        return "vtid's user cannot run it: chmod a+rx, or remove it"
    return ""
