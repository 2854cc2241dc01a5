"""A thin, slow or lossy link for real processes: a network namespace behind a seeded wire in user space.

    async with link(Conditions(delay=0.05, rate=1e6)) as far: ...

Who runs in the namespace reaches `HOME` only through the link, both ways shaped, and the machine's
processes reach `AWAY` so. A second pair of addresses, `OPEN_HOME` and `OPEN_AWAY`, goes past it:
what a client fetches by HTTP need not wait for its media. The kernel's own queues do no shaping.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict

from bench.link.namespace import Names, lay, take_up
from tests.wire import Conditions


class Link:
    """A link that stands."""

    def __init__(self, names: Names, process: asyncio.subprocess.Process) -> None:
        self.names = names
        self._process = process

    async def set(self, there: Conditions, back: Conditions | None = None) -> None:
        """From now on the way into the namespace is like `there`, and out of it like `back`, or like `there`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        told = {"there": asdict(there), "back": asdict(there if back is None else back)}
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        await self._process.stdin.drain()
        if not await self._process.stdout.readline():
            raise RuntimeError("the link is down")

    def inside(self, *command: str) -> tuple[str, ...]:
        """The command that runs `command` in the namespace."""
        return ("ip", "netns", "exec", self.names.space, *command)


@asynccontextmanager
async def link(there: Conditions, back: Conditions | None = None, *, seed: int = 1) -> AsyncIterator[Link]:
    """Lay a link, and take it up at the end. `OSError` or `RuntimeError`: this machine does not allow one."""
    names = Names.fresh()
    lay(names)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.link.forward", names.space, names.near, names.far, str(seed),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            found = Link(names, process)
            await found.set(there, back)
            yield found
        finally:
            if process.stdin is not None:
                process.stdin.close()
            await process.wait()
    finally:
        take_up(names)
