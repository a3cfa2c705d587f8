"""What a namespace looks like, in a form that two of them can be compared in.

Rules of this file:

* Everything is in it, vtid's and others', but what differs by nature each time something is made
  anew: indexes, hardware and link-local addresses, counters.
* A dump is flat: a line that names the thing, and what it is like.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lab.checks import direct
from tests.lab.machine.shell import CheckError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Dump = dict[str, str]

IP = "address show\nroute show table all\nrule show\n"

LINK_KEYS = ("mtu", "ifalias", "group", "master", "inet6_addr_gen_mode", "link_type")
ROUTE_KEYS = ("gateway", "protocol", "scope", "metric", "type", "prefsrc")
INFO_KEYS = ("info_kind", "info_data")
ADDRESS_KEYS = ("local", "prefixlen", "address", "protocol")
LIBIPSEC = "ipsec0"
"""Interface of a charon without ESP in the kernel; it comes and goes with that."""
VOLATILE = {"stable_secret", "mc_forwarding", "mtu"}
"""Settings of a link that are of others, or that cannot be read."""
TIMEOUT = 60


def differences(seen: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Return a line for each thing that is not as it should be."""
    return [
        f"{key}: {seen.get(key, 'missing')}, not {wanted.get(key, 'there at all')}"
        for key in sorted(seen.keys() | wanted.keys())
        if seen.get(key) != wanted.get(key)
    ]


def namespace(netns: str, label: str) -> Dump:
    """Return what is in a namespace. Raises `CheckError` where it cannot be looked at."""
    try:
        with direct.inside(netns):
            links, routes, rules = _documents(_said(IP, "ip", "-d", "-j", "-batch", "-"))
            ruleset = json.loads(_said("", "nft", "-j", "list", "ruleset"))
            settings = dict(_settings([one["ifname"] for one in links if "ifname" in one]))
    except OSError as error:
        raise CheckError(f"{label}: {error}") from None
    found = {**links_of(links), **routes_of(routes), **rules_of(rules), **ruleset_of(ruleset)}
    seen = (found | settings).items()
    return {f"{label}: {name}": value for name, value in seen if LIBIPSEC not in name}


def _said(words: str, *command: str) -> str:
    done = subprocess.run(
        command, input=words, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    if done.returncode:
        raise CheckError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _documents(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    while text := text.strip():
        found, end = decoder.raw_decode(text)
        yield found
        text = text[end:]


def links_of(links: list[dict[str, Any]]) -> Dump:
    """Return links with their addresses, of `ip -d -j address`."""
    found = {}
    for link in filter(None, links):
        seen = {key: link[key] for key in LINK_KEYS if key in link}
        info = link.get("linkinfo", {})
        keys = INFO_KEYS[:1] if info.get("info_kind") == "bridge" else INFO_KEYS  # it has timers
        seen |= {key: info[key] for key in keys if key in info}
        seen["up"] = "UP" in link["flags"]
        found[f"link {link['ifname']}"] = _text(seen)
        addresses = [_address(one) for one in link.get("addr_info", ())]
        found[f"addresses of {link['ifname']}"] = ", ".join(sorted(addresses))
    return found


def _address(address: dict[str, Any]) -> str:
    if address["local"].startswith("fe80:"):
        return "link-local"
    return _text({key: address[key] for key in ADDRESS_KEYS if key in address})


def routes_of(routes: list[dict[str, Any]]) -> Dump:
    """Return routes, of `ip -d -j route show table all`, but for the kernel's own table."""
    found = {}
    for route in filter(None, routes):
        if route.get("table") == "local" or route["dst"].startswith("fe80:"):
            continue
        where = f"table {route.get('table', 'main')} dev {route.get('dev', '-')}"
        key = f"route {route['dst']} {where} metric {route.get('metric', 0)}"
        found[key] = _text({name: route[name] for name in ROUTE_KEYS if name in route})
    return found


def rules_of(rules: list[dict[str, Any]]) -> Dump:
    """Return rules, of `ip -j rule`."""
    return {f"rule {rule['priority']}": _text(rule) for rule in rules}


def ruleset_of(ruleset: dict[str, Any]) -> Dump:
    """Return the ruleset of nftables, of `nft -j list ruleset`, each element for itself."""
    found = {}
    for item in ruleset["nftables"]:
        ((what, thing),) = item.items()
        if what == "metainfo":
            continue
        thing.pop("handle", None)
        for one in thing.get("expr", ()):
            if isinstance(one.get("counter"), dict):
                one["counter"] = "counts"  # what passes meanwhile is no difference
        elements = thing.pop("elem", [])
        place = " ".join(str(thing.get(key, "")) for key in ("family", "table", "chain"))
        name = thing.get("name", "") if what != "rule" else _text(thing)
        found[f"{what} {place} {name}"] = "there" if what == "rule" else _text(thing)
        found |= {f"element {place} {name} {_text(element)}": "there" for element in elements}
    return found


def _settings(names: list[str]) -> Iterator[tuple[str, str]]:
    """Read all settings of links, below /proc/sys/net."""
    for name in names:
        for family in ("ipv4", "ipv6"):
            folder = Path(f"/proc/sys/net/{family}/conf/{name}")
            for file in folder.iterdir() if folder.is_dir() else ():
                if file.name not in VOLATILE:
                    yield f"setting {family} {name} {file.name}", file.read_text().strip()


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)
