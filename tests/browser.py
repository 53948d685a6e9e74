"""A real Chromium, driven over its own protocol (CDP): needs Debian's chromium-headless-shell and nothing else."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.patience import LONG_S, SOON_S

ROOT = Path(__file__).parents[1]
_LISTENS = b"DevTools listening on "
CONSOLE = ROOT / "clients/console"
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en-GB"),
)
_UNTIL = """new Promise((told) => {
  const end = performance.now() + WAIT_MS;
  const look = () => {
    try { if (CONDITION) return told(true); } catch { /* not there yet */ }
    return performance.now() > end ? told(false) : setTimeout(look, 20);
  };
  look();
})"""


def executable() -> str:
    """Chromium; the test is skipped where there is none."""
    found = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium-headless-shell")
    return found


@cache
def axe_source() -> str:
    """The script of axe-core."""
    return from_npm("axe-core/axe.min.js").read_text("utf-8")


def from_npm(name: str) -> Path:
    """A file of a package that npm brings once, at the version of the lock file; without npm the test is skipped."""
    found = CONSOLE / "node_modules" / name
    with Path(tempfile.gettempdir(), "gridsignal-npm.lock").open("w") as lock:  # npm begins by taking all away
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            if shutil.which("npm") is None:
                pytest.skip("needs npm")
            install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefer-offline"]
            subprocess.run(install, cwd=CONSOLE, check=True, timeout=3 * LONG_S)
    return found


def _button(label: str) -> str:
    """The link or button of this name that can be clicked."""
    named = f"(each.ariaLabel || each.innerText).trim() === {json.dumps(label)}"
    return f"[...document.querySelectorAll('button, a')].find((each) => {named} && !each.disabled)"


class GoneElsewhere(Exception):
    """The page went to another address while it was asked something."""


class Browser:
    """One browser; each page has a storage of its own."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._pages: dict[str, Page] = {}

    async def listen(self) -> None:
        async for text in self._socket:
            told = json.loads(text)
            if "id" in told:
                if (waiting := self._answers.pop(told["id"], None)) is not None and not waiting.done():
                    waiting.set_result(told)
            elif (page := self._pages.get(told.get("sessionId", ""))) is not None:
                page.hear(told["method"], told.get("params", {}))

    async def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        number = next(self._ids)
        waiting = self._answers[number] = asyncio.get_running_loop().create_future()
        said = {"id": number, "method": method, "params": params}
        await self._socket.send(json.dumps(said | ({"sessionId": session} if session else {})))
        async with asyncio.timeout(SOON_S):
            told = await waiting
        if "navigated" in str(told.get("error", {}).get("message")) or "context" in str(told.get("error")):
            raise GoneElsewhere
        assert "error" not in told, (method, told["error"])
        return told["result"]

    async def page(self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        """A page at this address, loaded."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = (await self.call("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            await page.call(f"{domain}.enable")
        await page.look(width, height, dark=dark)
        await page.go(url)
        return page


class Page:
    """A page, by what is written on it."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session
        self._loaded = asyncio.Event()
        self.faults: list[str] = []
        """What the browser complained of: exceptions, refusals by the page's policy."""
        self.asked: list[str] = []
        """Every address that was asked for."""

    def hear(self, method: str, params: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Runtime.exceptionThrown":
            self.faults.append(json.dumps(params["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and params["entry"]["source"] in ("security", "violation", "javascript"):
            self.faults.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])

    async def call(self, method: str, **params: Any) -> Any:
        return await self._browser.call(method, self._session, **params)

    async def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """The size of the window, and the reader's choice of colours."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.call("Emulation.setDeviceMetricsOverride", **size)
        colours = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[colours])

    async def go(self, url: str) -> None:
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        async with asyncio.timeout(SOON_S):
            await self._loaded.wait()

    async def js(self, expression: str) -> Any:
        """What an expression comes to, a promise's end included. It is not subject to the page's own policy."""
        done = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, (expression, done["exceptionDetails"])
        return done["result"].get("value")

    async def until(self, condition: str) -> None:
        """Returns once it holds; the test fails with what the page says where it does not."""
        held = None
        while held is None:
            with suppress(GoneElsewhere):
                held = await self.js(_UNTIL.replace("CONDITION", condition).replace("WAIT_MS", f"{900 * SOON_S:.0f}"))
        assert held, (condition, await self.text(), self.faults)

    async def says(self, *texts: str) -> None:
        """Returns once all of these are written on the page."""
        for text in texts:
            await self.until(f"document.body.innerText.includes({json.dumps(text)})")

    async def text(self) -> str:
        return str(await self.js("document.body.innerText"))

    async def press(self, label: str) -> None:
        """Clicks the link or button of this name, once it is there."""
        await self.until(_button(label))
        with suppress(GoneElsewhere):
            await self.js(f"{_button(label)}.click()")

    async def press_until(self, label: str, condition: str) -> None:
        """Clicks the button of this name, once for each answer it waits for, until it holds."""
        async with asyncio.timeout(SOON_S):
            while True:
                await self.until(f"({condition}) || {_button(label)}")
                if await self.js(f"Boolean({condition}) || void {_button(label)}?.click()"):
                    return

    async def fill(self, field: str, value: str) -> None:
        """Puts a value into the field of this id, as if typed."""
        await self.until(f"document.getElementById({json.dumps(field)})")
        await self.js(
            f"(() => {{ const field = document.getElementById({json.dumps(field)}); field.value = {json.dumps(value)};"
            " field.dispatchEvent(new Event('input', {bubbles: true})); })()"
        )

    async def enter(self, label: str, value: str) -> None:
        """Puts a value into the field that is labelled so; of a choice what is written there."""
        named = f"[...document.querySelectorAll('label')].find((each) => each.innerText.trim() === {json.dumps(label)})"
        await self.until(f"{named}?.control")
        field = str(await self.js(f"{named}.control.id"))
        chosen = f"[...({named}.control.options ?? [])].find((each) => each.text === {json.dumps(value)})?.value"
        await self.fill(field, str(await self.js(f"{chosen} ?? {json.dumps(value)}")))

    async def key(self, name: str) -> None:
        """A key, as a keyboard sends it."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27}
        text = {"text": "\r"} if name == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            sent = {"type": kind, "key": name, "code": name, "windowsVirtualKeyCode": codes[name]}
            await self.call("Input.dispatchKeyEvent", **sent, **(text if kind == "keyDown" else {}))

    async def axe(self) -> list[str]:
        """What axe finds to be against WCAG 2.2 A and AA; nothing, where all is well."""
        await self.js(await asyncio.to_thread(axe_source) + "; true")
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        run = json.dumps({"runOnly": {"type": "tag", "values": tags}})
        found = await self.js(f"axe.run(document, {run}).then((result) => JSON.stringify(result.violations))")
        return [
            f"{each['id']}: {node['html'][:120]} {node['failureSummary'][:300]}"
            for each in json.loads(found)
            for node in each["nodes"]
        ]


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Browser]:
    """A browser whose profile lies in this folder; ended with all its processes."""
    command = [executable(), *_FLAGS, "--headless", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    quiet, heard = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, "about:blank", stdout=quiet, stderr=heard, start_new_session=True
    )
    assert process.stderr is not None
    tasks = list[asyncio.Task[Any]]()
    try:
        async with asyncio.timeout(SOON_S):
            while not (line := await process.stderr.readline()).startswith(_LISTENS):
                assert line, "Chromium ended"
        tasks.append(asyncio.create_task(process.stderr.read()))
        async with connect(
            line.removeprefix(_LISTENS).decode().strip(),
            max_size=None,
            proxy=None,
            open_timeout=SOON_S,
            ping_interval=None,
        ) as socket:
            made = Browser(socket)
            tasks.append(asyncio.create_task(made.listen()))
            yield made
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await asyncio.gather(*tasks, return_exceptions=True)
