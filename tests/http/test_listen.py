"""Sockets to listen on: who may, and what is said when it cannot be."""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from vtid.http import listen
from vtid.http.listen import ControlSocket, ServerError, parse_address

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1:9814", ("127.0.0.1", 9814)),
        ("[::1]:0", ("::1", 0)),
        ("[::]:65535", ("::", 65535)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_addresses(text: str, parsed: tuple[str, int]) -> None:
    assert parse_address(text) == parsed


@pytest.mark.parametrize(
    "text",
    ["", "9814", ":9814", "127.0.0.1", "127.0.0.1:", "::1:9814", "[::1]", "[localhost]:1",
     "[::1:9814", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:٣", "127.0.0.1:http"],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ServerError, match=r"\[daemon\] metrics"):
        parse_address(text)


def test_owner_and_group_may(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    control = ControlSocket(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    control.close()
    assert not path.exists()


def test_nobody_can_connect_before_it_listens(tmp_path: Path) -> None:
    control = ControlSocket(str(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(str(tmp_path / "s"))
    control.close()


def test_a_socket_nobody_answers_on_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    control = ControlSocket(str(path))
    control.socket.listen()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    control.close()


@pytest.mark.parametrize("waiting", [0, 3])
def test_another_vtid_is_left_alone(tmp_path: Path, waiting: int) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(1)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(waiting)]
        for client in clients:
            client.settimeout(0)
            client.connect_ex(str(path))  # the last one finds the backlog full
        with pytest.raises(ServerError, match="another vtid is running"):
            ControlSocket(str(path))
        for client in clients:
            client.close()
    assert path.exists()


def test_a_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(ServerError, match="in the way and no socket"):
        ControlSocket(str(path))
    assert path.read_text() == "precious"


def test_closing_leaves_the_socket_of_another_process(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = ControlSocket(str(path))
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        first.close()
        assert path.exists()


def test_two_that_start_together_do_not_get_the_same_place(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = ControlSocket(str(path))  # bound and not listening yet: nothing answers there
    with pytest.raises(ServerError, match=f"another vtid is running and has {path}"):
        ControlSocket(str(path))
    first.close()
    ControlSocket(str(path)).close()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=rf"directory {tmp_path}/absent is missing"):
        ControlSocket(f"{tmp_path}/absent/s")


def test_a_path_too_long(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="too long: choose another place"):
        ControlSocket(f"{tmp_path}/{'x' * 120}")


@pytest.mark.parametrize(
    ("number", "way_out"),
    [
        (errno.EACCES, "no permission to write to /run/vtid: run vtid as root"),
        (errno.EROFS, "/run/vtid is read-only: choose another place"),
        (errno.EIO, "Input/output error: choose another place"),
    ],
)
def test_other_refusals_of_the_control_socket(number: int, way_out: str) -> None:
    error = OSError(number, os.strerror(number))
    assert way_out in str(listen._socket_refusal("/run/vtid/control.sock", error, "control_socket"))


def test_a_host_without_address() -> None:
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert str(listen.metrics_refusal("gw:1", error)) == (
        "[daemon] metrics: cannot listen on gw:1: Name or service not known; check the address"
    )
