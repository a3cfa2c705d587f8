"""The man pages in man/, from the texts of the commands' own help and from etc/vtid.toml.

python -m tests.man       writes them; tests/test_man.py fails while they differ
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests import reference
from vtid import __main__ as vtid
from vtid.ctl import main as vtictl

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

FOLDER = Path(__file__).parents[1] / "man"

Parser = argparse.ArgumentParser

VTID = """
vtid follows the CHILD_SAs of strongSwan over VICI, and keeps in step with them: VTI or XFRM
interfaces with their addresses and routes, MTU and TCP MSS clamp, the BGP sessions of BIRD, and
metrics for Prometheus. A rekey changes nothing, and stopping vtid leaves the tunnels as they are.

It runs until SIGTERM or SIGINT. SIGHUP has it read its configuration again.
"""

VTID_STATUS = {
    "0": "It was stopped, or the check was good.",
    "1": "It cannot start, or the check was not good.",
    str(vtid.EX_CONFIG): "The configuration is not good; a restart would not help.",
}

VTICTL = """
vtictl asks the vtid that runs on this machine, and has it do things. `check`, `suggest`, `doctor`,
`debug-bundle`, `mtu` and `completion` need none.

The answer of each command with `-o` has a `schema_version` in JSON and YAML, which grows when a
field goes or has another meaning. These options are those of most commands:
"""

VTICTL_STATUS = {
    "0": "All is well, or done.",
    "1": "Bad news: something is in error, was refused, is not ready, or did not come in time.",
    "2": "`plan`: there is something to do.",
    "3": "vtid cannot be reached.",
    "64": "Wrong usage.",
}

ENVIRONMENT = {
    "VTID_CONFIG": "The configuration file, where none is named.",
    "VTID_LOG": "`json`: vtid logs lines of JSON.",
    "VTID_SOCKET": "vtid's control socket, where vtictl is not told another.",
    "CREDENTIALS_DIRECTORY": "Where `$CREDENTIALS_DIRECTORY` in `password_file` leads: systemd sets"
    " it for a unit with `LoadCredential=`.",
    "NO_COLOR": "Where it is set, vtictl shows no colours.",
}

FILES = {
    str(vtid.DEFAULT_CONFIG): "The configuration.",
    str(vtid.DEFAULT_CONFIG.parent / "conf.d" / "*.toml"): "More of it.",
    "/run/vtid/control.sock": "The control socket.",
    "/usr/share/doc/vtid/": "Everything else: installation, strongSwan, BIRD, metrics, alerts.",
}

PAGES = {
    "vtid": (8, "keep tunnel interfaces in step with strongSwan's SAs"),
    "vtictl": (1, "see and steer what vtid makes of strongSwan's SAs"),
    "vtid.toml": (5, "configuration of vtid"),
}


def pages() -> dict[str, str]:
    """Return the pages by the names of their files."""
    made = {
        "vtid": _daemon(vtid._parser()),
        "vtictl": _control(vtictl._parser()),
        "vtid.toml": _configuration(reference.SOURCE.read_text()),
    }
    return {
        f"{name}.{section}": "\n".join((*_head(name), *made[name], *_see_also(name))) + "\n"
        for name, (section, _) in PAGES.items()
    }


def _head(name: str) -> Iterator[str]:
    section, text = PAGES[name]
    yield '.\\" Written by `python -m tests.man`: do not edit.'
    yield f'.TH {name.upper()} {section} "" "vtid"'
    yield from (".nh", ".ad l")  # a key or an option that is divided cannot be copied
    yield from (".SH NAME", f"{name} \\- {words(text)}")


def _see_also(name: str) -> Iterator[str]:
    yield ".SH SEE ALSO"
    others = [f".BR {other} ({section})" for other, (section, _) in PAGES.items() if other != name]
    yield from (f"{line}," for line in (*others, ".BR swanctl (8)"))
    yield ".BR birdc (8)"


def _daemon(parser: Parser) -> Iterator[str]:
    yield from (".SH SYNOPSIS", *_usage(parser))
    yield from (".SH DESCRIPTION", *paragraphs(VTID))
    yield from (".SH OPTIONS", *_arguments(parser))
    yield from _tables(VTID_STATUS, leave_out={"VTID_SOCKET", "NO_COLOR"})


def _control(parser: Parser) -> Iterator[str]:
    yield from (".SH SYNOPSIS", *_usage(parser))
    yield from (".SH DESCRIPTION", *paragraphs(VTICTL))
    commands = tuple(_commands(parser))
    yield from (".SH OPTIONS", *_arguments(commands[0]))
    yield ".SH COMMANDS"
    for command in commands:
        yield f".SS {plain(command.prog.partition(' ')[2])}"
        yield from _usage(command)
        yield from (".PP", f"{words(_sentence(command.description or ''))}")
        yield from _arguments(command, leave_out={one.dest for one in _shown(commands[0])})
        if command.epilog:
            yield from _epilog(command.epilog)
    yield from _tables(VTICTL_STATUS, leave_out={"VTID_LOG", "CREDENTIALS_DIRECTORY"})


def _epilog(text: str) -> Iterator[str]:
    """Yield the lists behind the arguments: each has a title, and lines that stay as they are."""
    for block in text.split("\n\n"):
        title, *lines = block.splitlines()
        yield from (".PP", words(title.capitalize()), ".RS 4", ".nf")
        yield from (_literal(line.strip()) for line in lines)
        yield from (".fi", ".RE")


def _tables(status: dict[str, str], leave_out: set[str]) -> Iterator[str]:
    environment = {name: text for name, text in ENVIRONMENT.items() if name not in leave_out}
    for title, table in (("EXIT STATUS", status), ("ENVIRONMENT", environment), ("FILES", FILES)):
        yield f".SH {title}"
        for name, text in table.items():
            yield from (".TP", f".B {plain(name)}", words(text))


# --- of the parsers ------------------------------------------------------------------------------


def _commands(parser: Parser) -> Iterator[Parser]:
    """Yield the commands below a parser that can be run, those of commands included."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _commands(command) if _has_commands(command) else (command,)


