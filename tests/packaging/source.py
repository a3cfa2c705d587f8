"""What a Debian package is built from: a commit, its version and date; and the commit before.

Rules of this file:

* The standard library only, like all that runs on the host before anything is installed.
* Versions follow from commits alone: a later commit is an upgrade, and so is a later release.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.machine import tree

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Source:
    """What a package is built from: a folder, and the commit that is in it."""

    folder: Path
    commit: str = "HEAD"

    def version(self, release: str) -> str:
        """Version of a package: that of pyproject.toml, the commit's date, the Debian release.

        A tagged commit has no date. A later commit is an upgrade, and so is a later release.
        """
        text = (self.folder / "pyproject.toml").read_text()
        project = tomllib.loads(text)["project"]["version"]
        if f"v{project}" in _git("tag", "--points-at", self.commit).split():
            return f"{project}~deb{release}"
        date = time.strftime("%Y%m%d%H%M%S", time.gmtime(self.epoch()))
        return f"{project}+{date}~deb{release}"

    def epoch(self) -> int:
        """Date of the commit, in seconds."""
        given = os.environ.get("SOURCE_DATE_EPOCH") if self.commit == "HEAD" else None
        found = given or _git("log", "-1", "--format=%ct", self.commit)
        if not found:
            raise tree.LabError("no commit's date could be taken: set SOURCE_DATE_EPOCH")
        return int(found)


def earlier() -> str:
    """The commit to upgrade from: that of the last tag, or the first one that has a package.

    Empty where there is none, as in an unpacked sdist.
    """
    if tag := _git("describe", "--tags", "--match", "v*", "--abbrev=0", "HEAD^"):
        return tag
    added = _git("log", "--diff-filter=A", "--reverse", "--format=%H", "--", "debian/control")
    first = next(iter(added.split()), "")
    return "" if first == _git("rev-parse", "HEAD") else first


def unpacked(commit: str, folder: Path) -> Source:
    """Put the files of a commit into an empty folder."""
    archive = folder / "source.tar"
    _git("archive", f"--output={archive}", commit)
    if not archive.exists():
        raise tree.LabError(f"git archive {commit} fails: is the history complete?")
    shutil.unpack_archive(archive, folder)
    archive.unlink()
    return Source(folder, commit)


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", tree.REPO, *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
