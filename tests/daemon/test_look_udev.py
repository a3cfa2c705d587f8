"""What udev does with interfaces, by its database, .link files and rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vtid.daemon.look_udev import udev

if TYPE_CHECKING:
    from pathlib import Path

    from vtid.model.facts import UdevFacts

LINKS = {3: ("vti1", True), 4: ("eth0", False)}


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def look(root: Path) -> UdevFacts:
    found = udev(root, LINKS)
    assert found
    return found


def test_without_udev_there_is_nothing(tmp_path: Path) -> None:
    assert udev(tmp_path, LINKS) is None


def test_a_link_file_and_its_drop_ins_are_read(tmp_path: Path) -> None:
    file = "/etc/systemd/network/a.link"
    write(tmp_path, "run/udev/data/n3", f"E:ID_VTID=1\nE:ID_NET_LINK_FILE={file}\n")
    text = "[Match]\nName=x\n[Link]\nMTUBytes=1200\nNamePolicy=keep kernel\nName=\n"
    write(tmp_path, file[1:], text)
    write(tmp_path, "run/systemd/network/a.link.d/b.conf", "[Link]\nAlias=mine\n")
    found = look(tmp_path)
    assert found.changed == {
        "vti1": (f"{file}: MTUBytes=1200", "/run/systemd/network/a.link.d/b.conf: Alias=mine")
    }
    assert not found.handled
    assert found.ours == {"vti1"}


def test_what_the_shipped_rule_does_not_know_is_handled(tmp_path: Path) -> None:
    write(tmp_path, "run/udev/data/n3", "E:ID_NET_DRIVER=vti\n")
    assert look(tmp_path).handled == {"vti1"}


@pytest.mark.parametrize(
    ("rule", "applies"),
    [
        ('SUBSYSTEM=="net", KERNEL=="vti*", NAME="lan0"', True),
        ('SUBSYSTEM=="net", KERNEL=="eth0|vti1", ATTR{mtu}="1200"', True),
        ('SUBSYSTEM=="net", \\\n  ACTION=="add|move", NAME:="lan0"', True),
        ('SUBSYSTEM=="net", KERNEL!="vti*", NAME="lan0"', False),
        ('SUBSYSTEM=="net", ACTION=="remove", NAME="lan0"', False),
        ('SUBSYSTEM=="block", KERNEL=="vti1", NAME="lan0"', False),
        ('SUBSYSTEM=="net", ATTR{address}=="00:11:22:33:44:55", NAME="lan0"', False),
        ('SUBSYSTEM=="net", KERNEL=="vti1", NAME=="lan0"', False),
        ('SUBSYSTEM=="net", KERNEL=="vti1", RUN+="/bin/true"', False),
        ('# SUBSYSTEM=="net", NAME="lan0"', False),
    ],
)
def test_rules_that_rename_or_resize(tmp_path: Path, rule: str, applies: bool) -> None:  # noqa: FBT001
    write(tmp_path, "run/udev/data/n3", "")
    write(tmp_path, "etc/udev/rules.d/70-a.rules", f"{rule}\n")
    assert any(one.applies("vti1") for one in look(tmp_path).rules) is applies


@pytest.mark.parametrize(
    ("rules", "known", "is_unread"),
    [
        (['SUBSYSTEM!="net", GOTO="end"', 'NAME="lan0"', 'LABEL="end"'], [], True),
        (['KERNEL!="eth*", GOTO="end"', 'KERNEL=="v*", NAME="lan0"', 'LABEL="end"'], [], True),
        (['NAME="a"', 'GOTO="end"', 'NAME="b"', 'LABEL="end"'], ['NAME="a"'], True),
        (['PROGRAM="/bin/false", NAME="lan0"', 'ATTR{mtu}="1"'], ['ATTR{mtu}="1"'], True),
        (['PROGRAM=="/bin/false", NAME="lan0"'], [], True),
        (['IMPORT{program}="/bin/x", NAME="lan0"'], [], True),
        (['SUBSYSTEM!="net", GOTO="end"', 'TAG+="x"', 'LABEL="end"'], [], False),
        (['SUBSYSTEM=="block", PROGRAM="/bin/x", NAME="lan0"'], [], False),
    ],
)
def test_what_only_udev_can_judge_is_told_and_leads_to_no_rule(
    tmp_path: Path,
    rules: list[str],
    known: list[str],
    is_unread: bool,  # noqa: FBT001
) -> None:
    write(tmp_path, "run/udev/data/n3", "")
    write(tmp_path, "etc/udev/rules.d/70-a.rules", "\n".join([*rules, ""]))
    found = look(tmp_path)
    assert [rule.sets for rule in found.rules] == known
    assert found.unread == (("/etc/udev/rules.d/70-a.rules",) if is_unread else ())


def test_a_file_of_etc_hides_that_of_run(tmp_path: Path) -> None:
    write(tmp_path, "run/udev/data/n3", "")
    write(tmp_path, "run/udev/rules.d/70-a.rules", 'SUBSYSTEM=="net", NAME="a"\n')
    write(tmp_path, "etc/udev/rules.d/70-a.rules", "")
    assert look(tmp_path).rules == ()
