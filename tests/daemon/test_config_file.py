"""vtid.toml and conf.d: which files count, what is wrong with files, and when they differ."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from vtid.config.load import ConfigError
from vtid.daemon import config_file

if TYPE_CHECKING:
    from pathlib import Path


def tunnel(name: str) -> str:
    return f'[[tunnel]]\nconnection = "{name}"\ninterface = "{name}"\n'


@pytest.fixture
def main(tmp_path: Path) -> Path:
    (tmp_path / "conf.d").mkdir()
    file = tmp_path / "vtid.toml"
    file.write_text(tunnel("main"))
    return file


def write(main: Path, name: str, text: str = "") -> Path:
    file = main.parent / "conf.d" / name
    file.write_text(text)
    return file


def names(main: Path) -> list[str]:
    return [one.connection for one in config_file.read(main).config.policies]


def lines(main: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        config_file.read(main)
    return config_file.lines(caught.value)


def test_files_are_read_in_the_order_of_their_names(main: Path) -> None:
    for name in ("20-b", "10-a", "9-c", "B"):
        write(main, f"{name}.toml", tunnel(name))
    assert names(main) == ["main", "10-a", "20-b", "9-c", "B"]
    assert config_file.read(main).files == 5


def test_what_editors_packages_and_kubernetes_leave_does_not_count(main: Path) -> None:
    for name in (".hidden.toml", "a.toml~", "a.toml.bak", "a.toml.dpkg-old", "#a.toml#", "a.txt"):
        write(main, name, "not TOML")
    (main.parent / "conf.d" / ".#a.toml").symlink_to("user@host.1234")
    (main.parent / "conf.d" / "sub").mkdir()
    assert names(main) == ["main"]


def test_a_config_map_is_read_through_its_links(main: Path) -> None:
    for version in ("..2026_1", "..2026_2"):
        folder = main.parent / "conf.d" / version
        folder.mkdir()
        (folder / "a.toml").write_text(tunnel(version))
    data = main.parent / "conf.d" / "..data"
    data.symlink_to("..2026_1")
    (main.parent / "conf.d" / "a.toml").symlink_to("..data/a.toml")
    before = config_file.read(main)
    assert [one.connection for one in before.config.policies] == ["main", "..2026_1"]
    data.unlink()
    data.symlink_to("..2026_2")
    assert names(main) == ["main", "..2026_2"]
    assert config_file.prints(main, before.config) != before.prints


def test_there_need_be_no_such_directory_and_it_may_be_a_link(main: Path) -> None:
    folder = main.parent / "conf.d"
    folder.rename(main.parent / "elsewhere")
    assert names(main) == ["main"]
    folder.symlink_to("elsewhere")
    write(main, "a.toml", tunnel("a"))
    assert names(main) == ["main", "a"]


def test_all_that_is_wrong_with_files_is_told_at_once(main: Path) -> None:
    folder = main.parent / "conf.d"
    (folder / "a.toml").mkdir()
    (folder / "b.toml").symlink_to("none")
    write(main, "c.toml").write_bytes(b"# fine\n# Z\xfcrich\n")
    os.mkfifo(folder / "d.toml")
    (folder / "e\n.toml").symlink_to("e\n.toml")
    found = lines(main)
    for line, words in zip(
        found,
        (
            "a.toml: Is a directory: name a file; in conf.d, a directory has another ending",
            "b.toml: No such file or directory: it is a link to none",
            "c.toml: line 2 has the byte 0xfc: save it as UTF-8",
            "d.toml: is no regular file: remove it",
            "e\\n.toml: Too many levels of symbolic links",
        ),
        strict=True,
    ):
        assert line.startswith(f"{folder}/{words}")


def test_a_directory_that_cannot_be_listed(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(main), "iterdir", refuse)
    (line,) = lines(main)
    assert line.startswith(f"{main.parent}/conf.d: Permission denied; vtid's user must be able")


def test_a_file_in_the_place_of_the_directory(main: Path) -> None:
    (main.parent / "conf.d").rmdir()
    (main.parent / "conf.d").write_text("")
    assert lines(main) == (f"{main.parent}/conf.d: Not a directory",)


def test_without_the_main_file_nothing_is_read(main: Path) -> None:
    write(main, "a.toml", tunnel("a"))
    main.unlink()
    (line,) = lines(main)
    assert line == f"{main}: No such file or directory; name the file with --config FILE"


def test_one_of_the_files_is_checked_alone_and_says_so(main: Path) -> None:
    file = write(main, "a.toml", '[[tunnel]]\nconnection = "a"\n')
    bad, hint = lines(file)
    assert bad == f"{file}:1: tunnel[0].interface: is missing"
    assert "name the file beside conf.d to check all of them together" in hint
    write(main, "a.toml", tunnel("a"))
    assert names(file) == ["a"]


def test_a_file_that_came_or_went_is_a_change(main: Path) -> None:
    found = config_file.read(main)
    assert config_file.prints(main, found.config) == found.prints
    file = write(main, "a.toml")
    assert config_file.prints(main, found.config) != found.prints, "even an empty one"
    renamed = config_file.read(main)
    file.rename(file.with_name("b.toml"))
    assert config_file.prints(main, renamed.config) != renamed.prints
    (main.parent / "conf.d" / "b.toml").unlink()
    assert config_file.prints(main, found.config) == found.prints
    (main.parent / "conf.d" / "b.toml").mkdir()
    assert config_file.prints(main, found.config).digest == ""


def test_many_files(main: Path) -> None:
    for number in range(300):
        write(main, f"{number:04}.toml", tunnel(f"t{number}"))
    assert len(names(main)) == 301
    write(main, "0299.toml", tunnel("t0"))
    assert f"{main.parent}/conf.d/0000.toml:1" in lines(main)[0]
