"""Configuration: TOML text to a frozen `Config`, or every error with its key path and line.

Rules of this file:

* Pure: it does not look at the machine, and reads no file; who reads password files is handed in.
* Unknown keys are errors. Every key's default stands here and in `etc/vtid.toml`, and a test
  holds the two together.
* What a `[[tunnel]]` leaves out is what `[defaults]` has, which is read once: policies share it.
* A rule about one value belongs to its type in `types`, a rule about several keys to `checks`.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from vtid.config.bgp import SECRETS, Bgp, DefaultBgp
from vtid.config.checks import (
    Finding,
    check_bird_names,
    check_birds,
    check_daemon,
    check_default_session,
    check_metrics,
    check_one_family_daemons,
    check_sessions,
    check_tunnels,
)
from vtid.config.declared import check_presence
from vtid.config.documents import Joined, Place, Source
from vtid.config.keys import Bird, Config, Defaults, Policy
from vtid.config.passwords import ReadPassword, read_passwords
from vtid.config.probe import DefaultProbe, Probe
from vtid.config.tables import Table, UnknownKeyError, findings, keys_of, read
from vtid.config.types import ONE_FAMILY_TEMPLATE, family_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vtid.config.toml_lines import Path

_Model = TypeVar("_Model", bound=Table)

_NOTHING: Mapping[str, Any] = {}


# --- errors --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a configuration, and the way out."""

    key: str
    """Path of the key, `tunnel[3].bgp.neighbor`; arrays count from 0. Empty for a syntax error."""
    message: str
    line: int | None = None
    """Counted from 1; None where nothing of the key is in the text."""
    column: int | None = None
    file: str = ""
    """The file it is in; empty where there is one text only, and its name is not known here."""

    def __str__(self) -> str:
        line = f"line {self.line}" if self.line else ""
        place = " ".join(filter(None, (self.file, line)))
        return ": ".join(part for part in (place, self.key, self.message) if part)

    def format(self, filename: str) -> str:
        """Return `FILE:LINE:COLUMN: key: message`, leaving out what is not known.

        `filename` is that of a text whose file is not known here.
        """
        file = self.file or filename
        place = ":".join(str(part) for part in (file, self.line, self.column) if part)
        return ": ".join(part for part in (place, self.key, self.message) if part)


