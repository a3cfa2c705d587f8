"""The files of the Debian package fit together; `make deb` builds it and tries it for real."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.packaging import deb, source
from tests.test_systemd import SERVICE

ROOT = Path(__file__).parents[2]
DEBIAN = ROOT / "debian"


def lines(name: str) -> list[str]:
    """Lines of a file in debian/, without comments."""
    text = (DEBIAN / name).read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("name", ["vtid.install", "vtid.docs", "vtid.examples"])
def test_what_is_installed_exists(name: str) -> None:
    sources = [line.split()[0] for line in lines(name)]
    assert [one for one in sources if not list(ROOT.glob(one))] == []


def test_units_and_rules_are_those_that_are_documented() -> None:
    links = {path.name: path.resolve() for path in DEBIAN.iterdir() if path.is_symlink()}
    assert links == {
        "vtid.service": ROOT / "systemd/vtid.service",
        "vtid.sysusers": ROOT / "systemd/sysusers.d/vtid.conf",
        "vtid.tmpfiles": ROOT / "systemd/tmpfiles.d/vtid.conf",
        "vtid.udev": ROOT / "systemd/99-vtid.rules",
    }
    assert "--priority=99" in (DEBIAN / "rules").read_text()


def test_the_trial_has_what_the_package_depends_on() -> None:
    (depends,) = [line for line in lines("control") if line.startswith("Depends:")]
    named = {word for word in re.split(r"[ ,]+", depends)[1:] if not word.startswith("$")}
    assert named | {"python3"} == set(deb.DEPENDS)


def test_only_locked_wheels_are_installed_and_none_is_fetched() -> None:
    rules = (DEBIAN / "rules").read_text().replace("\\\n", " ")
    assert re.findall(r"--no-index --find-links \$\(WHEELS\)$", rules, re.MULTILINE)
    installs = re.findall(r"^\t\$\(INSTALL\) (.*)$", rules, re.MULTILINE)
    assert len(installs) == 3
    assert all("--require-hashes" in one or "vtid-*.whl" in one for one in installs)


def test_a_purge_removes_the_user_and_the_directories() -> None:
    script = (DEBIAN / "vtid.postrm").read_text()
    (user,) = SERVICE["Service"]["User"]
    assert f"userdel {user}\n" in script
    owned = [line.split()[1] for line in lines("vtid.tmpfiles")]
    assert f"rm -rf {' '.join(owned)}\n" in script


def test_a_purge_leaves_what_bird_includes(tmp_path: Path) -> None:
    script = (DEBIAN / "vtid.postrm").read_text()
    function = script[script.index("keep_for_bird()") : script.index('if [ "$1" = purge ]')]
    there, conf = tmp_path / "vtid/bird", tmp_path / "bird.conf"
    moved = function.replace("/var/lib/vtid", str(tmp_path / "vtid")).replace(
        "/etc/bird*", str(conf)
    )
    run = ("sh", "-e", "-c", f"{moved}\nkeep_for_bird")
    conf.write_text(f'# include "{there}/a.conf";\n')
    subprocess.run(run, check=True)
    assert not there.exists()
    conf.write_text(
        f'include "{there}/*.conf";\n include "{there}/b c.conf" ;\ninclude "{there}/d/e.conf";\n'
        f'include "{there}/f.con[f]"; # include "{there}/g.conf";\n'
    )
    subprocess.run(run, check=True)
    assert {one.relative_to(there).as_posix() for one in there.rglob("*")} == {
        "b c.conf",
        "d",
        "d/e.conf",
    }


@pytest.mark.parametrize(
    ("tags", "expected"), [("", "0.1.0+20260102030405~deb12"), ("v0.1.0\n", "0.1.0~deb12")]
)
def test_a_version_has_the_commits_date_unless_it_is_tagged(
    tags: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n')
    answers = {"tag": tags, "log": "1767323045"}
    monkeypatch.setattr(source, "_git", lambda command, *_: answers[command])
    assert source.Source(tmp_path, "a commit").version("12") == expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"describe": "v0.1.0"}, "v0.1.0"),
        ({"log": "first\nagain", "rev-parse": "head"}, "first"),
        ({"log": "head", "rev-parse": "head"}, ""),
        ({}, ""),
    ],
    ids=["last tag", "no tag", "first commit", "no history"],
)
def test_the_version_before_is_the_last_tag_or_the_first_package(
    answers: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_git", lambda command, *_: answers.get(command, ""))
    assert source.earlier() == expected
