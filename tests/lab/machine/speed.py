"""How long the lab's programs take to start, so that machines can be compared.

    python -m tests.lab.host run --mode native -- python3 -m tests.lab.machine.speed
    python -m tests.lab.host run --mode vm -- python3 -m tests.lab.machine.speed

Where the kernel has no VTI the first one cannot run the lab, but it can start its programs: the
ratio says how long a phase of the emulated lab would take there that is spent starting them.
"""

from __future__ import annotations

import subprocess
import time

STARTS = (
    ("ip", 20, ("ip", "link", "show", "lo")),
    ("ping", 20, ("ping", "-c", "1", "127.0.0.1")),
    ("bird", 10, ("bird", "--version")),
    ("swanctl", 5, ("swanctl", "--version")),
    ("vtid's imports", 2, ("python3", "-c", "import vtid.__main__, vtid.daemon.daemon")),
)


def main() -> None:
    """Print milliseconds per start."""
    total = 0.0
    for name, times, command in STARTS:
        started = time.perf_counter()
        for _ in range(times):
            subprocess.run(command, capture_output=True, check=False)
        one = (time.perf_counter() - started) / times * 1000
        total += one
        print(f"{name:16}{one:9.1f} ms")
    print(f"{'one of each':16}{total:9.1f} ms")


if __name__ == "__main__":
    main()
