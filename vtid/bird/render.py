"""Render: the text of BIRD's include file, and the tunnels that a text names. Pure.

Rules of this file:

* A file is a header line and one block per tunnel between two marker lines, sorted by tunnel, so
  that equal sets of blocks are equal files. What does not begin with the header is not vtid's.
* A tunnel is rendered when it changes; the file is the blocks joined.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from vtid.bird.context import context
from vtid.bird.quote import RenderError
from vtid.bird.template import shipped
from vtid.scrub import QUOTES_VARS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vtid.bird.template import Template
    from vtid.model.bgp import BirdBlock

HEADER = "# Written by vtid from its sessions; do not edit, the next change replaces it.\n"
OWNED = "# Written by vtid "
"""How any file of ours begins, whichever version wrote it."""

BEGIN = "# vtid begin "
END = "# vtid end "

PROTOCOL = re.compile(
    r"^\s*protocol\s+bgp\s+'?([\w.:-]+)'?\s*(?:from\s+\S+\s*)?\{", re.ASCII | re.MULTILINE
)
"""How a BGP protocol begins; an operator's template may derive it from a template of BIRD's."""


def render(block: BirdBlock, template: Template | None = None) -> str:
    """Return the text of one tunnel's sessions, for BIRD 2 and 3 if no template is given.

    Raises RenderError, naming the tunnel.
    """
    template = template or shipped("bgp")
    try:
        text = template.fill(**context(block))
    except RenderError as error:
        raise RenderError(f"tunnel {block.tunnel!r}: {QUOTES_VARS}{error}") from error
    if any(line.startswith((BEGIN, END)) for line in text.splitlines()):
        raise RenderError(f"tunnel {block.tunnel!r}: {template}: a line begins like a mark of vtid")
    return text.strip("\n") + "\n"


def compose(blocks: Mapping[str, str]) -> str:
    """Return a whole include file from the text of each tunnel."""
    return HEADER + "".join(_marked(tunnel, blocks[tunnel]) for tunnel in sorted(blocks))


def _marked(tunnel: str, text: str) -> str:
    name = json.dumps(tunnel)
    return f"\n{BEGIN}{name}\n{text}{END}{name}\n"


def parse(text: str) -> dict[str, str]:
    """Return the text of each tunnel in an include file of ours: `parse(compose(x)) == x`.

    What is between the blocks is dropped, and so is a block without an end: something cut the
    file, and whose text that is cannot be known. Raises RenderError if the file is not vtid's.
    """
    if not text.startswith(OWNED):
        raise RenderError("not written by vtid")
    blocks: dict[str, list[str]] = {}
    tunnel: str | None = None
    for line in text.splitlines(keepends=True):
        if tunnel is not None and line.startswith(BEGIN):
            del blocks[tunnel]
            tunnel = None
        if tunnel is None:
            tunnel = _begun(line, blocks)
        elif line == f"{END}{json.dumps(tunnel)}\n":
            tunnel = None
        else:
            blocks[tunnel].append(line)
    if tunnel is not None:
        del blocks[tunnel]
    return {name: "".join(lines) for name, lines in blocks.items()}


def _begun(line: str, blocks: dict[str, list[str]]) -> str | None:
    """Open a block if `line` begins one."""
    if not line.startswith(BEGIN):
        return None
    try:
        tunnel = json.loads(line.removeprefix(BEGIN))
    except (ValueError, RecursionError) as error:
        raise RenderError(f"no tunnel name in {line.strip()!r}") from error
    if not isinstance(tunnel, str) or tunnel in blocks:
        raise RenderError(f"no new tunnel in {line.strip()!r}")
    blocks[tunnel] = []
    return tunnel


def line_at(text: str, number: int) -> tuple[str | None, str]:
    """Return the tunnel whose block has line `number` (from 1), and the line: for BIRD's errors."""
    lines = text.split("\n")[:number]
    marks = [line for line in lines if line.startswith((BEGIN, END))]
    if len(lines) < number or not marks or not marks[-1].startswith(BEGIN):
        return None, ""
    try:
        return str(json.loads(marks[-1].removeprefix(BEGIN))), lines[-1]
    except ValueError:  # a mark that somebody damaged
        return None, ""


def protocols(text: str) -> frozenset[str]:
    """Return the names of the BGP protocols that an include file defines."""
    return frozenset(PROTOCOL.findall(text))
