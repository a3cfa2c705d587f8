"""Hooks: which programs may be run, and what is said of the others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from vtid.daemon.hook_files import Programs, User, programs

if TYPE_CHECKING:
    from pathlib import Path

ME = os.geteuid()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "hooks.d"
    found.mkdir(mode=0o755)
    return found


def program(folder: Path, name: str = "a", mode: int = 0o755) -> Path:
    file = folder / name
    file.write_text("#!/bin/sh\n")
    file.chmod(mode)
    return file


def test_programs_are_run_in_the_order_of_their_names(folder: Path) -> None:
    for name in ("20-b", "10-a", "9-c"):
        program(folder, name)
    found = programs(folder, ME)
    assert [one.name for one in found.good] == ["10-a", "20-b", "9-c"]
    assert found.refused == ()


def test_what_editors_and_packages_leave_is_passed_over(folder: Path) -> None:
    for name in (".hidden", "a~", "a.bak", "a.dpkg-old", "a.rpmnew"):
        program(folder, name)
    assert programs(folder, ME) == Programs()


@pytest.mark.parametrize(
    ("mode", "says"),
    [(0o775, "can be written by others (mode 0775): chmod go-w"), (0o757, "go-w")],
)
def test_a_program_that_others_can_write_is_refused(folder: Path, mode: int, says: str) -> None:
    file = program(folder, mode=mode)
    good = program(folder, "b")
    found = programs(folder, ME)
    assert found.good == (good,), "the others are run"
    (line,) = found.refused
    assert line.startswith(f"{file}: ")
    assert says in line


def test_links_that_go_in_a_circle_are_refused(tmp_path: Path) -> None:
    circle = tmp_path / "hooks.d"
    circle.symlink_to(circle)
    (line,) = programs(circle, ME).refused
    assert line.startswith(f"{circle}: Too many levels of symbolic links")


def test_a_program_of_another_user_is_refused(folder: Path) -> None:
    program(folder)
    (line,) = programs(folder, ME + 1).refused[-1:]
    assert "belongs to user" in line


def test_what_cannot_be_run_is_refused(folder: Path) -> None:
    program(folder, mode=0o644)
    assert "chmod a+rx" in programs(folder, ME).refused[0]


STRANGER = User(ME + 1, frozenset({os.getegid() + 1}))


@pytest.fixture
def entered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is above the directory, which pytest keeps for its own user, lets all in."""
    may = User.may
    above = set(folder.parents)
    monkeypatch.setattr(User, "may", lambda *asked: asked[1] in above or may(*asked))


@pytest.mark.usefixtures("entered")
@pytest.mark.parametrize(
    ("mode", "user", "may"),
    [
        (0o700, STRANGER, False),
        (0o750, STRANGER, False),
        (0o701, STRANGER, True),
        (0o710, User(ME + 1, frozenset({os.getegid()})), True),
        (0o701, User(ME + 1, frozenset({os.getegid()})), False),
        (0o700, User(ME, frozenset()), True),
    ],
)
def test_the_user_that_is_to_run_a_program_counts_not_the_one_that_looks(
    folder: Path,
    mode: int,
    user: User,
    may: bool,  # noqa: FBT001
) -> None:
    """Root may run whatever anybody may, and the doctor runs as root."""
    file = program(folder, mode=mode)
    os.chown(file, -1, os.getegid())
    found = programs(folder, ME, user)
    assert found.good == ((file,) if may else ())
    refused = f"{file}: vtid's user cannot run it: chmod a+rx, or remove it"
    assert found.refused == (() if may else (refused,))
    assert programs(folder, ME).good == (file,)


@pytest.mark.usefixtures("entered")
def test_a_directory_has_to_let_that_user_in(folder: Path) -> None:
    program(folder)
    folder.chmod(0o711)
    assert programs(folder, ME, STRANGER) == Programs(
        refused=(f"{folder}: vtid's user cannot read it: chmod a+rx",)
    )


def test_so_have_the_directories_above(folder: Path) -> None:
    program(folder)
    folder.parent.chmod(0o700)
    found = programs(folder, ME, STRANGER)
    assert found.good == ()
    assert f"{folder.parent}: vtid's user cannot enter it: chmod a+x" in found.refused


def test_an_access_list_is_not_judged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.chmod(0o700)
    monkeypatch.setattr(os, "listxattr", lambda _path: ["system.posix_acl_access"])
    assert STRANGER.may(folder, os.X_OK)


def test_what_is_no_regular_file_is_refused(folder: Path) -> None:
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to(program(folder, "target"))
    found = programs(folder, ME)
    assert [one.name for one in found.good] == ["target"]
    assert all("is no regular file" in line for line in found.refused)
    assert len(found.refused) == 3


def test_nothing_is_run_from_a_directory_that_others_can_write(folder: Path) -> None:
    program(folder)
    folder.chmod(0o775)
    found = programs(folder, ME)
    assert found.good == ()
    assert found.refused == (
        f"{folder}: can be written by others, who could replace hooks: chmod go-w",
    )


def test_nor_below_one_or_by_a_link_in_one(folder: Path, tmp_path: Path) -> None:
    program(folder)
    other = tmp_path / "open"
    other.mkdir()
    other.chmod(0o777)
    (other / "link").symlink_to(folder)
    assert programs(other / "link", ME).good == ()
    other.chmod(0o755)
    found = programs(other / "link", ME)
    assert found.good == ()
    assert found.refused == (f"{other / 'link'}: is a link, or below one: name {folder}",)
    tmp_path.chmod(0o777)
    assert f"{tmp_path}: can be written" in programs(folder, ME).refused[0]


def test_a_directory_that_is_not_there_is_told(folder: Path) -> None:
    assert programs(folder / "none", ME).refused == (
        f"{folder}/none: No such file or directory: hooks are in a directory",
    )
    assert "Not a directory" in programs(program(folder), ME).refused[0]
