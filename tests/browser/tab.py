"""One tab of a headless Chromium, driven over its DevTools protocol: a page as a reader's screen would show it."""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp

from browser.chromium import Chromium

START_SECONDS = 60
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0",
)  # fmt: skip

Scheme = Literal["light", "dark"]


@dataclass
class Tab:
    """``complaints``: errors and warnings of the console, refused loads, uncaught exceptions. ``requests``: URLs."""

    socket: aiohttp.ClientWebSocketResponse
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _last: int = 0

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends it and hears until its answer; events in between are noted."""
        self._last += 1
        await self.socket.send_json({"id": self._last, "method": method, "params": parameters})
        return await self._heard(lambda message: message.get("id") == self._last)

    async def open(self, url: str, width: int, scheme: Scheme) -> None:
        """Shows a page, ``width`` pixels wide, until it has loaded."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.command(f"{domain}.enable")
        await self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.command("Emulation.setEmulatedMedia", features=features)
        await self.command("Page.navigate", url=url)
        await self._heard(lambda message: message.get("method") == "Page.loadEventFired")

    async def value(self, expression: str) -> Any:
        """Of a JavaScript expression that the protocol evaluates; the page itself may have no script."""
        answer = await self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def picture(self, height: int | None = None) -> bytes:
        """PNG of the whole page, or of its top."""
        size = (await self.command("Page.getLayoutMetrics"))["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        answer = await self.command("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    async def _heard(self, wanted: Any) -> dict[str, Any]:
        while True:
            message = await self.socket.receive_json(timeout=START_SECONDS)
            self._note(message.get("method", ""), message.get("params", {}))
            assert "error" not in message, message
            if wanted(message):
                result: dict[str, Any] = message.get("result", {})
                return result

    def _note(self, method: str, event: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(event["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(event["entry"]["text"])
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.complaints.append(str(event))


@asynccontextmanager
async def browser(chromium: Chromium) -> AsyncIterator[str]:
    """A process of its own, with a profile of its own; the address of its protocol."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        environment = chromium.environment(os.environ) | {"HOME": profile}
        command = [str(chromium.binary), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=quiet, stderr=quiet)
        try:
            yield await _address(Path(profile) / "DevToolsActivePort", process)
        finally:
            process.terminate()
            await process.wait()


async def _address(file: Path, process: asyncio.subprocess.Process) -> str:
    """Chromium writes the port that it took into its profile."""
    async with asyncio.timeout(START_SECONDS):
        while (port := _port(file)) is None:
            assert process.returncode is None, f"Chromium ended with {process.returncode}"
            await asyncio.sleep(0.05)
    return f"http://127.0.0.1:{port}"


def _port(file: Path) -> str | None:
    """None: not written yet, or not to its end."""
    lines = file.read_text().splitlines() if file.exists() else []
    return lines[0] if len(lines) > 1 else None


@asynccontextmanager
async def new_tab(address: str) -> AsyncIterator[Tab]:
    async with aiohttp.ClientSession() as session:
        async with session.put(f"{address}/json/new?about:blank") as answer:
            target = await answer.json(content_type=None)
        async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            yield Tab(socket)
