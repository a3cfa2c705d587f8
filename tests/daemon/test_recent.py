"""The last inputs: a fixed number, nothing large, no secret."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import fields, is_dataclass

from tests.core.test_suggest import marked
from vtid.config.keys import ConfigLoaded
from vtid.config.load import load
from vtid.daemon.recent import TEXT_MAX, RecentInputs, written
from vtid.model.bgp import BgpSession, BirdBlock, Secret, TunnelFacts
from vtid.model.input import (
    BirdRefusal,
    BirdState,
    ChildDown,
    ChildRekeyed,
    ChildUp,
    Input,
    OpDone,
    OpFailed,
    SaSnapshot,
    ViciLost,
)
from vtid.model.operation import PutBird
from vtid.scrub import QUOTES_VARS

PLANTED = "hunter2"

CONFIG = f"""
[[tunnel]]
connection = "a"
interface = "vti1"
vars = {{ token = "{PLANTED}" }}
[tunnel.bgp]
neighbor = "10.0.0.2"
local_as = 1
remote_as = 2
password = "{PLANTED}"
[[bird]]
name = "b"
socket = "/run/b.ctl"
include = "/b.conf"
"""

SESSION = BgpSession(
    name="a",
    interface="vti1",
    neighbor="10.0.0.2",
    local_as=1,
    remote_as=2,
    password=Secret(PLANTED),
)
BLOCK = BirdBlock("b", "vti1", (SESSION,), TunnelFacts("vti1", vars=(("token", PLANTED),)))
PUT = PutBird(tunnel="vti1", reason="up", block=BLOCK)

WITH_SECRETS: tuple[Input, ...] = (
    ConfigLoaded(load(CONFIG)),
    OpDone(PUT),
    OpFailed(PUT, f"{QUOTES_VARS}: {PLANTED}"),
    BirdState("b", connected=True, error=PLANTED, refusal=BirdRefusal(PLANTED, PLANTED)),
)


def told(*events: Input) -> list[tuple[str, object]]:
    recent = RecentInputs()
    recent.took(events)
    return [(one.input, json.loads(one.about)) for one in written(recent.kept())]


def test_inputs_are_told_as_a_recording_has_them() -> None:
    assert told(ChildDown(7), ViciLost("gone")) == [
        ("ChildDown", {"unique_id": 7}),
        ("ViciLost", {"reason": "gone"}),
    ]


def test_of_what_lists_everything_numbers_are_told() -> None:
    recent = RecentInputs()
    recent.took([SaSnapshot(tuple(marked(1, unique_id=number) for number in range(1000)))])
    ((_, name, kept),) = recent.kept()
    assert (name, kept) == ("SaSnapshot", {"sas": 1000, "ikes": 0})


def test_no_secret_is_kept_that_could_be_told() -> None:
    assert PLANTED not in json.dumps(told(*WITH_SECRETS))
    recent = RecentInputs()
    recent.took(WITH_SECRETS)
    assert not any(is_dataclass(kept) for *_, kept in recent.kept())


def test_a_fixed_number_is_kept_and_each_is_short() -> None:
    recent = RecentInputs(kept=3)
    recent.took([ChildDown(number) for number in range(5)])
    recent.took([ViciLost("x" * 10 * TEXT_MAX)])
    *rest, last = written(recent.kept())
    assert [json.loads(one.about) for one in rest] == [{"unique_id": 3}, {"unique_id": 4}]
    assert len(last.about) == TEXT_MAX


def test_what_hostile_peers_choose_is_bounded() -> None:
    """As many and as long as charon takes them (RFC 7296, section 3.13): 30 MB in all."""

    def of(number: int) -> str:
        return f"{number:0255}"

    def many(number: int) -> tuple[str, ...]:
        return tuple(of(1000 * number + one)[-43:] for one in range(255))

    recent = RecentInputs(kept=50)
    tracemalloc.start()
    for number in range(60):
        lists = {"local_ts": many(number), "remote_ts": many(-number), "remote_id": of(number)}
        one = marked(1, unique_id=number, **lists)
        recent.took([ChildUp(one) if number % 2 else ChildRekeyed(0, one)])
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(recent.kept()) == 50
    assert held < 200_000, "with all that they chose, more than ten times as much"


def test_every_small_input_can_be_written() -> None:
    assert told(ChildUp(marked(1)))[0][0] == "ChildUp"
    assert {one.name for one in fields(ChildUp)} >= {"sa"}
