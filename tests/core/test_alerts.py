"""What charon complains of: in the log, the counters, and the reason of a tunnel without SA."""

from __future__ import annotations

from tests.core.world import World, sa
from vtid.core.alerts import Alerts
from vtid.core.status import details
from vtid.model.input import Alert, ChildDown, ChildUp

FAILED = Alert("peer-auth-failed", "V2-1", "192.0.2.2")


def reason(world: World, tunnel: str = "V2-1") -> str:
    found = details(world.state, tunnel, clock_offset=0)
    assert found
    return found.reason


def lines(world: World) -> list[str]:
    notes = world.state.take_notes()
    return [note.detail for note in notes if note.event == "charon alert"]


def test_a_tunnel_that_never_came_up_says_why() -> None:
    world = World().start()
    assert reason(world) == "no CHILD_SA of V2-1 since start"
    world.tell(FAILED)
    complaint = "charon: peer-auth-failed with 192.0.2.2"
    assert reason(world) == f"no CHILD_SA of V2-1 since start; {complaint}"
    assert lines(world) == [complaint]
    world.tell(ChildUp(sa(1)))
    assert "charon" not in reason(world)


def test_a_tunnel_that_went_down_says_why_it_does_not_come_back() -> None:
    world = World().start([sa(1)])
    world.tell(ChildDown(1), Alert("retransmit-send-timeout", "V2-1"))
    assert reason(world).endswith("; charon: retransmit-send-timeout")


def test_a_complaint_about_an_sa_that_stays_is_no_reason() -> None:
    world = World().start([sa(1)])
    world.tell(Alert("ts-mismatch", "V2-1"))
    assert "charon" not in reason(world)
    world.pass_time(61)
    world.tell(ChildDown(1))
    world.pass_time(10)
    assert "charon" not in reason(world)


def test_a_complaint_that_repeats_is_a_line_a_minute() -> None:
    world = World().start()
    for _ in range(59):
        world.tell(FAILED)
        world.pass_time(1)
    assert len(lines(world)) == 1
    world.pass_time(1)
    world.tell(FAILED)
    world.tell(Alert("ts-mismatch", "V2-1"))
    assert len(lines(world)) == 2
    for _ in range(10):
        world.tell(FAILED, Alert("ts-mismatch", "V2-1"))
    assert lines(world) == []
    assert world.state.alerts.count == {"peer-auth-failed": 70, "ts-mismatch": 11}


def test_what_belongs_to_no_connection_is_counted_only() -> None:
    world = World().start()
    world.tell(Alert("invalid-ike-spi"))
    assert lines(world) == []
    assert world.state.alerts.count == {"invalid-ike-spi": 1}


def test_the_first_of_its_kind_is_a_line_whatever_the_clock_says() -> None:
    """(0.1 - 60) + 60 is more than 0.1 in floating point."""
    for now in (0.0, 0.1, 1234.56789):
        assert Alerts().file(FAILED, now)
