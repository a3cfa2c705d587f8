"""Names and identities that a peer chose, from charon's socket to everything that shows them.

A charon is played, whose SAs have hostile words wherever a peer or an odd swanctl.conf can put
some. They go through the client, the reader and the core; then each sink is asked whether what it
wrote has the same structure as with a plain word, or none that a word could have made.

The reader escapes what is not printable, and each sink what it cannot hold: every test runs a
second time with a reader that escapes nothing, so that no sink relies on it.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import structlog
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from tests.core.world import World, status_of
from tests.ctl.shell import Shell, shell
from tests.fuzz.vici import encoded
from tests.http.html import ELEMENTS, Reader
from tests.http.samples import exposed
from tests.http.sites import site
from tests.http.worlds import WorldDaemon
from tests.vici.fake_charon import FakeCharon, frame, response
from vtid.bird.render import compose, parse, render
from vtid.bird.template import Template
from vtid.config.load import load
from vtid.core.status import details
from vtid.core.summary import summary
from vtid.daemon import log
from vtid.http.access import Access
from vtid.http.encode import encode
from vtid.kernel import messages, requests
from vtid.kernel import wire as nl
from vtid.model.input import SaSnapshot
from vtid.nft import ruleset
from vtid.vici import sas
from vtid.vici.channel import Limits
from vtid.vici.client import ViciClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vtid.model.input import Input
    from vtid.model.status import Status, Summary, TunnelDetails

__all__ = ["shell"]

PLAIN = b"carol"

WORDS: dict[str, bytes] = {
    "plain": PLAIN,
    "quotes": b'"\'`\\"; }',
    "newlines": b"a\nb\r\nc\x0bd\x0ce",
    "unicode-newlines": "a\u2028b\u2029c\x85d".encode(),
    "braces": b"{mark}{0.__class__}{{%s}}",
    "jinja": b"{% for x in y %}{{ x }}{# #}",
    "bird": b"x\"; } protocol bgp evil { /* # */ 'y' \n",
    "bird-mark": b'\n# vtid end "peer"\n# vtid begin "evil"\n',
    "nft": b'" : 1, } ; delete table inet vtid ; { "',
    "label": b'",evil="1"} 1\nvtid_up 0\n# EOF\n',
    "log": b'x" level=error msg="all is lost\n<0>level=crit',
    "ansi": b"\x1b[2J\x1b]0;evil\x07\x9b31m\x08\x7f",
    "nul": b"a\0b",
    "html": b"<script>alert('x')</script><!--&amp;",
    "right-to-left": "\u202egpj\u2066\u200f\u061c".encode(),
    "invisible": "\u200b\ufeff\u00ad\u2060\U000e0041".encode(),
    "invalid-utf-8": b"\xff\xfe\xc3\x28\xed\xa0\x80\xf5",
    "path": b"../../../etc/passwd",
    "options": b"--help; rm -rf / | $(reboot) `id`",
    "spaces": b"   \t ",
    "64 KiB": b"A" * 65535,
    "64 KiB of escapes": b"\x1b[31m" * 13107,
}
OTHERS = [name for name in WORDS if name != "plain"]

CONFIG = load(
    """
[[bird]]
name = "main"
socket = "/run/bird.ctl"
include = "/etc/bird/vtid.conf"

[[tunnel]]
connection = "peer"
interface = "rw-{remote_id}"
[tunnel.bgp]
neighbor = "{remote_vip4}"
local_as = 65001
remote_as = 65002

