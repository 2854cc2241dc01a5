"""To-device events on their way in: opened, in each sender's order, and nobody waits for somebody else's keys.

Whose device encrypted an event may have to be asked of a homeserver far away, which may
be slow on purpose. So an event whose device is known is opened at once; any other waits
in its sender's own queue, and so does what that sender sends after it. What messages
mean is not known here.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from signalling.devices import Device, Devices
from signalling.link import ToDevice
from signalling.olm import Olm, Unopened

ENCRYPTED = "m.room.encrypted"
UNREAD = ("m.room_key", "m.forwarded_room_key", "m.room_key.", "m.room_key_request", "m.secret.", "m.key.verification.")
"Beginnings of types that are of no use to a focus: dropped unread, encrypted or not."
DUMMY = "m.dummy"
"Sent to make a new session known; it has no content."
MOST_WAITING = 2_000
"Events that wait for keys, of all senders together; of one sender a tenth of that."
AT_ONCE = 10
"Questions for keys under way at once. The rest of the connections are for those who wait for nobody."


class Opening:
    """Takes raw events, gives messages. `news` is set while there are some to `drain`."""

    def __init__(self, devices: Devices, olm: Olm, faults: Counter[str], wedged: Callable[[Device], None]) -> None:
        """`wedged` is told of a device of which something could not be decrypted."""
        self.news = asyncio.Event()
        self._devices = devices
        self._olm = olm
        self._faults = faults
        self._wedged = wedged
        self._ready: list[ToDevice] = []
        self._waiting: dict[str, deque[tuple[str, dict[str, Any]]]] = {}
        self._many = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._questions = asyncio.Semaphore(AT_ONCE)

    def take(self, event: object) -> None:
        """One event of a sync."""
        match event:
            case {"type": str(type), "sender": str(sender), "content": dict(content)}:
                pass
            case _:
                self._faults["malformed"] += 1
                return
        queue = self._waiting.get(sender)
        if queue is not None:
            self._queue(queue, type, content)
            return
        device: Device | None = None
        if type == ENCRYPTED:
            key = content.get("sender_key")
            if isinstance(key, str):
                device = self._devices.at_hand(sender, key)
            if device is None and isinstance(key, str):
                queue = self._waiting[sender] = deque()
                self._queue(queue, type, content)
                task = asyncio.get_running_loop().create_task(self._ask(sender, queue))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                return
        self._open(sender, type, content, device)

    def drain(self) -> list[ToDevice]:
        """The messages that are ready, in order."""
        self.news.clear()
        ready, self._ready = self._ready, []
        return ready

    async def close(self) -> None:
        """Give up what still waits."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _queue(self, queue: deque[tuple[str, dict[str, Any]]], type: str, content: dict[str, Any]) -> None:
        if self._many >= MOST_WAITING or len(queue) >= MOST_WAITING // 10:
            self._faults["too_many_waiting"] += 1
            return
        self._many += 1
        queue.append((type, content))

    async def _ask(self, sender: str, queue: deque[tuple[str, dict[str, Any]]]) -> None:
        try:
            while queue:
                type, content = queue[0]
                device, key = None, content.get("sender_key")
                if type == ENCRYPTED and isinstance(key, str):
                    async with self._questions:
                        device = await self._devices.by_key(sender, key)
                self._open(sender, type, content, device)
                queue.popleft()
                self._many -= 1
        finally:
            self._many -= len(queue)
            del self._waiting[sender]

    def _open(self, sender: str, type: str, content: dict[str, Any], device: Device | None) -> None:
        if type == ENCRYPTED:
            if device is None:
                self._faults["unknown_device" if isinstance(content.get("sender_key"), str) else "malformed"] += 1
                return
            try:
                type, content = self._olm.open(device, content)
            except Unopened as fault:
                self._faults[str(fault)] += 1
                if fault.wedged:
                    self._wedged(device)
                return
        if type.startswith(UNREAD):
            self._faults["room_key_dropped"] += 1
        elif type != DUMMY:
            self._ready.append(ToDevice(sender, type, content, None if device is None else device.id))
            self.news.set()
