"""What clients of a metrics address can do to the daemon's loop, to its memory, and to a scrape.

    python -m tests.bench.bench_http [--clients 1000] [--tunnels 10000] [--seconds 5]

A server, clients that attack it from 127.1.0.0/16, and one that scrapes from 127.0.0.2 are a
process each. Clients that are closed connect again. A turn is the processor time that all others
have in the loop before it comes back to one, such as the tunnels; it does not depend on what else
the machine does. Memory is what the server has beyond what it
had when it began.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from tests.http.samples import UP, FakeDaemon, status
from vtid.http.server import Server
from vtid.http.telemetry import Telemetry

GET = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n"
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
POST = b"POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000000\r\n\r\n"
UNREAD = GET + b"\r\n"
HUGE = b"a" * (1 << 20)
ATTACKS = {
    "nothing": (b"", b""),
    "half-open requests": (GET, b""),
    "no HTTP": (b"\x16\x03\x01", b""),  # or a half-open TLS handshake
    "a byte at a time": (GET + b"A: ", b"a"),
    "answers not read": (UNREAD, b""),
    "huge heads": (GET, HUGE),
    "huge bodies": (POST, HUGE),
    "small requests, all the time": (LIVEZ, LIVEZ),
}
"""What is sent first, and then over and over."""


def memory() -> int:
    """Return the resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def serve(tunnels: int) -> None:
    """Serve, and report turns of the loop and the memory at each line of standard input."""
    many = (replace(UP, tunnel=f"private/vti{number}") for number in range(tunnels))
    with tempfile.TemporaryDirectory() as folder:
        daemon = FakeDaemon(status(*many))
        server = Server(f"{folder}/s", ["127.0.0.1:0"], daemon, Telemetry())
        await server.start()
        print(json.dumps(server.addresses[0]), flush=True)
        turns: list[float] = []
        begin = most = memory()
        asking = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        while True:
            await asyncio.sleep(0.005)
            begun = time.thread_time()
            await asyncio.sleep(0)
            turns.append(time.thread_time() - begun)
            most = max(most, memory())
            if asking.done():
                if not asking.result():
                    break
                print(json.dumps([max(turns), fmean(turns), most - begin]), flush=True)
                turns, most = [], memory()
                asking = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        await server.stop()


async def attack(name: str, clients: int, address: tuple[str, int]) -> None:
    """Attack until killed."""
    first, then = ATTACKS[name]
    await asyncio.gather(*(_client(address, number, first, then) for number in range(clients)))


async def _client(address: tuple[str, int], number: int, first: bytes, then: bytes) -> None:
    source = f"127.1.{number // 250}.{number % 250 + 1}"
    while first:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(
                *address, local_addr=(source, 0), limit=1
            )
            writer.write(first)
            sending = asyncio.create_task(_send(writer, then))
            with suppress(TimeoutError):
                await asyncio.wait_for(_end(reader, is_read=first != UNREAD), 5)
            sending.cancel()
            writer.transport.abort()
        await asyncio.sleep(0.2)


async def _send(writer: asyncio.StreamWriter, then: bytes) -> None:
    with suppress(OSError):
        while then:
            await asyncio.sleep(0.2)
            writer.write(then)
            await writer.drain()


async def _end(reader: asyncio.StreamReader, *, is_read: bool) -> None:
    """Read to the end, or wait and read nothing."""
    if not is_read:
        await asyncio.Event().wait()
    while await reader.read(65536):
        pass


async def scrape(address: tuple[str, int]) -> float:
    """Return how long a scrape takes, as Prometheus does it; raises OSError where it fails."""
    begin = time.monotonic()
    reader, writer = await asyncio.open_connection(*address, local_addr=("127.0.0.2", 0))
    writer.write(GET + b"Accept-Encoding: gzip\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise OSError("no answer")
    return time.monotonic() - begin


def trial(options: argparse.Namespace, name: str) -> str:
    """Return the row of one attack."""
    me = [sys.executable, "-m", "tests.bench.bench_http"]
    pipe = subprocess.PIPE
    server = subprocess.Popen(
        [*me, "--serve", "--tunnels", str(options.tunnels)], stdin=pipe, stdout=pipe, text=True
    )
    assert server.stdin
    assert server.stdout
    address = tuple(json.loads(server.stdout.readline()))
    asyncio.run(scrape(address))
    command = [*me, "--attack", name, "--clients", str(options.clients), "--address", *address[:1]]
    attacker = subprocess.Popen([*command, str(address[1])])
    time.sleep(2)
    print(file=server.stdin, flush=True)
    server.stdout.readline()
    took: list[float] = []
    failed, end = 0, time.monotonic() + options.seconds
    while time.monotonic() < end:
        try:
            took.append(asyncio.run(asyncio.wait_for(scrape(address), 10)))
        except (OSError, TimeoutError):
            failed += 1
        time.sleep(0.2)
    print(file=server.stdin, flush=True)
    most, mean, grown = json.loads(server.stdout.readline())
    attacker.kill()
    server.stdin.close()
    server.wait()
    slowest = f"{max(took) * 1000:.0f} ms" if took else "-"
    return (
        f"| {name} | {len(took)} of {len(took) + failed} | {slowest} "
        f"| {mean * 1000:.2f} ms | {most * 1000:.1f} ms | {grown / 1e6:.0f} MB |"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--tunnels", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--attack")
    parser.add_argument("--address", nargs=2)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if options.serve:
        asyncio.run(serve(options.tunnels))
    elif options.attack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        host, port = options.address
        asyncio.run(attack(options.attack, options.clients, (host, int(port))))
    else:
        print("| clients send | scrapes | slowest | a turn, mean | longest | memory |")
        print("|---|---|---|---|---|---|")
        for name in ATTACKS:
            print(trial(options, name), flush=True)


if __name__ == "__main__":
    main()
