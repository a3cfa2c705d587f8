"""Negotiate: in which format, and in which coding, a client wants the metrics (RFC 9110). Pure.

Prometheus asks for OpenMetrics first and takes the older text format as well; a browser and curl
ask for anything, and get the older one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENMETRICS = "application/openmetrics-text"
TEXT = "text/plain"

VERSIONS = {OPENMETRICS: "1.0.0", TEXT: "0.0.4"}
"""What vtid writes of each format; a client that names no version takes it."""

_WILDCARDS = {"*/*": 0, "text/*": 1}


class _Choice(NamedTuple):
    name: str
    parameters: dict[str, str]
    weight: float


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header takes gzip (section 12.5.3)."""
    return any(one.name == "gzip" and one.weight > 0 for one in _choices(accept_encoding))


def wants_openmetrics(accept: str) -> bool:
    """Whether an Accept header prefers OpenMetrics to the text format (section 12.5.1)."""
    choices = list(_choices(accept))
    open_metrics = max((one.weight for one in choices if _is(one, OPENMETRICS)), default=0.0)
    return open_metrics > 0 and open_metrics >= _weight_of_text(choices)


def _weight_of_text(choices: list[_Choice]) -> float:
    """Return how much the text format is wanted: the most specific range that has it counts."""
    named = [one.weight for one in choices if _is(one, TEXT)]
    if named:
        return max(named)
    ranges = sorted((_WILDCARDS[one.name], one.weight) for one in choices if one.name in _WILDCARDS)
    return ranges[-1][1] if ranges else 0.0


def _is(choice: _Choice, media_type: str) -> bool:
    version = VERSIONS[media_type]
    return choice.name == media_type and choice.parameters.get("version", version) == version


def _choices(header: str) -> Iterator[_Choice]:
    for item in header.split(","):
        name, *rest = (part.strip().lower() for part in item.split(";"))
        pairs = (part.partition("=") for part in rest)
        parameters = {key.strip(): value.strip() for key, _, value in pairs}
        yield _Choice(name, parameters, _weight(parameters.pop("q", "1")))


def _weight(text: str) -> float:
    """Read a weight; what is none counts as 0, so that the client gets what is safe."""
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
