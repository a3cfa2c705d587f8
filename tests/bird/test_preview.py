from __future__ import annotations

import random

import pytest

from tests.counting import bytecodes
from vtid.bird.preview import difference, without_passwords
from vtid.bird.render import compose


def test_passwords_are_hidden_however_they_are_written() -> None:
    text = 'a;\n  password "x; y}";\n passwords { PASSWORD  "z" { id 1; }; };\n password w;\n b'
    assert without_passwords(text) == (
        'a;\n  password "…";\n passwords { PASSWORD  "…" { id 1; }; };\n password "…"\n b'
    )
    assert without_passwords("no password") == "no password"


def test_difference() -> None:
    assert difference("/f", "a\nb\n", "a\nc\n") == (
        "--- /f\n+++ /f (wanted)\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
    )
    assert not difference("/f", "a\n", "a\n")


def test_a_changed_password_is_a_difference_that_tells_neither() -> None:
    lines = without_passwords(difference("/f", 'password "a";\n', 'password "b";\n'))
    assert lines.splitlines()[-2:] == ['-password "…";', '+password "…";']


def block(number: int, lines: int = 8) -> str:
    return "".join(f"line {line} of {number * (line == 4)};\n" for line in range(lines))


def file(numbers: range, changed: frozenset[int] = frozenset()) -> str:
    blocks = {f"vti{number}": block(number + 1000 * (number in changed)) for number in numbers}
    return compose(blocks)


def patched(text: str, diff: str) -> str:
    """What patch(1) makes of a text; the lines of context have to be there."""
    old, new, at = text.splitlines(keepends=True), [], 0
    for line in diff.splitlines(keepends=True)[2:]:
        if line.startswith("@@"):
            first, _, count = line.split()[1].removeprefix("-").partition(",")
            begin = int(first) - (count != "0")
            new += old[at:begin]
            at = begin
        else:
            if line[0] != "+":
                assert old[at] == line[1:]
                at += 1
            if line[0] != "-":
                new.append(line[1:])
    return "".join(new + old[at:])


@pytest.mark.parametrize("seed", range(20))
def test_a_difference_leads_from_one_file_to_the_other(seed: int) -> None:
    """Blocks that come, go and change, at the ends and between."""
    chance = random.Random(seed)  # noqa: S311 - a case, no secret

    def some() -> str:
        names = chance.sample(range(9), 5)
        return compose({f"vti{number}": block(chance.randrange(3)) for number in names})

    there, wanted = some() if seed else "", some()
    assert patched(there, difference("/f", there, wanted)) == wanted


def test_a_file_out_of_order_is_compared_line_by_line() -> None:
    there = file(range(1, 3)).replace("vti1", "vti9")
    assert "-# vtid begin" in difference("/f", there, file(range(1, 3)))
    assert "-broken" in difference("/f", "# vtid begin {\nbroken\n", file(range(1)))


def test_the_time_of_a_difference_does_not_grow_with_the_square_of_the_tunnels() -> None:
    def cost(tunnels: int) -> int:
        numbers = range(tunnels)
        there, wanted = file(numbers), file(numbers, frozenset(numbers))
        with bytecodes() as counter:
            difference("/f", there, wanted)
        return counter.count

    assert cost(400) <= 11 * cost(40)
