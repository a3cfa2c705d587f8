"""Look at the page in a real Chromium, and keep pictures of it.

    python3 -m tests.page.trial [FOLDER]

The server is the real one. Of each scene is checked that nothing was requested but the page itself,
that the browser complains of nothing (errors, violations of the policy), that text has contrast,
that no element is there but those of `tests.http.html`, and that nothing sticks out to the right.
One page is waited for until it is loaded again. Into the same one, markup is put from outside: the
browser has to complain then, or it would not have complained before.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from tests.http.html import ELEMENTS
from tests.page.chromium import chromium
from tests.page.scenes import scenes
from vtid.daemon import log
from vtid.http.query import read_query
from vtid.http.server import Access, Server
from vtid.http.telemetry import Telemetry

if TYPE_CHECKING:
    from tests.page.chromium import Tab
    from tests.page.scenes import Scene
    from vtid.model.listing import Wanted

WIDTHS = (320, 390, 640, 1248, 1250, 1280, 1920)
"""Of screens, in CSS pixels: phones, and both sides of where the table begins to be one."""

LARGEST = 150_000
"""Bytes of a picture."""

ELEMENTS_THERE = "[...new Set([...document.querySelectorAll('*')].map(one => one.localName))]"

HANDLERS = """[...document.querySelectorAll('*')].flatMap(one => [...one.attributes])
    .filter(one => one.name.startsWith('on') || one.name == 'style').map(one => one.name)"""

WIDEST = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

STICKS_OUT = """[...document.querySelectorAll('body *')]
    .filter(one => !one.closest('svg') && one.getBoundingClientRect().right > innerWidth + 1)
    .map(one => one.localName + ': ' + one.textContent.slice(0, 60)).slice(0, 5)"""

UNPRINTABLE = r"/[\u202a-\u202e\u2066-\u2069\u200b-\u200f\x1b]/.test(document.body.textContent)"

FAINT = r"""(() => {
  const channels = text => text.match(/[\d.]+/g).map(Number)
  const luminance = text => channels(text).slice(0, 3).map(one => one / 255)
      .map(one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
      .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0)
  const back = one => {
    for (; one; one = one.parentElement) {
      const box = one.ownerSVGElement && one.ownerSVGElement.querySelector('rect')
      if (box) return getComputedStyle(box).fill
      const colour = getComputedStyle(one).backgroundColor
      if ((channels(colour)[3] ?? 1) > 0) return colour
    }
    return 'rgb(255, 255, 255)'
  }
  const ratio = (one, other) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)
  return [...document.querySelectorAll('body *')]
      .filter(one => [...one.childNodes].some(node => node.nodeType == 3 && node.data.trim()))
      .filter(one => one.localName != 'title')
      .map(one => {
        const look = getComputedStyle(one)
        const colour = one.ownerSVGElement ? look.fill : look.color
        return [ratio(luminance(colour), luminance(back(one))), one.textContent.trim().slice(0, 40)]
      })
      .filter(([found]) => found < 4.5).map(([found, text]) => found.toFixed(2) + ' ' + text)
})()"""
"""Text whose contrast is below 4.5:1 (WCAG 2.1, AA); a picture has the colour of its boxes."""

ROWS = "document.querySelectorAll('#tunnels ~ table tbody tr').length"

PUT_IN = """document.body.insertAdjacentHTML('beforeend',
    '<img src="http://192.0.2.9/x.png" onerror="alert(1)"><p style="color:red">x</p>')"""


async def look(tab: Tab, scene: Scene, url: str) -> str:
    """Check one scene, and return what was seen. Raises AssertionError with what is wrong."""
    address = f"{url}/{scene.query}"
    await tab.open(address)
    for width in {*WIDTHS, scene.width}:
        await tab.look(width, scene.height, dark=scene.dark)
        assert not (found := await tab.value(STICKS_OUT)), f"sticks out at {width}: {found}"
        assert await tab.value(WIDEST) <= 0, f"wider than {width}"
    await tab.look(scene.width, scene.height, dark=scene.dark)
    await tab.open(address)
    assert not (found := await tab.value(FAINT)), f"contrast: {found}"
    elements = set(await tab.value(ELEMENTS_THERE))
    assert elements <= ELEMENTS, f"put in: {elements - ELEMENTS}"
    assert not (found := await tab.value(HANDLERS)), f"put in: {found}"
    assert not await tab.value(UNPRINTABLE), "characters that mislead"
    assert tab.requests == [address.partition("#")[0]], f"requested: {tab.requests}"
    assert not tab.complaints, "\n".join(tab.complaints)
    rows = int(await tab.value(ROWS))
    assert rows == len((await scene.daemon.listing(_wanted(scene))).tunnels), rows
    return f"{len(elements)} kinds of elements, {rows} tunnels"


def _wanted(scene: Scene) -> Wanted:
    pairs = dict(parse_qsl(scene.query.removeprefix("?").partition("#")[0]))
    return read_query(pairs).wanted


async def check_refresh(tab: Tab, url: str) -> None:
    """Raise AssertionError unless a page is loaded again by itself, at whatever place of it."""
    await tab.open(f"{url}/?refresh=5#tunnels")
    before = await tab.value("document.querySelector('header time').dateTime")
    await tab.loaded_again()
    after = await tab.value("document.querySelector('header time').dateTime")
    assert before < after, f"not loaded again: {before}, {after}"


async def check_the_checks(tab: Tab, url: str) -> None:
    """Raise AssertionError if the browser takes what is put into a page from outside."""
    await tab.open(url)
    await tab.value(PUT_IN)
    await tab.value("new Promise(go => setTimeout(go, 200))")
    said = "\n".join(tab.complaints)
    for directive in ("img-src", "script-src", "style-src"):
        assert directive in said, f"no complaint of {directive}: {said}"
    assert tab.requests == [f"{url}/"], f"requested: {tab.requests}"


async def run(folder: Path) -> list[str]:
    """Look at all scenes; return what is wrong."""
    wrong: list[str] = []
    async with chromium() as tab:
        for scene in await scenes():
            with tempfile.TemporaryDirectory() as name:
                server = Server(f"{name}/s", ["127.0.0.1:0"], scene.daemon, Telemetry())
                server.use(Access(page=True))
                await server.start()
                host, port = server.addresses[0]
                url = f"http://{host}:{port}"
                try:
                    seen = await look(tab, scene, url)
                    if scene.name == "down":
                        await check_refresh(tab, url)
                        await check_the_checks(tab, url)
                        await tab.open(url)
                except AssertionError as error:
                    wrong.append(f"{scene.name}: {error}")
                    seen = f"wrong: {error}"
                picture = await tab.picture()
                await server.stop()
            (folder / f"page-{scene.name}.png").write_bytes(picture)
            if len(picture) > LARGEST:
                wrong.append(f"{scene.name}: the picture has {len(picture)} bytes")
            print(f"page: {scene.name}: {seen}, {len(picture)} bytes", flush=True)
    return wrong


def main() -> int:
    """Look, and say what is wrong; 0 if nothing is."""
    log.configure("error", sys.stderr)
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "/out")
    wrong = asyncio.run(run(folder))
    for one in wrong:
        print(f"page: {one}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
