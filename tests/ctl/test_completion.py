"""`vtictl completion`: what bash makes of it, and that the other scripts know the same words."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from vtid.ctl import main as ctl

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "$(touch hacked)`touch hacked`;touch hacked"


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert ctl.main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.fixture
def bash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with the script, and a `vtictl` that knows three tunnels."""
    (tmp_path / "script").write_text(script("bash", capsys))
    stub = tmp_path / "vtictl"
    stub.write_text(
        "#!/bin/bash\n[[ $* == 'tunnels --names' ]] &&"
        f" printf '%s\\n' V2-1 'private/vti3' '{HOSTILE}'\n"
    )
    stub.chmod(0o755)
    return tmp_path


def complete(folder: Path, *words: str) -> list[str]:
    """What bash offers for the last of the words, quoted as it would insert it."""
    command = (
        'source ./script; COMP_WORDS=(vtictl "$@"); COMP_CWORD=$#; _vtictl;'
        ' (( ${#COMPREPLY[@]} )) && printf "%s\\n" "${COMPREPLY[@]}"; true'
    )
    done = subprocess.run(
        ["bash", "--norc", "-euc", command, "bash", *words],
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("st",), ["status"]),
        (("--socket", "/run/x", "st"), ["status"]),
        (("--so",), ["--socket"]),
        (("tunnels", "--sort", "s"), ["state", "since"]),
        (("tunnels", "-o", ""), ["table", "json", "yaml"]),
        (("tunnels", "--w"), ["--wide", "--watch"]),
        (("wait", "--for", "s"), ["synced"]),
        (("wait", "--for", "up", "V"), ["V2-1"]),
        (("show", "priv"), ["private/vti3"]),
        (("show", "--so"), ["--socket"]),
        (("completion", ""), ["bash", "zsh", "fish", "--help"]),
        (("reload", "V"), []),
    ],
)
def test_bash(bash: Path, words: tuple[str, ...], offered: list[str]) -> None:
    assert complete(bash, *words) == offered


def test_a_hostile_name_is_quoted_and_never_run(bash: Path) -> None:
    (offered,) = complete(bash, "show", "$")
    assert not (bash / "hacked").exists()
    said = subprocess.run(
        ["bash", "-c", f"printf %s {offered}"], cwd=bash, capture_output=True, text=True, check=True
    )
    assert said.stdout == HOSTILE
    assert not (bash / "hacked").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_script_knows_all_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = script(shell, capsys)
    for word in ("status", "bird", "completion", "synced", "vtictl tunnels --names"):
        assert word in said