[[tunnel]]
connection = "odd*"
interface = "odd-{child}"
"""
)
QUIET = Limits(answer=30, part=30, alive=600)

OFFSET = 1_700_000_000.0


# --- from charon to the picture ------------------------------------------------------------------


@dataclass
class Seen:
    """What became of a word."""

    world: World
    log: str

    def status(self) -> Status:
        return status_of(self.world, clock_offset=OFFSET)

    def summary(self) -> Summary:
        return summary(
            self.world.state,
            version="1",
            started_at=0.0,
            config_loaded_at=0.0,
            waiting_for=(),
            clock_offset=OFFSET,
        )

    def details(self) -> list[TunnelDetails]:
        found = (details(self.world.state, one.tunnel, OFFSET) for one in self.status().tunnels)
        return [one for one in found if one]


def ike(number: int, word: bytes, **child: Any) -> dict[str, Any]:
    """An IKE_SA with a child, as list-sas has it."""
    facts = {
        "name": b"net",
        "uniqueid": str(number).encode(),
        "reqid": word,
        "state": b"INSTALLED",
        "mode": b"TUNNEL",
        "protocol": b"ESP",
        "encr-alg": b"AES_GCM_16",
        "encr-keysize": b"256",
        "mark-in": f"{number:x}".encode(),
        "mark-out": f"{number:x}".encode(),
        "local-ts": [b"0.0.0.0/0"],
        "remote-ts": [word, b"10.0.0.0/8"],
        **child,
    }
    del facts["reqid"]
    return {
        "uniqueid": str(number).encode(),
        "local-host": b"192.0.2.1",
        "remote-host": f"198.51.100.{number}".encode(),
        "local-id": word,
        "remote-id": word,
        "remote-vips": [b"203.0.113.7"],
        "child-sas": {f"net-{number}": facts},
    }


def packets(word: bytes) -> list[bytes]:
    """One peer that chose its identity, names that are odd, and SAs that cannot be used."""
    name = "odd" + word[:80].decode(errors="replace")
    parts: list[dict[str, Any]] = [
        {"peer": ike(1, word)},
        {name: ike(2, word, name=word)},
        {name: ike(3, word, **{"encr-alg": word, "integ-alg": word, "protocol": word})},
        {name: ike(4, word, mode=word, state=b"INSTALLED")},
        {"peer": ike(5, word, **{"mark-in": word})},
        {"peer": {"uniqueid": word}},
        {name: word},
    ]
    return [frame(b"\x07\x07list-sa" + encoded(part)) for part in parts]


def alert(word: bytes) -> bytes:
    about = {"peer": {"remote-host": b"192.0.2.9", "remote-id": word}}
    return frame(b"\x07\x05alert" + encoded({"type": b"local-auth-failed", "ike-sa": about}))


async def played(word: bytes, folder: Path) -> list[Input]:
    """The inputs that a client makes of such a charon."""
    inputs, done = [], asyncio.Event()

    def post(event: Input) -> None:
        inputs.append(event)
        if not isinstance(event, SaSnapshot):
            done.set()

    async with FakeCharon.at(folder / "vici") as charon:

        async def list_sas(charon: FakeCharon) -> None:
            for packet in (*packets(word), response(), alert(word)):
                charon.send(packet)

        async def version(charon: FakeCharon) -> None:
            charon.send(frame(b"\x01" + encoded({"version": word})))

        charon.handlers = {"list-sas": list_sas, "version": version}
        running = asyncio.create_task(ViciClient(charon.path, post, QUIET).run())
        async with asyncio.timeout(60):
            await done.wait()
        running.cancel()
    return inputs


SEEN: dict[tuple[str, bytes], Seen] = {}


@pytest.fixture(params=OTHERS)
def word(request: pytest.FixtureRequest) -> bytes:
    return WORDS[request.param]


@pytest.fixture(params=["read", "raw"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """`raw`: the reader hands on what came as it came, but for what is not UTF-8."""
    if request.param == "raw":
        monkeypatch.setattr(sas, "escape", lambda value: value.decode(errors="replace"))
    return str(request.param)


@pytest.fixture
async def seen(form: str, word: bytes, tmp_path: Path, logged: io.StringIO) -> Seen:
    """What all sinks look at, and none changes; so it is made once."""
    if (form, word) not in SEEN:
        SEEN[form, word] = await see(word, tmp_path, logged)
    return SEEN[form, word]


@pytest.fixture
async def plain(tmp_path: Path, logged: io.StringIO) -> Seen:
    if ("", PLAIN) not in SEEN:
        (tmp_path / "plain").mkdir()
        SEEN["", PLAIN] = await see(PLAIN, tmp_path / "plain", logged)
    return SEEN["", PLAIN]


async def see(word: bytes, folder: Path, logged: io.StringIO) -> Seen:
    before = len(logged.getvalue())
    world = World(config=CONFIG).start()
    for event in await played(word, folder):
        world.tell(event)
    for note in world.state.take_notes():
        structlog.get_logger().warning(note.event, tunnel=note.tunnel, detail=note.detail)
    return Seen(world, logged.getvalue()[before:])


def configure(out: io.StringIO) -> None:
    """Log as the daemon does, but for its loggers that last: those of modules have other tests."""
    log.configure("debug", out)
    structlog.configure(cache_logger_on_first_use=False)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    monkeypatch.delenv("VTID_LOG", raising=False)
    out, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure(out)
    yield out
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


# --- sinks ---------------------------------------------------------------------------------------


def test_the_word_gets_as_far_as_an_interface(seen: Seen) -> None:
    """Else the other tests look at nothing."""
    names = {link.name for link in seen.world.links.values()}
    assert any(name.startswith("rw-") for name in names), seen.status().problems
    sas = [sa for one in seen.status().tunnels for sa in one.sas]
    assert sas
    assert seen.world.blocks
    assert seen.log


async def test_interface_names_and_aliases(seen: Seen) -> None:
    for link in seen.world.links.values():
        assert re.fullmatch(r"[A-Za-z0-9_.@+=-]{1,15}", link.name, re.ASCII)
        assert re.fullmatch(r"[ -~]{1,255}", link.alias, re.ASCII)
        (made,) = nl.split(requests.new_link(link, None).encode(1))
        (named,) = nl.split(requests.set_link(9, link, frozenset({"alias"})).encode(1))
        assert messages.read_link(made).name == link.name
        assert messages.read_link(named).alias == link.alias


async def test_nft(seen: Seen) -> None:
    for (_, name), clamp in seen.world.clamps.items():
        nothing: ruleset.Elements = {one: {} for one in ruleset.MAPS}
        text = ruleset.change(nothing, {name: clamp})
        assert text.replace(f'"{name}"', '"x"') == ruleset.change(nothing, {"x": clamp})


OWN = """protocol bgp {{ sessions[0].name }} {
  # {{ sa.remote_id }} {{ sa.connection }} {{ sa.child }} {{ tunnel.interface }}
  /* {{ sa.local_id }} */
  description "{{ sa.remote_id }}";
  description {{ sa.remote_id }};
  neighbor {{ sessions[0].neighbor }} as 1;
}
"""
_PLACES = re.compile(r'"[^"\n]*"|\'[^\'\n]*\'|#[^\n]*|/\*.*?\*/', re.DOTALL)
"""Strings, symbols and comments, as BIRD's lexer has them (conf/cf-lex.l)."""


