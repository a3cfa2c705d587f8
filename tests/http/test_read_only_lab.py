"""The kernel lets the members of the group connect to the read-only socket, and nobody else."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from vtid.http.listen import ControlSocket

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

USER, GROUP, OTHER = 4000, 4001, 4002


def connects(path: str, group: int) -> bool:
    """Whether a process of an ordinary user with this group may connect."""
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setgroups([])
            os.setgid(group)
            os.setuid(USER)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_members_of_the_group_may_connect(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:-1]):
        folder.chmod(folder.stat().st_mode | 0o011)
    path = str(tmp_path / "read.sock")
    control = ControlSocket(path, "read_only_socket", str(GROUP))
    control.socket.listen()
    assert connects(path, GROUP)
    assert not connects(path, OTHER)
    control.close()
    plain = ControlSocket(path)
    plain.socket.listen()
    assert not connects(path, GROUP)
    plain.close()
