"""Refusal: which line and whose blocks BIRD's error message is about. Pure."""

from __future__ import annotations

import re
from pathlib import PurePath

from vtid.bird.preview import without_passwords
from vtid.bird.render import HEADER, line_at, parse, protocols
from vtid.bird.reply import printable
from vtid.model.input import BirdRefusal
from vtid.scrub import QUOTES_VARS

_PLACE = re.compile(r"(.+?):(\d+):\d+ ", re.ASCII)


def refusal(message: str, include: str, written: str, good: str) -> BirdRefusal:
    """Parse BIRD's `FILE:LINE:COLUMN message` about the file `include` with the text `written`.

    At fault are the blocks with the line of the message that the last good file does not have; or,
    where the line is in a block that BIRD had before, the new blocks that took its protocol's name.
    """
    where = _PLACE.match(message)
    if where is None or PurePath(where[1]).name != PurePath(include).name:
        return BirdRefusal(message)
    tunnel, line = line_at(written, int(where[2]))
    quoted = printable(without_passwords(line))
    blocks, before = parse(written), parse(good or HEADER)
    changed = {name: text for name, text in blocks.items() if text != before.get(name)}
    if tunnel not in changed:
        taken = protocols(line)
        rivals = (name for name, text in changed.items() if taken & protocols(text))
        return BirdRefusal(message, quoted, tuple(rivals))
    others = (name for name, text in changed.items() if name != tunnel and line in text.split("\n"))
    return BirdRefusal(message, quoted, (tunnel, *others))


def words(refused: BirdRefusal) -> str:
    """Write it for an operator; the line comes last, and with the mark: it may have `vars`."""
    text = refused.message
    if refused.tunnels:
        more = f" and {len(refused.tunnels) - 1} more" if len(refused.tunnels) > 1 else ""
        text += f" (tunnel {refused.tunnels[0]!r}{more}; all others go on)"
    return f"{text}; {QUOTES_VARS}`{refused.quoted}`" if refused.quoted else text
