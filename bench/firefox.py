"""A real Firefox with a fake camera, driven by WebDriver BiDi, the protocol that it speaks itself.

It knows how to start one, open a page and run scripts there. What the scripts mean is the
caller's. Whatever Firefox would fetch by itself fails: its proxy leads nowhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bench.browser import KEEP_CONNECTIONS, until

FIREFOX = "/usr/bin/firefox-esr"
STARTS_WITHIN = 60.0
"Seconds. A busy machine takes ten for a fresh profile."
SETTINGS: dict[str, bool | int | str] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "permissions.default.camera": 1,
    "permissions.default.microphone": 1,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    # Without, it would download a codec for H.264.
    "media.gmp-manager.updateEnabled": False,
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.no_proxies_on": "localhost, 127.0.0.1",
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    # A page behind another one must run as if it were in front: a person looks at it.
    "dom.min_background_timeout_value": 4,
}


class Tab:
    """One page of a Firefox."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._context = ""

    async def listen(self) -> None:
        """Take answers until the connection ends."""
        async for message in self._socket:
            answer = json.loads(message.data)
            waiting = self._answers.pop(answer.get("id"), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)

    async def ask(self, method: str, **parameters: Any) -> Any:
        """Carry out a command of WebDriver BiDi and return its result. Raises `RuntimeError` with Firefox's words."""
        self._number += 1
        waiting = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        answer = await asyncio.wait_for(waiting, STARTS_WITHIN)
        if answer["type"] != "success":
            raise RuntimeError(f"{method}: {answer.get('message')}")
        return answer["result"]

    async def open(self, url: str) -> None:
        """Show a page. It keeps the peer connections that it makes, and is otherwise as it was shipped."""
        if not self._context:
            await self.ask("session.new", capabilities={})
            self._context = (await self.ask("browsingContext.getTree"))["contexts"][0]["context"]
            await self.ask("script.addPreloadScript", functionDeclaration=f"() => {{ {KEEP_CONNECTIONS} }}")
        await self.ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def run(self, script: str, *arguments: object) -> Any:
        """Call a JavaScript function with JSON values and return what it, or its promise, returns."""
        result = await self.ask(
            "script.callFunction",
            functionDeclaration=f"async (text) => JSON.stringify((await ({script})(...JSON.parse(text))) ?? null)",
            arguments=[{"type": "string", "value": json.dumps(arguments)}],
            awaitPromise=True,
            target={"context": self._context},
            userActivation=True,
        )
        if result["type"] != "success":
            raise RuntimeError(result["exceptionDetails"]["text"])
        return json.loads(result["result"]["value"])


@asynccontextmanager
async def firefox(url: str) -> AsyncIterator[Tab]:
    """Start a Firefox with a fresh profile, and open `url` in it. Raises `TimeoutError` if it does not start."""
    with tempfile.TemporaryDirectory(prefix="weir-firefox-", ignore_cleanup_errors=True) as folder:
        profile = Path(folder)
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in SETTINGS.items()]
        (profile / "user.js").write_text("\n".join(lines))
        process = await asyncio.create_subprocess_exec(
            FIREFOX, "--headless", "--no-remote", "--profile", folder, "--remote-debugging-port", "0", "about:blank",
            env={**os.environ, "HOME": folder, "MOZ_HEADLESS": "1"},
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with aiohttp.ClientSession() as session:
                where = profile / "WebDriverBiDiServer.json"

                async def address() -> str | None:
                    if process.returncode is not None:
                        raise RuntimeError(f"Firefox ended with {process.returncode}")
                    found = json.loads(where.read_text() or "null") if where.exists() else None
                    return f"ws://{found['ws_host']}:{found['ws_port']}/session" if found else None

                async with session.ws_connect(
                    await until(address, STARTS_WITHIN, "Firefox listens"), max_msg_size=0
                ) as socket:
                    tab = Tab(socket)
                    listening = asyncio.create_task(tab.listen())
                    try:
                        await tab.open(url)
                        yield tab
                    finally:
                        listening.cancel()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
