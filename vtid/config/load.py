"""Configuration: TOML text to a frozen `Config`, or every error with its key path and line.

Rules of this file:

* Pure: it does not look at the machine, and reads no file; who reads password files is handed in.
* Unknown keys are errors. Every key's default stands here and in `etc/vtid.toml`, and a test
  holds the two together.
* `[defaults]` is merged into each `[[tunnel]]` before validation, so a tunnel read from here has
  every key set.
* A rule about one value belongs to its type in `types`, a rule about several keys to `checks`.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from vtid.config.bgp import SECRETS, Bgp, DefaultBgp
from vtid.config.checks import (
    Finding,
    check_bird_names,
    check_birds,
    check_default_session,
    check_metrics,
    check_one_family_daemons,
    check_sessions,
    check_tunnels,
)
from vtid.config.declared import check_presence
from vtid.config.keys import Bird, Config, Defaults, Policy
from vtid.config.passwords import ReadPassword, read_passwords
from vtid.config.probe import DefaultProbe, Probe
from vtid.config.toml_lines import Path, line_of, locate
from vtid.config.types import ONE_FAMILY_TEMPLATE, Table, family_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_Model = TypeVar("_Model", bound=Table)


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

    def __str__(self) -> str:
        place = f"line {self.line}" if self.line else ""
        return ": ".join(part for part in (place, self.key, self.message) if part)

    def format(self, filename: str) -> str:
        """Return `FILE:LINE:COLUMN: key: message`, leaving out what is not known."""
        place = ":".join(str(part) for part in (filename, self.line, self.column) if part)
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
    """Read a configuration from TOML text.

    `read_password` returns what is in a `password_file`; without it, none is read. Raises
    `ConfigError` with everything that is wrong with it: either the one syntax error that
    hides the rest, or the problems of all tables. Rules that several keys of one table have to
    keep are checked once its own required keys are valid.
    """
    document = _parse(text)
    reader = _Reader(document)
    config = reader.read(read_password)
    if reader.findings:
        raise ConfigError(_problems(reader.findings, document, locate(text)))
    return config


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise ConfigError((_syntax_problem(str(error), text),)) from None
    except RecursionError:
        raise ConfigError((Problem("", "not TOML that can be read: nested too deep"),)) from None


def _syntax_problem(message: str, text: str) -> Problem:
    found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", message, re.DOTALL)
    if found:
        return Problem("", f"not TOML: {found[1]}", int(found[2]), int(found[3]))
    return Problem("", f"not TOML: {message}", text.count("\n") + 1)


class _Reader:
    """Validates the tables of a document one by one and collects what it finds wrong.

    `[defaults]` comes first, so that what is wrong there is found there first.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.findings: list[Finding] = []

    def read(self, read_password: ReadPassword | None) -> Config:
        """Return the configuration; it counts only when there are no findings."""
        raw_birds, raw_tunnels = self._array("bird"), self._array("tunnel")
        names = [bird["name"] for bird in raw_birds if isinstance(_child(bird, "name"), str)]
        defaults = self._table(Defaults, self.document.get("defaults", {}), ("defaults",))
        shared = defaults.model_dump(exclude_unset=True, by_alias=True) if defaults else {}
        session = {"bird": "", **shared.pop("bgp", {})}
        only = names[0] if len(names) == 1 else ""
        daemons = [
            _child(b, "name") for b in raw_birds if _child(b, "template") == ONE_FAMILY_TEMPLATE
        ]
        merged = [_merge(raw, shared, session, only, daemons) for raw in raw_tunnels]
        policies = self._tables(Policy, "tunnel", merged)
        birds = self._tables(Bird, "bird", raw_birds)
        config = self._table(Config, _without(self.document, _READ_APART), ()) or Config()
        if not any(path[0] == "metrics" for path, _ in self.findings):
            self.findings += check_metrics(config.metrics)
        self.findings += [*check_birds(birds), *check_tunnels(policies), *check_sessions(policies)]
        bad = {path for path, _ in self.findings}
        self.findings += [found for found in check_presence(policies) if found[0] not in bad]
        self.findings += check_one_family_daemons(policies, birds)
        self.findings += check_default_session(defaults)
        if read_password:
            policies, unread = read_passwords(policies, read_password)
            self.findings += unread
        if len(names) == len(raw_birds):
            self.findings += check_bird_names(policies, names)
        tables = {"policies": tuple(policies.values()), "birds": tuple(birds.values())}
        return config.model_copy(update=tables | {"defaults": defaults or Defaults()})

    def _array(self, key: str) -> list[Any]:
        raw = self.document.get(key, [])
        if isinstance(raw, list):
            return raw
        self.findings.append(((key,), f"has to be an array of tables: write [[{key}]]"))
        return []

    def _tables(self, model: type[_Model], key: str, raw: list[Any]) -> dict[int, _Model]:
        """Validate an array of tables; the good ones come back under their index."""
        found = ((index, self._table(model, item, (key, index))) for index, item in enumerate(raw))
        return {index: table for index, table in found if table is not None}

    def _table(self, model: type[_Model], raw: object, path: Path) -> _Model | None:
        """Validate one table. Without its bad keys, it may still be good for further checks."""
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            errors = error.errors(include_url=False)
        self.findings += [((*path, *found["loc"]), _message(found, model)) for found in errors]
        bad = [found["loc"] for found in errors]
        if not isinstance(raw, dict) or () in bad:
            return None
        try:
            return model.model_validate(_without(raw, bad))
        except ValidationError:
            return None


