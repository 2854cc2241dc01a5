"""The call that a bench or a browser test acts on: a demo as a process of its own.

It starts `python -m weir demo`, waits until all of it runs, and ends it. What runs where
comes from the demo's ready file, read afresh each time: a focus that was restarted has a
new process id. It measures nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.participants.accounts import Account, register_one
from signalling.matrix import Homeserver

READY_WITHIN = 300.0
"Seconds. The first run installs a homeserver and draws the participants' pictures."
STOP_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A running demo."""

    ready_file: Path
    data: Path

    def now(self) -> dict[str, Any]:
        """What runs where, as the demo describes it."""
        described: dict[str, Any] = json.loads(self.ready_file.read_text())
        return described

    @property
    def homeserver(self) -> str:
        """The homeserver's base URL."""
        return str(self.now()["homeserver"])

    @property
    def page(self) -> str:
        """The page's address: whoever opens it is in the call. Empty without a page."""
        return str(self.now()["page"])

    @property
    def room(self) -> str:
        """The room of the call."""
        return str(self.now()["room"])

    @property
    def focus(self) -> tuple[str, str]:
        """The focus's user and device."""
        focus = self.now()["focus"]
        return focus["user_id"], focus["device_id"]

    @property
    def registration_secret(self) -> str:
        """What makes accounts on the homeserver."""
        return str(self.now()["registration_secret"])

    def pid(self, part: str) -> int:
        """The process id of `focus`, `synapse` or `participants`."""
        return int(self.now()["pids"][part])

    async def metric(self, session: aiohttp.ClientSession, name: str) -> float | None:
        """One figure of the focus's own, without labels; None while the focus does not answer."""
        try:
            async with session.get(self.now()["metrics"]) as answer:
                found = re.search(rf"^{name} (\S+)$", await answer.text(), re.MULTILINE)
        except aiohttp.ClientError:
            return None
        return float(found[1]) if found else None

    async def accounts(self, count: int, session: aiohttp.ClientSession) -> list[Account]:
        """Make new accounts, named as participants are. Raises `MatrixError`."""
        server = Homeserver(self.homeserver, None, session)
        return [await register_one(server, self.registration_secret, number) for number in range(count)]


@asynccontextmanager
async def stage(
    people: int = 0,
    *,
    page: bool = True,
    data: Path | None = None,
    stack: str = "auto",
    address: str | None = None,
) -> AsyncIterator[Stage]:
    """Run a demo with so many synthetic participants while the block runs. Raises `RuntimeError` if it does not start.

    `data`: the demo's folder; a fresh one, removed at the end, if not given. `stack`: of the participants. `address`:
    for media, beside loopback.
    """
    with tempfile.TemporaryDirectory(prefix="weir-stage-", ignore_cleanup_errors=True) as scratch:
        folder = data or Path(scratch)
        ready, log = Path(scratch) / "ready.json", Path(scratch) / "demo.log"
        command = [sys.executable, "-m", "weir", "demo", "--people", str(people), "--port", "0", "--data", str(folder)]
        command += ["--stack", stack]
        command += ["--ready-file", str(ready), *([] if page else ["--no-page"])]
        command += ["--address", address] if address is not None else []
        with log.open("wb") as out:
            demo = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out, start_new_session=True)
        try:
            await started(demo, ready, log)
            yield Stage(ready, folder)
        finally:
            await ended(demo)


async def started(demo: asyncio.subprocess.Process, ready: Path, log: Path) -> None:
    """Wait for the ready file."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_WITHIN
    while not ready.exists():
        if demo.returncode is not None or loop.time() > deadline:
            state = "ended" if demo.returncode is not None else "is still not ready"
            raise RuntimeError(f"the demo {state}:\n" + "\n".join(log.read_text().splitlines()[-25:]))
        await asyncio.sleep(0.1)


async def ended(demo: asyncio.subprocess.Process) -> None:
    """End the demo, which ends what it started."""
    if demo.returncode is not None:
        return
    demo.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(demo.wait(), STOP_WITHIN)
    except TimeoutError:
        os.killpg(demo.pid, signal.SIGKILL)
        await demo.wait()
