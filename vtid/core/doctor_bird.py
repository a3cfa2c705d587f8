"""Doctor: whether BIRD's configuration includes what vtid writes for it. Pure.

Rules of this file:

* BIRD does not start without a file that it includes by its full name, and starts without any that
  fits a pattern. So a pattern is what is advised.
* BIRD knows `include` at the beginning of a line only.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from posixpath import dirname, join
from typing import TYPE_CHECKING

from vtid.core.doctor_gaps import BIRD_CONF, BIRD_SOCKET
from vtid.model.facts import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.config.keys import Config
    from vtid.model.facts import HostFacts


def check_birds(config: Config, host: HostFacts) -> Iterator[Finding]:
    """Yield BIRDs that do not read their include file."""
    used = {session.bird for policy in config.policies for session in policy.bgp}
    for bird in config.birds:
        if bird.name not in used or host.bird_conf is None or bird.socket != BIRD_SOCKET:
            continue
        if not includes(host.bird_conf, bird.include):
            what = f"bird.conf does not include {bird.include}, so BIRD has no sessions of vtid"
            others = [one.include for one in config.birds if one.name != bird.name]
            wanted = pattern(bird.include, (BIRD_CONF, *others))
            fix = f'add `include "{wanted}";` to it, and `birdc configure`'
            yield Finding("bird-include", bird.name, what, fix)


def includes(conf: str, file: str) -> bool:
    """Whether a configuration of BIRD includes a file, by its name or by a pattern."""
    found = re.findall(r'^[ \t]*include[ \t]*"([^"\n]+)"', conf, re.MULTILINE)
    paths = (join(dirname(BIRD_CONF), one) for one in found)
    return any(one.count("/") == file.count("/") and fnmatchcase(file, one) for one in paths)


def pattern(file: str, others: tuple[str, ...]) -> str:
    """Return a pattern for a file: all of its directory, or this file alone beside others."""
    shared = dirname(file) in map(dirname, others)
    if file.endswith(".conf") and not shared:
        return f"{dirname(file)}/*.conf"
    return f"{file[:-1]}[{file[-1]}]"
