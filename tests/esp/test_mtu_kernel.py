"""The MTU arithmetic against the kernel's own, through VTIs with every algorithm that it has."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vtid.esp.algorithms import EspAlgorithms
from vtid.esp.mtu import tunnel_mtu

ASK = Path(__file__).with_name("kernel_mtu.py")


def computed(name: str, family: int, underlay: int, *, encap: bool) -> int:
    encr, _, integ = name.partition("/")
    return tunnel_mtu(EspAlgorithms(encr, 0, integ), family, encap=encap, underlay=underlay).mtu


@pytest.mark.lab
@pytest.mark.parametrize(
    ("family", "encap", "underlay"),
    [
        (4, False, 1500),
        (6, False, 1500),
        (4, True, 1500),
        (6, True, 1500),
        (4, False, 1419),
        (6, True, 1487),
    ],
)
def test_the_kernel_agrees(family: int, encap: bool, underlay: int) -> None:  # noqa: FBT001 - a column of the table
    options = ["encap"] if encap else []
    command = ["unshare", "--net", sys.executable, str(ASK), str(family), str(underlay), *options]
    asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert asked.returncode == 0, asked.stderr
    measured = json.loads(asked.stdout)
    assert len(measured) > 30
    assert measured == {name: computed(name, family, underlay, encap=encap) for name in measured}
