"""Every error number of the include file and the control socket, and every code of a refusal."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from vtid.bird import control
from vtid.bird.include import IncludeError, IncludeFile
from vtid.bird.refusal import refusal, words
from vtid.bird.render import HEADER, compose
from vtid.bird.reply import Reply
from vtid.vici import channel

if TYPE_CHECKING:
    from pathlib import Path

ERRNOS = sorted(errno.errorcode)
SILENT = {errno.ENOENT, errno.EEXIST}
"""What says of a file that it is not there, or there already, and is no error for every call."""

TEXT = compose({"vti1": "protocol bgp x {}\n"})

every_errno = pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.__getitem__)
calls = pytest.mark.parametrize("call", ["open", "link", "rename", "replace", "fsync", "stat"])


@calls
@every_errno
def test_the_file_stays_whole_and_is_written_when_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # what a disk takes long for
    path = tmp_path / "vtid.conf"
    file = IncludeFile(str(path))
    file.create()

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        try:
            file.replace(TEXT)
        except IncludeError as error:
            told = str(error)
        else:
            told = f"{path} was written"
    assert told.isprintable()
    assert str(tmp_path) in told
    assert path.read_text() in {HEADER, TEXT}
    file.replace(TEXT)
    file.accept()
    assert (file.read(), file.unfinished()) == (TEXT, False)
    assert [each.name for each in tmp_path.iterdir()] == ["vtid.conf"]


@every_errno
def test_a_socket_that_cannot_be_reached_is_named_with_the_way_out(number: int) -> None:
    error = OSError(number, os.strerror(number))
    for told in (
        str(control._unreachable("/run/bird.ctl", error)),
        channel._why("/run/bird.ctl", error),
    ):
        assert "/run/bird.ctl" in told
        assert told.isprintable()
        assert len(told.rpartition(": ")[2]) > 5


@pytest.mark.parametrize("code", [*range(8000, 8010), 9000, 9001])
def test_a_refusal_of_any_code_is_one_line(code: int) -> None:
    """doc/reply_codes of BIRD; the words are those of its lexer, or of a neighbour."""
    reply = Reply(f"{code} vtid.conf:3:1 syntax error\x1b[2J, unexpected CF_SYM\n".encode())
    assert not reply.ok
    told = words(refusal(reply.message, "/etc/bird/vtid.conf", TEXT, ""))
    assert told.isprintable()
    assert "vtid.conf:3:1" in told
    assert "vti1" in told
