"""A room with a call, and a focus at work in it: real agent, real switchboard, real engine.

The homeserver alone is a substitute: it keeps state and to-device messages in memory and
hands them over at once, or once the focus is back. Signalling and engine share one clock
that a test can put forward.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from engines import LOOPBACK, Bell
from focus.limits import Limits
from focus.names import RandomNames
from focus.reference.engine import ReferenceEngine
from focus.switchboard import Switchboard
from focus.vocabulary import ConferenceId, Ticked
from signalling.agent import Agent
from signalling.limits import SignallingLimits
from signalling.link import Batch, Content, StateEvent, ToDevice

FOCUS, DEVICE = "@focus:here.test", "FOCUSDEV"
CALL, MEMBER = "org.matrix.msc3401.call", "org.matrix.msc3401.call.member"
HOST = "@host:here.test"
"Invited the focus and stays in the room: a focus leaves a room where it is alone."
ROOM, CONF = "!room:here.test", "1671000000000AbCdEfGhIjKlMnOp"
Hear = Callable[[str, dict[str, Any], bool], None]
"Type, content, and whether it came encrypted."


class Clock:
    """Real time, put forward at will. `wall` is what a calendar said at the start, seconds since the epoch."""

    def __init__(self, wall: float | None = None) -> None:
        self.ahead = 0.0
        self._epoch = (time.time() if wall is None else wall) - time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() + self.ahead

    def wall(self) -> float:
        return self._epoch + self()


class Homeserver:
    """`signalling.link.Link` and `Memory`, in memory; it outlives the focus."""

    def __init__(self, user: str = FOCUS, device: str = DEVICE) -> None:
        self.user, self.device = user, device
        self.state: dict[tuple[str, str, str], StateEvent] = {}
        self.queue: list[ToDevice] = []
        self.devices: dict[tuple[str, str], Hear] = {}
        self.left: list[str] = []
        self.saved: dict[str, Any] = {}
        self.focus: Agent | None = None

    def put(self, type: str, key: str, content: Content, sender: str | None = None, room: str = ROOM) -> None:
        """Set a piece of room state and tell the focus."""
        event = StateEvent(room, type, key, sender or key, content, 0)
        self.state[room, type, key] = event
        if self.focus is not None:
            self.focus.take(Batch((event,), (), False))

    def to_focus(self, sender: str, type: str, content: Content, proven: str | None = None) -> None:
        """A client's to-device message; `proven` is the device that Olm would prove."""
        message = ToDevice(sender, type, content, proven)
        if self.focus is None:
            self.queue.append(message)
        else:
            self.focus.take(Batch((), (message,), False))

    def start(self, agent: Agent) -> None:
        """The focus syncs for the first time: all state, and what waited for it."""
        self.focus = agent
        waiting, self.queue = self.queue, []
        agent.take(Batch(tuple(self.state.values()), tuple(waiting), True))

    async def batches(self) -> AsyncIterator[Batch]:
        """Never: batches are handed over by `put` and `to_focus`, so that a test knows when they are taken."""
        await asyncio.Event().wait()
        yield Batch((), (), False)

    async def send(self, user: str, device: str, type: str, content: Content, *, encrypted: bool) -> None:
        hear = self.devices.get((user, device))
        if hear is not None:
            hear(type, dict(content), encrypted)

    async def join(self, room: str) -> None:
        self.put("m.room.member", self.user, {"membership": "join"}, room=room)

    async def leave(self, room: str) -> None:
        self.left.append(room)

    def load(self, name: str) -> Any:
        return self.saved.get(name)

    def save(self, name: str, value: Any) -> None:
        self.saved[name] = value


