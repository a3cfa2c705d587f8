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


def programs(folder: Path, owner: int = 0) -> Programs:
    """Return the programs in a directory that belongs to the user `owner`, as do they."""
    try:
        real = Path(os.path.realpath(folder, strict=True))  # `resolve` may raise RuntimeError
        if real != folder:
            return Programs(refused=(f"{folder}: is a link, or below one: name {real}",))
        wrong = [line for one in (real, *real.parents) if (line := _wrong_folder(one, owner))]
        names = sorted(one.name for one in real.iterdir())
    except OSError as error:
        return Programs(refused=(f"{folder}: {error.strerror}: hooks are in a directory",))
    if wrong:
        return Programs(refused=tuple(wrong))
    good, refused = [], []
    for name in names:
        if name.startswith(".") or name.endswith(_LEFT_BEHIND):
            continue
        file = real / name
        if why := _wrong_file(file, owner):
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


def _wrong_file(file: Path, owner: int) -> str:
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
    if not os.access(file, os.X_OK):
        return "vtid's user cannot run it: chmod a+rx, or remove it"
    return ""