class ConfigError(Exception):
    """A configuration is not good; `problems` has all that is wrong, in the order of the text."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    def format(self, filename: str) -> str:
        """Return one line `FILE:LINE: key.path: message` for each problem."""
        return "\n".join(problem.format(filename) for problem in self.problems)


# --- loading -------------------------------------------------------------------------------------


def load(text: str, read_password: ReadPassword | None = None) -> Config:
    """Read a configuration from TOML text, as `load_all` does."""
    return load_all([Source(text)], read_password)


def load_all(sources: Sequence[Source], read_password: ReadPassword | None = None) -> Config:
    """Read a configuration from one TOML text or several, of which `documents` says how they join.

    `read_password` returns what is in a `password_file`; without it, none is read. Raises
    `ConfigError` with everything that is wrong with it: either the syntax errors, one of each
    text, that hide the rest, or the problems of all tables. Rules that several keys of one table
    have to keep are checked once its own required keys are valid.
    """
    joined = Joined(_parse(sources))
    if joined.clashes and len(sources) > 1:
        raise ConfigError(tuple(_problem(place, wrong) for place, wrong in joined.clashes))
    reader = _Reader(joined)
    config = reader.read(read_password)
    if reader.findings or joined.clashes:
        raise ConfigError(_problems(reader.findings, joined))
    return config


def _parse(sources: Sequence[Source]) -> list[tuple[Source, dict[str, Any]]]:
    parsed, problems = [], []
    for source in sources:
        try:
            parsed.append((source, tomllib.loads(source.text)))
        except ValueError as error:
            problems.append(_syntax_problem(str(error), source))
        except RecursionError:
            deep = "not TOML that can be read: nested too deep"
            problems.append(Problem("", deep, file=source.file))
    if problems:
        raise ConfigError(tuple(problems))
    return parsed


def _syntax_problem(message: str, source: Source) -> Problem:
    found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", message, re.DOTALL)
    if found:
        place = (int(found[2]), int(found[3]))
        return Problem("", f"not TOML: {found[1]}", *place, file=source.file)
    return Problem("", f"not TOML: {message}", source.text.count("\n") + 1, file=source.file)


class _Reader:
    """Validates the tables of a document one by one and collects what it finds wrong.

    `[defaults]` comes first, so that what is wrong there is found there first.
    """

    def __init__(self, joined: Joined) -> None:
        self.document = joined.values
        self.name = joined.name
        self.findings: list[Finding] = []

    def read(self, read_password: ReadPassword | None) -> Config:
        """Return the configuration; it counts only when there are no findings."""
        raw_birds, raw_tunnels = self.document["bird"], self.document["tunnel"]
        names = [bird["name"] for bird in raw_birds if isinstance(_child(bird, "name"), str)]
        raw_defaults = self.document.get("defaults", {})
        defaults = self._table(Defaults, raw_defaults, ("defaults",)) or Defaults()
        bad = [path[1:] for path, _ in self.findings]
        shared = _without(raw_defaults, bad) if isinstance(raw_defaults, dict) else {}
        session = {"bird": "", **shared.pop("bgp", {})}
        given = {key: getattr(defaults, key) for key in shared}
        if "probe" in shared:
            given["probe"] = read(Probe, shared["probe"])
        shared["vars"] = dict(defaults.vars)
        only = names[0] if len(names) == 1 else ""
        daemons = [
            _child(b, "name") for b in raw_birds if _child(b, "template") == ONE_FAMILY_TEMPLATE
        ]
        merged = (_merge(raw, shared, session, only, daemons) for raw in raw_tunnels)
        found = self._tables(Policy, "tunnel", merged, given)
        policies = {index: policy.with_families() for index, policy in found.items()}
        birds = self._tables(Bird, "bird", raw_birds)
        config = self._table(Config, _without(self.document, _READ_APART), ()) or Config()
        if not any(path[0] == "metrics" for path, _ in self.findings):
            self.findings += check_metrics(config.metrics)
        if not any(path[0] == "daemon" for path, _ in self.findings):
            self.findings += check_daemon(config.daemon)
        self.findings += check_birds(birds, self.name)
        self.findings += check_tunnels(policies, self.name)
        self.findings += check_sessions(policies, self.name)
        told = {path for path, _ in self.findings}
        self.findings += [found for found in check_presence(policies) if found[0] not in told]
        self.findings += check_one_family_daemons(policies, birds, self.name)
        self.findings += check_default_session(defaults)
        if read_password:
            policies, unread = read_passwords(policies, read_password)
            self.findings += unread
        if len(names) == len(raw_birds):
            self.findings += check_bird_names(policies, names)
        return replace(
            config,
            policies=tuple(policies.values()),
            birds=tuple(birds.values()),
            defaults=defaults,
        )

    def _tables(
        self, model: type[_Model], key: str, raw: Iterable[Any], given: Mapping[str, Any] = _NOTHING
    ) -> dict[int, _Model]:
        """Validate an array of tables; the good ones come back under their index."""
        found = (
            (index, self._table(model, item, (key, index), given)) for index, item in enumerate(raw)
        )
        return {index: table for index, table in found if table is not None}

    def _table(
        self, model: type[_Model], raw: object, path: Path, given: Mapping[str, Any] = _NOTHING
    ) -> _Model | None:
        """Validate one table. Without its bad keys, it may still be good for further checks.

        `given` has what keys mean that it leaves out.
        """
        try:
            return read(model, raw, given)
        except ValueError as error:
            wrong = findings(error)
        self.findings += [((*path, *below), _message(why, model)) for below, why in wrong]
        if not isinstance(raw, dict):
            return None
        rest = {key: value for key, value in given.items() if key not in raw}
        try:
            return read(model, _without(raw, [below for below, _ in wrong]), rest)
        except ValueError:
            return None


def _message(why: ValueError, model: type[Table]) -> str:
    if model is Defaults and isinstance(why, UnknownKeyError) and why.key in _of_one_tunnel():
        return "belongs to one tunnel and cannot be a default"
    return str(why)


def _of_one_tunnel() -> set[str]:
    of_one, of_all = (Policy, Bgp, Probe), (Defaults, DefaultBgp, DefaultProbe)
    return {key for table in of_one for key in keys_of(table)}.difference(*map(keys_of, of_all))


_READ_APART: tuple[Path, ...] = (("defaults",), ("tunnel",), ("bird",))


def _merge(
    table: object,
    shared: Mapping[str, Any],
    session: Mapping[str, Any],
    only_bird: str,
    one_family: Sequence[object],
) -> object:
    """Return a tunnel's table with those in it complete; one session stands for a list of one."""
    if not isinstance(table, dict):
        return table
    merged = dict(table)
    if isinstance(table.get("vars"), dict):
        merged["vars"] = {**shared["vars"], **table["vars"]}
    if isinstance(table.get("probe"), dict):
        merged["probe"] = {**shared.get("probe", {}), **table["probe"]}
    bgp = merged.get("bgp")
    sessions = [bgp] if isinstance(bgp, dict) else bgp
    if isinstance(sessions, list):
        merged["bgp"] = [_merge_session(one, session, only_bird, one_family) for one in sessions]
    return merged


