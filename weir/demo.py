"""A whole call on one machine: homeserver, focus, participants, page. All real, none reachable from outside.

It starts things in order, says how far it is, and ends what it started. The homeserver
and the focus account are kept in the data folder from one run to the next; the room is
new each time, so that no ghost of the last call sits in it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import web

from weir.children import Child
from weir.focus_account import focus_account
from weir.guests import Guests
from weir.homeserver import LocalHomeserver, free_port
from weir.listening import listening
from widget import web as page

HOST = "127.0.0.1"

PATIENCE = 60.0
"Seconds for the focus to be ready, and again for all participants to be in."

LOOK_AGAIN = 0.2
"Seconds between two looks at another process."


class DemoFailed(Exception):
    """A part of the demo did not come up; the message says which, and the end of its log."""


@dataclass(frozen=True, slots=True)
class Options:
    """What can be chosen."""

    data: Path
    people: int = 10
    port: int = 8900
    "Of the page; 0 for any free one."
    page: bool = True
    engine: str = "auto"
    "As in [media]."
    stack: str = "auto"
    "What carries the participants' media."
    address: str | None = None
    "Where media goes, beside loopback."
    federation: int | None = None
    "Port on which the homeserver meets others of this machine; without, it knows none."
    ready_file: Path | None = None
    "Gets a JSON description of what runs, once all of it runs, and again when a process was replaced."


class Demo:
    """One demo, from `start` to `stop`."""

    def __init__(self, options: Options, tell: Callable[[str], None]) -> None:
        self.options = options
        self.tell = tell
        self.stack = AsyncExitStack()
        self.page = ""
        self.room = ""
        self.engine = ""
        "The one that carries media."
        self.focus: Child | None = None
        self.participants: Child | None = None

    async def start(self) -> None:
        """Bring everything up. Raises `DemoFailed`, `HomeserverFailed` or `MatrixError`; then call `stop`."""
        data = self.options.data
        data.mkdir(parents=True, exist_ok=True)
        self.session = await self.stack.enter_async_context(aiohttp.ClientSession())
        self.homeserver = LocalHomeserver(
            data / "synapse", progress=self.tell, federation=self.options.federation
        )
        self.stack.push_async_callback(self.homeserver.stop)
        await self.homeserver.start()
        self.guests = Guests(self.homeserver, self.session)
        await self._start_focus()
        self.room = await self.guests.room(self.account.user)
        if self.options.people:
            await self._start_participants()
        if self.options.page:
            await self._serve_page()
        self._write_ready_file()

    async def _start_focus(self) -> None:
        self.http, self.metrics = free_port(HOST), free_port(HOST)
        sections: dict[str, dict[str, Any]] = {
            "media": {
                "addresses": [HOST, *([self.options.address] if self.options.address else [])],
                "engine": self.options.engine,
            },
            "http": {"port": self.http},
            "metrics": {"port": self.metrics},
        }
        self.account = await focus_account(
            self.homeserver, self.options.data / "focus", self.session, sections, self.tell
        )
        self.tell("starting the focus")
        self.focus = Child(
            "focus",
            [sys.executable, "-m", "weir", "run", "--config", str(self.account.config)],
            self.options.data / "focus.log",
            kept=True,
            started=lambda _: self._write_ready_file(),
        )
        self.focus.log.unlink(missing_ok=True)
        self.stack.push_async_callback(self.focus.stop)
        await self.focus.start()
        deadline = time.monotonic() + PATIENCE
        while not await self._focus_is_ready():
            if time.monotonic() > deadline or self.focus.starts > 3:
                raise DemoFailed(f"the focus is not ready; the end of {self.focus.log}:\n{self.focus.tail()}")
            await asyncio.sleep(LOOK_AGAIN)
        self.engine = await self._figure(r'^weir_build{.*engine="(\w+)"')
        self.tell(f"the focus carries media with its {self.engine} engine")

    async def _focus_is_ready(self) -> bool:
        try:
            async with self.session.get(f"http://{HOST}:{self.http}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def peers(self) -> int:
        """How many people the focus has on the line, from its own figures."""
        return int(await self._figure(r"^weir_peers (\d+)") or 0)

    async def _figure(self, pattern: str) -> str:
        """What the group of a pattern matches in the focus's figures; nothing if it does not."""
        async with self.session.get(f"http://{HOST}:{self.metrics}/metrics") as answer:
            found = re.search(pattern, await answer.text(), re.MULTILINE)
            return found[1] if found else ""

    async def _start_participants(self) -> None:
        people, data = self.options.people, self.options.data
        self.tell(f"sending {people} synthetic participants in (drawing their pictures takes a while the first time)")
        self.participants = Child(
            "participants",
            [
                *(sys.executable, "-m", "weir", "participants", "--count", str(people)),
                *("--stack", self.options.stack),
                *("--homeserver", self.homeserver.base_url, "--room", self.room),
                *("--focus", f"{self.account.user}/{self.account.device}"),
                *("--secret-file", str(self.homeserver.folder / "registration.secret"), "--directory", str(data)),
            ],
            data / "participants.log",
        )
        self.participants.log.unlink(missing_ok=True)
        self.stack.push_async_callback(self.participants.stop)
        await self.participants.start()
        deadline, told, drawn = time.monotonic() + PATIENCE, 0, ""
        while told < people:
            if not self.participants.alive:
                raise DemoFailed(f"the participants ended:\n{self.participants.tail()}")
            # Drawing and encoding may take minutes on a slow machine: time counts from the last sign of progress.
            now, line = await self.peers(), self.participants.tail(1)
            if (now, line) != (told, drawn):
                deadline = time.monotonic() + PATIENCE
                if line != drawn and not now:
                    self.tell(line)
            if now > told:
                self.tell(f"{now} of {people} participants are in")
            told, drawn = now, line
            if time.monotonic() > deadline:
                raise DemoFailed(
                    f"only {told} of {people} participants came in; the end of {self.participants.log}:\n"
                    f"{self.participants.tail()}\nthe end of {self.focus.log if self.focus else ''}:\n"
                    f"{self.focus.tail() if self.focus else ''}"
                )
            await asyncio.sleep(LOOK_AGAIN)

    async def _serve_page(self) -> None:
        async def visit(_: web.Request) -> web.Response:
            return web.json_response(await self.guests.visitor(self.room))

        app = web.Application()
        app.add_routes([web.post("/demo/account", visit), *page.routes(self._page_config)])
        try:
            door = listening("localhost", self.options.port, app)
            port = await self.stack.enter_async_context(door)
        except OSError as error:
            raise DemoFailed(f"port {self.options.port} is not free ({error.strerror}): choose with --port") from None
        # localhost and not an address: browsers give a camera to it without TLS.
        self.page = f"http://localhost:{port}/#/call/{quote(self.room, safe='')}?demo=1"

    def _page_config(self) -> dict[str, Any]:
        return {
            "homeserver": self.homeserver.base_url,
            "focus": {"user_id": self.account.user, "device_id": self.account.device},
            "room": self.room,
            "demo": True,
        }

    async def participants_report(self) -> dict[str, Any]:
        """Have the participants leave, and return what they report. Raises `DemoFailed`."""
        child = self.participants
        if child is None:
            return {"each": []}
        await child.stop()
        for line in reversed(child.tail(50).splitlines()):
            if line.startswith("{"):
                report: dict[str, Any] = json.loads(line)
                return report
        raise DemoFailed(f"the participants left without a report:\n{child.tail()}")

    async def broken(self) -> str:
        """Wait until a part that cannot be replaced ends, and say which."""
        while True:
            try:
                self.homeserver.usage()
            except OSError:
                return "the homeserver ended"
            if self.participants is not None and not self.participants.alive:
                self.tell(f"the participants ended; the end of {self.participants.log}:\n{self.participants.tail()}")
                self.participants = None
            await asyncio.sleep(1)

    def _write_ready_file(self) -> None:
        path = self.options.ready_file
        if path is None or not self.room:
            return
        unfinished = path.with_suffix(".new")
        unfinished.write_text(json.dumps(self.description()))
        unfinished.chmod(0o600)
        unfinished.replace(path)

    def description(self) -> dict[str, Any]:
        """What runs where, for whoever drives the demo. Holds a secret."""
        pids = {"synapse": self.homeserver.pid}
        for child in (self.focus, self.participants):
            if child is not None and child.process is not None:
                pids[child.name] = child.process.pid
        return {
            "homeserver": self.homeserver.base_url,
            "server_name": self.homeserver.server_name,
            "registration_secret": self.homeserver.registration_secret,
            "focus": {"user_id": self.account.user, "device_id": self.account.device},
            "metrics": f"http://{HOST}:{self.metrics}/metrics",
            "room": self.room,
            "page": self.page,
            "pids": pids,
        }

    async def stop(self) -> None:
        """End everything that was started, last first."""
        await self.stack.aclose()
