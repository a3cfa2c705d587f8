"""Everything that a vtid tells, family by family: what rules, dashboard and docs may name."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.http.samples import BIRD, FULL, LOADED, PATTERN, UP, exposed, sa, status
from vtid.config.load import load
from vtid.daemon.daemon import Daemon
from vtid.esp.algorithms import EspAlgorithms
from vtid.http import metrics
from vtid.model.groups import Group
from vtid.model.status import Initiation, Status


class Family(NamedTuple):
    """A family with the labels that its series have."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str
    group: str
    """Empty where it cannot be switched off."""


def exposition(daemon: Daemon | None = None) -> str:
    """Return what a vtid with one tunnel of each state tells."""
    daemon = daemon or idle()
    daemon._telemetry.input("ChildUp")
    daemon._telemetry.op("CreateLink", "done")
    daemon._telemetry._errors.labels("tunnels", "vtid_tunnel_up")
    return daemon._telemetry.expose().decode() + exposed(picture())


def picture() -> Status:
    """Return a status in which each family of metrics has a sample."""
    wanted = Initiation("V2-1", "net", "vti1", up=True, asked=1)
    cbc = replace(sa(), esp=EspAlgorithms("AES_CBC", 256, "HMAC_SHA2_256_128", 256))
    return status(
        *(replace(UP, path_mtu=1446, sas=(cbc,)), *FULL.tunnels[1:]),
        patterns=(PATTERN,),
        initiations=(wanted,),
        birds=(BIRD,),
        alerts=(("peer-auth-failed", 2),),
        loaded=LOADED,
    )


def idle() -> Daemon:
    """Return a daemon that does not run."""
    return Daemon(load(""), Path("vtid.toml"))


@cache
def families() -> tuple[Family, ...]:
    """All families of vtid's own, in the order of the text."""
    daemon = idle()
    text, found = exposition(daemon), []
    read = {reading.name: reading for reading in daemon._readings()}
    groups = _groups()
    for name, words in re.findall(r"^# HELP (vtid_\S+) (.*)$", text, re.MULTILINE):
        kind = re.search(rf"^# TYPE {name} (\w+)$", text, re.MULTILINE)
        assert kind
        reading = read.get(name.removesuffix("_total"))
        labels = (reading and reading.labels) or _labels(name, text)
        group = reading.group if reading else groups.get(name, "")
        found.append(Family(name, kind[1], labels, words, group if group in set(Group) else ""))
    return tuple(found)


def _groups() -> dict[str, str]:
    """Collector of each family that is written of a status."""
    return {
        name: one
        for one in metrics.COLLECTORS
        for name in re.findall(
            r"^# TYPE (\S+)",
            exposed(picture(), disabled=set(metrics.COLLECTORS) - {one}),
            re.MULTILINE,
        )
    }


@cache
def series() -> frozenset[str]:
    """Names that a query may use: of a histogram, those of its series."""
    names = {one.name for one in families()}
    of_histograms = {
        f"{one.name}_{end}"
        for one in families()
        if one.kind == "histogram"
        for end in ("bucket", "sum", "count")
    }
    return frozenset(names | of_histograms)


def _labels(name: str, text: str) -> tuple[str, ...]:
    found = re.search(rf"^{name}\{{(.*)\}} \S+$", text, re.MULTILINE)
    return tuple(re.findall(r'(\w+)="', found[1])) if found else ()