def _merge_session(
    table: object, session: Mapping[str, Any], only_bird: str, one_family: Sequence[object]
) -> object:
    """Complete a session; with a daemon of one family, that is the neighbour's."""
    if not isinstance(table, dict):
        return table
    replaced = SECRETS if SECRETS & table.keys() else frozenset()
    merged = {key: value for key, value in session.items() if key not in replaced} | table
    if merged["bird"] == "":
        merged["bird"] = only_bird
    neighbor = merged.get("neighbor")
    if merged["bird"] in one_family and not merged.get("families") and isinstance(neighbor, str):
        merged["families"] = [family_of(neighbor)]
    return merged


def _without(table: Mapping[str, Any], paths: Sequence[Path]) -> dict[str, Any]:
    """Return a copy of a table without the keys at `paths`, or the arrays that hold them."""
    kept = {}
    for key, value in table.items():
        below = [path[1:] for path in paths if path[0] == key]
        if not below:
            kept[key] = value
        elif isinstance(value, dict) and () not in below:
            kept[key] = _without(value, below)
    return kept


# --- where it stands -----------------------------------------------------------------------------


def _problems(findings: list[Finding], joined: Joined) -> tuple[Problem, ...]:
    """Give findings their key, file and line, in the order of the texts.

    What policies have from `[defaults]` is said once, there.
    """
    problems: dict[object, tuple[int, Problem]] = {}
    for place, wrong in joined.clashes:
        problems[place] = (place.source, _problem(place, wrong))
    for path, wrong in findings:
        origin = _origin(path, joined.values)
        place = joined.place(origin)
        problem = _problem(place, wrong)
        key = origin if origin[0] == "defaults" else problem
        problems.setdefault(key, (place.source, problem))
    in_order = sorted(problems.values(), key=lambda found: (found[0], found[1].line or 0))
    return tuple(problem for _, problem in in_order)


def _problem(place: Place, wrong: str) -> Problem:
    return Problem(_dotted(place.path), wrong, place.line, file=place.file)


def _origin(path: Path, document: dict[str, Any]) -> Path:
    """Return where in the document a value comes from, or where it should have been."""
    written, exists = _as_written(path, document)
    if path[0] == "tunnel" and not exists:
        default = ("defaults", *(step for step in path[2:] if isinstance(step, str)))
        if _as_written(default, document)[1]:
            return default
    return written


def _as_written(path: Path, document: object) -> tuple[Path, bool]:
    """Drop the index of a table that stands alone where an array of tables could stand.

    The second value tells whether the document has something there.
    """
    written: list[str | int] = []
    for step in path:
        if isinstance(step, int) and isinstance(document, dict):
            continue
        written.append(step)
        document = _child(document, step)
    return tuple(written), document is not None


def _child(document: object, step: str | int) -> object:
    if isinstance(document, dict):
        return document.get(step)
    if isinstance(document, list) and isinstance(step, int) and step < len(document):
        return document[step]
    return None


def _dotted(path: Path) -> str:
    keys = (f"[{step}]" if isinstance(step, int) else f".{_quoted(step)}" for step in path)
    return "".join(keys).lstrip(".")


def _quoted(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else repr(key)
