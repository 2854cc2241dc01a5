"""One participant in a room: its member event, its sync, its calls one after another.

It behaves as a client: it says in room state that it is in the call and through which
focus, dials, dials again when the call ends without its will, refreshes its entry, and
takes it away when it leaves.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from bench.participants.aiortc_line import AiortcStack
from bench.participants.call import Call, Seat
from bench.participants.habits import Habits
from bench.participants.line import Stack, Track
from signalling.matrix import Homeserver, MatrixError

CALL = "org.matrix.msc3401.call"
MEMBER = "org.matrix.msc3401.call.member"
LIFETIME = 3600.0
"Seconds that a member entry lives; js-sdk's value. It is written anew after three quarters."
AGAIN = (0.2, 1.0, 2.0, 5.0)
"Seconds before the first, second, ... dial in a row that failed."
NOTHING: dict[str, Any] = {
    "presence": {"types": []},
    "account_data": {"types": []},
    "room": {"rooms": []},
}
"A sync filter that lets to-device messages through and nothing else."

log = logging.getLogger(__name__)


class Participant:
    """`run` sits down, stays, and leaves when told."""

    def __init__(self, server: Homeserver, room: str, seat: Seat, habits: Habits, stack: Stack | None = None) -> None:
        """Without a `stack`, aiortc's carries the media."""
        self.server, self.room, self.seat, self.habits = server, room, seat, habits
        self.stack = stack or AiortcStack()
        self.call: Call | None = None
        self.calls: list[Call] = []
        self.ends: Counter[str] = Counter()
        self.state = "outside"
        self.decode: Callable[[Track], None] = lambda track: None

    async def run(self, leaving: asyncio.Event) -> None:
        """Be in the call until `leaving` is set. Raises `MatrixError` when the room refuses us."""
        await self.server.join(self.room)
        definition = await self.server.filter(self.seat.user, NOTHING)
        # What was sent to this device before is for calls that are over.
        since = (await self.server.sync(None, definition, 0))["next_batch"]
        await self.write_entry()
        helpers = [asyncio.ensure_future(self._sync(since, definition)), asyncio.ensure_future(self._refresh())]
        try:
            await self._stay(leaving, helpers[0])
        finally:
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            self.state = "left"
            await self.remove_entry()

    async def _stay(self, leaving: asyncio.Event, sync: asyncio.Future[None]) -> None:
        failed = 0
        while not leaving.is_set() and not sync.done():
            self.call = call = Call(self.seat, self.habits, self._post, self.stack)
            call.decode = self.decode
            self.calls.append(call)
            self.state = "dialling"
            reason = await call.run(leaving)
            self.ends[reason] += 1
            self.state = reason
            if reason == "call_ended":
                return
            failed = 0 if call.connected else failed + 1
            if not leaving.is_set():
                log.info("participant %d dials again: %s", self.seat.number + 1, reason)
                await wait(leaving, AGAIN[min(failed, len(AGAIN) - 1)])
        if sync.done():
            sync.result()

    async def _post(self, kind: str, content: dict[str, Any]) -> None:
        user, device = self.seat.focus
        await self.server.send_to_device(kind, {user: {device: content}})

    async def _sync(self, since: str, definition: str) -> None:
        while True:
            try:
                got = await self.server.sync(since, definition, 30_000)
            except MatrixError as wrong:
                if not wrong.passing:
                    raise
                await asyncio.sleep(1.0)  # the homeserver restarts: it will be back, and has kept our messages
                continue
            since = got["next_batch"]
            for event in got.get("to_device", {}).get("events", []):
                self._hand_on(event)

    def _hand_on(self, event: Mapping[str, Any]) -> None:
        """Keep what a client would keep (msc3401 digest §4.2): from our focus, for this session and call."""
        content, call = event.get("content", {}), self.call
        if call is None or event.get("sender") != self.seat.focus[0]:
            return
        if content.get("call_id") != call.id or content.get("conf_id") != self.seat.conf:
            # A focus that restarted knows no call id: its hangup names the device only.
            if not (event.get("type") == "m.call.hangup" and content.get("dest_session_id") == self.seat.session):
                return
        for field, value in (
            ("device_id", self.seat.focus[1]), ("dest_session_id", self.seat.session), ("sender_session_id", "sfu"),
            ("version", "1"), ("party_id", self.seat.focus[1]),
        ):  # fmt: skip
            if content.get(field) != value:
                call.faults[f"to-device {field}"] += 1
        call.inbox.put_nowait((str(event.get("type")), content))

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(LIFETIME * 0.75)
            await self.write_entry()

    async def write_entry(self) -> None:
        """Say in room state that this device is in the call (MSC3401 §3.2)."""
        user, device = self.seat.focus
        entry = {
            "device_id": self.seat.device,
            "session_id": self.seat.session,
            "expires_ts": int((time.time() + LIFETIME) * 1000),
            "feeds": [{"purpose": "m.usermedia"}],
            "org.matrix.msc3898.foci.active": [{"user_id": user, "device_id": device}],
            "org.matrix.msc3898.foci.preferred": [],
        }
        content = {"m.calls": [{"m.call_id": self.seat.conf, "m.devices": [entry]}]}
        await self.server.put_state(self.room, MEMBER, self.seat.user, content)

    async def remove_entry(self) -> None:
        """Take the entry away; nobody waits for it, so a homeserver that is gone is no error."""
        try:
            await self.server.put_state(self.room, MEMBER, self.seat.user, {"m.calls": []})
        except (MatrixError, OSError) as wrong:
            log.info("participant %d could not remove its entry: %s", self.seat.number + 1, type(wrong).__name__)


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait until `event` is set, at most `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


async def live_call(server: Homeserver, room: str) -> str | None:
    """Return the id of the room's newest call that is not over, None if there is none."""
    calls = [
        event
        for event in await server.state(room)
        if event["type"] in (CALL, "m.call") and event["content"] and not event["content"].get("m.terminated")
    ]
    newest = max(calls, key=lambda event: event.get("origin_server_ts", 0), default=None)
    return str(newest["state_key"]) if newest else None


async def start_call(server: Homeserver, room: str, conf: str) -> None:
    """Write the call into room state. Raises `MatrixError` when the room does not let us."""
    await server.put_state(room, CALL, conf, {"m.intent": "m.room", "m.type": "m.video"})
