"""VICI: what a charon may send, through session, reader and core."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.fuzz.core import Core
from tests.fuzz.mutate import HOSTILE, mutated
from tests.fuzz.target import Target, check_line
from tests.vici.fake_charon import frame
from tests.vici.golden_files import recorded
from vtid.vici.codec import ProtocolError, decode_packet
from vtid.vici.pools import read_pools
from vtid.vici.progress import in_progress
from vtid.vici.sas import EVENTS, MAX_TEXT, SaError, parse_event, parse_ike_sas, parse_list_sa
from vtid.vici.session import Answered, Closed, Happened, Registered, Session, Streamed, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.fuzz.target import Take
    from vtid.model.sa import ChildSa
    from vtid.vici.codec import Message
    from vtid.vici.session import Event

NOW = 1_700_000_000.0
MAX_PROPOSAL = 5 * MAX_TEXT
"""Four names, a key size, and what stands between them."""

PAYLOADS = tuple({one.payload: None for end in "ab" for one in recorded(end)})
_TOLD = tuple(payload for payload in PAYLOADS if payload[0] in {1, 7} and len(payload) > 20)


class Reader:
    """Does with what a session tells what the client does."""

    def __init__(self) -> None:
        self._core = Core()
        self._sas: list[ChildSa] = []

    def read(self, event: Event) -> None:
        match event:
            case Happened(name, message):
                try:
                    inputs = parse_event(name, message, NOW)
                except SaError as error:
                    check_line(str(error))
                else:
                    if inputs:
                        self._core.tell(*inputs)
            case Streamed(_, message):
                found, errors = parse_list_sa(message, NOW)
                for unusable in errors:
                    check_line(str(unusable))
                self._shown(message)
                self._sas = [*self._sas[-4:], *found]
                self._busy(message)
            case Answered():
                sas, self._sas = self._sas, []
                self._core.list(sas)
            case Registered() | Unknown() | Closed():
                pass

    @staticmethod
    def _shown(message: Message) -> None:
        for ike in parse_ike_sas(message, NOW):
            check_line(ike.proposal, MAX_PROPOSAL)
        for pool in read_pools(message):
            check_line(pool.name)

    @staticmethod
    def _busy(message: Message) -> None:
        try:
            list(in_progress(message))
        except SaError as error:
            check_line(str(error))


def _session() -> Session:
    """A session with a command and a registration under way; what it sends is of no interest."""
    session = Session()
    session._expect("list-sas", stream="list-sa")
    session._expect("alert", registration=True)
    return session


def _follow(session: Session, reader: Reader, *chunks: bytes) -> Session:
    """Hand chunks to a session; return it, or a new one after its end."""
    try:
        for chunk in chunks:
            session.receive_data(chunk)
            while (event := session.next_event()) is not None:
                reader.read(event)
                if isinstance(event, Closed):
                    return _session()
    except ProtocolError as error:
        check_line(str(error))
        return _session()
    return session if session.unanswered else _session()


@contextmanager
def packets() -> Iterator[Take]:
    reader, session = Reader(), _session()

    def take(payload: bytes) -> None:
        nonlocal session
        session = _follow(session, reader, frame(payload))

    yield take


@contextmanager
def streams() -> Iterator[Take]:
    reader = Reader()

    def take(data: bytes) -> None:
        size = 1 + sum(data[:8]) % 700
        chunks = (data[at : at + size] for at in range(0, len(data), size))
        _follow(_session(), reader, *chunks, b"")

    yield take


def make_packet(random: Random) -> bytes:
    return mutated(random, PAYLOADS)


def make_stream(random: Random) -> bytes:
    parts = [frame(random.choice(PAYLOADS)) for _ in range(1 + random.randrange(4))]
    return mutated(random, [b"".join(parts)])


# --- well-formed packets with values that no charon would send -----------------------------------

_Tree = dict[str, Any]


@cache
def _trees() -> tuple[tuple[bytes, _Tree], ...]:
    """What stands before the message in each recorded packet, and its message."""
    found = []
    for payload in _TOLD:
        start = 2 + payload[1] if payload[0] == 7 else 1
        found.append((payload[:start], dict(decode_packet(payload).message)))
    return tuple(found)


def make_values(random: Random) -> bytes:
    head, tree = random.choice(_trees())
    if random.random() < 0.05:
        name = random.choice((*EVENTS, "list-sa")).encode()
        head = bytes([7, len(name)]) + name
    return head + encoded(_changed(random, tree, 1 + random.randrange(4)))


def _changed(random: Random, tree: _Tree, times: int) -> _Tree:
    """Change values of a section, and of those in it."""
    changed = dict(tree)
    for _ in range(times if changed else 0):
        key = random.choice(list(changed))
        value = changed[key]
        if isinstance(value, dict) and random.random() < 0.9:
            changed[key] = _changed(random, value, times)
        elif random.random() < 0.15:
            del changed[key]
        elif random.random() < 0.1:
            changed[random.choice(HOSTILE[:-1])[:200].decode(errors="replace")] = value
        else:
            changed[key] = _other(random, value)
        if not changed:
            break
    return changed


def _other(random: Random, value: Any) -> Any:
    if random.random() < 0.05:
        return random.choice(({}, [], {"x": {}}, [random.choice(HOSTILE)]))
    if isinstance(value, list):
        return [*value, random.choice(HOSTILE)]
    if isinstance(value, bytes) and value and random.random() < 0.5:
        return mutated(random, [value])[:65535]
    return random.choice(HOSTILE)


def encoded(tree: _Tree) -> bytes:
    """Encode a message whose values are any bytes, as vici/README.md has it."""
    return b"".join(_element(_name(key), value) for key, value in tree.items())


def _name(key: str) -> bytes:
    raw = key.encode(errors="surrogatepass")[:255]
    return bytes([len(raw)]) + raw


def _element(name: bytes, value: Any) -> bytes:
    if isinstance(value, dict):
        return b"\x01" + name + encoded(value) + b"\x02"
    if isinstance(value, list):
        return b"\x04" + name + b"".join(b"\x05" + _sized(item) for item in value) + b"\x06"
    return b"\x03" + name + _sized(value)


def _sized(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


TARGETS = (
    Target("vici packets", 200, make_packet, packets),
    Target("vici streams", 10, make_stream, streams),
    Target("vici values", 20, make_values, packets),
)
