"""The label of a tunnel stays the same, before the tunnel exists and whatever its marks are."""

from __future__ import annotations

import pytest

from tests.core.world import World, sa
from vtid.config.keys import ConfigLoaded
from vtid.config.load import load
from vtid.model.input import ChildDown, ChildUp


def labels(world: World) -> dict[str, str]:
    return {name: tunnel.label for name, tunnel in world.state.tunnels.items()}


def world(text: str) -> World:
    return World(config=load(text)).start()


BY_MARK = '[[tunnel]]\nconnection = "{}"\ninterface = "vti{{mark}}"\n'


def test_a_plain_interface_is_called_as_it_is() -> None:
    one = world('[[tunnel]]\nconnection = "A"\ninterface = "vti1"\nnetns = "private"\n')
    assert labels(one) == {"private/vti1": "private/vti1"}


def test_one_of_a_template_is_called_as_its_connection() -> None:
    one = world(BY_MARK.format("A") + 'child = "net"\n' + BY_MARK.format("B"))
    one.tell(ChildUp(sa(1, "A", 1)), ChildUp(sa(2, "B", 2)))
    assert labels(one) == {"vti1": "A/net", "vti2": "B"}


def test_the_label_follows_the_child_to_its_next_interface() -> None:
    one = world(BY_MARK.format("A"))
    one.tell(ChildUp(sa(1, "A", 1)), ChildUp(sa(2, "A", 2)))
    assert labels(one) == {"vti1": "", "vti2": "A"}
    one.tell(ChildDown(1))
    one.pass_time(4)
    assert labels(one) == {"vti2": "A"}


def test_several_children_of_one_policy_have_a_label_each() -> None:
    one = world(BY_MARK.format("A"))
    for unique_id, child in enumerate(("b", "a", "c"), start=1):
        one.tell(ChildUp(sa(unique_id, "A", unique_id, child=child)))
    assert labels(one) == {"vti1": "A", "vti2": "A/a", "vti3": "A/c"}
    one.tell(ConfigLoaded(one.config))
    assert labels(one) == {"vti1": "A", "vti2": "A/a", "vti3": "A/c"}


def test_after_a_restart_the_first_child_by_name_has_the_label_of_the_policy() -> None:
    one = World(config=load(BY_MARK.format("A")))
    sas = [sa(1, "A", 1, child="b"), sa(2, "A", 2, child="a")]
    assert labels(one.start(sas)) == labels(one.start(sas[::-1])) == {"vti1": "A/b", "vti2": "A"}


@pytest.mark.parametrize("connection", ["C", "C*"])
def test_equal_labels_are_told_apart_by_the_interface(connection: str) -> None:
    fixed = f'[[tunnel]]\nconnection = "{connection}"\ninterface = "A"\n'
    one = world(BY_MARK.format("A") + fixed)
    one.tell(ChildUp(sa(1, "A", 1)), ChildUp(sa(2, "C", 2)))
    assert labels(one) == {"vti1": "A@vti{mark}", "A": "A"}


def test_the_interface_of_the_other_direction_counts_as_well() -> None:
    one = world(
        BY_MARK.format("A") + '[[tunnel]]\nconnection = "C"\nkind = "xfrm"\n'
        'interface = "x1"\ninterface_in = "A"\n'
    )
    one.tell(ChildUp(sa(1, "A", 1)))
    assert labels(one) == {"vti1": "A@vti{mark}", "x1": "x1", "A": "A"}


def test_the_tunnels_of_a_pattern_are_called_as_their_interfaces() -> None:
    one = world(BY_MARK.format("A*") + BY_MARK.format("vti2"))
    one.tell(ChildUp(sa(1, "A1", 1)), ChildUp(sa(2, "A2", 2)))
    assert labels(one) == {"vti1": "vti1", "vti2": "vti2@2"}


def test_a_label_returns_with_its_tunnel() -> None:
    one = world(BY_MARK.format("A"))
    one.tell(ChildUp(sa(1, "A", 1)), ChildDown(1))
    one.pass_time(4)
    assert labels(one) == {"vti1": "A"}  # it stays listed while it is down
    one.tell(ChildUp(sa(2, "A", 7)))
    assert labels(one)["vti7"] == "A"


def test_each_direction_has_a_label() -> None:
    one = world(
        '[[tunnel]]\nconnection = "A"\nkind = "xfrm"\n'
        'interface = "x{if_id_out}"\ninterface_in = "x{if_id_in}"\n'
    )
    one.tell(ChildUp(sa(1, "A", None, if_id_in=1, if_id_out=2)))
    assert labels(one) == {"x2": "A", "x1": "A@x{if_id_in}"}
