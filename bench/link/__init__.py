"""A thin, slow or lossy link for real processes: a network namespace behind a seeded wire in user space.

    async with link(Conditions(delay=0.05, rate=1e6)) as far: ...

Who runs in the namespace reaches `HOME` only through the link, both ways shaped, and the machine's
processes reach `AWAY` so. The kernel's own queues do no shaping.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

from bench.link.namespace import Names, lay, take_up
from bench.link.space import Space
from tests.wire import Conditions


@dataclass(frozen=True, slots=True)
class Carried:
    """Packets into the namespace, since the conditions were set before."""

    sent: int
    "Put on the wire, lost ones included."
    lost: int


class Link:
    """A link that stands."""

    def __init__(self, names: Names, process: asyncio.subprocess.Process) -> None:
        self.names = names
        self.space = Space(names.space)
        self._process = process

    async def set(self, there: Conditions, back: Conditions | None = None) -> Carried:
        """From now on the way into the namespace is like `there`, and out of it like `back`, or like `there`.

        What was carried before. `RuntimeError`: the link is down.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        told = {"there": asdict(there), "back": asdict(there if back is None else back)}
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the link is down")
        return Carried(**json.loads(line))


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
