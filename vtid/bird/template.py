"""Templates: Jinja2 that turns a tunnel and its sessions into BIRD's configuration.

Two come with vtid, `bgp` for BIRD 2 and 3 and `bgp-1.6` for BIRD 1.6; any other is the operator's
own file. All see what `vtid.bird.context` says.

Rules of this file:

* Templates are sandboxed, and every value is made safe by its place (`sandbox`, `autoescape`).
* An error is one line, `FILE:LINE: what`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from traceback import walk_tb
from typing import TYPE_CHECKING

from vtid.bird import autoescape as place
from vtid.bird.files import read_text
from vtid.bird.quote import RenderError

if TYPE_CHECKING:
    from types import TracebackType

_MOST = 1024 * 1024
"""Bytes of an operator's template."""

SHIPPED = {"bgp": "bgp.conf.j2", "bgp-1.6": "bgp-1.6.conf.j2"}
"""Templates that come with vtid: their names in `[[bird]] template`, and their files."""


class Template:
    """A compiled template. `str()` of it is its file's name, for messages."""

    def __init__(self, source: str, name: str) -> None:
        """Compile `source`; raises RenderError if it is not valid Jinja2."""
        self._name = name
        if found := place.MARKS.search(source):
            raise RenderError(f"{name}: {found[0]!r} is no character for a template")
        from vtid.bird import sandbox  # noqa: PLC0415 - see there

        self._template = sandbox.compiled(source, name)

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


def _line(traceback: TracebackType | None, name: str) -> int:
    """Return the line of the template that raised an error, from Jinja2's traceback."""
    lines = [line for frame, line in walk_tb(traceback) if frame.f_code.co_filename == name]
    return lines[-1] if lines else 0
