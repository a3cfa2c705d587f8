"""Who manages interfaces, by the files of systemd-networkd and NetworkManager."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vtid.daemon.look_links import networkd_links, networkmanager_links
from vtid.daemon.looks import UnseenError

if TYPE_CHECKING:
    from pathlib import Path

LINKS = {3: ("vti1", True), 4: ("vti2", True), 5: ("eth0", False)}


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_networkd_manages_what_has_a_file_and_is_not_left_alone(tmp_path: Path) -> None:
    file = "NETWORK_FILE=/etc/systemd/network/a.network\n"
    write(tmp_path, "run/systemd/netif/links/3", f"# private\nADMIN_STATE=configured\n{file}")
    write(tmp_path, "run/systemd/netif/links/4", f"ADMIN_STATE=unmanaged\n{file}")
    write(tmp_path, "run/systemd/netif/links/5", "ADMIN_STATE=configured\n")
    assert networkd_links(tmp_path, LINKS) == {"vti1": "/etc/systemd/network/a.network"}


def test_networkmanager_says_what_it_manages(tmp_path: Path) -> None:
    """As nm-config.c of NetworkManager writes it."""
    assert networkmanager_links(tmp_path, LINKS) == ()
    begin = "# This is an auto-generated file\n\n[device]\n"
    write(tmp_path, "run/NetworkManager/devices/3", f"{begin}managed=true\nnm-owned=0\n")
    write(tmp_path, "run/NetworkManager/devices/4", f"{begin}managed=false\n")
    assert networkmanager_links(tmp_path, LINKS) == ("vti1",)


def test_a_networkmanager_without_those_files_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / "run/NetworkManager").mkdir(parents=True)
    with pytest.raises(UnseenError, match="nmcli device"):
        networkmanager_links(tmp_path, LINKS)
