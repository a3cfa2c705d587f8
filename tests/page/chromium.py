"""A headless Chromium, by its DevTools protocol, and what it saw of a page.

Rules of this file:

* A browser has a profile of its own, which goes with it, and nothing that it does by itself reaches
  the network.
* What it complains of is kept: console messages, exceptions, violations of the policy; and the
  address of each request.
"""

from __future__ import annotations

import asyncio
import base64
import re
import tempfile
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE = 60.0
"""Seconds for whatever the browser is asked for."""

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-lcd-text",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)

DOMAINS = ("Page", "Network", "Log", "Runtime", "Audits")


class Tab:
    """A tab, through the connection to it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self._sent: dict[str, str] = {}
        self.complaints: list[str] = []

    @property
    def requests(self) -> list[str]:
        """Addresses that were asked for since a page was opened, but for those within it."""
        return [url for url in self._sent.values() if not url.startswith("data:")]

    async def read(self) -> None:
        """Take answers and events until the connection ends."""
        async for message in self._socket:
            told = message.json()
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            else:
                self._note(told["method"], told["params"])

    def _note(self, event: str, facts: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded.set()
        elif event == "Network.requestWillBeSent":
            self._sent[facts["requestId"]] = facts["request"]["url"]
        elif event == "Network.loadingFailed" and facts.get("blockedReason") == "csp":
            self._sent.pop(facts["requestId"], None)  # the policy was quicker
        elif event == "Log.entryAdded" and facts["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(facts["entry"]["text"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(facts["exceptionDetails"]["text"])
        elif event == "Runtime.consoleAPICalled":
            self.complaints.append(f"console.{facts['type']}")
        elif event == "Audits.issueAdded":
            self.complaints.append(_issue(facts["issue"]))

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the result of a method. Raises AssertionError with the browser's complaint."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(PATIENCE):
            told = await answer
        assert "error" not in told, f"{method}: {told['error']}"
        return dict(told["result"])

    async def open(self, url: str) -> None:
        """Load a page, and forget what was seen before."""
        for address in ("about:blank", url):  # from one page to a place on it is no loading
            self._loaded.clear()
            self._sent.clear()
            self.complaints.clear()
            await self.ask("Page.navigate", url=address)
            await self._load()

    async def loaded_again(self) -> None:
        """Wait until the page has been loaded again by itself."""
        self._loaded.clear()
        await self._load()

    async def _load(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._loaded.wait()

    async def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """Have a screen of this size, and a user who likes it dark or light."""
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,  # a phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])

    async def value(self, expression: str) -> Any:
        """Return what JavaScript finds; the page's policy does not bind it."""
        told = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def picture(self) -> bytes:
        """Return what the screen shows, as PNG."""
        told = await self.ask("Page.captureScreenshot", format="png", optimizeForSpeed=False)
        return base64.b64decode(told["data"])


def _issue(issue: dict[str, Any]) -> str:
    policy = issue["details"].get("contentSecurityPolicyIssueDetails")
    return f"policy: {policy['violatedDirective']}" if policy else str(issue["code"])


@asynccontextmanager
async def chromium() -> AsyncIterator[Tab]:
    """Run a Chromium with one tab."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            "chromium",
            *FLAGS,
            f"--user-data-dir={profile}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                address = await _address(process)
            async with _tab(address) as tab:
                yield tab
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    """Return where DevTools listen, as the browser says it."""
    assert process.stderr
    said = []
    async for line in process.stderr:
        said.append(line.decode(errors="replace"))
        if found := re.search(r"DevTools listening on ws://([^/]+)/", said[-1]):
            return found[1]
    raise AssertionError(f"no chromium: {''.join(said)}")


@asynccontextmanager
async def _tab(address: str) -> AsyncIterator[Tab]:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://{address}/json/list") as answer:
            tabs = await answer.json(content_type=None)
        url = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        async with session.ws_connect(url, max_msg_size=0) as socket:
            tab = Tab(socket)
            reading = asyncio.create_task(tab.read())
            try:
                for domain in DOMAINS:
                    await tab.ask(f"{domain}.enable")
                yield tab
            finally:
                reading.cancel()
