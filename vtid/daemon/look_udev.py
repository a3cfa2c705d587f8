"""Look at udev: what its database says it did with links, and rules that rename or resize them.

Rules of this file:

* Of a link that is there, udev's database names the .link file that was applied.
* Of rules, those of administrators are read. One whose conditions are not all known here is passed
  over: it may ask for anything.
* Whether PROGRAM and IMPORT succeed, and which rules a GOTO leaves out, only udev knows. A rule
  that depends on them is not judged, and its file is told.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from vtid.daemon.look_networkd import DIRECTORIES
from vtid.daemon.looks import read
from vtid.model.facts import UdevFacts, UdevRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_RULES = ("usr/local/lib/udev/rules.d", "run/udev/rules.d", "etc/udev/rules.d")
"""The later ones win for files of one name (udev(7))."""

_TOKEN = re.compile(r'(\w+(?:\{[^}]*\})?)\s*(==|!=|\+=|-=|:=|=)\s*e?"((?:[^"\\]|\\.)*)"')

_BRANCH = re.compile(r"GOTO|PROGRAM|IMPORT\{\w+\}")

_ASSIGNED = {"NAME", "ATTR{mtu}", "ATTR{ifalias}"}

_SETTINGS = ("MTUBytes", "Name", "Alias")
"""Of [Link] in a .link file (systemd.link(5)): those that change what vtid made."""

_OURS = "E:ID_VTID=1"
"""What the shipped 99-vtid.rules adds."""


def udev(root: Path, links: Mapping[int, tuple[str, bool]]) -> UdevFacts | None:
    """Return what udev does with links; None where it does not run."""
    if not (root / "run/udev/data").is_dir():
        return None
    changed: dict[str, tuple[str, ...]] = {}
    handled: set[str] = set()
    for ifindex, (name, _) in links.items():
        entry = (read(root / f"run/udev/data/n{ifindex}") or "").splitlines()
        if entry and _OURS not in entry:
            handled.add(name)
        for line in entry:
            if line.startswith("E:ID_NET_LINK_FILE="):
                changed[name] = tuple(_settings(root, line.partition("=")[2]))
    ours = frozenset(name for name, is_ours in links.values() if is_ours)
    rules = {place: tuple(_rules(place, text)) for place, text in _files(root)}
    unread = tuple(place for place, found in rules.items() if None in found)
    known = (rule for found in rules.values() for rule in found if rule)
    return UdevFacts(changed, frozenset(handled), ours, tuple(known), unread)


def _settings(root: Path, file: str) -> Iterator[str]:
    """Yield what a .link file with its drop-ins changes, as `FILE: KEY=VALUE`."""
    name = file.rpartition("/")[2]
    drop_ins = (root / one / f"systemd/network/{name}.d" for one in DIRECTORIES)
    for path in (
        root / file.lstrip("/"),
        *(one for d in drop_ins for one in sorted(d.glob("*.conf"))),
    ):
        section = ""
        for line in map(str.strip, (read(path) or "").splitlines()):
            section = line if line.startswith("[") else section
            key, _, value = line.partition("=")
            if section == "[Link]" and key.strip() in _SETTINGS and value.strip():
                yield f"/{path.relative_to(root)}: {key.strip()}={value.strip()}"


def _files(root: Path) -> Iterator[tuple[str, str]]:
    """Yield path and text of the administrators' files of rules."""
    files: dict[str, Path] = {}
    for directory in _RULES:
        files |= {path.name: path for path in (root / directory).glob("*.rules")}
    for name in sorted(files):
        yield f"/{files[name].relative_to(root)}", read(files[name]) or ""


def _rules(place: str, text: str) -> Iterator[UdevRule | None]:
    """Yield the rules of a file that assign what vtid assigns; None for one of `_BRANCH`."""
    has_branch = False
    for line in text.replace("\\\n", " ").splitlines():
        if line.lstrip().startswith("#"):
            continue
        tokens = _TOKEN.findall(line)
        keys = [key for key, _, _ in tokens]
        has_branch |= "GOTO" in keys
        for rule in _rule(place, tokens):
            yield None if has_branch or any(map(_BRANCH.fullmatch, keys)) else rule


def _rule(place: str, tokens: Iterable[tuple[str, str, str]]) -> Iterator[UdevRule]:
    """Yield a rule of network interfaces that assigns what vtid assigns, if it is one."""
    names: list[tuple[str, bool]] = []
    sets = ""
    for key, operator, value in tokens:
        is_match = operator in {"==", "!="}
        if key == "KERNEL" and is_match:
            names.append((value, operator == "=="))
        elif is_match and not _BRANCH.fullmatch(key) and not _holds(key, operator, value):
            return
        elif key in _ASSIGNED and operator in {"=", ":="}:
            sets = f'{key}{operator}"{value}"'
    if sets:
        yield UdevRule(place, sets, tuple(names))


def _holds(key: str, operator: str, value: str) -> bool:
    """Whether a condition holds for an interface that vtid adds; not if it is not known here."""
    facts = {"SUBSYSTEM": "net", "ACTION": "add"}
    fits = key in facts and any(fnmatchcase(facts[key], one) for one in value.split("|"))
    return key in facts and fits == (operator == "==")
