"""`password_file`: what is read, what is refused and why, and that nothing of it is repeated."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.config.test_load import BIRD, TUNNEL
from vtid.config.changes import changes
from vtid.config.load import ConfigError
from vtid.config.tables import written
from vtid.daemon import config_file
from vtid.daemon.password_files import PasswordFiles
from vtid.daemon.reload import Reloader
from vtid.http.api import ReloadResult

if TYPE_CHECKING:
    from pathlib import Path

    from vtid.config.keys import Config
    from vtid.daemon.config_file import Found

SESSION = '[[tunnel.bgp]]\nneighbor = "10.0.0.{0}"\nlocal_as = 1\nremote_as = 2\nname = "s{0}"\n'
SECRET = "hunter2"  # noqa: S105 - of no use


def configured(folder: Path, *sessions: str, default: str = "") -> Path:
    """A configuration with these lines in its sessions; `FOLDER` is where it lies."""
    tables = (SESSION.format(number) + line for number, line in enumerate(sessions, 1))
    text = "\n".join((f"[defaults.bgp]\n{default}", TUNNEL, *tables, BIRD))
    file = folder / "vtid.toml"
    file.write_text(text.replace("FOLDER", str(folder)))
    return file


def passwords(found: Found) -> list[str | None]:
    sessions = found.config.policies[0].bgp
    return [one.password.text if one.password else None for one in sessions]


def secret(folder: Path, content: bytes = SECRET.encode(), mode: int = 0o640) -> Path:
    file = folder / "secret"
    file.write_bytes(content)
    file.chmod(mode)
    return file


def message(folder: Path, line: str = 'password_file = "FOLDER/secret"') -> str:
    with pytest.raises(ConfigError) as caught:
        config_file.read(configured(folder, line))
    (problem,) = caught.value.problems
    assert problem.key == "tunnel[0].bgp[0].password_file"
    assert problem.line
    assert SECRET not in str(problem)
    return problem.message


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_the_password_is_the_line_of_the_file(tmp_path: Path, end: bytes) -> None:
    secret(tmp_path, b"two words" + end)
    found = config_file.read(configured(tmp_path, 'password_file = "FOLDER/secret"', ""))
    assert passwords(found) == ["two words", None]
    assert found.warnings == ()
    assert "two words" not in repr(found) + json.dumps(written(found.config, whole=True))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"hunter2\nhunter2", "has more than one line"),
        (b"hunter2\n\n", "has more than one line"),
        (b"hunter2\r\n", "carriage return"),
        (b"hunter2\0", "has a NUL"),
        ("hunter2\n".encode("utf-16"), "has a NUL"),
        (b"\xef\xbb\xbfhunter2", "printable ASCII"),
        (b'hunter2"', "printable ASCII"),
        (b"hunter2" * 12, "1 to 80 characters"),
        (b"hunter2" * 100_000, "1 to 80 characters"),
    ],
)
def test_what_is_no_password_is_told_and_not_repeated(
    tmp_path: Path, content: bytes, says: str
) -> None:
    file = secret(tmp_path, content)
    assert message(tmp_path).startswith(f"{file}: ")
    assert says in message(tmp_path)


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert "No such file or directory; write the password into it" in message(tmp_path)
    path.mkdir()
    assert "is a directory" in message(tmp_path)
    path.rmdir()
    os.mkfifo(path)
    assert "is no regular file" in message(tmp_path), "nobody writes, and nobody waits"
    path.unlink()
    path.symlink_to(path)
    assert "Too many levels of symbolic links" in message(tmp_path)


def test_what_cannot_be_read_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    config = configured(tmp_path, 'password_file = "FOLDER/secret"')
    files = PasswordFiles()
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ValueError, match="Permission denied; vtid's user must be able to read it"):
        files.read(str(config))


@pytest.mark.parametrize(
    ("mode", "may"), [(0o644, "may read it (mode 0644)"), (0o642, "may write it (mode 0642)")]
)
def test_a_file_that_is_open_to_others_is_a_warning_once(
    tmp_path: Path, mode: int, may: str
) -> None:
    file = secret(tmp_path, mode=mode)
    line = 'password_file = "FOLDER/secret"'
    found = config_file.read(configured(tmp_path, line, line))
    assert passwords(found) == [SECRET, SECRET]
    (warning,) = found.warnings
    assert warning.startswith(f"password_file {file}: everybody on this machine {may}")
    assert "chmod 0640" in warning


def test_one_of_a_session_replaces_that_of_all(tmp_path: Path) -> None:
    secret(tmp_path)
    by_file, in_clear = 'password_file = "FOLDER/secret"', 'password = "open"'
    found = config_file.read(configured(tmp_path, by_file, "", default=in_clear))
    assert passwords(found) == [SECRET, "open"]
    found = config_file.read(configured(tmp_path, in_clear, "", default=by_file))
    assert passwords(found) == ["open", SECRET]


def test_both_at_one_place_are_an_error(tmp_path: Path) -> None:
    secret(tmp_path)
    both = f'password = "{SECRET}"\npassword_file = "FOLDER/secret"'
    assert "and `password` exclude each other" in message(tmp_path, both)
    with pytest.raises(ConfigError) as caught:
        config_file.read(configured(tmp_path, default=both))
    (problem,) = caught.value.problems
    assert problem.key == "defaults.bgp.password_file"


def test_a_bad_default_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config_file.read(configured(tmp_path, "", "", default='password_file = "FOLDER/secret"'))
    (problem,) = caught.value.problems
    assert (problem.key, problem.line) == ("defaults.bgp.password_file", 2)


@pytest.mark.parametrize(
    "value", ["secret", "$CREDENTIALS_DIRECTORY/", "$CREDENTIALS_DIRECTORY/.."]
)
def test_a_path_is_absolute_or_a_credential(tmp_path: Path, value: str) -> None:
    assert "credential" in message(tmp_path, f"password_file = '{value}'")


def test_a_credential_of_the_service(tmp_path: Path) -> None:
    secret(tmp_path, mode=0o400)
    name = "$CREDENTIALS_DIRECTORY/secret"
    assert PasswordFiles({"CREDENTIALS_DIRECTORY": str(tmp_path)}).read(name) == SECRET
    with pytest.raises(ValueError, match=r"LoadCredential=none:FILE in the unit and a restart"):
        PasswordFiles({"CREDENTIALS_DIRECTORY": str(tmp_path)}).read("$CREDENTIALS_DIRECTORY/none")
    with pytest.raises(ValueError, match=r"in /run/credentials/vtid.service"):
        PasswordFiles({}).read("$CREDENTIALS_DIRECTORY/none")


def test_a_secret_of_kubernetes_is_two_links(tmp_path: Path) -> None:
    folder = tmp_path / "..2026_11_29"
    folder.mkdir()
    secret(folder)
    (tmp_path / "..data").symlink_to(folder.name)
    (tmp_path / "secret").symlink_to("..data/secret")
    found = config_file.read(configured(tmp_path, 'password_file = "FOLDER/secret"'))
    assert passwords(found) == [SECRET]


def test_a_password_that_changed_is_seen(tmp_path: Path) -> None:
    secret(tmp_path)
    file = configured(tmp_path, 'password_file = "FOLDER/secret"')
    found = config_file.read(file)
    assert config_file.prints(file, found.config) == found.prints
    secret(tmp_path, b"another")
    later = config_file.prints(file, found.config)
    assert later.digest == found.prints.digest, "what metrics show has nothing of the password"
    assert later != found.prints


def test_another_password_is_a_change_of_the_session_and_says_no_more(tmp_path: Path) -> None:
    secret(tmp_path)
    file = configured(tmp_path, 'password_file = "FOLDER/secret"')
    before = config_file.read(file).config
    secret(tmp_path, b"another")
    assert changes(before, config_file.read(file).config) == ("[[tunnel]] V2-1/* changed: bgp",)


async def test_a_reload_reads_passwords_again(tmp_path: Path) -> None:
    used: list[Config] = []

    async def use(config: Config) -> ReloadResult:
        used.append(config)
        return ReloadResult(ok=True)

    secret(tmp_path)
    file = configured(tmp_path, 'password_file = "FOLDER/secret"')
    one = Reloader(file, config_file.read(file).config, use)
    secret(tmp_path, b"another", mode=0o644)
    result = await one.reload(ready=False)
    (session,) = used[0].policies[0].bgp
    assert session.password
    assert session.password.text == "another"
    assert len(result.warnings) == 1
    (tmp_path / "secret").unlink()
    refused = await one.reload(ready=False)
    assert (refused.ok, len(used), one.stale) == (False, 1, True)
    assert "secret" in refused.errors[0]
