"""Which policy claims an SA, and the interface name that follows."""

from __future__ import annotations

import pytest

from tests.core.world import sa
from vtid.config.load import load
from vtid.core.naming import PolicyError, interface_name
from vtid.core.policies import Policies
from vtid.model.link import tunnel_name


def policies(*tables: str) -> Policies:
    return Policies(load("\n".join(f"[[tunnel]]\n{table}" for table in tables)))


def test_plain_names_and_patterns_claim_alike() -> None:
    these = policies(
        'connection = "V2-1"\ninterface = "a0"',
        'connection = "V2-?"\nchild = "other"\ninterface = "b0"',
        'connection = "V[12]-*"\nchild = "n*"\ninterface = "c0"',
    )
    assert [one.interface for one in these.matching(sa(1))] == ["a0", "c0"]
    assert [one.interface for one in these.matching(sa(1, child="other"))] == ["a0", "b0"]
    assert these.matching(sa(1, connection="v2-1")) == []


def test_the_template_takes_the_facts_of_the_sa() -> None:
    (policy,) = policies('connection = "*"\ninterface = "{child}.{mark_in}-{mark_out}"').all
    assert interface_name(policy, sa(1, mark=42)) == "net.42-42"


def test_a_missing_mark_is_told_with_the_lines_for_swanctl() -> None:
    (policy,) = policies('connection = "*"\ninterface = "vti{mark}"').all
    with pytest.raises(PolicyError, match=r"mark_out = 42.*connections.V2-1.children.net"):
        interface_name(policy, sa(1, mark=None))


@pytest.mark.parametrize("child", ["../etc", "a b", "x" * 16, "a\nb", "", "..", "ü", "a:b", "all"])
def test_a_hostile_or_long_name_never_reaches_the_kernel(child: str) -> None:
    (policy,) = policies('connection = "*"\ninterface = "{child}"').all
    with pytest.raises(PolicyError, match="no interface name"):
        interface_name(policy, sa(1, child=child))


def test_names() -> None:
    assert tunnel_name("", "vti3") == "vti3"
    assert tunnel_name("private", "vti3") == "private/vti3"
