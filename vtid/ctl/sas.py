"""`vtictl sas`: charon's IKE_SAs and CHILD_SAs, with the tunnels that they serve.

Rules of this file: those of `remote`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from vtid.ctl.client import OK, TROUBLE, ask
from vtid.ctl.columns import ANY, Column, grid
from vtid.ctl.output import show
from vtid.ctl.remote import add_command
from vtid.ctl.terminal import width, wrapped
from vtid.ctl.view import algorithms
from vtid.units import size, span

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from vtid.ctl.client import Json
    from vtid.ctl.remote import Subparsers
    from vtid.ctl.terminal import Line

TIMEOUT = 120.0
"""Seconds: charon takes its time to list thousands."""

_EXAMPLES = ("vtictl sas V2-1 --wide", "vtictl sas --peer '192.0.2.*'")

_UP = {"ESTABLISHED", "INSTALLED"}
_GOOD = {*_UP, "REKEYING", "REKEYED", "UPDATING"}
"""States in which an SA is in use; others come, go or never were."""


def add_commands(subparsers: Subparsers) -> None:
    """Add `sas`."""
    text = "show charon's IKE_SAs and CHILD_SAs, and the tunnels that they serve"
    trouble = "charon does not answer or cannot be understood, or there is no such tunnel"
    parser = add_command(subparsers, "sas", _sas, text, trouble, *_EXAMPLES)
    parser.add_argument(
        "tunnel", nargs="?", default="", metavar="TUNNEL", help="only those of this tunnel"
    )
    text = "only of this address or identity; `*` is any"
    parser.add_argument("--peer", default="", metavar="PEER", help=text)
    text = "show all columns: also expiry, ciphers, SPIs, identities and selectors"
    parser.add_argument("--wide", action="store_true", help=text)


def _sas(args: argparse.Namespace) -> int:
    from urllib.parse import urlencode  # noqa: PLC0415 - only here

    wanted = {"tunnel": args.tunnel, "peer": args.peer}
    query = urlencode({name: text for name, text in wanted.items() if text})
    answer = ask(args.socket, "GET", f"/v1/sas?{query}", TIMEOUT)
    show(args, answer, table(answer, time.time(), 0 if args.wide else width()))
    return TROUBLE if answer["errors"] else OK


def table(answer: Json, now: float, columns: int) -> Iterator[Line]:
    """Write the table; `columns` is the width of the terminal, 0 for any."""
    rows = [row for ike in answer["ike_sas"] for row in (ike, *ike["children"])]
    if rows:
        yield from grid(_COLUMNS, rows, now, columns)
        children = sum(len(ike["children"]) for ike in answer["ike_sas"])
        yield f"{len(answer['ike_sas'])} IKE_SAs, {children} CHILD_SAs"
    else:
        yield "no SAs"
    for error in answer["errors"]:
        yield from wrapped("! ", error, columns or ANY)


# --- cells ---------------------------------------------------------------------------------------


def _is_child(row: Json) -> bool:
    return "child" in row


def _name(row: Json) -> str:
    if _is_child(row):
        return f"  {row['child']}{{{row['unique_id']}}}"
    return f"{row['connection']}[{row['unique_id']}]"


def _peer(row: Json) -> str:
    """Write the peer of an IKE_SA, the tunnels of a CHILD_SA."""
    if _is_child(row):
        return ", ".join(row["tunnels"]) or ("no tunnel" if row["state"] in _UP else "-")
    return str(row["remote_host"] or "-")


def _age(row: Json, now: float) -> str:
    since = row["installed_at"] if _is_child(row) else row["established_at"]
    return span(now - since) if since else "-"


def _rekey(row: Json, now: float) -> str:
    """Write in how long an SA is rekeyed, or an IKE_SA without rekeying reauthenticated."""
    due = row["rekey_at"] or (0.0 if _is_child(row) else row["reauth_at"])
    return "-" if not due else span(due - now) if due > now else "due"


def _expiry(row: Json, now: float) -> str:
    due = row["expires_at"] if _is_child(row) else 0.0
    return span(due - now) if due else "-"


def _traffic(row: Json) -> str:
    return f"{size(row['bytes_in'])}/{size(row['bytes_out'])}" if _is_child(row) else "-"


def _nat(row: Json) -> str:
    if _is_child(row):
        return "UDP" if row["encap"] else "-"
    return ",".join(row["nat"]) or "-"


def _ciphers(row: Json) -> str:
    if not _is_child(row):
        return "/".join(row["algorithms"]) or "-"
    # the NAT has a column of its own
    names = [algorithms({**row, "encap": False}), row["dh_group"]]
    return "/".join(name for name in names if name)


def _spis(row: Json) -> str:
    names = ("spi_in", "spi_out") if _is_child(row) else ("initiator_spi", "responder_spi")
    return "/".join(row[name] or "-" for name in names)


def _identity(row: Json) -> str:
    if _is_child(row):
        sides = (" ".join(row[side]) or "-" for side in ("local_ts", "remote_ts"))
        return " === ".join(sides)
    return f"{row['local_id'] or '-'} → {row['remote_id'] or '-'}"


def _state(row: Json) -> str:
    if _is_child(row) or row["state"] in _GOOD or not row["tasks"]:
        return str(row["state"]).lower()
    return f"{row['state'].lower()} ({row['tasks'][0].lower()})"


def _colour(row: Json) -> str:
    state = row["state"]
    return "green" if state in _UP else "yellow"


_COLUMNS = (
    Column("SA", 0, lambda row, _: _name(row)),
    Column("STATE", 0, lambda row, _: _state(row), _colour),
    Column("PEER, TUNNEL", 1, lambda row, _: _peer(row)),
    Column("AGE", 2, _age),
    Column("REKEY IN", 3, _rekey),
    Column("EXPIRES IN", 6, _expiry),
    Column("IN/OUT", 4, lambda row, _: _traffic(row)),
    Column("NAT", 5, lambda row, _: _nat(row)),
    Column("CIPHERS", 7, lambda row, _: _ciphers(row)),
    Column("SPIS", 8, lambda row, _: _spis(row)),
    Column("IDENTITIES, SELECTORS", 9, lambda row, _: _identity(row)),
)
