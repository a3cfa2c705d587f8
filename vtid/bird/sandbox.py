"""Sandbox: what vtid takes of Jinja2, and what a template may do there.

Rules of this file:

* It is imported when the first template is compiled: a vtid that has just started, or has no BIRD,
  needs none of it. Nothing else of `vtid.bird` imports Jinja2.
* Templates are sandboxed, and an unknown variable is an error (StrictUndefined).
* Every value that leaves an expression is made safe by its place (`autoescape`): nothing has
  to be escaped, and none can be missed. Filters say what a text is where code needs more
  than a string: `{{ vars.filter|symbol }}`, `{{ vars.peer|address }}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from vtid.bird import autoescape as place
from vtid.bird.quote import RenderError, address, interface, policy, prefix, quoted, symbol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jinja2 import Template

FILTERS = {
    "address": address,
    "interface": interface,
    "policy": policy,
    "prefix": prefix,
    "quoted": quoted,
    "symbol": symbol,
}


class _Captured(str):
    """The result of a macro or a block: text of the template with its values marked already."""

    __slots__ = ()


class _Environment(ImmutableSandboxedEnvironment):
    @staticmethod
    def concat(parts: Iterable[str]) -> str:
        return _Captured("".join(parts))


def compiled(source: str, name: str) -> Template:
    """Compile a template; raises RenderError if it is not valid Jinja2."""
    environment = _Environment(undefined=StrictUndefined, finalize=_finalize)
    environment.filters.update(FILTERS)
    try:
        code = environment.compile(source, name, name)
    except TemplateSyntaxError as error:
        raise RenderError(f"{name}:{error.lineno}: {error.message}") from error
    return environment.template_class.from_code(environment, code, environment.make_globals(None))


def _finalize(value: object) -> object:
    """Mark the value of an expression; Jinja2 calls this for each."""
    if isinstance(value, StrictUndefined):
        return str(value)  # raises UndefinedError, which names what is missing
    return value if type(value) is _Captured else place.hole(value)
