"""What `vtictl mtu` answers: the MTU and MSS of a tunnel, and where the rest goes."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vtid.ctl.client import USAGE
from vtid.ctl.output import show
from vtid.esp.mtu import IPV6_MIN_MTU, MtuResult, UnknownAlgorithm, tunnel_mtu
from vtid.esp.proposal import ProposalError, parse

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

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
        print(f"vtictl mtu: --esp: {error}", file=sys.stderr)  # noqa: T201 - the answer
        return USAGE
    smallest = min(results, key=lambda result: result[1].mtu)
    if smallest[1].mtu < _IPV4_MIN_MTU:
        print(f"vtictl mtu: --underlay: {args.underlay} is all overhead", file=sys.stderr)  # noqa: T201
        return USAGE
    others = [result for result in results if result != smallest]
    show(args, _as_json(args, smallest, others), _lines(args, smallest, others))
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


def _as_json(
    args: argparse.Namespace,
    answer: tuple[EspAlgorithms, MtuResult],
    others: list[tuple[EspAlgorithms, MtuResult]],
) -> dict[str, Any]:
    path = {"outer": args.outer, "encap": args.encap, "underlay": args.underlay}
    alternatives = {"alternatives": [_as_dict(*other) for other in others]}
    return _as_dict(*answer) | path | alternatives


def _lines(
    args: argparse.Namespace,
    answer: tuple[EspAlgorithms, MtuResult],
    others: list[tuple[EspAlgorithms, MtuResult]],
) -> Iterator[str]:
    esp, result = answer
    yield f"ESP   {esp} in {'UDP, ' if args.encap else ''}IPv{args.outer}"
    yield f"mtu   {result.mtu:5}"
    yield f"mss4  {result.mss4:5}"
    yield f"mss6  {result.mss6:5}"
    yield ""
    yield f"{'outer MTU':25}{args.underlay:7}"
    for part, title in _PARTS.items():
        yield f"{title:25}{-getattr(result.overhead, part):7}"
    yield f"{'mtu':25}{result.mtu:7}"
    if result.mtu < IPV6_MIN_MTU:
        yield ""
        yield f"With IPv6 inside, the interface has {IPV6_MIN_MTU}, and IPv6 packets"
        yield f"of {result.mtu + 1} to {IPV6_MIN_MTU} bytes are lost."
    for other, fits in others:
        yield ""
        yield f"If {other} is chosen: mtu {fits.mtu}, mss4 {fits.mss4}, mss6 {fits.mss6}"
