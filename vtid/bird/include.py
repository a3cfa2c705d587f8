"""Include: the include file on disk, and the last one that BIRD accepted. An edge.

Rules of this file:

* It blocks, so it runs in a worker thread.
* A new file is written beside the old one, synced and renamed over it: whatever fails, the file is
  complete at any moment.
* While BIRD has not accepted a new file, the one it accepted last is kept beside it under a hidden
  name. If it exists at start, the last push was never finished.
* A file that does not begin with vtid's header belongs to another program and is not touched. A
  blank one is free: administrators create it so that BIRD has something to include.
* Only BIRD's group, which is that of its control socket, may read a file with a password. Mode and
  owner of a file that others cannot read already stay.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from vtid.bird.files import read_text
from vtid.bird.preview import has_password
from vtid.bird.quote import RenderError
from vtid.bird.render import HEADER, parse

NEW_FILE_MODE = 0o644
"""BIRD runs as its own user and must read it."""

_MOST = 256 * 1024 * 1024
"""Bytes of an include file: far more than ten thousand tunnels have."""

_OTHERS = stat.S_IRWXO


class IncludeError(Exception):
    """The include file cannot be used; the text names it and the way out."""


def _keep(path: Path, good: Path) -> None:
    """Link a file; copy what is somebody else's, where fs.protected_hardlinks lets nobody link it.

    Raises PermissionError where that would show what not anybody may read.
    """
    try:
        os.link(path, good)
    except PermissionError:
        if not path.stat().st_mode & stat.S_IROTH:
            raise
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(good, flags, NEW_FILE_MODE), "w", encoding="utf-8") as copy:
            copy.write(read_text(path, _MOST))


def _give(descriptor: int, owner: tuple[int, int], mode: int) -> None:
    """Give a file to user and group; where only root may, it keeps ours if anybody may read it."""
    try:
        os.fchown(descriptor, *owner)
    except PermissionError:
        if not mode & stat.S_IROTH:
            raise


class IncludeFile:
    """One include file. Paths are absolute or relative to the working directory."""

    def __init__(self, path: str, socket: str = "") -> None:
        """Name the file, and the control socket of the BIRD that reads it: it has BIRD's group."""
        self.path = Path(path)
        self._socket = Path(socket)
        self._new = self.path.with_name(f".{self.path.name}.new")
        self._good = self.path.with_name(f".{self.path.name}.good")

    def read(self) -> str | None:
        """Return the text, None if there is none; raises IncludeError, also if it is not ours."""
        text = self._read(self.path)
        if text is not None:
            self._check_owned(text)
        return text

    def create(self) -> None:
        """Begin a file without sessions, so that BIRD can include it; raises IncludeError."""
        try:
            self._write(HEADER)
            self._new.replace(self.path)
        except OSError as error:
            raise self._error("create", error) from error

    def take_over(self, former: IncludeFile) -> None:
        """Move the blocks of another file of ours to this one, unless this one has some.

        The other one stays, without sessions, so that an `include` still finds it. Raises
        IncludeError; a file that is not ours is left alone.
        """
        try:
            text = former.read()
        except IncludeError:
            return
        if text is None:
            return
        if (self.read() or HEADER) == HEADER:
            self.replace(text)
        former.replace(HEADER)
        former.accept()

    def unfinished(self) -> bool:
        """Return whether BIRD has not accepted the present file yet."""
        return self._good.exists()

    def replace(self, text: str) -> None:
        """Put `text` in place and keep the last good file; raises IncludeError."""
        try:
            self.read()
            self._write(text)
            self._keep_good()
            self._new.replace(self.path)
            self._sync_directory()
        except OSError as error:
            with suppress(OSError):
                self._new.unlink(missing_ok=True)
            raise self._error("write", error) from error

    def accept(self) -> None:
        """Note that BIRD has accepted the file: it is the last good one now."""
        try:
            self._good.unlink(missing_ok=True)
        except OSError as error:
            raise self._error("write", error) from error

    def restore(self) -> str:
        """Put the last good file back and return its text; raises IncludeError."""
        try:
            self._good.replace(self.path)
            self._sync_directory()
        except OSError as error:
            raise self._error("restore", error) from error
        return self.read() or HEADER

    def last_good(self) -> str:
        """Return the file that BIRD accepted last, None if that is the present one."""
        text = self._read(self._good) or HEADER
        self._check_owned(text)
        return text

    def _read(self, path: Path) -> str | None:
        """Return the text of a file, None if there is no file or only white space in it."""
        try:
            text = read_text(path, _MOST)
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise self._foreign() from error
        except OSError as error:
            raise self._error("read", error) from error
        return text if text.strip() else None

    def _check_owned(self, text: str) -> None:
        try:
            parse(text)
        except RenderError as error:
            raise self._foreign(str(error)) from error

    def _foreign(self, why: str = "not text") -> IncludeError:
        return IncludeError(
            f"{self.path} is {why} and stays as it is: "
            "move it away, or name another file with `include = ` under [[bird]]"
        )

    def _write(self, text: str) -> None:
        """Write the new file with the right owner and mode."""
        mode, owner = self._attributes(secret=has_password(text))
        self._new.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(self._new, flags, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            made = os.fstat(descriptor)  # where the directory has set-group-ID: of its group
            if owner and owner != (made.st_uid, made.st_gid):
                _give(descriptor, owner, mode)
            os.fchmod(descriptor, mode)
            file.write(text)
            file.flush()
            os.fsync(descriptor)

    def _attributes(self, *, secret: bool) -> tuple[int, tuple[int, int] | None]:
        """Return mode, and user and group: those of the old file; BIRD's group for a secret.

        None is what a new file gets by itself.
        """
        mode, owner = NEW_FILE_MODE, None
        with suppress(FileNotFoundError):
            old = self.path.stat()
            mode, owner = stat.S_IMODE(old.st_mode), (old.st_uid, old.st_gid)
        if secret and mode & _OTHERS:
            user = owner[0] if owner else os.geteuid()
            mode, owner = mode & ~_OTHERS, (user, self._group_of_bird())
        return mode, owner

    def _group_of_bird(self) -> int:
        try:
            return self._socket.stat().st_gid
        except OSError as error:
            raise IncludeError(
                f"{self.path} is about to have a password, which only BIRD may read, and which "
                f"group BIRD runs in is not known before its control socket {self._socket} is "
                f"there: start BIRD, or make the file yourself and `chmod o= {self.path}`"
            ) from error

    def _keep_good(self) -> None:
        """Keep the present file as the last good one, unless there is an older one."""
        with suppress(FileExistsError):
            if self.path.exists():
                _keep(self.path, self._good)
            else:
                self._good.write_text(HEADER, "utf-8")
                self._good.chmod(NEW_FILE_MODE)

    def _sync_directory(self) -> None:
        fd = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _error(self, verb: str, error: OSError) -> IncludeError:
        return IncludeError(f"cannot {verb} {self.path}: {error.strerror}: {self._way_out(error)}")

    def _way_out(self, error: OSError) -> str:
        directory = self.path.parent
        match error.errno:
            case errno.ENOENT | errno.ENOTDIR:
                return f"create the directory {directory}"
            case errno.EACCES:
                return f"let vtid's user write in {directory}"
            case errno.EPERM:
                return (
                    f"let {self.path} be of vtid's user and BIRD's group (chown vtid:bird), and "
                    f"the directory, too, with set-group-ID (chmod 2755 {directory})"
                )
            case errno.EROFS:
                return f"{directory} is read-only for vtid; add ReadWritePaths={directory}"
            case errno.ENOSPC | errno.EDQUOT:
                return f"make room in {directory}; the old file is whole"
            case _:
                return "correct `include = ` under [[bird]]"
