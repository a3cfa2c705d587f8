"""Decode list-sa with vici.protocol and with vtid's codec, in one run; prints both and the ratio.

Run it in the repository's top folder: `python -m tests.bench.bench_vici`. Figures of one machine
say little; the ratio is what counts. The messages are recorded ones (tests/vici/golden).
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vici.protocol import FiniteStream
from vici.protocol import Message as ViciMessage

from vtid.vici.codec import decode_message
from vtid.vici.sas import parse_list_sa

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = Path(__file__).parent.parent / "vici" / "golden"
ROUNDS = 7
PER_ROUND = 300


def messages() -> list[bytes]:
    """The list-sa messages of the recorded run, without their packet's head."""
    lines = map(json.loads, (GOLDEN / "a.jsonl").read_text().splitlines())
    payloads = [bytes.fromhex(line["payload"]) for line in lines if line["event"] == "list-sa"]
    return [payload[2 + payload[1] :] for payload in payloads]


def with_vici(data: bytes) -> Any:
    return ViciMessage.deserialize(FiniteStream(data))  # type: ignore[no-untyped-call]


def to_model(data: bytes) -> Any:
    return parse_list_sa(decode_message(data), 0.0)


def microseconds(decode: Callable[[bytes], Any], samples: list[bytes]) -> float:
    """Best of some rounds, per message."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(PER_ROUND):
            for data in samples:
                decode(data)
        best = min(best, time.perf_counter() - started)
    return best / PER_ROUND / len(samples) * 1e6


def main() -> None:
    samples = messages()
    mean = sum(map(len, samples)) / len(samples)
    theirs = microseconds(with_vici, samples)
    ours = microseconds(decode_message, samples)
    print(f"{len(samples)} list-sa messages of {mean:.0f} bytes on average, µs per message")
    print(f"vici.protocol          {theirs:7.1f}")
    print(f"vtid.vici.codec        {ours:7.1f}   {theirs / ours:.1f} times as fast")
    print(f"  and on to the model  {microseconds(to_model, samples):7.1f}")


if __name__ == "__main__":
    main()
