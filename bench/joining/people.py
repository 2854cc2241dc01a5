"""People who dial the focus, take all that is offered, and send no media: real ICE, DTLS, SRTP keys and data channel.

The room is kept here, with no homeserver: it holds state and passes to-device messages on.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Mapping
from typing import Any

from bench.joining.apart import DEVICE, USER, Focus
from bench.participants import media
from bench.participants.call import Call, Seat
from bench.participants.habits import LARGE, THUMBNAIL, Habits, Track, Wish
from bench.participants.known import Known
from signalling.link import Batch, StateEvent, ToDevice

ROOM, CONF = "!room:here.test", "1671000000000AbCdEfGhIjKlMnOp"
HOST = "@host:here.test"
"Stays in the room: a focus leaves a room where it is alone."
NOBODY = media.Person("", [], [], [])
CALL, MEMBER = "org.matrix.msc3401.call", "org.matrix.msc3401.call.member"
LASTS = 3600_000
"Milliseconds until a member entry expires."


class Gaze(Habits):
    """Looks at the first picture for ever, and hears everybody."""

    def wish(self, streams: Mapping[str, Any], now: float) -> Wish:
        """Everything, one of it large."""
        tracks = [(s, t, how["kind"]) for s, told in sorted(streams.items()) for t, how in told["tracks"].items()]
        pictures = [(s, t) for s, t, kind in tracks if kind == "video"]
        wish: Wish = {(s, t): None for s, t, kind in tracks if kind == "audio"}
        return wish | dict.fromkeys(pictures, THUMBNAIL) | dict.fromkeys(pictures[:1], LARGE)


class Quiet(Call):
    """A call without media."""

    takes_spares = True

    async def _media(self) -> str:
        await asyncio.Event().wait()
        return "never"

    def lines(self) -> set[Track]:
        """What it has lines for."""
        sent = [one for one in self.sections() if one.mid.startswith("w") and one.direction == "sendonly"]
        return {(one.stream, one.track) for one in sent}


class Room:
    """Everybody in one call."""

    def __init__(self, focus: Focus) -> None:
        self.focus = focus
        self.calls: dict[Quiet, tuple[asyncio.Event, asyncio.Task[str]]] = {}
        self._numbers = itertools.count(1)
        focus.on_message = self._message
        state = [
            self._state("m.room.member", HOST, {"membership": "join"}),
            self._state("m.room.member", USER, {"membership": "join"}),
            self._state(CALL, CONF, {"m.intent": "m.room", "m.type": "m.video"}, HOST),
        ]
        focus.take(Batch(tuple(state), (), True))

    def _state(self, type: str, key: str, content: Mapping[str, Any], sender: str = "") -> StateEvent:
        return StateEvent(ROOM, type, key, sender or key, content, 0)

    def _message(self, user: str, device: str, type: str, content: dict[str, Any]) -> None:
        for call in self.calls:
            if call.seat.user == user:
                call.inbox.put_nowait((type, content))

    def dial(self) -> Quiet:
        """Somebody new comes."""
        number = next(self._numbers)
        user, device, session = f"@p{number}:here.test", f"DEV{number}", f"session{number}"
        entry = {
            "device_id": device, "session_id": session, "expires_ts": int(time.time() * 1000) + LASTS,
            "feeds": [{"purpose": "m.usermedia"}],
            "org.matrix.msc3898.foci.active": [{"user_id": USER, "device_id": DEVICE}],
        }  # fmt: skip
        self.focus.take(
            Batch(
                (
                    self._state("m.room.member", user, {"membership": "join"}),
                    self._state(MEMBER, user, {"m.calls": [{"m.call_id": CONF, "m.devices": [entry]}]}),
                ),
                (),
                False,
            )
        )

        async def post(type: str, content: dict[str, Any]) -> None:
            self.focus.take(Batch((), (ToDevice(user, type, content, None),), False))

        seat = Seat(number, number, user, device, session, CONF, (USER, DEVICE), NOBODY, Known(()), time.monotonic)
        call = Quiet(seat, Gaze(random.Random(number)), post)
        leaving = asyncio.Event()
        self.calls[call] = leaving, asyncio.ensure_future(call.run(leaving))
        return call

    async def leave(self, call: Quiet) -> None:
        """Somebody goes."""
        leaving, running = self.calls[call]
        leaving.set()
        await running
        del self.calls[call]

    def settled(self) -> bool:
        """Everybody has a line for everything of everybody else. Raises `RuntimeError` when a call ended."""
        for _, running in self.calls.values():
            if running.done():
                raise RuntimeError(f"a call ended: {running.result()}")
        every = {(call.local.stream, track) for call in self.calls for track in (call.local.audio, call.local.video)}
        return all(
            call.lines() == {track for track in every if track[0] != call.local.stream} and call.connected > 0
            for call in self.calls
        )
