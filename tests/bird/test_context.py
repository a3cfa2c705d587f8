from __future__ import annotations

import pytest

from tests.core.world import GCM
from vtid.bird.quote import RenderError
from vtid.bird.render import render
from vtid.bird.template import Template
from vtid.model.bgp import BirdBlock, SaFacts, TunnelFacts

SA = SaFacts(
    connection="V2-1",
    child="net",
    local_host="2001:db8:1::1",
    remote_host="2001:db8:2::1",
    esp=GCM,
    mark_in=3,
    remote_id='CN="x"; }',
    remote_ts=("10.0.0.0/8", "10.1.0.0..10.1.0.9"),
)
FACTS = TunnelFacts(
    interface="vti3",
    netns="private",
    addresses=("2001:db8:ff::/127", "10.0.0.1 peer 10.0.0.2/32"),
    mtu=1426,
    sa=SA,
    vars=(("community", 7), ("filter", "ours"), ("up", True)),
)


def rendered(source: str, facts: TunnelFacts | None = FACTS) -> str:
    return render(BirdBlock("b", "private/vti3", (), facts), Template(source, "own.j2")).strip()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("interface {{ tunnel.interface }};", 'interface "vti3";'),
        ("# {{ tunnel.name }} in {{ tunnel.netns }}", "# private/vti3 in private"),
        ("{{ tunnel.addresses[0] }} {{ tunnel.mtu }}", "2001:db8:ff::/127 1426"),
        ("{{ tunnel.addresses[1] }}", "10.0.0.1"),
        ("{{ sa.remote_host }} {{ sa.esp }}", '2001:db8:2::1 "AES_GCM_16-256"'),
        ("{{ sa.mark_in }} {{ sa.mark_out }} {{ sa.encap }}", "3 0 no"),
        ('description "of {{ sa.remote_id }}";', 'description "of CN=?x?; }";'),
        ("route {{ sa.remote_ts[0]|prefix }};", "route 10.0.0.0/8;"),
        ("{{ vars.community }} {{ vars.filter|symbol }} {{ vars.up }}", "7 ours yes"),
        ("{% if vars.other is defined %}x{% else %}y{% endif %}", "y"),
    ],
)
def test_what_a_template_sees(source: str, text: str) -> None:
    assert rendered(source) == text


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ sa.unique_id }}", "no attribute 'unique_id'"),
        ("{{ vars.other }}", "no attribute 'other'"),
        ("{{ sa.remote_ts[1]|prefix }}", "is no address with prefix length"),
        ("{{ sa.remote_id|symbol }}", "is no BIRD symbol"),
    ],
)
def test_what_it_does_not_see(source: str, says: str) -> None:
    with pytest.raises(RenderError, match=says):
        rendered(source)


def test_a_tunnel_that_is_down_has_no_sa() -> None:
    down = TunnelFacts(interface="vti3")
    assert rendered("{% if sa %}up{% else %}down{% endif %} {{ tunnel.mtu }}", down) == "down 0"
