"""Look at kernel modules: which there are, and what keeps them from being loaded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vtid.daemon.looks import UnseenError, read
from vtid.model.facts import ModuleFacts

if TYPE_CHECKING:
    from pathlib import Path

_MODPROBE = ("usr/lib/modprobe.d", "usr/local/lib/modprobe.d", "run/modprobe.d", "etc/modprobe.d")

_BARRED = re.compile(
    r"""
    ^[ \t]* (?:
        blacklist [ \t]+ ([\w-]+)                     # what follows the name, modprobe ignores
      | install [ \t]+ ([\w-]+) [ \t]+ (?:           # the rest of the line is for /bin/sh
            (?:(?:/usr)?/bin/)? (?:true|false)
          | (?:(?:/usr)?/bin/)? (?:ba|da)?sh [ \t]+ -c [ \t]+ ["']? (?:exit|true|false)
          | :
          | exit
        ) (?![\w/.-]) (?! .* (?:modprobe|insmod))
    )
    (?![\w-])""",
    re.MULTILINE | re.VERBOSE,
)
"""In modprobe.d(5). The kernel loads the module of a kind by an alias, which `blacklist` bars."""


def modules(root: Path, release: str) -> ModuleFacts:
    """Return the modules of the kernel that runs."""
    there = root / "lib/modules" / release
    listed, built_in = (read(there / name) for name in ("modules.dep", "modules.builtin"))
    if listed is None or built_in is None:
        raise UnseenError(f"there is no list of them in /lib/modules/{release}, as in a container")
    builtin = _names(built_in)
    running = (read(root / "proc/modules") or "").splitlines()
    return ModuleFacts(
        known=builtin | _names(listed),
        ready=builtin | {line.split()[0] for line in running if line},
        is_locked=(read(root / "proc/sys/kernel/modules_disabled") or "").strip() == "1",
        barred=_barred(root),
    )


def _names(text: str) -> frozenset[str]:
    found = re.findall(r"^[^:\n]*?([\w-]+)\.ko", text, re.MULTILINE)
    return frozenset(name.replace("-", "_") for name in found)


def _barred(root: Path) -> dict[str, str]:
    files = (path for one in _MODPROBE for path in sorted((root / one).glob("*.conf")))
    return {
        (blacklisted or installed).replace("-", "_"): f"/{path.relative_to(root)}"
        for path in files
        for blacklisted, installed in _BARRED.findall(read(path) or "")
    }
