"""Run the fuzzers: `python -m tests.fuzz --inputs 1000000 --seed 1`.

Each target gets its share of the inputs and prints its count, its rate, and by how much the
process has grown. A violation ends the turn of its target, and leaves its input in `found/`, where
`test_fuzz` tries it again for ever.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import time
import traceback
from itertools import repeat
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.fuzz import bird, config, http, netlink, vici

if TYPE_CHECKING:
    from tests.fuzz.target import Target

TARGETS: tuple[Target, ...] = (
    *vici.TARGETS,
    *netlink.TARGETS,
    *bird.TARGETS,
    *config.TARGETS,
    *http.TARGETS,
)

FOUND = Path(__file__).parent / "found"

GROWTH_MAX = 64 << 20
"""Bytes by which the process may grow while a target runs: caches fill, and are bounded."""

_WARM = 2000
"""Inputs before the memory is looked at for the first time."""


class Violation(Exception):  # noqa: N818 - reads as what it is
    """A target raised what it may not, or grew."""


def run(target: Target, inputs: int, seed: int) -> int:
    """Give a target inputs; return by how many bytes the process grew. Raises `Violation`."""
    random = Random(f"{target.name} {seed}")  # noqa: S311 - repeatable on purpose
    before = memory()
    with target.open() as take:
        for count, _ in enumerate(repeat(None, inputs)):
            if count == _WARM:
                before = memory()
            data = target.make(random)
            try:
                take(data)
            except Exception as error:
                raise Violation(f"{target.name}, seed {seed}: {keep(target, data)}") from error
    grown = memory() - before
    if grown > GROWTH_MAX:
        raise Violation(f"{target.name}, seed {seed}: grew by {grown} bytes")
    return grown


def keep(target: Target, data: bytes) -> str:
    """Keep an input beside the others of its target; return where."""
    folder = FOUND / slug(target)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:12]
    path.write_bytes(data)
    return str(path)


def slug(target: Target) -> str:
    """Return the folder of what was found for a target."""
    return target.name.replace(" ", "-")


def memory() -> int:
    """Return the resident bytes of this process (proc(5))."""
    status = Path("/proc/self/status").read_text("ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", metavar="WORD", help="targets with WORD in the name")
    args = parser.parse_args()
    chosen = [target for target in TARGETS if args.only in target.name]
    shares = sum(target.share for target in chosen)
    began, total, violations = time.monotonic(), 0, 0
    for target in chosen:
        inputs, since = args.inputs * target.share // shares, time.monotonic()
        try:
            grown = run(target, inputs, args.seed)
        except Violation as violation:
            violations += 1
            traceback.print_exception(violation)
            continue
        total += inputs
        _print(target.name, inputs, time.monotonic() - since, f"{grown / (1 << 20):+.1f} MiB")
    rest = f"seed {args.seed}, {violations} violations"
    _print("all", total, time.monotonic() - began, rest)
    return 1 if violations else 0


def _print(name: str, inputs: int, seconds: float, rest: str) -> None:
    rate = inputs / seconds if seconds else 0.0
    print(f"{name:<22}{inputs:>12,}{rate:>12,.0f}/s  {rest}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
