"""The table on a played nftables that refuses: what is told, and what is known afterwards."""

from __future__ import annotations

import errno
import json
import os

import pytest

from vtid.model.input import OpDone, OpFailed
from vtid.model.link import Clamp
from vtid.model.operation import SetClamp
from vtid.nft import table
from vtid.nft.library import NftError, _refusal

ERRNOS = sorted(errno.errorcode)


class PlayedNftables:
    """Takes every text, but those with a word that it refuses."""

    def __init__(self) -> None:
        self.refused: dict[str, int] = {}
        self.deaf = 0
        self.tables = ""
        """Name of the only table, if there is one."""
        self.taken: list[str] = []
        self.broken: set[str] = set()
        """What is listed in a way that cannot be read, until the next text is taken."""

    def close(self) -> None:
        pass

    def generation(self) -> int:
        if self.deaf:
            raise NftError(
                f"nftables does not answer: {OSError(self.deaf, os.strerror(self.deaf))}"
            )
        return len(self.taken)

    def run(self, text: str) -> None:
        for word, number in self.refused.items():
            if word in text:
                raise _refusal(
                    f"Error: Could not process rule: {os.strerror(number)}\n{text}\n^^\n"
                )
        self.taken.append(text)
        self.broken &= {"tables inet"}

    def list(self, what: str) -> str:
        if what in self.broken:
            return '{"nftables": [{"table": \n'
        if what != "tables inet" and not self.taken:
            raise NftError("nftables refused: No such file or directory")
        named = self.tables if what == "tables inet" else ""
        tables = [{"table": {"family": "inet", "name": named}}] if named else []
        return json.dumps({"nftables": tables})


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> PlayedNftables:
    one = PlayedNftables()
    monkeypatch.setattr(table, "Nftables", lambda: one)
    return one


def clamp(name: str) -> SetClamp:
    return SetClamp(tunnel=name, reason="", netns="", interface=name, clamp=Clamp(1366, 1346))


every_errno = pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.__getitem__)


@every_errno
def test_what_is_refused_is_told_in_a_line_and_holds_up_no_other(
    played: PlayedNftables, number: int
) -> None:
    one, ops = table.Table(), [clamp("good0"), clamp("bad0"), clamp("good1")]
    played.refused["bad0"] = number
    results, transactions = one.execute(ops)
    assert [type(each) for each in results] == [OpDone, OpFailed, OpDone]
    assert transactions == 2
    (failed,) = (each for each in results if isinstance(each, OpFailed))
    assert failed.op == ops[1]
    assert os.strerror(number) in failed.error
    assert failed.error.isprintable()
    played.refused.clear()
    assert [type(each) for each in one.execute(ops[1:2])[0]] == [OpDone]


@every_errno
def test_an_nftables_that_does_not_answer_is_asked_again(
    played: PlayedNftables, number: int
) -> None:
    one, ops = table.Table(), [clamp("good0")]
    played.deaf = number
    with pytest.raises(NftError, match="nftables does not answer") as caught:
        one.execute(ops)
    assert str(caught.value).isprintable()
    played.deaf = 0
    assert [type(each) for each in one.execute(ops)[0]] == [OpDone]


@pytest.mark.parametrize("broken", [{"table inet vtid"}, {"tables inet", "table inet vtid"}])
def test_a_table_that_cannot_be_read_is_made_anew(played: PlayedNftables, broken: set[str]) -> None:
    """As libnftables 1.0.6 does with one that somebody made dormant."""
    one = table.Table()
    one.execute([clamp("good0")])
    played.tables, played.broken = "vtid", broken
    played.taken.append("of somebody else")
    assert one.snapshot() == (), "so that all that is wanted is written again"
    results, transactions = one.execute([clamp("good0")])
    assert [type(each) for each in results] == [OpDone]
    assert transactions == 1
    assert "delete table inet vtid" in played.taken[-1]
    assert "good0" in played.taken[-1]


def test_a_table_of_others_that_cannot_be_read_hides_nothing(played: PlayedNftables) -> None:
    played.broken = {"tables inet"}
    one = table.Table()
    assert one.snapshot() == ()
    assert [type(each) for each in one.execute([clamp("good0")])[0]] == [OpDone]
    assert "good0" in played.taken[-1]
