"""Look at systemd-networkd: what its configuration says of routes that are not its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.daemon.looks import read

if TYPE_CHECKING:
    from pathlib import Path

DIRECTORIES = ("usr/lib", "usr/local/lib", "run", "etc")
"""The later ones win for files of one name (networkd.conf(5))."""


def networkd(root: Path) -> dict[str, str] | None:
    """Return `[Network]` of networkd.conf with its drop-ins; None where networkd does not run."""
    if not (root / "run/systemd/netif").is_dir():
        return None
    main: tuple[Path, ...] = ()
    drop_ins: dict[str, Path] = {}
    for directory in DIRECTORIES:
        there = root / directory / "systemd"
        main = (there / "networkd.conf",) if (there / "networkd.conf").exists() else main
        for path in (there / "networkd.conf.d").glob("*.conf"):
            drop_ins[path.name] = path
    found: dict[str, str] = {}
    for path in (*main, *(drop_ins[name] for name in sorted(drop_ins))):
        section = ""
        for line in (read(path) or "").splitlines():
            key, _, value = line.strip().partition("=")
            if key.startswith("["):
                section = key
            elif section == "[Network]" and not key.startswith(("#", ";")):
                found[key.strip()] = value.strip()
    return found
