"""An engine in a process of its own, so that its CPU time is its own, driven through the contract of `focus.engine`.

Commands go down a pipe and events come up; a reading of the process's CPU clock and of the
engine's counters is asked for and awaited. It knows engines by name and nothing of media.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from focus.commands import Command, Counters, Event
from focus.engine import Engine, Settings

E = TypeVar("E")

REPLY_WITHIN = 30.0
"Seconds for an event or a reading to come."

ENDED = "the engine's process ended; what it said is above"

SETTINGS = Settings(addresses=("127.0.0.1",))


def reference(settings: Settings) -> Engine:
    """The engine in Python."""
    from focus.reference.engine import ReferenceEngine

    return ReferenceEngine(settings, time.monotonic)


def native(settings: Settings) -> Engine:
    """The engine in Rust. Raises `Unavailable` where it is not built."""
    from focus.native import NativeEngine

    return NativeEngine(settings)


ENGINES: dict[str, Callable[[Settings], Engine]] = {"reference": reference, "native": native}
"Called inside a running event loop."


@dataclass(frozen=True, slots=True)
class Reading:
    """What the engine's process had used and counted at one moment."""

    cpu: float
    "Seconds of CPU time of the whole process, all threads, user and kernel."
    rss: int
    "Bytes at most so far."
    resident: int
    "Bytes now."
    counters: Counters
    figures: Mapping[str, int]
    "What the engine's pump counted of its own work; the reference engine has none."
    wakes: int
    "Times that the engine woke Python up."


class Apart:
    """The near side. Made inside a running event loop; `close` ends the process."""

    def __init__(self, name: str, cpus: frozenset[int], settings: Settings = SETTINGS) -> None:
        self._pipe = self._launch(name, cpus, settings)
        self.events: list[Event] = []
        self.fingerprint = ("", "")
        self._replies: asyncio.Queue[Any] = asyncio.Queue()
        self._came = asyncio.Condition()
        self._ended = False
        self._tasks: set[asyncio.Task[None]] = set()
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._read)

    def _launch(self, name: str, cpus: frozenset[int], settings: Settings) -> Connection:
        """Start the process; the near end of the pipe to it."""
        context = multiprocessing.get_context("spawn")
        near, far = context.Pipe()
        self._process = context.Process(target=serve, args=(far, name, cpus, settings), daemon=True)
        self._process.start()
        far.close()
        return near

    def _end(self) -> None:
        """Wait for the process, whose pipe is closed."""
        self._process.join(REPLY_WITHIN)
        if self._process.is_alive():
            self._process.kill()

    async def start(self) -> None:
        """Wait until the engine is there. Raises `RuntimeError` when its process ended."""
        self.fingerprint = await self._reply()

    def submit(self, *commands: Command) -> None:
        """Have the engine carry out commands in order."""
        self._pipe.send(list(commands))

    async def reading(self) -> Reading:
        """What the process has used until now. Raises `RuntimeError` when it ended."""
        self._pipe.send("reading")
        found: Reading = await self._reply()
        return found

    async def saw(self, kind: type[E], **fields: Any) -> E:
        """The first event of a kind whose fields have these values, waited for.

        Raises `TimeoutError`, and `RuntimeError` when the process ended.
        """

        def found() -> E | None:
            for event in self.events:
                if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items()):
                    return event
            return None

        async with asyncio.timeout(REPLY_WITHIN), self._came:
            await self._came.wait_for(lambda: self._ended or found() is not None)
        event = found()
        if event is None:
            raise RuntimeError(ENDED)
        return event

    async def close(self) -> None:
        """End the engine and its process."""
        asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        # The far side ends when its pipe does.
        self._pipe.close()
        await asyncio.to_thread(self._end)

    async def _reply(self) -> Any:
        async with asyncio.timeout(REPLY_WITHIN):
            reply = await self._replies.get()
        if reply is None:
            raise RuntimeError(ENDED)
        return reply

    def _read(self) -> None:
        try:
            while self._pipe.poll():
                message = self._pipe.recv()
                if isinstance(message, list):
                    self.events += message
                else:
                    self._replies.put_nowait(message)
        except (EOFError, ConnectionError):
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._ended = True
            self._replies.put_nowait(None)
        task = asyncio.ensure_future(self._ring())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ring(self) -> None:
        async with self._came:
            self._came.notify_all()


def serve(pipe: Connection, name: str, cpus: frozenset[int], settings: Settings) -> None:
    """The far side: run the engine until the pipe ends."""
    import uvloop

    os.sched_setaffinity(0, cpus)
    make = ENGINES[name]
    uvloop.run(obey(pipe, lambda: make(settings)))


async def obey(pipe: Connection, make: Callable[[], Engine]) -> None:
    """Hand commands to the engine and its events back."""
    engine = make()
    over = asyncio.Event()
    wakes = 0

    def tell() -> None:
        nonlocal wakes
        wakes += 1
        pipe.send(engine.drain())

    engine.listen(tell)

    def read() -> None:
        try:
            while pipe.poll():
                message = pipe.recv()
                if message == "reading":
                    rss = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                    figures: Mapping[str, int] = getattr(engine, "figures", dict)()
                    pages = int(Path("/proc/self/statm").read_text().split()[1])
                    now = pages * resource.getpagesize()
                    pipe.send(Reading(time.process_time(), rss, now, engine.counters(), figures, wakes))
                else:
                    engine.submit(message)
        except (EOFError, ConnectionError):
            asyncio.get_running_loop().remove_reader(pipe.fileno())
            over.set()

    pipe.send(engine.fingerprint)
    asyncio.get_running_loop().add_reader(pipe.fileno(), read)
    await over.wait()
    engine.listen(lambda: None)
    await engine.close()
