"""Routes: the API as one table, from which the server and its OpenAPI document are made. Pure.

Rule of this file: a route is here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from vtid.http.answers import BirdFiles, EventRecord, Gap, Names, Recent, TunnelList
from vtid.http.api import (
    AdoptResult,
    BgpList,
    FlushResult,
    LogLevels,
    ModeResult,
    Plan,
    ReloadResult,
    ResyncResult,
    SaList,
)
from vtid.model.levels import Subsystem
from vtid.model.mode import Mode
from vtid.model.status import Status, Summary, TunnelDetails

TEXT, JSON, EVENTS = "text/plain", "application/json", "text/event-stream"

READ, CONTROL = "read", "control"
"""Whether the read-only socket has it."""

LONGEST = 7 * 86400.0
"""Seconds for which a log level can be set."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a request."""

    name: str
    text: str
    kind: Any = str
    """Its type; of one in the query that may come several times, `tuple[str, ...]`."""
    place: str = "query"
    """`query`, `path` or `header`."""
    is_required: bool = False
    limits: tuple[float, float] | None = None
    """The least and the largest number that it may be."""


@dataclass(frozen=True, slots=True)
class Route:
    """A request that the control socket answers."""

    method: str
    path: str
    handler: str
    """Name of the method that answers, and of the operation in the document."""
    text: str
    answer: Any
    """Type of the answer; of an event stream, that of an event's data."""
    media: str = JSON
    tag: str = READ
    body: str = ""
    """What the body is, a text; empty where there is none."""
    parameters: tuple[Parameter, ...] = ()
    also: tuple[tuple[int, str], ...] = ()
    """Other statuses with the same type of answer, each with what it means."""
    refusals: tuple[tuple[int, str], ...] = ()
    """Statuses with an error, each with what it means."""

    @property
    def is_change(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET"

    @property
    def pattern(self) -> str:
        """The path as the server's router has it: the name of a tunnel may have a `/`."""
        return self.path.replace("{name}", "{name:.+}")


_NO_TUNNEL = (404, "There is no tunnel of that name.")
_SINCE = (
    "The `id` of an event: those behind it. `all`: with all that are kept. None: those to come."
)

HEALTH = (
    Route("GET", "/metrics", "metrics", "Metrics for Prometheus, or as OpenMetrics.", str, TEXT),
    Route("GET", "/livez", "livez", "Whether the event loop runs.", str, TEXT),
    Route(
        "GET",
        "/readyz",
        "readyz",
        "Whether everything that vtid watches is connected, or known to be absent.",
        str,
        TEXT,
        also=((503, "It is not; the lines say what is missing."),),
    ),
)
"""What every listener has."""

LOOK = (
    Route("GET", "/v1/status", "status", "Everything that vtid knows.", Status),
    Route(
        "GET",
        "/v1/summary",
        "summary",
        "The daemon on one screen; the cost does not depend on the number of tunnels.",
        Summary,
    ),
    Route(
        "GET",
        "/v1/tunnels",
        "tunnels",
        "Tunnels with their counters.",
        TunnelList,
        parameters=(
            Parameter("state", "Only those in one of these states, with commas between them."),
            Parameter("peer", "Only those with this address or identity; may have wildcards."),
            Parameter("policy", "Only those of this `CONNECTION` or `CONNECTION/CHILD`; as above."),
        ),
    ),
    Route(
        "GET",
        "/v1/tunnels/{name}",
        "tunnel",
        "One tunnel, with its last operations.",
        TunnelDetails,
        parameters=(
            Parameter(
                "name",
                "Its label, or its interface after `NETNS/`.",
                place="path",
                is_required=True,
            ),
        ),
        refusals=(_NO_TUNNEL,),
    ),
    Route("GET", "/v1/names", "names", "The names of all tunnels.", Names),
    Route(
        "GET",
        "/v1/sas",
        "sas",
        "The SAs that charon has now.",
        SaList,
        parameters=(
            Parameter("tunnel", "Only those of a tunnel."),
            Parameter("peer", "Only those of a peer, by address or identity; `*` is any text."),
        ),
        refusals=(_NO_TUNNEL, (503, "charon does not answer.")),
    ),
    Route(
        "GET",
        "/v1/bgp",
        "bgp",
        "The BGP sessions, also those that BIRD does not have.",
        BgpList,
        parameters=(Parameter("tunnel", "Only those of a tunnel."),),
        refusals=(_NO_TUNNEL,),
    ),
    Route("GET", "/v1/plan", "plan", "What a full pass would do now.", Plan),
    Route("GET", "/v1/recent", "recent", "The last inputs and events, for a bug report.", Recent),
    Route(
        "GET",
        "/v1/events",
        "events",
        "What happens, as it happens, as server-sent events. Each has its ID; a message of type "
        "`gap` says that some are missing, and why.",
        EventRecord | Gap,
        EVENTS,
        parameters=(
            Parameter("since", _SINCE),
            Parameter(
                "tunnel",
                "Only what is about this tunnel; may come several times.",
                tuple[str, ...],
            ),
            Parameter("Last-Event-ID", "As `since`, and counts more.", place="header"),
        ),
        refusals=((400, "That is no ID of an event."),),
    ),
    Route("GET", "/v1/openapi.json", "openapi", "This document.", dict[str, Any]),
)
"""What changes nothing and shows no secret: the control socket and the read-only one have it."""

CHANGES = (
    Route(
        "GET",
        "/v1/bird/files",
        "bird_files",
        "What should be in the include files of BIRD, and how they differ from it.",
        BirdFiles,
        tag=CONTROL,
        parameters=(
            Parameter("bird", "Only that of the `[[bird]]` with this name."),
            Parameter("passwords", "`yes` shows the passwords of BGP sessions."),
        ),
        refusals=((404, "There is no `[[bird]]` of that name."),),
    ),
    Route(
        "POST",
        "/v1/plan",
        "plan_for",
        "What a reload would do with another configuration, without doing it.",
        Plan,
        tag=CONTROL,
        body="The configuration in TOML. A line of NUL and `file: NAME` begins one of conf.d.",
        parameters=(Parameter("file", "What errors call the file."),),
        also=((422, "It would be refused; `errors` has all that is wrong."),),
        refusals=((400, "It is not UTF-8."),),
    ),
    Route("GET", "/v1/log-level", "log_levels", "The log levels.", LogLevels, tag=CONTROL),
    Route(
        "POST",
        "/v1/log-level",
        "set_log_level",
        "Change the log level of vtid, or of one subsystem, until the next reload.",
        LogLevels,
        tag=CONTROL,
        parameters=(
            Parameter(
                "level",
                "`default` restores the configured one.",
                Literal["debug", "info", "warning", "error", "default"],
                is_required=True,
            ),
            Parameter("subsystem", "Only that of a subsystem.", Subsystem),
            Parameter(
                "seconds",
                "Return after that many seconds, a week at most; 0: do not.",
                float,
                limits=(0.0, LONGEST),
            ),
        ),
        refusals=((400, "There is no such level or subsystem, or the time is wrong."),),
    ),
    Route(
        "POST",
        "/v1/reload",
        "reload",
        "Read the configuration again and follow it.",
        ReloadResult,
        tag=CONTROL,
        also=((422, "It was refused, and changes nothing; `errors` has all that is wrong."),),
    ),
    Route(
        "POST",
        "/v1/flush",
        "flush",
        "Remove everything that is vtid's, until the next reload.",
        FlushResult,
        tag=CONTROL,
    ),
    Route(
        "POST",
        "/v1/resync",
        "resync",
        "List everything again, and correct what is not as it should be.",
        ResyncResult,
        tag=CONTROL,
    ),
    Route(
        "POST",
        "/v1/mode",
        "mode",
        "Pause, drain or resume tunnels.",
        ModeResult,
        tag=CONTROL,
        parameters=(
            Parameter("mode", "What they are to be.", Mode, is_required=True),
            Parameter(
                "tunnel",
                "A tunnel; may come several times. None: all, also those that come later.",
                tuple[str, ...],
            ),
        ),
        refusals=((400, "There is no such mode."), _NO_TUNNEL),
    ),
    Route(
        "POST",
        "/v1/adopt",
        "adopt",
        "Make interfaces that somebody else made vtid's own, where they are what a policy wants.",
        AdoptResult,
        tag=CONTROL,
        parameters=(
            Parameter(
                "interface",
                "An interface, after `NETNS/`; may come several times. None: all that are wanted.",
                tuple[str, ...],
            ),
        ),
    ),
)
"""What the control socket alone has."""

ALL = (*HEALTH, *LOOK, *CHANGES)
