"""Facts of this machine, for the doctor: files below `root`, and what kernel and charon tell.

Rules of this file:

* It changes nothing, and any user may ask: what cannot be seen is a gap (`looks`), never an error.
* It runs in a process of its own (`vtid --doctor`), so that it may block.
"""

from __future__ import annotations

import asyncio
import os
import platform
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vtid.daemon.hook_files import programs
from vtid.daemon.look_clock import is_synchronised, jumped
from vtid.daemon.look_daemon import capabilities, proven, user
from vtid.daemon.look_links import networkd_links, networkmanager_links, own_links
from vtid.daemon.look_modules import modules
from vtid.daemon.look_netns import look_into
from vtid.daemon.look_networkd import networkd
from vtid.daemon.look_udev import udev
from vtid.daemon.looks import Looks, read
from vtid.kernel.sockets import Requests
from vtid.kernel.tables import CHARON_TABLE, addresses, routes_in
from vtid.kernel.underlay import probe_all
from vtid.model.facts import CharonLists, HostFacts
from vtid.model.operation import ProbeUnderlay
from vtid.vici.channel import ViciError
from vtid.vici.listing import listing

if TYPE_CHECKING:
    from vtid.config.keys import Config
    from vtid.model.input import UnderlaySeen


def charon_facts(config: Config) -> CharonLists:
    """Return what charon has."""
    try:
        found = asyncio.run(listing(config.vici.socket))
    except ViciError as error:
        return CharonLists(error=str(error))
    return CharonLists("", found.connections, found.sas)


def host_facts(
    config: Config, charon: CharonLists, root: Path = Path("/"), watch: float = 0.0
) -> HostFacts:
    """Return what the machine has; takes `watch` seconds, during which counters may grow."""
    looks = Looks()
    control = config.daemon.control_socket
    links = looks.at("interfaces", own_links) or {}
    names = sorted({"", *(policy.netns for policy in config.policies)})
    return HostFacts(
        namespaces=asyncio.run(look_into(names, root, watch, looks)),
        paths=looks.at("routes to the peers", partial(paths, charon)) or {},
        proven=looks.at("what probes proved", partial(proven, control)) or {},
        watched=watch,
        charon_routes=looks.at("charon's routes", partial(routes_in, CHARON_TABLE)),
        addresses=looks.at("addresses", addresses),
        release=platform.release(),
        is_synchronised=looks.at("clock", is_synchronised),
        clock_jumped=looks.at("whether the clock was set", partial(jumped, control, root)) or 0.0,
        modules=looks.at("kernel modules", partial(modules, root, platform.release())),
        networkd=looks.at("systemd-networkd", partial(networkd, root)),
        networkd_links=looks.at("systemd-networkd's links", partial(networkd_links, root, links))
        or {},
        networkmanager_links=looks.at("NetworkManager", partial(networkmanager_links, root, links))
        or (),
        udev=looks.at("udev", partial(udev, root, links)),
        bird_conf=looks.at("BIRD's configuration", partial(read, root / "etc/bird/bird.conf")),
        daemon_capabilities=looks.at("the vtid that runs", partial(capabilities, control, root)),
        hooks_refused=looks.at("hooks", partial(hooks, config, root, looks)) or (),
        gaps=tuple(looks.gaps),
    )


def paths(charon: CharonLists) -> dict[tuple[str, str], UnderlaySeen]:
    """Return route and MTU to each peer, by local and remote address."""
    ends = sorted({(sa.local_host, sa.remote_host) for sa in charon.sas})
    asked = [ProbeUnderlay(tunnel="", reason="", local=one, remote=other) for one, other in ends]
    with closing(Requests()) as kernel:
        return dict(zip(ends, probe_all(kernel, asked), strict=True))


def hooks(config: Config, root: Path, looks: Looks) -> tuple[str, ...]:
    """Return which programs of `hooks` may not be run, with the reasons."""
    if not config.daemon.hooks:
        return ()
    folder = Path(config.daemon.hooks)
    with suppress(FileNotFoundError, NotADirectoryError):  # that is one of the reasons
        os.scandir(folder).close()
    control = config.daemon.control_socket
    runs_them = looks.at("whether vtid's user may run its hooks", partial(user, control, root))
    return programs(folder, user=runs_them).refused
