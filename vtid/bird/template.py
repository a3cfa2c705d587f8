"""Templates: Jinja2 that turns a tunnel and its sessions into BIRD's configuration.

Two come with vtid, `bgp` for BIRD 2 and 3 and `bgp-1.6` for BIRD 1.6; any other is the operator's
own file. All see what `vtid.bird.context` says.

Rules of this file:

* Templates are sandboxed, and an unknown variable is an error (StrictUndefined).
* Every value that leaves an expression is made safe by its place (`autoescape`): nothing has
  to be escaped, and none can be missed. Filters say what a text is where code needs more
  than a string: `{{ vars.filter|symbol }}`, `{{ vars.peer|address }}`.
* An error is one line, `FILE:LINE: what`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from traceback import walk_tb
from typing import TYPE_CHECKING

from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from vtid.bird import autoescape as place
from vtid.bird.files import read_text
from vtid.bird.quote import RenderError, address, interface, policy, prefix, quoted, symbol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

_MOST = 1024 * 1024
"""Bytes of an operator's template."""

SHIPPED = {"bgp": "bgp.conf.j2", "bgp-1.6": "bgp-1.6.conf.j2"}
"""Templates that come with vtid: their names in `[[bird]] template`, and their files."""

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


class Template:
    """A compiled template. `str()` of it is its file's name, for messages."""

    def __init__(self, source: str, name: str) -> None:
        """Compile `source`; raises RenderError if it is not valid Jinja2."""
        self._name = name
        if found := place.MARKS.search(source):
            raise RenderError(f"{name}: {found[0]!r} is no character for a template")
        environment = _Environment(undefined=StrictUndefined, finalize=_finalize)
        environment.filters.update(FILTERS)
        try:
            code = environment.compile(source, name, name)
        except TemplateSyntaxError as error:
            raise RenderError(f"{name}:{error.lineno}: {error.message}") from error
        self._template = environment.template_class.from_code(
            environment, code, environment.make_globals(None)
        )

    def __str__(self) -> str:
        return self._name

    def fill(self, **context: object) -> str:
        """Return the template's text with these values; raises RenderError with its line."""
        try:
            text = self._template.render(context)
        except Exception as error:  # a template can raise anything
            where = f"{self._name}:{_line(error.__traceback__, self._name)}"
            raise RenderError(f"{where}: {error or type(error).__name__}") from error
        try:
            return place.fill(text)
        except RenderError as error:
            raise RenderError(f"{self._name}: {error}") from error


@cache
def shipped(name: str) -> Template:
    """Return a template that comes with vtid; raises KeyError if there is none of this name."""
    path = files("vtid.bird").joinpath("templates", SHIPPED[name])
    return Template(path.read_text("utf-8"), SHIPPED[name])


def load(path: str) -> Template:
    """Read and compile the operator's template; raises RenderError. It blocks."""
    try:
        return Template(read_text(path, _MOST), path)
    except OSError as error:
        reason = error.strerror
    except UnicodeDecodeError:
        reason = "not UTF-8"
    raise RenderError(f"cannot read {path}: {reason}: correct `template = ` under [[bird]]")


def _finalize(value: object) -> object:
    """Mark the value of an expression; Jinja2 calls this for each."""
    if isinstance(value, StrictUndefined):
        return str(value)  # raises UndefinedError, which names what is missing
    return value if type(value) is _Captured else place.hole(value)


def _line(traceback: TracebackType | None, name: str) -> int:
    """Return the line of the template that raised an error, from Jinja2's traceback."""
    lines = [line for frame, line in walk_tb(traceback) if frame.f_code.co_filename == name]
    return lines[-1] if lines else 0
