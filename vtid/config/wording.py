"""Wording: what pydantic finds wrong, in words that fit a configuration file. Pure."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from vtid.config.bgp import Bgp, DefaultBgp
from vtid.config.keys import Defaults, Policy
from vtid.config.probe import DefaultProbe, Probe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vtid.config.toml_lines import Path

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


def message(found: Mapping[str, Any], model: type[BaseModel]) -> str:
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