_READ_APART: tuple[Path, ...] = (("defaults",), ("tunnel",), ("bird",))


def _merge(
    table: object,
    shared: Mapping[str, Any],
    session: Mapping[str, Any],
    only_bird: str,
    one_family: Sequence[object],
) -> object:
    """Return a tunnel's table with what it leaves out; one session stands for a list of one."""
    if not isinstance(table, dict):
        return table
    merged = {**shared, **table}
    if isinstance(table.get("vars"), dict):
        merged["vars"] = {**dict(shared.get("vars", ())), **table["vars"]}
    if isinstance(table.get("probe"), dict):
        merged["probe"] = {**shared.get("probe", {}), **table["probe"]}
    bgp = merged.get("bgp", [])
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


# --- wording -------------------------------------------------------------------------------------

_WORDING = {
    "missing": "is missing",
    "model_type": "has to be a table",
    "tuple_type": "has to be an array",
    "string_type": "has to be a string",
    "int_type": "has to be a whole number",
    "bool_type": "has to be true or false",
    "greater_than_equal": "has to be {ge} or more",
    "less_than_equal": "has to be {le} or less",
    "literal_error": "has to be {expected}",
    "enum": "has to be {expected}",
    "value_error": "{error}",
}


def _message(found: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Return what pydantic found, in words that fit a configuration file."""
    if found["type"] == "extra_forbidden":
        return _unknown_key(str(found["loc"][-1]), _known_keys(model, found["loc"][:-1]), model)
    wording = _WORDING.get(found["type"])
    return wording.format(**found.get("ctx", {})) if wording else str(found["msg"])


def _unknown_key(key: str, known: list[str], model: type[BaseModel]) -> str:
    if model is Defaults and key in _OF_ONE_TUNNEL:
        return "belongs to one tunnel and cannot be a default"
    near = difflib.get_close_matches(key, known, n=1)
    hint = f'did you mean "{near[0]}"?' if near else "known here: " + ", ".join(sorted(known))
    return f"unknown key; {hint}"


_OF_ONE_TUNNEL = (
    Policy.model_fields.keys() | Bgp.model_fields.keys() | Probe.model_fields.keys()
) - (
    Defaults.model_fields.keys() | DefaultBgp.model_fields.keys() | DefaultProbe.model_fields.keys()
)


def _known_keys(model: type[BaseModel], path: Path) -> list[str]:
    """Return the keys of the table at `path` below `model`."""
    for key in (step for step in path if isinstance(step, str)):
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        model = _table_in(fields[key].annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _table_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_table_in, get_args(annotation))), None)


# --- where it stands -----------------------------------------------------------------------------


def _problems(
    findings: list[Finding], document: dict[str, Any], lines: dict[Path, int]
) -> tuple[Problem, ...]:
    """Give findings their key and line, in the order of the text.

    What policies have from `[defaults]` is said once, there.
    """
    problems: dict[object, Problem] = {}
    for path, message in findings:
        origin = _origin(path, document)
        problem = Problem(_dotted(origin), message, line_of(lines, origin))
        problems.setdefault(origin if origin[0] == "defaults" else problem, problem)
    return tuple(sorted(problems.values(), key=lambda problem: problem.line or 0))


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
