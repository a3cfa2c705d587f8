"""What `vtictl mtu` answers: the MTU and MSS of a tunnel, and where the rest goes."""

# ruff: noqa: T201 - printing is what a command does

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vtid.esp.mtu import IPV6_MIN_MTU, MtuResult, UnknownAlgorithm, tunnel_mtu
from vtid.esp.proposal import ProposalError, parse

if TYPE_CHECKING:
    import argparse

    from vtid.esp.algorithms import EspAlgorithms

_IPV4_MIN_MTU = 68
"""Bytes; RFC 791."""

_PARTS = {
    "outer_ip": "outer IP header",
    "udp": "UDP (NAT-T)",
    "esp_header": "SPI and sequence number",
    "iv": "IV",
    "icv": "ICV",
    "trailer": "pad length, next header",
    "alignment": "lost to block size",
}


def run(args: argparse.Namespace) -> int:
    """Print the answer; return the exit status."""
    try:
        results = [(esp, _result(esp, args)) for esp in parse(args.esp)]
    except (ProposalError, UnknownAlgorithm) as error:
        print(f"vtictl mtu: --esp: {error}", file=sys.stderr)
        return 2
    smallest = min(results, key=lambda result: result[1].mtu)
    if smallest[1].mtu < _IPV4_MIN_MTU:
        print(f"vtictl mtu: --underlay: {args.underlay} is all overhead", file=sys.stderr)
        return 2
    others = [result for result in results if result != smallest]
    show = _print_json if args.output == "json" else _print_table
    show(args, smallest, others)
    return 0


def _result(esp: EspAlgorithms, args: argparse.Namespace) -> MtuResult:
    return tunnel_mtu(esp, args.outer, encap=args.encap, underlay=args.underlay)


def _as_dict(esp: EspAlgorithms, result: MtuResult) -> dict[str, Any]:
    return {
        "esp": str(esp),
        "mtu": result.mtu,
        "mss4": result.mss4,
        "mss6": result.mss6,
        "overhead": {**asdict(result.overhead), "total": result.overhead.total},
    }


def _print_json(
    args: argparse.Namespace,
    answer: tuple[EspAlgorithms, MtuResult],
    others: list[tuple[EspAlgorithms, MtuResult]],
) -> None:
    path = {"outer": args.outer, "encap": args.encap, "underlay": args.underlay}
    alternatives = {"alternatives": [_as_dict(*other) for other in others]}
    print(json.dumps(_as_dict(*answer) | path | alternatives, indent=2))


def _print_table(
    args: argparse.Namespace,
    answer: tuple[EspAlgorithms, MtuResult],
    others: list[tuple[EspAlgorithms, MtuResult]],
) -> None:
    esp, result = answer
    print(f"ESP   {esp} in {'UDP, ' if args.encap else ''}IPv{args.outer}")
    print(f"mtu   {result.mtu:5}")
    print(f"mss4  {result.mss4:5}")
    print(f"mss6  {result.mss6:5}")
    print()
    print(f"{'outer MTU':25}{args.underlay:7}")
    for part, title in _PARTS.items():
        print(f"{title:25}{-getattr(result.overhead, part):7}")
    print(f"{'mtu':25}{result.mtu:7}")
    if result.mtu < IPV6_MIN_MTU:
        print(f"\nWith IPv6 inside, the interface has {IPV6_MIN_MTU}, and IPv6 packets")
        print(f"of {result.mtu + 1} to {IPV6_MIN_MTU} bytes are lost.")
    for other, fits in others:
        print(f"\nIf {other} is chosen: mtu {fits.mtu}, mss4 {fits.mss4}, mss6 {fits.mss6}")
