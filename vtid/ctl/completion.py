"""`vtictl completion`: scripts with which shells complete its commands, options and tunnels.

Rules of this file:

* The words come from the parsers, so that a new option needs no change here.
* Names of tunnels are asked of the daemon when a word is completed. They may be a peer's: no shell
  may expand them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vtid.ctl.client import OK
from vtid.ctl.help import OF_NO_DAEMON, explain
from vtid.ctl.terminal import print_lines

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping

    from vtid.ctl.remote import Subparsers

NAMES = "vtictl tunnels --names 2>/dev/null"
"""Prints the names of all tunnels, one a line, escaped."""


_EXAMPLES = (
    "source <(vtictl completion bash)",
    "source <(vtictl completion zsh)",
    "vtictl completion fish | source",
)


class Words(NamedTuple):
    """What may follow a command."""

    text: str
    """What the command does."""
    options: tuple[str, ...]
    choices: dict[str, tuple[str, ...]]
    """By option, where it has a choice."""
    positional: tuple[str, ...]
    """Words of the command itself, as `bash` of `completion`."""
    tunnels: bool
    """Whether it takes the name of a tunnel."""


def add_command(subparsers: Subparsers) -> None:
    """Add `completion`."""
    text = "print a script with which a shell completes vtictl"
    parser = subparsers.add_parser("completion", help=text)
    explain(parser, text, OF_NO_DAEMON, *_EXAMPLES)
    parser.add_argument("shell", choices=tuple(_SHELLS), help="the shell that it is for")

    def completion(args: argparse.Namespace) -> int:
        print_lines(_SHELLS[args.shell](_commands(subparsers)))
        return OK

    parser.set_defaults(func=completion)


def _commands(subparsers: Subparsers) -> dict[str, Words]:
    # argparse has no public way to its own texts and actions
    texts = {one.dest: one.help or "" for one in subparsers._choices_actions}  # noqa: SLF001
    parsers = subparsers.choices.items()
    return {name: _words(texts[name], parser._actions) for name, parser in parsers}  # noqa: SLF001


def _words(text: str, actions: list[argparse.Action]) -> Words:
    choices = [(one, tuple(map(str, one.choices))) for one in actions if one.choices]
    names = [option for one in actions for option in one.option_strings]
    return Words(
        text=text,
        options=tuple(option for option in names if option.startswith("--")),
        choices={option: words for one, words in choices for option in one.option_strings},
        positional=tuple(
            word for one, words in choices if not one.option_strings for word in words
        ),
        tunnels=any(one.metavar in {"TUNNEL", "INTERFACE"} for one in actions),
    )


# --- bash ----------------------------------------------------------------------------------------

_BASH = r"""
# vtictl, for bash: source <(vtictl completion bash)
_vtictl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command= word index
    local -a words=() names=()
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if [[ $word == --socket ]]; then
            ((index++))
        elif [[ $word != -* ]]; then
            command=$word
            break
        fi
    done
    case "$command $previous" in
"""

_BASH_END = r"""
    esac
    COMPREPLY=()
    for word in "${words[@]}" "${names[@]}"; do
        if [[ $word == "$current"* ]]; then
            COMPREPLY+=("$(printf %q "$word")")
        fi
    done
}
complete -o default -F _vtictl vtictl
"""


def _bash(commands: Mapping[str, Words]) -> Iterator[str]:
    yield from _BASH.strip().splitlines()
    yield from _choices(commands, "words")
    for name, words in commands.items():
        yield f'    "{name} "*)'
        yield f"        words=({' '.join([*words.positional, *words.options])})"
        if words.tunnels:
            yield f"        [[ $current == -* ]] || mapfile -t names < <({NAMES})"
        yield "        ;;"
    yield f'    " "*) words=({" ".join([*commands, "--help", "--socket"])}) ;;'
    yield from _BASH_END.strip("\n").splitlines()


def _choices(commands: Mapping[str, Words], array: str) -> Iterator[str]:
    """Write the cases of options that have a choice, for bash and zsh."""
    for name, words in commands.items():
        for option, choices in words.choices.items():
            yield f'    "{name} {option}") {array}=({" ".join(choices)}) ;;'


# --- zsh -----------------------------------------------------------------------------------------

_ZSH = r"""
#compdef vtictl
# vtictl, for zsh: source <(vtictl completion zsh), or as _vtictl in a folder of $fpath
_vtictl() {
    local -a known names
    local command=${words[2]} previous=${words[CURRENT - 1]}
    if (( CURRENT == 2 )); then
        local -a commands=(
"""

_ZSH_MIDDLE = r"""
        )
        _describe command commands
        return
    fi
    case "$command $previous" in
"""

_ZSH_END = r"""
    esac
    compadd -a known
    compadd -a names
}
if [[ ${funcstack[1]} == _vtictl ]]; then
    _vtictl "$@"
else
    compdef _vtictl vtictl
fi
"""


def _zsh(commands: Mapping[str, Words]) -> Iterator[str]:
    yield from _ZSH.strip().splitlines()
    yield from (f"            {_quoted(f'{name}:{one.text}')}" for name, one in commands.items())
    yield from _ZSH_MIDDLE.strip("\n").splitlines()
    yield from _choices(commands, "known")
    for name, words in commands.items():
        yield f'    "{name} "*)'
        yield f"        known=({' '.join([*words.positional, *words.options])})"
        if words.tunnels:
            yield f'        names=("${{(@f)$({NAMES})}}")'
        yield "        ;;"
    yield from _ZSH_END.strip("\n").splitlines()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", r"'\''") + "'"


# --- fish ----------------------------------------------------------------------------------------


def _fish(commands: Mapping[str, Words]) -> Iterator[str]:
    yield "# vtictl, for fish: vtictl completion fish | source"
    yield "complete -c vtictl -f"
    for name, words in commands.items():
        text = words.text.replace("\\", r"\\").replace("'", r"\'")
        yield f"complete -c vtictl -n __fish_use_subcommand -a {name} -d '{text}'"
        seen = f"complete -c vtictl -n '__fish_seen_subcommand_from {name}'"
        for option in words.options:
            choices = words.choices.get(option, ())
            takes = f" -x -a '{' '.join(choices)}'" if choices else ""
            yield f"{seen} -l {option.removeprefix('--')}{takes}"
        if words.positional:
            yield f"{seen} -a '{' '.join(words.positional)}'"
        if words.tunnels:
            yield f"{seen} -a '({NAMES})'"


_SHELLS: dict[str, Callable[[Mapping[str, Words]], Iterator[str]]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
}
