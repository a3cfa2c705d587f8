"""Recording what happens, and telling it again."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.core.world import LAB, World, sa
from vtid.__main__ import main
from vtid.config.keys import ConfigLoaded
from vtid.daemon.recording import Line, Recorder, RecordingError, Replay, op_line, read
from vtid.model.input import ChildDown, ChildUp, ClampSnapshot, Input, LinkSnapshot, SaSnapshot
from vtid.model.link import Clamp

if TYPE_CHECKING:
    from vtid.model.operation import Op

START = [
    Line(1.0, ConfigLoaded(LAB)),
    *(Line(1.0, LinkSnapshot(netns, (), ())) for netns in ("", "private")),
    *(Line(1.0, ClampSnapshot(netns, ())) for netns in ("", "private")),
    Line(1.0, SaSnapshot(())),
]


def test_a_recording_tells_what_happened_and_when(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    recorder = Recorder(file, seed=7)
    recorder.passed(1.25, [ChildUp(sa(1)), ChildDown(1)], since=1.125)
    recorder.passed(4.25, [])
    recorder.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read(file.read_text().splitlines()) == (
        7,
        [Line(1.25, ChildUp(sa(1)), 1.125), Line(1.25, ChildDown(1), 1.125), Line(4.25, None)],
    )


def test_a_recording_is_its_owners_alone_also_in_a_file_that_was_there(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    file.write_text("older")
    file.chmod(0o644)
    Recorder(file, seed=7).close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_cannot_be_written_ends_the_recording_and_nothing_else(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "recording", seed=7)
    with capture_logs() as logs:
        recorder.passed(1.0, [ClampSnapshot("", (("vti\udcff", Clamp(1, 1)),))])
        recorder.passed(2.0, [ChildDown(1)])
        recorder.close()
    assert [entry["event"] for entry in logs] == ["recording stopped"]


def test_lines_of_one_moment_are_one_pass() -> None:
    replay = Replay()
    together = [Line(2.0, ChildUp(sa(1))), Line(2.0, ChildDown(1))]
    assert list(replay.tell([*START, *together])) == []
    assert [type(op).__name__ for _, op in replay.tell([Line(3.0, ChildUp(sa(2)))])] == [
        "ProbeUnderlay"
    ]


def test_a_replay_knows_how_long_inputs_waited() -> None:
    replay, told = Replay(), list[float | None]()
    work = replay.state.work

    def noted(now: float, limit: int = 500, since: float | None = None) -> tuple[Op, ...]:
        told.append(since)
        return work(now, limit, since)

    replay.state.work = noted  # type: ignore[method-assign]
    lines = [Line(2.0, ChildUp(sa(1)), 1.5), Line(2.0, ChildDown(1), 1.5), Line(3.0, None)]
    list(replay.tell(lines))
    assert told == [1.5, None]


def test_a_replay_makes_the_decisions_that_were_made() -> None:
    lines: list[Line] = []
    world = World()
    apply = world.state.apply

    def recorded(event: Input, now: float) -> None:
        lines.append(Line(now, event))
        apply(event, now)

    world.state.apply = recorded  # type: ignore[method-assign]
    world.tell(*(line.event for line in START if line.event))
    world.tell(ChildUp(sa(1)))
    # an input a pass, as the world tells them
    apart = [Line(line.at + number / 1000, line.event) for number, line in enumerate(lines)]
    assert [op for _, op in Replay().tell(apart)] == world.done


@pytest.mark.parametrize(
    "line", ["", "[]", "{}", '{"at": "soon"}', '{"at": 1, "ChildDown": {}}', "{"]
)
def test_a_bad_line_is_told(line: str) -> None:
    with pytest.raises(RecordingError, match="line 2: "):
        read(['{"vtid": "0.1.0", "seed": 1}', line])


def test_a_full_disk_ends_the_recording_and_nothing_else() -> None:
    with capture_logs() as logs:
        recorder = Recorder(Path("/dev/full"), seed=1)
        recorder.passed(1.0, [])
        recorder.close()
    assert [(entry["event"], "No space left" in entry["detail"]) for entry in logs] == [
        ("recording stopped", True)
    ]


def test_a_recording_ends_before_it_is_too_large(tmp_path: Path) -> None:
    file, limit = tmp_path / "recording", 2000
    with capture_logs() as logs:
        recorder = Recorder(file, seed=1, limit=limit)
        for number in range(100):
            recorder.passed(1.0 + number, [ChildDown(number)])
        recorder.close()
    assert limit - 100 < file.stat().st_size <= limit
    _, lines = read(file.read_text().splitlines())
    assert [line.event for line in lines] == [ChildDown(number) for number in range(len(lines))]
    assert [entry["detail"] for entry in logs] == [f"{file} is as large as a recording may get"]


def test_a_file_that_is_written_too_slowly_holds_nobody_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    big = ClampSnapshot("x" * 100_000, ())
    with capture_logs() as logs:
        recorder = Recorder(pipe, seed=1, behind=3)  # a pipe takes 64 KiB, and has no reader
        for number in range(10):
            recorder.passed(1.0 + number, [big])
        assert [entry["detail"] for entry in logs] == [
            f"{pipe} is written more slowly than things happen"
        ]
        os.close(reader)
        recorder.close()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"cannot record into .*: Is a directory"):
        Recorder(tmp_path, seed=1)


def test_vtid_replays_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "recording"
    file.write_text("".join(f"{line}\n" for line in [*START, Line(2.0, ChildUp(sa(1)))]))
    assert main(["--replay", str(file)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith('{"at": 2.0, "ProbeUnderlay": {"tunnel": "private/vti3", ')
    ((at, op),) = Replay().tell([*START, Line(2.0, ChildUp(sa(1)))])
    assert printed == op_line(at, op) + "\n"
    file.write_text("nothing of ours\n")
    assert main(["--replay", str(file)]) == 1
    assert f"{file}: line 1: " in capsys.readouterr().err
