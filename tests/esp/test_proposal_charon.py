"""Every word of a proposal, and every rule, against what a real charon takes."""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from vici.exception import CommandException
from vici.session import Session

from tests.charon import Charon, run
from vtid.esp.proposal import _KEY_EXCHANGE, _WORDS, ProposalError, parse

NETNS = "vtid-proposal"

NEWER = {"mlkem512", "mlkem768", "mlkem1024"}
"""Key exchange that strongSwan 6.0 has; `ke1_` and the like as well."""
OLDER = {"newhope128", "ntru112", "ntru128", "ntru192", "ntru256"}
"""Key exchange that it has no more."""

RULES = [
    "sha256-modp2048",
    "aes128-aes128gcm16-sha256",
    "aes128gcm16-sha256",
    "aes128-aes256-sha1-sha256",
    "-aes128--sha256-",
    "-",
    " aes128 - sha256 ",
    "AES128-sha256",
    "aes128-sha256!",
    "aes128-sha256-noesn-esn",
    "aes129-sha256",
    "",
]


@dataclass(frozen=True)
class Peer:
    """A running charon."""

    session: Any  # vici has no types

    def accepts(self, proposal: str) -> bool:
        child = {"esp_proposals": [proposal]}
        with contextlib.suppress(CommandException):
            self.session.load_conn({"test": {"children": {"test": child}}})
            return True
        return False

    @property
    def is_new(self) -> bool:
        return not bool(self.session.version()["version"].startswith(b"5."))


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    directory = tmp_path_factory.mktemp("charon")
    run("ip", "netns", "add", NETNS)
    try:
        with (
            Charon(NETNS, directory, "") as charon,
            socket.socket(socket.AF_UNIX) as sock,
        ):
            sock.connect(charon.vici)
            yield Peer(Session(sock))  # type: ignore[no-untyped-call]
    finally:
        run("ip", "netns", "delete", NETNS)


def ours(proposal: str) -> bool:
    try:
        parse(proposal)
    except ProposalError:
        return False
    return True


@pytest.mark.lab
@pytest.mark.any_kernel
def test_words(peer: Peer) -> None:
    words = _WORDS - (OLDER if peer.is_new else NEWER)
    candidates = {f"aes128-{word}" if word in _KEY_EXCHANGE else word for word in words}
    if peer.is_new:
        candidates |= {f"aes128-x25519-ke{number}_mlkem768" for number in range(9)}
    candidates |= {f"{word}x" for word in candidates}
    assert {word for word in candidates if peer.accepts(word) != ours(word)} == set()


@pytest.mark.lab
@pytest.mark.any_kernel
def test_words_of_the_other_version(peer: Peer) -> None:
    """vtid takes what either takes: it does not know which charon a proposal is for."""
    words = {f"aes128-{word}" for word in (OLDER if peer.is_new else NEWER)}
    assert {word for word in words if peer.accepts(word) or not ours(word)} == set()


@pytest.mark.lab
@pytest.mark.any_kernel
@pytest.mark.parametrize("proposal", RULES)
def test_rules(peer: Peer, proposal: str) -> None:
    assert peer.accepts(proposal) == ours(proposal)
