"""Every word of a proposal, and every rule, against what a real charon takes."""

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest
from vici.exception import CommandException
from vici.session import Session

from tests.charon import Charon, run
from vtid.core.proposal import _KEY_EXCHANGE, _WORDS, ProposalError, parse

NETNS = "vtid-proposal"

NEWER = {"mlkem512", "mlkem768", "mlkem1024"}
"""Key exchange of strongSwan 6.0; `ke1_` and the like as well."""

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


@pytest.fixture(scope="module")
def accepts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], bool]]:
    directory = tmp_path_factory.mktemp("charon")
    run("ip", "netns", "add", NETNS)
    try:
        with (
            Charon(NETNS, directory, "") as charon,
            socket.socket(socket.AF_UNIX) as sock,
        ):
            sock.connect(charon.vici)
            session = Session(sock)  # type: ignore[no-untyped-call]

            def load(proposal: str) -> bool:
                child = {"esp_proposals": [proposal]}
                with contextlib.suppress(CommandException):
                    session.load_conn({"test": {"children": {"test": child}}})  # type: ignore[no-untyped-call]
                    return True
                return False

            yield load
    finally:
        run("ip", "netns", "delete", NETNS)


def ours(proposal: str) -> bool:
    try:
        parse(proposal)
    except ProposalError:
        return False
    return True


@pytest.mark.lab
def test_words(accepts: Callable[[str], bool]) -> None:
    candidates = {f"aes128-{word}" if word in _KEY_EXCHANGE else word for word in _WORDS - NEWER}
    candidates |= {f"{word}x" for word in candidates}
    assert {word for word in candidates if accepts(word) != ours(word)} == set()


@pytest.mark.lab
@pytest.mark.parametrize("proposal", RULES)
def test_rules(accepts: Callable[[str], bool], proposal: str) -> None:
    assert accepts(proposal) == ours(proposal)
