"""A link to a homeserver whose batches are handled at once, and kept for a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from signalling.account import MatrixLink
from signalling.link import Batch, Gone, Invited, StateEvent, ToDevice
from signalling.matrix import Login

Open = Callable[[Login, str], MatrixLink]
"An account, and the name of its store."


class Following:
    """A link whose batches are handled at once and kept."""

    def __init__(self, link: MatrixLink) -> None:
        self.link = link
        self.batches: asyncio.Queue[Batch] = asyncio.Queue()
        self.task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async for batch in self.link.batches():
            self.batches.put_nowait(batch)

    async def next(self) -> Batch:
        """The next batch; what the follower raised is raised here."""
        waiting = asyncio.ensure_future(self.batches.get())
        done, _ = await asyncio.wait({waiting, self.task}, timeout=15, return_when=asyncio.FIRST_COMPLETED)
        assert done, "no batch came"
        if waiting not in done:
            waiting.cancel()
            self.task.result()
        return waiting.result()

    async def message(self) -> ToDevice:
        while True:
            batch = await self.next()
            if batch.messages:
                assert len(batch.messages) == 1
                return batch.messages[0]

    async def room_event(self) -> StateEvent | Invited | Gone:
        while True:
            batch = await self.next()
            if batch.rooms:
                return batch.rooms[-1]


@asynccontextmanager
async def following(link: MatrixLink) -> AsyncIterator[Following]:
    await link.start()
    follower = Following(link)
    try:
        yield follower
    finally:
        follower.task.cancel()
        await asyncio.gather(follower.task, return_exceptions=True)
        await link.close()


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110  # the link's own pace: it has no event for a failure
        await asyncio.sleep(0.02)
