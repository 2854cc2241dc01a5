"""A focus in a process of its own, whole but for its homeserver: agent, switchboard, native engine, as weir has them.

Room state and to-device messages come and go through a pipe, so that what the process uses
is signalling, planning, SDP and transports, and nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import cProfile
import multiprocessing
import os
import pstats
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from focus import garbage
from focus.codecs import PREFERRED, carried
from focus.engine import Settings
from focus.limits import Limits
from focus.names import RandomNames
from focus.native import NativeEngine
from focus.switchboard import Figures, Switchboard
from signalling.agent import Agent
from signalling.limits import SignallingLimits
from signalling.link import Batch, Content

USER, DEVICE = "@focus:here.test", "FOCUSDEV"
REPLY_WITHIN = 30.0
"Seconds."
PROFILE_LINES = 45
LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Used:
    """What the process had used at one moment."""

    cpu: float
    "Seconds of CPU time of all threads, user and kernel."
    python: float
    "Of those, the seconds of the control plane's thread."
    figures: Figures
    faults: dict[str, int]


class Pipe:
    """`signalling.link.Link` over the pipe."""

    user, device = USER, DEVICE

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.came: asyncio.Queue[Batch] = asyncio.Queue()

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield what comes."""
        while True:
            yield await self.came.get()

    async def send(self, user: str, device: str, type: str, content: Content, *, encrypted: bool) -> None:
        """Hand a message over."""
        # Nobody may listen any more.
        with suppress(ConnectionError):
            self._pipe.send((user, device, type, dict(content)))

    async def join(self, room: str) -> None:
        """Nobody invites."""

    async def leave(self, room: str) -> None:
        """The room may be empty between two calls."""


class Focus:
    """The near side. Made inside a running event loop; `close` ends the process."""

    def __init__(self, cpus: frozenset[int], profiled: bool, limits: Limits = LIMITS) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(target=serve, args=(far, cpus, profiled, limits), daemon=True)
        self._process.start()
        far.close()
        self.on_message: Callable[[str, str, str, dict[str, Any]], None] = lambda user, device, type, content: None
        "Called with each to-device message of the focus."
        self._replies: asyncio.Queue[Used] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._read)

    def take(self, batch: Batch) -> None:
        """Have the homeserver bring this."""
        self._pipe.send(batch)

    async def used(self) -> Used:
        """What the process has used until now. Raises `TimeoutError`."""
        self._pipe.send(None)
        async with asyncio.timeout(REPLY_WITHIN):
            return await self._replies.get()

    async def close(self) -> None:
        """End the focus and its process."""
        asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        # The far side ends when its pipe does.
        self._pipe.close()
        await asyncio.to_thread(self._process.join, REPLY_WITHIN)
        if self._process.is_alive():
            self._process.kill()

    def _read(self) -> None:
        try:
            while self._pipe.poll():
                came = self._pipe.recv()
                if isinstance(came, Used):
                    self._replies.put_nowait(came)
                else:
                    self.on_message(*came)
        except (EOFError, ConnectionError):
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())


def serve(pipe: Connection, cpus: frozenset[int], profiled: bool, limits: Limits) -> None:
    """The far side: run the focus until the pipe ends."""
    import uvloop

    os.sched_setaffinity(0, cpus)
    # As `weir run` does.
    garbage.look_rarely()
    if not profiled:
        uvloop.run(obey(pipe, limits))
        return
    profile = cProfile.Profile()
    profile.enable()
    uvloop.run(obey(pipe, limits))
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(PROFILE_LINES)


async def obey(pipe: Connection, limits: Limits) -> None:
    """Run a focus on what the pipe brings."""
    engine = NativeEngine(Settings(addresses=("127.0.0.1",)))
    names = RandomNames()
    switchboard = Switchboard(engine, None, limits, carried(engine.codecs, PREFERRED), names, time.monotonic)
    link = Pipe(pipe)
    agent = Agent(link, switchboard, names, time.monotonic, time.time, SignallingLimits())
    switchboard.face = agent
    over = asyncio.Event()

    def read() -> None:
        try:
            while pipe.poll():
                came = pipe.recv()
                if isinstance(came, Batch):
                    link.came.put_nowait(came)
                else:
                    faults = dict(agent.faults + switchboard.faults)
                    pipe.send(Used(time.process_time(), time.thread_time(), switchboard.figures(), faults))
        except (EOFError, ConnectionError):
            asyncio.get_running_loop().remove_reader(pipe.fileno())
            over.set()

    asyncio.get_running_loop().add_reader(pipe.fileno(), read)
    running = [asyncio.ensure_future(switchboard.run()), asyncio.ensure_future(agent.run())]
    await over.wait()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await engine.close()
