import errno
import os
import subprocess
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vtid import netns
from vtid.netns import Namespaces, NetnsError

NAME = f"vtid-test-{os.getpid()}"


class Kept:
    """Something to keep in a thread."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
async def namespaces() -> AsyncIterator[Namespaces]:
    found = Namespaces()
    yield found
    found.close()


def inode(path: str = "/proc/thread-self/ns/net") -> int:
    return Path(path).stat().st_ino


async def test_work_is_done_in_one_thread_per_namespace(namespaces: Namespaces) -> None:
    thread = namespaces.thread("")
    first = await thread.call(threading.get_ident)
    assert first != threading.get_ident()
    assert await namespaces.thread("").call(threading.get_ident) == first
    assert await thread.call(inode) == inode()


async def test_what_the_work_raises_arrives(namespaces: Namespaces) -> None:
    with pytest.raises(ZeroDivisionError):
        await namespaces.thread("").call(divmod, 1, 0)


async def test_something_kept_is_made_once_and_closed_with_the_thread(
    namespaces: Namespaces,
) -> None:
    Kept.made = 0
    thread = namespaces.thread("")
    one = await thread.use(Kept, lambda kept: kept)
    assert await thread.use(Kept, lambda kept: kept) is one
    assert Kept.made == 1
    namespaces.close()
    assert one.closed.wait(10)
    assert await namespaces.thread("").use(Kept, lambda kept: kept) is not one


async def test_a_thread_that_was_closed_meanwhile_says_so(namespaces: Namespaces) -> None:
    thread = namespaces.thread("")
    namespaces.close()
    with pytest.raises(NetnsError, match="has been replaced"):
        await thread.call(int)


def test_a_missing_namespace_is_named_with_the_way_out(namespaces: Namespaces) -> None:
    with pytest.raises(NetnsError, match=r"'vtid-none'.*`ip netns add vtid-none`"):
        namespaces.thread("vtid-none")


@pytest.mark.parametrize("name", ["../../proc/1/ns/net", "..", "."])
def test_a_path_is_no_name(namespaces: Namespaces, name: str) -> None:
    with pytest.raises(NetnsError, match="not a name"):
        namespaces.thread(name)


@pytest.mark.parametrize(
    ("number", "way_out"),
    [
        (errno.EPERM, r"CAP_SYS_ADMIN.*namespaces.conf.*--cap-add"),
        (errno.EINVAL, r"ip netns delete"),
        (errno.EMFILE, "Too many open files"),
    ],
)
def test_other_errors_name_the_way_out(number: int, way_out: str) -> None:
    error = netns._error("p", OSError(number, os.strerror(number)))
    assert error.args[0].startswith(("namespace 'p'", "/run/netns/p"))
    with pytest.raises(NetnsError, match=way_out):
        raise error


@pytest.mark.parametrize("number", sorted(errno.errorcode), ids=errno.errorcode.__getitem__)
@pytest.mark.parametrize("call", ["open", "fstat", "setns"])
async def test_a_namespace_that_could_not_be_entered_is_entered_later(
    namespaces: Namespaces, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: str, number: int
) -> None:
    """Every error number of what it takes: one line that names the namespace."""
    (tmp_path / "p").touch()
    monkeypatch.setattr(netns, "RUN_NETNS", tmp_path)
    monkeypatch.setattr(netns, "_setns", lambda _: None)

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        if call == "setns":
            patch.setattr(netns, "_setns", refuse)
        else:
            patch.setattr(os, call, refuse)
        with pytest.raises(NetnsError) as caught:
            await namespaces.thread("p").call(int)
    told = str(caught.value)
    assert told.isprintable()
    assert "namespace 'p'" in told or f"{tmp_path}/p" in told
    assert await namespaces.thread("p").call(int) == 0


def ip_netns(command: str, *, check: bool = True) -> None:
    subprocess.run(["ip", "netns", command, NAME], check=check, capture_output=True)


@pytest.fixture
async def made(namespaces: Namespaces) -> AsyncIterator[Namespaces]:
    ip_netns("add")
    yield namespaces
    ip_netns("delete", check=False)


@pytest.mark.lab
@pytest.mark.any_kernel
async def test_the_thread_is_inside_and_nobody_else(made: Namespaces) -> None:
    before = inode()
    assert await made.thread(NAME).call(inode) == inode(f"/run/netns/{NAME}")
    assert inode() == before
    assert await made.thread("").call(inode) == before


@pytest.mark.lab
@pytest.mark.any_kernel
async def test_a_namespace_made_anew_gets_a_new_thread(made: Namespaces) -> None:
    old = made.thread(NAME)
    assert await old.call(inode) == inode(f"/run/netns/{NAME}")
    ip_netns("delete")
    with pytest.raises(NetnsError, match="does not exist"):
        made.thread(NAME)
    ip_netns("add")
    new = made.thread(NAME)
    assert new is not old
    assert await new.call(inode) == inode(f"/run/netns/{NAME}")


@pytest.mark.lab
@pytest.mark.any_kernel
async def test_a_file_that_is_no_namespace(namespaces: Namespaces) -> None:
    path = Path("/run/netns") / f"{NAME}-file"
    path.parent.mkdir(exist_ok=True)
    path.touch()
    try:
        with pytest.raises(NetnsError, match="is not a network namespace"):
            await namespaces.thread(path.name).call(inode)
    finally:
        path.unlink()
