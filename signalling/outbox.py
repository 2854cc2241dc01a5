"""To-device messages on their way out: in order to each device, side by side to different ones.

The agent must not wait for a homeserver while events come in; a device must not see our
messages out of order.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from signalling.link import Link, Unreachable

log = logging.getLogger(__name__)

MOST_WAITING = 256
"Messages to one device."


class Outbox:
    """Queues per device, each with a task while it has something to send."""

    def __init__(self, link: Link, faults: Counter[str]) -> None:
        self._link = link
        self._faults = faults
        self._queues: dict[tuple[str, str], list[tuple[str, Mapping[str, Any], bool]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, user: str, device: str, type: str, content: Mapping[str, Any], *, encrypted: bool) -> None:
        """Queue one message."""
        queue = self._queues.get((user, device))
        if queue is not None:
            if len(queue) >= MOST_WAITING:
                self._faults["outbox_full"] += 1
                return
            queue.append((type, content, encrypted))
            return
        self._queues[user, device] = [(type, content, encrypted)]
        task = asyncio.get_running_loop().create_task(self._drain(user, device))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, user: str, device: str) -> None:
        queue = self._queues[user, device]
        try:
            while queue:
                type, content, encrypted = queue[0]
                try:
                    await self._link.send(user, device, type, content, encrypted=encrypted)
                except Unreachable:
                    self._faults["unreachable"] += 1
                except Exception:
                    self._faults["send_failed"] += 1
                    log.exception("a to-device message could not be sent")
                queue.pop(0)
        finally:
            self._queues.pop((user, device), None)

    async def flush(self, patience: float) -> None:
        """Wait until all is sent, for at most so many seconds."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=patience)
