"""The server over real sockets: a Unix socket and an ephemeral port of 127.0.0.1."""

from __future__ import annotations

import asyncio
import gzip
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from tests.http.samples import DELETE, FULL, UP, FakeDaemon, status
from tests.http.sites import samples, site
from vtid.http.api import FlushResult, ReloadResult
from vtid.http.handlers import readiness
from vtid.http.server import Server, ServerError
from vtid.http.telemetry import Telemetry
from vtid.model.input import BirdState

if TYPE_CHECKING:
    from pathlib import Path


# --- what anybody may read -----------------------------------------------------------------------


async def test_a_scrape_has_both_parts(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        here.telemetry.input("ChildUp")
        async with here.public.get(here.url + "/metrics") as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert response.headers["Server"] == "vtid"
            series = samples(await response.text())
    assert series["vtid_inputs_total"] == 1
    assert series["vtid_tunnel_receive_bytes_total"] == 1000
    assert series["vtid_vici_up"] == 1


async def test_a_scrape_may_be_openmetrics(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        here.telemetry.input("ChildUp")
        headers = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
        async with here.public.get(here.url + "/metrics", headers=headers) as response:
            kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
            assert response.headers["Content-Type"] == kind
            assert response.headers["Vary"] == "Accept, Accept-Encoding"
            text = await response.text()
    read = openmetrics(text)  # type: ignore[no-untyped-call]
    found = {family.name: family for family in read}  # one end, or it raises
    assert found["vtid_inputs"].samples[0].value == 1
    assert found["vtid_tunnel_receive_bytes"].unit == "bytes"


async def test_a_scrape_is_compressed_where_that_is_welcome(tmp_path: Path) -> None:
    async with site(tmp_path) as here, aiohttp.ClientSession(auto_decompress=False) as client:
        headers = {"Accept-Encoding": "gzip, deflate"}
        async with client.get(here.url + "/metrics", headers=headers) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            body = gzip.decompress(await response.read())
        headers = {"Accept-Encoding": "identity"}
        async with client.get(here.url + "/metrics", headers=headers) as response:
            assert "Content-Encoding" not in response.headers
    assert samples(body.decode())["vtid_vici_up"] == 1


@pytest.mark.parametrize(
    "junk",
    [b"\x16\x03\x01\r\n\r\n", b"JUNK\r\n\r\n", b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n"],
)
async def test_what_is_no_http_is_answered_and_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, junk: bytes
) -> None:
    async with site(tmp_path) as here:
        reader, writer = await asyncio.open_connection(*here.server.addresses[0])
        writer.write(junk)
        assert b"400 Bad Request" in await reader.readline()
        writer.close()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_health(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        assert await here.get("/livez") == (200, "ok\n")
        code, text = await here.get("/readyz")
        assert (code, text.splitlines()[0]) == (200, "ready")
        here.daemon.answer = status(ready=False, waiting_for=("the first SA snapshot",))
        code, text = await here.get("/readyz")
        assert (code, text.splitlines()[:2]) == (
            503,
            ["not ready", "waiting for the first SA snapshot"],
        )
        assert (await here.get("/livez"))[0] == 200


def test_readiness_lists_what_is_there_and_what_is_not() -> None:
    picture = status(
        vici_connected=False,
        vici_error="/run/charon.vici: refused",
        namespaces=(("", ""), ("private", "no such namespace")),
        birds=(BirdState("a", connected=True, error="refused: line 3"), BirdState("b", False)),  # noqa: FBT003
    )
    assert readiness(picture).splitlines() == [
        "ready",
        "[-] vici: /run/charon.vici: refused",
        "[+] namespace (own)",
        "[-] namespace private: no such namespace",
        "[-] bird a: refused: line 3",
        "[-] bird b: not connected",
    ]


async def test_an_index_leads_on(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        code, text = await here.get("/")
    assert code == 200
    assert 'href="/metrics"' in text


@pytest.mark.parametrize("path", ["/v1/status", "/v1/reload", "/v1/plan", "/v1/flush"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nobody_rules_over_tcp(tmp_path: Path, method: str, path: str) -> None:
    async with site(tmp_path) as here:
        async with here.public.request(method, here.url + path) as response:
            assert response.status == 404
        assert here.daemon.done == []


# --- the control socket --------------------------------------------------------------------------


async def test_status(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        code, answer = await here.ask("/v1/status")
    assert code == 200
    assert [tunnel["state"] for tunnel in answer["tunnels"]] == ["up", "down", "error"]


async def test_the_summary(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        code, answer = await here.ask("/v1/summary")
        assert (code, answer["tunnels"]["up"]) == (200, 1)
        assert answer["troubles"][1]["since"] == 1600.0


async def test_one_tunnel(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        code, answer = await here.ask("/v1/tunnels/private/vti42")
        assert (code, answer["interface"]) == (200, "vti42")
        here.daemon.answer = status(replace(UP, tunnel="V2-1"))
        for name in ("V2-1", "private/vti42"):
            code, answer = await here.ask(f"/v1/tunnels/{name}")
            assert (code, answer["tunnel"]) == (200, "V2-1")
        code, answer = await here.ask("/v1/tunnels/vti99")
        assert code == 404
        assert answer == {"error": "no tunnel 'vti99': `vtictl tunnels` lists them"}


async def test_reload(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        code, answer = await here.ask("/v1/reload", "POST")
        assert (code, answer["ok"]) == (200, True)
        here.daemon.reload_result = ReloadResult(ok=False, errors=("line 3: unknown key",))
        code, answer = await here.ask("/v1/reload", "POST")
        assert (code, answer["errors"]) == (422, ["line 3: unknown key"])
        assert here.daemon.done == ["reload", "reload"]


@pytest.mark.parametrize("path", ["/v1/reload", "/v1/flush"])
async def test_reading_moves_nothing(tmp_path: Path, path: str) -> None:
    async with site(tmp_path) as here:
        code, answer = await here.ask(path)
        assert code == 405
        assert "error" in answer
        assert here.daemon.done == []


NOTHING: dict[str, list[str] | bool] = {
    "ops": [],
    "birds": [],
    "ok": True,
    "errors": [],
    "warnings": [],
    "changes": [],
}


async def test_plan_and_flush(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        assert await here.ask("/v1/plan") == (200, NOTHING)
        here.daemon.ops = (DELETE,)
        _, answer = await here.ask("/v1/plan")
        assert answer["ops"][0]["op"] == "DeleteLink"
        assert await here.ask("/v1/flush", "POST") == (200, {"removed": 3, "left": []})
        assert here.daemon.done == ["flush"]


async def test_a_failure_is_one_clear_line(tmp_path: Path) -> None:
    class Broken(FakeDaemon):
        async def flush(self) -> FlushResult:
            raise RuntimeError("netlink says no")

    async with site(tmp_path, Broken(FULL)) as here:
        code, answer = await here.ask("/v1/flush", "POST")
        assert code == 500
        assert "netlink says no" in answer["error"]
        assert (await here.ask("/v1/status"))[0] == 200


async def test_health_is_on_the_control_socket_as_well(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        for path in ("/livez", "/readyz"):
            async with here.control.get("http://vtid" + path) as response:
                assert response.status == 200


async def test_metrics_are_on_the_control_socket_as_well(tmp_path: Path) -> None:
    async with (
        site(tmp_path) as here,
        here.control.get("http://vtid/metrics") as response,
    ):
        assert samples(await response.text())["vtid_vici_up"] == 1


# --- start and stop ------------------------------------------------------------------------------


def free_port() -> tuple[socket.socket, int]:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    return taken, taken.getsockname()[1]


async def test_a_port_that_is_taken_leaves_nothing_behind(tmp_path: Path) -> None:
    taken, port = free_port()
    path = tmp_path / "control.sock"
    server = Server(str(path), [f"127.0.0.1:{port}"], FakeDaemon(FULL), Telemetry())
    with taken, pytest.raises(ServerError) as caught:
        await server.start()
    assert str(caught.value) == (
        f"[daemon] metrics: cannot listen on 127.0.0.1:{port}: "
        "something else listens there: stop it or choose another port"
    )
    assert not path.exists()


async def test_an_address_of_another_host(tmp_path: Path) -> None:
    server = Server(str(tmp_path / "s"), ["198.51.100.7:0"], FakeDaemon(FULL), Telemetry())
    with pytest.raises(ServerError, match="this machine does not have that address"):
        await server.start()


async def test_a_second_vtid_is_told(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        second = Server(str(tmp_path / "control.sock"), [], FakeDaemon(FULL), Telemetry())
        with pytest.raises(ServerError, match="another vtid is running"):
            await second.start()
        assert (await here.ask("/v1/status"))[0] == 200


async def test_stop_removes_the_socket_and_start_may_follow(tmp_path: Path) -> None:
    for _ in range(2):
        async with site(tmp_path) as here:
            assert await here.ask("/v1/plan") == (200, NOTHING)
        assert not (tmp_path / "control.sock").exists()


async def test_several_addresses(tmp_path: Path) -> None:
    addresses = ["127.0.0.1:0", "[::1]:0"]
    server = Server(str(tmp_path / "s"), addresses, FakeDaemon(FULL), Telemetry())
    await server.start()
    assert [host for host, _ in server.addresses] == ["127.0.0.1", "::1"]
    assert all(port for _, port in server.addresses)
    await server.stop()
    assert server.addresses == ()
