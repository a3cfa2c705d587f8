"""`vtictl sas`: what charon has, for which tunnels."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.ctl.shell import GOLDEN, HOSTILE, Shell
from tests.http.samples import CONNECTING, LISTED, SAS
from vtid.ctl.sas import table
from vtid.http.api import SaList
from vtid.http.encode import encode

pytestmark = pytest.mark.usefixtures("no_terminal")


async def test_the_table_fits_80_columns(shell: Shell) -> None:
    code, out, _ = await shell("sas")
    assert (code, out) == (0, (GOLDEN / "vtictl-sas.txt").read_text("utf-8"))
    assert max(map(len, out.splitlines())) <= 80


async def test_all_columns(shell: Shell) -> None:
    _, out, _ = await shell("sas", "--wide")
    assert out == (GOLDEN / "vtictl-sas-wide.txt").read_text("utf-8")


@pytest.mark.parametrize("columns", [40, 60, 100, 130])
def test_a_wider_terminal_shows_more_and_never_too_much(columns: int) -> None:
    rows = ["".join(text for text, _ in row) for row in table(json.loads(encode(SAS)), 0.0, columns)
            if not isinstance(row, str)]  # fmt: skip
    assert max(map(len, rows)) <= columns
    assert rows[0].split()[:2] == ["SA", "STATE"]


async def test_of_a_tunnel_and_of_a_peer(shell: Shell) -> None:
    await shell("sas", "private/vti42", "--peer", "192.0.2.*")
    assert shell.daemon.done == ["sas of private/vti42, 192.0.2.*"]
    code, _, err = await shell("sas", "nowhere")
    assert (code, "no tunnel 'nowhere'" in err) == (1, True)


async def test_as_json(shell: Shell) -> None:
    code, out, _ = await shell("sas", "-o", "json")
    first, second = json.loads(out)["ike_sas"]
    assert (code, first["children"][0]["spi_in"], second["tasks"][0]) == (0, "c1d2e3f4", "IKE_INIT")


async def test_nothing_and_what_cannot_be_read(shell: Shell) -> None:
    shell.daemon.sa_list = SaList(())
    assert (await shell("sas"))[:2] == (0, "no SAs\n")
    shell.daemon.sa_list = SaList((CONNECTING,), ("V2-9: uniqueid is missing",))
    code, out, _ = await shell("sas")
    assert (code, out.splitlines()[-1]) == (1, "! V2-9: uniqueid is missing")


async def test_a_charon_that_does_not_answer(shell: Shell) -> None:
    shell.daemon.charon_error = "VICI socket /x is absent: start strongSwan"
    code, out, err = await shell("sas")
    assert (code, out, err) == (1, "", "vtictl: VICI socket /x is absent: start strongSwan\n")


async def test_a_peer_cannot_speak_to_the_terminal(shell: Shell) -> None:
    child = replace(LISTED.children[0], child=HOSTILE, remote_ts=(HOSTILE,), tunnels=(HOSTILE,))
    shell.daemon.sa_list = SaList(
        (replace(LISTED, remote_id=HOSTILE, state=HOSTILE, tasks=(HOSTILE,), children=(child,)),)
    )
    _, out, _ = await shell("sas", "--wide")
    assert all(char.isprintable() or char == "\n" for char in out)
    assert "\n! all is well" not in out
