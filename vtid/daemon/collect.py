"""`vtid --collect`: what a bug report needs of this machine, with or without a daemon, as JSON.

    {"members": {"links.txt": "…", "log.txt": "…"}, "missing": ["sas.json: …"]}

Rules of this file:

* Each member is made from a list of what may be in it. No file of this machine is copied.
* This process has read the configuration, so it knows vtid's own secrets: at the end, they are
  taken out of every member, wherever they came from.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING

from vtid.bird.control import Control, ControlError
from vtid.bird.shown import shown
from vtid.config.load import ConfigError
from vtid.daemon import config_file
from vtid.daemon.looks import Looks, UnseenError
from vtid.daemon.unit_log import unit_log
from vtid.http.api import SaList
from vtid.http.encode import encode
from vtid.kernel.dumps import read_links
from vtid.kernel.requests import DUMP_LINKS
from vtid.kernel.sockets import Requests
from vtid.model.link import ALIAS_PREFIX
from vtid.netns import Namespaces
from vtid.printable import escape
from vtid.scrub import scrub
from vtid.vici.channel import ViciError
from vtid.vici.listing import ike_sas

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vtid.config.keys import Config
    from vtid.kernel.messages import LinkInfo


def collection(path: Path) -> str:
    """Return the JSON document; a bad configuration leaves out what needs a good one."""
    looks = Looks()
    try:
        config = config_file.read(path).config
    except ConfigError:  # `description.json` says what is wrong
        config = None
    found = dict(_members(config, looks))
    secrets = tuple(_secrets(config)) if config else ()
    members = {name: scrub(text, secrets) for name, text in found.items()}
    missing = [scrub(f"{gap.what}: {gap.why}", secrets) for gap in looks.gaps]
    return json.dumps({"members": members, "missing": missing})


def _members(config: Config | None, looks: Looks) -> Iterator[tuple[str, str]]:
    """Yield names and texts, without those that cannot be had."""
    namespaces = sorted({"", *(one.netns for one in config.policies)}) if config else [""]
    looked = {"log.txt": unit_log}
    for netns in namespaces:
        looked[f"links-{netns}.txt" if netns else "links.txt"] = partial(_links, netns)
    if config:
        looked["sas.json"] = partial(_sas, config.vici.socket)
        for bird in config.birds:
            looked[f"bird-{bird.name}.txt"] = partial(_protocols, bird.socket)
    for name, look in looked.items():
        if (text := looks.at(name, look)) is not None:
            yield name, text


def _secrets(config: Config) -> Iterator[str]:
    """Yield every secret that the configuration has, read from whatever file."""
    for policy in config.policies:
        values = (str(value) for _, value in policy.vars)
        yield from (one for one in values if len(one) >= _SECRET_VAR)
        yield from (one.password.text for one in policy.bgp if one.password)
    yield from (hashed.text for _, hashed in config.metrics.basic_auth_users)


_SECRET_VAR = 6
"""Characters of a value of `vars` that may be a secret, digits or not: shorter ones are names and
numbers, which stand in too many places."""


def _sas(socket: str) -> str:
    try:
        found, errors = asyncio.run(ike_sas(socket))
    except ViciError as error:
        raise UnseenError(str(error)) from error
    return encode(SaList(found, errors))


def _protocols(socket: str) -> str:
    try:
        return asyncio.run(_ask_bird(socket))
    except ControlError as error:
        raise UnseenError(str(error)) from error


async def _ask_bird(socket: str) -> str:
    async with await Control.connect(socket) as control:
        pieces: list[bytes] = []
        await control.stream("show protocols all", pieces.append)
    text = b"".join(pieces).decode("utf-8", "replace")
    return f"BIRD {control.version}\n{shown(text)}"


# --- links ---------------------------------------------------------------------------------------


def _links(netns: str) -> str:
    return asyncio.run(_list_links(netns))


async def _list_links(netns: str) -> str:
    namespaces = Namespaces()
    try:
        thread = namespaces.thread(netns)
        dump = await thread.use(Requests, lambda kernel: kernel.dump(DUMP_LINKS))
    finally:
        namespaces.close()
    return "".join(f"{link_line(link)}\n" for link in read_links(dump))


def link_line(link: LinkInfo) -> str:
    """Return a link as a line, as `ip -d link` has it; an alias only if it is vtid's."""
    facts = {
        "kind": link.kind or "device",
        "mtu": link.mtu,
        "state": "up" if link.up else "down",
        "carrier": "yes" if link.running else "no",
        "group": hex(link.group),
        "master": link.master,
        "local": link.local,
        "remote": link.remote,
        "ikey": link.ikey,
        "okey": link.okey,
        "if_id": link.if_id,
        "link-netnsid": "" if link.netnsid is None else str(link.netnsid),
        "disable_policy": int(link.disable_policy),
        "rp_filter": link.rp_filter,
        "alias": link.alias if link.alias.startswith(ALIAS_PREFIX) else "",
    }
    words = (f"{name} {fact}" for name, fact in facts.items() if fact not in {"", 0})
    return escape(f"{link.ifindex}: {link.name} {' '.join(words)}")
