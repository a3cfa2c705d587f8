"""`vtid --suggest` and `vtictl suggest` beside a real charon."""

from __future__ import annotations

import pytest

from tests.charon import pair
from tests.vici.record import conf
from vtid.__main__ import main as vtid
from vtid.config.load import load
from vtid.ctl.main import main as vtictl

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]


def test_what_is_up_has_tunnels_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    with pair(conf(1, 2, "192.0.2.2"), conf(2, 1, "%any")) as (a, _):
        a.swanctl("--initiate", "--child", "net")
        assert vtid(["--suggest", "--vici", a.vici]) == 0
        text = capsys.readouterr().out
        assert vtictl(["suggest", "--vici", a.vici]) == 0
    assert capsys.readouterr().out == text
    config = load(text)
    assert config.vici.socket == a.vici
    kinds = {(one.connection, one.child): one.kind.value for one in config.policies}
    assert kinds["six", "net"] == "vti"
    assert ("four", "plain") not in kinds
    assert "transport mode" in text
