"""Commands: operations of a plan as the command lines with which a person would do them. Pure.

Rules of this file:

* A line can be pasted into a root shell: whatever is no plain word is quoted.
* vtid runs none of them: it speaks netlink, and changes many things in one message. What the lines
  leave behind is the same, but for the mark of vtid's addresses (IFA_PROTO), which iproute2 6.1
  cannot set. An nftables element that is there already has to be deleted first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vtid.ctl.client import Json

GROUP = "0x76746964"
"""IFLA_GROUP of vtid's links."""
PROTOCOL = "118"
"""rtm_protocol of vtid's routes."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:%@+=,-")
_MAPS = (("mss4_out", "mss4"), ("mss4_in", "mss4"), ("mss6_out", "mss6"), ("mss6_in", "mss6"))
_KEYS = frozenset({"local", "remote", "ikey", "okey", "if_id"})


def commands(op: Json) -> Iterator[str]:
    """Yield the lines of an operation; one that vtid does not know is shown as it is."""
    write = _WRITERS.get(op["op"])
    if write:
        yield from write(op)
    else:
        yield f"# {op['op']}"


def quoted(word: str) -> str:
    """Return a word as a POSIX shell takes it."""
    if word and _PLAIN.issuperset(word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def _line(netns: str, tool: str, *words: object) -> str:
    inside = [] if not netns else ["ip", "netns", "exec", netns]
    if tool == "ip" and netns:
        return " ".join(("ip -n", quoted(netns), *(quoted(str(word)) for word in words)))
    return " ".join(quoted(str(word)) for word in (*inside, tool, *words))


# --- links ---------------------------------------------------------------------------------------


def _create(op: Json) -> Iterator[str]:
    link = op["link"]
    netns, name = link["netns"], link["name"]
    place = ("netns", netns) if netns else ()
    common = ("mtu", link["mtu"], "group", GROUP)
    # made in vtid's own namespace, where the outer side stays
    yield _line("", "ip", "link", "add", name, *common, *place, *_kind(link))
    yield _line(netns, "ip", "link", "set", "dev", name, "alias", link["alias"])
    if link["vrf"]:
        yield _line(netns, "ip", "link", "set", "dev", name, "master", link["vrf"])
    if not link["link_local"]:
        yield _line(netns, "ip", "link", "set", "dev", name, "addrgenmode", "none")
    yield from _settings(link, ("disable_policy", "rp_filter", "sysctls"))


def _adopt(op: Json) -> Iterator[str]:
    link = op["link"]
    words = ("link", "set", "dev", link["name"], "group", GROUP, "alias", link["alias"])
    yield _line(link["netns"], "ip", *words)


def _kind(link: Json) -> tuple[object, ...]:
    if link["kind"] == "xfrm":
        return "type", "xfrm", "if_id", link["if_id"]
    ends = ("local", link["local"], "remote", link["remote"])
    return "type", link["kind"], *ends, "ikey", link["ikey"], "okey", link["okey"]


def _set(op: Json) -> Iterator[str]:
    link, changes = op["link"], op["changes"]
    netns, name = link["netns"], link["name"]
    if _KEYS.intersection(changes):
        yield _line(netns, "ip", "link", "set", "dev", name, *_kind(link))
    if "mtu" in changes or _KEYS.intersection(changes):
        yield _line(netns, "ip", "link", "set", "dev", name, "mtu", link["mtu"])
    if "alias" in changes:
        yield _line(netns, "ip", "link", "set", "dev", name, "alias", link["alias"])
    if "vrf" in changes:
        master = ("master", link["vrf"]) if link["vrf"] else ("nomaster",)
        yield _line(netns, "ip", "link", "set", "dev", name, *master)
    if "link_local" in changes:
        mode = "eui64" if link["link_local"] else "none"
        yield _line(netns, "ip", "link", "set", "dev", name, "addrgenmode", mode)
    yield from _settings(link, changes)


def _settings(link: Json, names: tuple[str, ...]) -> Iterator[str]:
    values = [
        (f"ipv4.{name}", int(link[name]))
        for name in ("disable_policy", "rp_filter")
        if name in names
    ]
    values += [tuple(pair) for pair in link["sysctls"]] if "sysctls" in names else []
    for name, value in values:
        family, _, key = name.partition(".")
        # with slashes: an interface's name may have a dot
        path = f"net/{family}/conf/{link['name']}/{key}={value}"
        yield _line(link["netns"], "sysctl", "-w", path)


def _delete(op: Json) -> Iterator[str]:
    yield _line(op["netns"], "ip", "link", "del", "dev", op["name"])


def _set_up(op: Json) -> Iterator[str]:
    state = "up" if op["up"] else "down"
    yield _line(op["netns"], "ip", "link", "set", "dev", op["name"], state)


# --- addresses and routes ------------------------------------------------------------------------


def _address(verb: str) -> Callable[[Json], Iterator[str]]:
    def write(op: Json) -> Iterator[str]:
        words: list[object] = ["address", verb, *op["address"].split(), "dev", op["interface"]]
        if verb == "add" and ":" in op["address"]:
            words.append("nodad")
        yield _line(op["netns"], "ip", *words)

    return write


def _route(verb: str) -> Callable[[Json], Iterator[str]]:
    def write(op: Json) -> Iterator[str]:
        route = op["route"]
        words: list[object] = ["route", verb, route["to"], "dev", op["interface"]]
        words += ["proto", PROTOCOL]
        words += ["metric", route["metric"]] if route["metric"] else []
        words += ["table", route["table"]] if route["table"] else []
        yield _line(op["netns"], "ip", *words)

    return write


def _look_up(op: Json) -> Iterator[str]:
    yield _line("", "ip", "route", "get", op["remote"], "from", op["local"])


# --- nftables and BIRD ---------------------------------------------------------------------------


def _clamp(op: Json) -> Iterator[str]:
    for name, family in _MAPS:
        element = f'{{ "{op["interface"]}" : {op["clamp"][family]} }}'
        yield _line(op["netns"], "nft", f"add element inet vtid {name} {element}")


def _unclamp(op: Json) -> Iterator[str]:
    for name, _ in _MAPS:
        element = f'{{ "{op["interface"]}" }}'
        yield _line(op["netns"], "nft", f"delete element inet vtid {name} {element}")


def _switch(op: Json) -> Iterator[str]:
    """Write what the file does not say: the rest is in its diff."""
    for session, on in op["block"]["switched"]:
        yield _line("", "birdc", "enable" if on else "disable", session)


def _nothing(_op: Json) -> Iterator[str]:
    return iter(())


_WRITERS: dict[str, Callable[[Json], Iterator[str]]] = {
    "ProbeUnderlay": _look_up,
    "DeleteLink": _delete,
    "DeleteClamp": _unclamp,
    "CreateLink": _create,
    "AdoptLink": _adopt,
    "SetLink": _set,
    "SetUp": _set_up,
    "AddAddress": _address("add"),
    "DeleteAddress": _address("del"),
    "SetClamp": _clamp,
    "AddRoute": _route("add"),
    "DeleteRoute": _route("del"),
    "PutBird": _switch,
    "DeleteBird": _nothing,
}
"""By the name of the operation."""
