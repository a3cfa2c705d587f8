"""`vtictl mtu`: what fits into a tunnel with given ESP algorithms, without a daemon.

The command line is here; `fits` has the answer. No other command waits for its imports.
"""

from __future__ import annotations

import argparse

from vtid.ctl.help import OF_NO_DAEMON, explain
from vtid.ctl.output import add_output

_EXAMPLES = (
    "vtictl mtu --esp aes256gcm16-prfsha384-ecp384 --outer 6",
    "vtictl mtu --esp aes128-sha256 --outer 4 --underlay 1492 --encap",
)

_UNDERLAY_MIN, _UNDERLAY_MAX = 68, 65535
"""RFC 791."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `mtu` to the commands of `vtictl`."""
    text = "compute the MTU and MSS of a tunnel from its ESP proposal"
    parser = commands.add_parser("mtu", help=text)
    choice = "where the proposal leaves a choice, it is the smallest, and the others are listed"
    explain(parser, f"{text}; {choice}", OF_NO_DAEMON, *_EXAMPLES)
    parser.add_argument(
        "--esp",
        required=True,
        metavar="PROPOSAL",
        help="as in swanctl.conf's esp_proposals: aes128-sha256, aes256gcm16-x25519-esn",
    )
    parser.add_argument(
        "--outer", required=True, type=int, choices=(4, 6), help="family of the outer addresses"
    )
    parser.add_argument(
        "--underlay",
        type=_underlay,
        default=1500,
        metavar="BYTES",
        help="MTU of the route to the peer (default: %(default)s)",
    )
    parser.add_argument("--encap", action="store_true", help="ESP in UDP: NAT-T, or `encap = yes`")
    add_output(parser)
    parser.set_defaults(func=run)


def _underlay(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bytes")
    if not _UNDERLAY_MIN <= int(text) <= _UNDERLAY_MAX:
        raise argparse.ArgumentTypeError(f"{text} is not from {_UNDERLAY_MIN} to {_UNDERLAY_MAX}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Print the answer; EX_USAGE for a proposal that is not understood or does not fit."""
    from vtid.ctl import fits  # noqa: PLC0415 - see above

    return fits.run(args)
