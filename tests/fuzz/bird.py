"""BIRD: what its control socket may answer, and what may stand in the include file."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.mutate import mutated
from tests.fuzz.target import Target, check_line
from vtid.bird.protocols import ProtocolReader, bfd_sessions, clock, with_bfd
from vtid.bird.quote import RenderError
from vtid.bird.refusal import refusal, words
from vtid.bird.render import compose, parse
from vtid.bird.reply import (
    MAX_LINE,
    MAX_WORDS,
    Reply,
    ReplyError,
    ReplyParser,
    has_moved,
    status_times,
    version,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.fuzz.target import Take

_GOLDEN = Path(__file__).parents[1] / "bird" / "golden"
REPLIES = tuple({path.read_bytes(): None for path in sorted(_GOLDEN.glob("*/*.txt"))})

NOW = 1_700_000_000.0
_INCLUDE = "/etc/bird/vtid.conf"
_FILE = compose({"vti1": "protocol bgp 'vtid_vti1' {\n}\n", "p/vti2": "protocol bgp x {\n}\n"})
FILES = (_FILE.encode(), compose({}).encode())


@contextmanager
def replies() -> Iterator[Take]:
    """Every reply is read as that to every command: a BIRD out of step sends it."""

    def take(data: bytes) -> None:
        parser, reader = ReplyParser(), ProtocolReader("main", clock(Reply(b"0000 \n"), NOW))
        size, lines = 1 + sum(data[:8]) % 4096, b""
        try:
            for at in range(0, len(data), size):
                for piece in parser.receive(data[at : at + size]):
                    reader.feed(piece.data)
                    lines += piece.data
                    if piece.ends:
                        _read(Reply(lines), reader)
                        lines = b""
        except ReplyError as error:
            check_line(str(error), MAX_LINE)

    yield take


def _read(reply: Reply, reader: ProtocolReader) -> None:
    check_line(reply.message, MAX_WORDS)
    assert 0 <= reply.code <= 9999
    reader.close()
    for state in with_bfd(reader.bgp, bfd_sessions(reply, clock(reply, NOW))):
        check_line(state.protocol + state.info + state.last_error, 4 * MAX_WORDS)
        check_line("".join(one.family + one.state for one in state.channels), 1 << 16)
    reader.bgp.clear()
    before, after = status_times(reply)
    has_moved(before, after)
    clock(reply, NOW)
    refused = refusal(reply.message, _INCLUDE, _FILE, "")
    check_line(words(refused), 1 << 12)
    version(reply)


@contextmanager
def files() -> Iterator[Take]:
    def take(data: bytes) -> None:
        with suppress(RenderError, UnicodeDecodeError):
            text = data.decode()
            blocks = parse(text)
            assert parse(compose(blocks)) == blocks
            refusal(f"{_INCLUDE}:{len(data) % 9}:1 syntax error", _INCLUDE, text, _FILE)

    yield take


def make_reply(random: Random) -> bytes:
    return mutated(random, REPLIES)


def make_file(random: Random) -> bytes:
    return mutated(random, FILES)


TARGETS = (
    Target("bird replies", 40, make_reply, replies),
    Target("bird include files", 100, make_file, files),
)
