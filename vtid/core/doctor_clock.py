"""Doctor: the clock, by which certificates and the kernel's lifetimes of SAs go. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.facts import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.model.facts import HostFacts

JUMP = 60.0
"""Seconds that matter; vtid's own start takes less."""


def check_clock(host: HostFacts) -> Iterator[Finding]:
    """Yield a clock that the kernel is not told to be right, or that was set."""
    if host.is_synchronised is False:
        what = "the kernel is not told that it is right; certificates and lifetimes go by it"
        fix = (
            "run chrony (with `rtcsync`), ntpd or systemd-timesyncd; see `timedatectl`. Beside "
            "openntpd, which does not tell the kernel, nothing is wrong"
        )
        yield Finding("clock-unsynchronised", "clock", what, fix)
    if abs(host.clock_jumped) >= JUMP:
        what = f"it was set by {host.clock_jumped:+.0f} s since vtid started: SAs expire by it"
        fix = (
            "`swanctl --rekey` or `--terminate` what hangs, and `systemctl restart vtid`, which "
            "ends this finding; have it set before strongSwan starts"
        )
        yield Finding("clock-jumped", "clock", what, fix)
