from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from vtid.bird.include import IncludeError, IncludeFile
from vtid.bird.render import HEADER, compose

if TYPE_CHECKING:
    from pathlib import Path

FIRST = compose({"a": "# first\n"})
SECOND = compose({"a": "# second\n"})
THIRD = compose({"a": "# third\n"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vtid.conf"


@pytest.fixture
def file(path: Path) -> IncludeFile:
    return IncludeFile(str(path))


def there(path: Path) -> set[str]:
    return {found.name for found in path.parent.iterdir()}


def test_a_file_begins_empty(file: IncludeFile, path: Path) -> None:
    assert file.read() is None
    file.create()
    assert file.read() == HEADER
    assert path.stat().st_mode & 0o777 == 0o644
    assert not file.unfinished()


def test_replaced_and_accepted(file: IncludeFile, path: Path) -> None:
    path.write_text(FIRST)
    path.chmod(0o640)
    file.replace(SECOND)
    assert (file.read(), file.last_good(), file.unfinished()) == (SECOND, FIRST, True)
    file.accept()
    assert (file.read(), file.unfinished()) == (SECOND, False)
    assert path.stat().st_mode & 0o777 == 0o640
    assert there(path) == {"vtid.conf"}


def test_the_file_bird_accepted_outlives_several_that_it_has_not_seen(
    file: IncludeFile, path: Path
) -> None:
    path.write_text(FIRST)
    file.replace(SECOND)
    IncludeFile(str(path)).replace(THIRD)
    assert file.restore() == FIRST
    assert (file.read(), there(path)) == (FIRST, {"vtid.conf"})


def test_nothing_was_there_before(file: IncludeFile) -> None:
    file.replace(FIRST)
    assert file.restore() == HEADER


def test_bird_can_read_what_is_put_back_whatever_the_umask_is(
    file: IncludeFile, path: Path
) -> None:
    before = os.umask(0o077)
    try:
        file.replace(FIRST)
        file.restore()
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_foreign_file_stays(file: IncludeFile, path: Path) -> None:
    for content in (b"# mine\n", b"\0", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(IncludeError, match=r"stays as it is: move it away"):
            file.replace(FIRST)
        assert path.read_bytes() == content
        assert there(path) == {"vtid.conf"}


@pytest.mark.parametrize("blank", ["", "\n", " \t\r\n\n"])
def test_a_blank_file_is_nobodys(file: IncludeFile, path: Path, blank: str) -> None:
    path.write_text(blank)
    path.chmod(0o640)
    assert file.read() is None
    file.replace(FIRST)
    assert (file.read(), file.last_good(), file.restore()) == (FIRST, HEADER, HEADER)
    file.create()
    assert (path.read_text(), path.stat().st_mode & 0o777) == (HEADER, 0o640)


SECRET = compose({"a": 'protocol bgp x {\n  password "s3cret";\n}\n'})


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, user, group: given.append((user, group)))
    return given


def test_a_password_is_for_birds_group_alone(
    tmp_path: Path, path: Path, owners: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = tmp_path / "bird.ctl"
    file = IncludeFile(str(path), str(socket))
    file.create()
    with pytest.raises(IncludeError, match=r"password, which only BIRD may read.*start BIRD"):
        file.replace(SECRET)
    assert (path.read_text(), there(path)) == (HEADER, {"vtid.conf"})

    socket.touch()
    theirs = os.getegid() + 1
    monkeypatch.setattr(file, "_group_of_bird", lambda: theirs)
    file.replace(SECRET)
    assert (path.read_text(), path.stat().st_mode & 0o777) == (SECRET, 0o640)
    assert owners[-1] == (os.geteuid(), theirs)
    file.accept()
    file.replace(FIRST)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.lab  # another group takes a privilege
@pytest.mark.any_kernel
def test_a_directory_with_birds_group_gives_it_without_a_privilege(
    tmp_path: Path, path: Path, owners: list[tuple[int, int]]
) -> None:
    theirs = os.getegid() + 1
    os.chown(tmp_path, -1, theirs)
    tmp_path.chmod(0o2755)
    file = IncludeFile(str(path), str(tmp_path))
    file.create()
    file.replace(SECRET)
    found = path.stat()
    assert (found.st_gid, found.st_mode & 0o777, owners) == (theirs, 0o640, [])


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_a_file_that_somebody_else_made_is_replaced_if_nobody_loses_it(
    path: Path, file: IncludeFile, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root made it, for a BIRD that includes it; vtid has a user of its own, and the directory."""

    def refuse(*_: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    path.write_text("")
    path.chmod(mode)
    monkeypatch.setattr(file, "_attributes", lambda **_: (mode, (0, os.getegid() + 1)))
    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "link", refuse)
    if mode == 0o644:
        file.replace(FIRST)
        assert path.read_text() == FIRST
        assert file.restore() == HEADER
        assert path.read_text() == ""
    else:
        with pytest.raises(IncludeError, match="chown vtid:bird"):
            file.replace(FIRST)


def test_a_password_is_not_readable_while_it_is_written(
    path: Path, file: IncludeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    real = os.fchmod

    def look(descriptor: int, mode: int) -> None:
        modes.append(os.fstat(descriptor).st_mode & 0o077)
        real(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", look)
    path.write_text(FIRST)
    path.chmod(0o600)
    file.replace(SECRET)
    assert (modes, path.stat().st_mode & 0o777) == ([0], 0o600), "what others cannot read stays"


def test_directory_is_missing(tmp_path: Path) -> None:
    file = IncludeFile(str(tmp_path / "no" / "vtid.conf"))
    assert file.read() is None
    with pytest.raises(IncludeError, match="create the directory"):
        file.create()
    with pytest.raises(IncludeError, match="create the directory"):
        file.replace(FIRST)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EROFS, "ReadWritePaths="),
        (errno.EACCES, "let vtid's user write"),
        (errno.EPERM, "chown vtid:bird.*chmod 2755"),
        (errno.EIO, "correct `include = `"),
    ],
)
def test_old_file_is_whole_after_any_failure(
    file: IncludeFile,
    path: Path,
    number: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    path.write_text(FIRST)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(IncludeError, match=message):
        file.replace(SECOND)
    assert (path.read_text(), there(path)) == (FIRST, {"vtid.conf"})


def test_is_a_directory(tmp_path: Path) -> None:
    with pytest.raises(IncludeError, match="cannot read"):
        IncludeFile(str(tmp_path)).read()


def test_what_a_crash_left_behind_is_no_obstacle(file: IncludeFile, path: Path) -> None:
    path.write_text(FIRST)
    path.with_name(".vtid.conf.new").write_text("half a fi")
    file.replace(SECOND)
    assert file.read() == SECOND
