"""Doctor: whether BIRD's configuration includes what vtid writes for it. Pure.

Rules of this file:

* BIRD does not start without a file that it includes by its full name, and starts without any that
  fits a pattern. So a pattern is what is advised.
* BIRD knows `include` at the beginning of a line only, and none in a comment.
* What other files of BIRD include is not known here. So where bird.conf includes any other file,
  nothing is wrong for sure: the doctor tells it as not looked at (doctor_gaps.py).
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from posixpath import dirname, join
from typing import TYPE_CHECKING

from vtid.model.facts import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.config.keys import Bird, Config
    from vtid.model.facts import HostFacts

BIRD_SOCKET, BIRD_CONF = "/run/bird/bird.ctl", "/etc/bird/bird.conf"
"""Of the BIRD whose configuration file is known (Debian's package)."""


def check_birds(config: Config, host: HostFacts) -> Iterator[Finding]:
    """Yield BIRDs that do not read their include file."""
    for bird in used_birds(config):
        if host.bird_conf is None or bird.socket != BIRD_SOCKET:
            continue
        if not included(host.bird_conf):
            what = f"bird.conf does not include {bird.include}, so BIRD has no sessions of vtid"
            others = [one.include for one in config.birds if one.name != bird.name]
            wanted = pattern(bird.include, (BIRD_CONF, *others))
            fix = f'add `include "{wanted}";` to it, and `birdc configure`'
            yield Finding("bird-include", bird.name, what, fix)


def used_birds(config: Config) -> Iterator[Bird]:
    """Yield those that have sessions over tunnels."""
    used = {session.bird for policy in config.policies for session in policy.bgp}
    return (bird for bird in config.birds if bird.name in used)


def includes(conf: str, file: str) -> bool:
    """Whether a configuration of BIRD includes a file, by its name or by a pattern."""
    return any(
        one.count("/") == file.count("/") and fnmatchcase(file, one) for one in included(conf)
    )


def included(conf: str) -> tuple[str, ...]:
    """Return what a configuration of BIRD includes: names and patterns, from the root."""
    bare = _COMMENT.sub(lambda found: found["string"] or "#", conf)
    found = re.findall(r'^[ \t]*include[ \t]*"([^"\n]+)"', bare, re.MULTILINE)
    return tuple(join(dirname(BIRD_CONF), one) for one in found)


_COMMENT = re.compile(r'(?P<string>"[^"\n]*")|#[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
"""A comment, or a string, in which `/*` and `#` begin none."""


def pattern(file: str, others: tuple[str, ...]) -> str:
    """Return a pattern for a file: all of its directory, or this file alone beside others."""
    shared = dirname(file) in map(dirname, others)
    if file.endswith(".conf") and not shared:
        return f"{dirname(file)}/*.conf"
    return f"{file[:-1]}[{file[-1]}]"
