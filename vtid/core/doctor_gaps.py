"""Doctor: what it did not look at, and why, so that silence is no promise. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.config.types import is_static
from vtid.core.doctor_bird import BIRD_SOCKET, included, includes, used_birds
from vtid.model.facts import Gap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.config.keys import Config
    from vtid.model.facts import CharonLists, HostFacts


def gaps(config: Config, charon: CharonLists, host: HostFacts) -> tuple[Gap, ...]:
    """Return what was not looked at."""
    return (
        *_of_charon(charon),
        *host.gaps,
        *_of_udev(host),
        *_of_interfaces(config),
        *_of_birds(config, host),
    )


def _of_charon(charon: CharonLists) -> Iterator[Gap]:
    if charon.error:
        yield Gap("connections and SAs", "charon does not answer")


def _of_udev(host: HostFacts) -> Iterator[Gap]:
    for file in host.udev.unread if host.udev else ():
        why = "it has GOTO, PROGRAM or IMPORT: see `udevadm test /sys/class/net/INTERFACE`"
        yield Gap(f"rules of udev in {file}", why)


def _of_interfaces(config: Config) -> Iterator[Gap]:
    for name in sorted({one.interface for one in config.policies if not is_static(one.interface)}):
        yield Gap(f"interfaces named {name} without an SA", "their names follow from SAs")


def _of_birds(config: Config, host: HostFacts) -> Iterator[Gap]:
    for bird in used_birds(config):
        if bird.socket != BIRD_SOCKET:
            why = "only that of /etc/bird/bird.conf is known; see `vtictl bgp`"
            yield Gap(f"configuration of BIRD {bird.name}", why)
        elif host.bird_conf is None:
            why = "there is no /etc/bird/bird.conf, or none that can be read"
            yield Gap(f"configuration of BIRD {bird.name}", why)
        elif included(host.bird_conf) and not includes(host.bird_conf, bird.include):
            why = f"{bird.include} may be included by a file that bird.conf includes"
            yield Gap(f"configuration of BIRD {bird.name}", f"{why}; see `vtictl bgp`")
