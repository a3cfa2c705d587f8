"""What needs no privilege: the answers about links that are not ours, and the words of errors."""

import errno
from collections.abc import Iterator

import pytest

from vtid.kernel import errors
from vtid.kernel.apply import Worker
from vtid.kernel.errors import Failed
from vtid.kernel.sockets import Refused
from vtid.model.input import OpDone, OpFailed
from vtid.model.link import Link
from vtid.model.operation import (
    AddAddress,
    CreateLink,
    DeleteAddress,
    DeleteLink,
    Op,
    ProbeUnderlay,
    PutBird,
    SetLink,
    SetUp,
)

LINK = Link("p", "vti1", "vti6", "2001:db8::1", "2001:db8::2", 1, 1, 1406, "vtid:p/vti1")
LO = Link("", "lo", "vti6", "2001:db8::1", "2001:db8::2", 1, 1, 1406, "vtid:lo")


@pytest.fixture
def worker() -> Iterator[Worker]:
    found = Worker()
    yield found
    found.close()


def run(worker: Worker, op: Op) -> OpDone | OpFailed:
    (result,) = worker.run([op]).results
    assert worker.requests.writes == 0
    return result


@pytest.mark.parametrize(
    "op",
    [
        CreateLink(tunnel="t", reason="", link=LO),
        SetLink(tunnel="t", reason="", link=LO, ifindex=1, changes=("mtu",)),
        SetUp(tunnel="t", reason="", netns="", name="lo", up=False),
        AddAddress(tunnel="t", reason="", netns="", interface="lo", address="192.0.2.1/32"),
    ],
)
def test_a_link_of_someone_else_is_refused(worker: Worker, op: Op) -> None:
    result = run(worker, op)
    assert isinstance(result, OpFailed)
    assert result.error.startswith("lo belongs to someone else")


@pytest.mark.parametrize(
    "op",
    [
        DeleteLink(tunnel="t", reason="", netns="", name="lo", ifindex=1),
        DeleteLink(tunnel="t", reason="", netns="", name="none", ifindex=0x7FFFFFFF),
        DeleteAddress(tunnel="t", reason="", netns="", interface="lo", address="127.0.0.1/8"),
        DeleteAddress(tunnel="t", reason="", netns="", interface="none", address="127.0.0.1/8"),
    ],
)
def test_nothing_of_ours_to_remove_is_nothing_to_do(worker: Worker, op: Op) -> None:
    assert run(worker, op) == OpDone(op=op, changed=False)


@pytest.mark.parametrize(
    "op",
    [
        SetLink(tunnel="t", reason="", link=LINK, ifindex=0x7FFFFFFF, changes=("mtu",)),
        SetUp(tunnel="t", reason="", netns="p", name="none"),
        AddAddress(tunnel="t", reason="", netns="p", interface="none", address="192.0.2.1/32"),
    ],
)
def test_what_is_gone_is_made_again(worker: Worker, op: Op) -> None:
    result = run(worker, op)
    assert isinstance(result, OpFailed)
    assert "in namespace 'p' is gone; it is made again on the next try" in result.error


def test_a_name_the_kernel_cannot_take_fails_alone(worker: Worker) -> None:
    result = run(worker, SetUp(tunnel="t", reason="", netns="", name="x" * 40))
    assert isinstance(result, OpFailed)
    assert result.error.startswith("x" * 40)


def test_an_operation_of_another_room_fails_alone(worker: Worker) -> None:
    op = PutBird(tunnel="t", reason="", block=None)  # type: ignore[arg-type]
    assert run(worker, op) == OpFailed(op=op, error="PutBird is no operation on the kernel")


def test_a_probe_without_a_route_is_an_answer(worker: Worker) -> None:
    """192.0.2.1 belongs to no host (RFC 5737), so there is no route from it."""
    op = ProbeUnderlay(tunnel="t", reason="", local="192.0.2.1", remote="198.51.100.1")
    batch = worker.run([op])
    assert batch.results == [OpDone(op=op, changed=False)]
    (seen,) = batch.seen
    assert seen.mtu == 0
    assert seen.error.startswith("no route from 192.0.2.1 to 198.51.100.1: ")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EOPNOTSUPP, "vti1 in namespace 'p': this kernel has no vti6; .*`modprobe ip6_vti`"),
        (errno.EPERM, "vti1 in namespace 'p': .*CAP_NET_ADMIN.*vtid.service"),
        (errno.EINVAL, r"vti1 in namespace 'p': Invalid argument \(too big\)"),
    ],
)
def test_errors_of_a_creation_name_the_way_out(number: int, words: str) -> None:
    with pytest.raises(Failed, match=words):
        raise errors.creation_error(LINK, Refused(number, "too big"))