@dataclass
class Room:
    """The room, its call, and the focus."""

    home: Homeserver
    limits: Limits
    clock: Clock = field(default_factory=Clock)
    bell: Bell = field(default_factory=Bell)
    "Rung whenever a client hears anything."
    closing: list[Any] = field(default_factory=list)
    "Clients, to be closed at the end."

    async def start(self) -> None:
        """A new process of the focus."""
        self.engine = ReferenceEngine(LOOPBACK, self.clock)
        self.switchboard = Switchboard(self.engine, None, self.limits, self.engine.codecs, RandomNames(), self.clock)
        self.agent = Agent(
            self.home, self.switchboard, RandomNames(), self.clock, self.clock.wall, SignallingLimits(),
            memory=self.home,
        )  # fmt: skip
        self.switchboard.face = self.agent
        self.running = asyncio.ensure_future(self.switchboard.run())
        self.home.start(self.agent)

    async def kill(self) -> None:
        """The focus is gone, without a word in Matrix."""
        self.home.focus = None
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        await self.engine.close()

    async def restart(self) -> None:
        await self.kill()
        await self.start()

    async def pass_time(self, seconds: float, step: float = 1.0) -> None:
        """Put the clock forward in steps, and let everybody look at it and talk at each."""
        while seconds > 0:
            self.clock.ahead += min(step, seconds)
            seconds -= step
            for conference in self.conferences():
                self.switchboard.post(conference, Ticked())
            self.switchboard.turn(self.clock())
            self.agent.look()
            for _ in range(3):
                await asyncio.sleep(0.002)

    def conferences(self) -> list[ConferenceId]:
        """Whatever conference there may be."""
        rooms = {room for room, _, _ in self.home.state}
        calls = {key for _, type, key in self.home.state if type == CALL}
        return [ConferenceId(f"{room} {call}") for room in rooms for call in calls]

    async def until(self, condition: Callable[[], Any], what: str, seconds: float = 8.0) -> Any:
        """The first truthy value of `condition`."""
        try:
            return await self.bell.until(condition, seconds, what)
        except AssertionError as late:
            raise AssertionError(f"{late}; refused so far: {dict(self.all_faults())}") from None

    async def counted(self, fault: str, times: int = 1) -> None:
        """Wait until something was refused for this reason so often."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 5
        while (count := self.faults(fault)) < times:
            assert loop.time() < deadline, f"{fault} was counted {count} times: {self.all_faults()}"
            await asyncio.sleep(0.005)

    async def counted_down(self) -> None:
        """Wait until nobody is in any call."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 5
        while self.switchboard.peers() or self.switchboard.conferences():
            assert loop.time() < deadline, f"still there: {self.switchboard.figures()}"
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.005)

    def faults(self, name: str) -> int:
        return self.agent.faults[name] + self.switchboard.faults[name]

    def all_faults(self) -> Mapping[str, int]:
        return self.agent.faults + self.switchboard.faults

    # State of the room.

    def call(self, conf: str = CONF, room: str = ROOM, terminated: object = None) -> None:
        """Somebody writes the call."""
        content: dict[str, object] = {"m.intent": "m.room", "m.type": "m.video"}
        if terminated is not None:
            content["m.terminated"] = terminated
        self.home.put(CALL, conf, content, HOST, room)

    def membership(self, user: str, membership: str, room: str = ROOM) -> None:
        self.home.put("m.room.member", user, {"membership": membership}, room=room)

    def entry(self, user: str, *devices: tuple[str, str], lasts: float = 3600.0, **where: str) -> None:
        """A user's call member event, with (device, session) pairs; none of them means that the user is out."""
        expires = int((self.clock.wall() + lasts) * 1000)
        listed = [
            {
                "device_id": device, "session_id": session, "expires_ts": expires,
                "feeds": [{"purpose": "m.usermedia"}],
                "org.matrix.msc3898.foci.active": [{"user_id": FOCUS, "device_id": DEVICE}],
            }
            for device, session in devices
        ]  # fmt: skip
        calls = [{"m.call_id": where.get("conf", CONF), "m.devices": listed}] if devices else []
        self.home.put(MEMBER, user, {"m.calls": calls}, room=where.get("room", ROOM))


@asynccontextmanager
async def call_room(
    focus: tuple[str, str] = (FOCUS, DEVICE), wall: float | None = None, **limits: Any
) -> AsyncIterator[Room]:
    """A room with the focus in it and a call that nobody has joined yet."""
    room = Room(Homeserver(*focus), replace(Limits(rest_hold=math.inf), **limits), Clock(wall))
    room.membership(HOST, "join")
    room.membership(focus[0], "join")
    room.call()
    await room.start()
    try:
        yield room
        assert not room.faults("bug"), "a bug was contained: see the log"
    finally:
        for client in room.closing:
            await client.close()
        await room.kill()