def _has_commands(parser: Parser) -> bool:
    return any(isinstance(one, argparse._SubParsersAction) for one in parser._actions)


def _usage(parser: Parser) -> Iterator[str]:
    """Yield the synopsis: options in brackets, arguments as they are."""
    parts = [f"\\fB{plain(parser.prog)}\\fR"]
    for action in _shown(parser):
        name = f"\\fB{plain(action.option_strings[0])}\\fR" if action.option_strings else ""
        value = _value(action)
        both = "\\ ".join(filter(None, (name, value)))
        must = action.required and action.nargs != "?"
        parts.append(both if must else f"[{both}]")
    yield from (".PP", *parts)


def _arguments(parser: Parser, leave_out: Collection[str] = ()) -> Iterator[str]:
    for action in _shown(parser):
        if action.dest in leave_out:
            continue
        names = ", ".join(f"\\fB{plain(name)}\\fR" for name in action.option_strings)
        text = parser._get_formatter()._expand_help(action) if action.help else ""
        if action.choices:
            text = f"{text}; one of {', '.join(map(str, action.choices))}".removeprefix("; ")
        yield from (".TP", " ".join(filter(None, (names, _value(action)))))
        yield words(_sentence(text))


def _shown(parser: Parser) -> Iterator[argparse.Action]:
    hidden = (argparse._HelpAction, argparse._VersionAction)
    return (
        one
        for one in parser._actions
        if one.help != argparse.SUPPRESS and not isinstance(one, hidden)
    )


def _value(action: argparse.Action) -> str:
    """Return what an action takes, as `FILE`, `[SECONDS]` or `NAME...`; empty for a switch."""
    if action.nargs == 0:
        return ""
    name = action.metavar or action.dest.upper()
    shown = f"\\fI{plain(str(name))}\\fR"
    if action.nargs == argparse.PARSER:
        return f"{shown} ..."
    if action.nargs in {"*", "+"}:
        return f"{shown}..."
    return f"[{shown}]" if action.nargs == "?" and action.option_strings else shown


def _sentence(text: str) -> str:
    """Return a help text as a sentence; names of programs stay as they are."""
    stop = "" if text.endswith((".", "...")) or not text else "."
    first = text.partition(" ")[0]
    start = (
        text[:1].upper()
        if first.strip(",;").isalpha() and not first.startswith("vti")
        else text[:1]
    )
    return start + text[1:] + stop


# --- of the reference ----------------------------------------------------------------------------


def _configuration(text: str) -> Iterator[str]:
    """Turn the page of the reference into roff: its tables, keys and paragraphs."""
    intro, *tables = reference.page(text).split("\n## ")
    _, *about = intro.split("\n\n")
    yield from (".SH SYNOPSIS", f".B {plain(str(vtid.DEFAULT_CONFIG))}", ".SH DESCRIPTION")
    yield from paragraphs("\n\n".join(one for one in about if "Generated from" not in one))
    yield ".SH TABLES"
    for table in tables:
        title, *blocks = table.strip().split("\n\n")
        yield f".SS {plain(title.strip('`'))}"
        for block in blocks:
            if block.startswith("**"):
                yield from (".TP", words(block.strip("*")))
            else:
                yield from paragraphs(block, first="")
    yield from (".SH EXAMPLES", ".nf", *map(_literal, EXAMPLE.strip().splitlines()), ".fi")


EXAMPLE = """
[[tunnel]]
connection = "V2-1"
interface = "vti{mark}"
addresses = ["2001:db8:ff::0/127"]
[tunnel.bgp]
neighbor = "2001:db8:ff::1"
local_as = 65001
remote_as = 65002

[[bird]]
name = "main"
socket = "/run/bird/bird.ctl"
include = "/var/lib/vtid/bird/main.conf"
"""


# --- roff ----------------------------------------------------------------------------------------


def paragraphs(text: str, first: str = ".PP") -> Iterator[str]:
    """Yield the paragraphs of a text, and its tables as lists."""
    for number, block in enumerate(text.strip().split("\n\n")):
        if start := first if not number else ".PP":
            yield start
        yield words(block)


def words(text: str) -> str:
    """Return running text: `code` is bold, and links are their words."""
    text = re.sub(r"\[([^\]]+)\]\([^)]+\.(?:md|toml)[^)]*\)", r"\1", " ".join(text.split()))
    parts = text.split("`")
    shown = (f"\\fB{plain(one)}\\fR" if odd % 2 else _spaced(one) for odd, one in enumerate(parts))
    return _literal("".join(shown), escaped=True)


def plain(text: str) -> str:
    """Return text that groff shows as it is, also where somebody copies it."""
    for char, name in (("\\", "\\e"), ("-", "\\-"), ("~", "\\(ti"), ("^", "\\(ha"), ("`", "\\(ga")):
        text = text.replace(char, name)
    return text.replace("'", "\\(aq").replace("…", "...")


def _spaced(text: str) -> str:
    """Return words between code, in which a hyphen is one unless an option begins with it."""
    return re.sub(r"(?<![\w])-(?=[\w-])|(?<=-)-", r"\\-", text.replace("\\", "\\e"))


def _literal(line: str, *, escaped: bool = False) -> str:
    """Return a line that begins no request."""
    text = line if escaped else plain(line) or "\\&"
    return f"\\&{text}" if text.startswith((".", "'")) else text


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