def structure(text: str) -> str:
    return _PLACES.sub(lambda found: found[0][:1], text)


async def test_bird(seen: Seen, plain: Seen) -> None:
    for template in (None, Template(OWN, "own.j2")):
        found, expected = (
            {tunnel: render(block, template) for (_, tunnel), block in each.world.blocks.items()}
            for each in (seen, plain)
        )
        assert found
        assert {*map(structure, found.values())} == {*map(structure, expected.values())}
        assert all(re.fullmatch(r"[ -~\n]*", text) for text in found.values())
        assert parse(compose(found)) == found


async def test_labels(seen: Seen, form: str) -> None:
    text = exposed(seen.status())
    bare = text.replace("\n", "")
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", bare)
    assert form == "raw" or bare.isprintable()  # a page of metrics is no terminal
    for line in text.splitlines():
        assert re.match(r"# (HELP|TYPE) vtid_|vtid_\w+(\{| )", line), line
    families = {one.name for one in text_string_to_metric_families(text)}
    assert all(name.startswith("vtid_") for name in families)
    names = {
        name
        for one in text_string_to_metric_families(text)
        for sample in one.samples
        for name in sample.labels
    }
    assert "evil" not in names
    whole = exposed(seen.status(), openmetrics=True) + "# EOF\n"
    assert list(openmetrics.text_string_to_metric_families(whole))  # type: ignore[no-untyped-call]


async def test_log(seen: Seen, form: str) -> None:
    lines = seen.log.split("\n")
    assert lines.pop() == ""
    for line in lines:
        assert line.isprintable(), ascii(line)
        assert re.match(r"ts=\S+ level=(debug|info|warning) msg=", line), line
        assert unquoted(line).count("level=") == 1
        assert form == "raw" or len(line) < 16 * 1024  # the reader cuts


def unquoted(line: str) -> str:
    return re.sub(r'"(?:[^"\\]|\\.)*"', "", line)


@pytest.mark.usefixtures("form")
async def test_log_as_json(
    word: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: io.StringIO
) -> None:
    monkeypatch.setenv("VTID_LOG", "json")
    configure(logged)
    seen = await see(word, tmp_path, logged)
    lines = [json.loads(line) for line in seen.log.splitlines()]
    assert {line["level"] for line in lines} <= {"debug", "info", "warning"}
    assert seen.log.isascii()


async def test_json(seen: Seen) -> None:
    for value in (seen.status(), seen.summary(), *seen.details()):
        text = encode(value)
        assert re.fullmatch(r"[ -~]*", text)
        assert json.loads(text)


async def test_html(seen: Seen, word: bytes, tmp_path: Path) -> None:
    """One page is HTML; its elements are those that it has with a plain word."""
    daemon = WorldDaemon(seen.world, OFFSET)
    quoted = quote(word[:200], safe="")
    paths = ["/", f"/?text={quoted}", "/metrics", "/readyz", "/status", f"/{quoted}"]
    async with site(tmp_path, daemon) as here:
        here.server.use(Access(page=True))
        for path in paths:
            async with here.public.get(URL(here.url + path, encoded=True)) as answer:
                body = await answer.text()
                is_page = answer.status == 200 and answer.content_type == "text/html"
                assert is_page == path.startswith("/?") or path == "/" or answer.status == 400
                assert is_page or answer.content_type == "text/plain"
            if is_page:
                read = Reader(body)
                assert set(read.tags) <= ELEMENTS
                assert not [name for _, name, _ in read.attributes if name.startswith("on")]
                text = "".join(read.words)
                assert all(char.isprintable() or char == "\n" for char in text), ascii(text)
        code, told = await here.ask(f"/v1/tunnels/{quote(word[:4000], safe='')}")
        assert code in {200, 404}
        assert told


COMMANDS = [
    ("status",),
    ("tunnels",),
    ("tunnels", "--wide"),
    ("tunnels", "--names"),
    *(("tunnels", "-o", form) for form in ("json", "yaml")),
]


async def test_vtictl(seen: Seen, shell: Shell) -> None:
    shell.daemon.answer, shell.daemon.screen = seen.status(), seen.summary()
    shows = [("show", one.tunnel) for one in seen.status().tunnels if one.tunnel]
    for command in (*COMMANDS, *shows):
        _, out, err = await shell(*command)
        for text in (out, err):
            assert all(char.isprintable() or char == "\n" for char in text), ascii(text)
            assert "\nvtid_up 0" not in text
