"""A stand of native clients: an engine apart, one publisher, many sinks, and the bare loop in Rust at the same sinks.

The clients live in this process and on a thread of their own; the bare loop runs in a third
process, on the engine's CPU, when the engine has nothing to do. What it all means is the
business of `cost.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from multiprocessing import get_context

from bench.crowd import Crowd, Stream, Watch
from bench.forwarding import bare
from bench.forwarding.apart import Apart
from bench.forwarding.cost import Taken
from focus.commands import (
    Close,
    Codec,
    Connected,
    Credentials,
    Expect,
    Extensions,
    Open,
    Reachable,
    Role,
    Route,
    SetLayer,
    Switched,
)  # fmt: skip
from focus.engine import Settings
from focus.native import bare_loop
from focus.vocabulary import SINGLE, Kind, PeerId, RouteId, TrackId

CODEC = Codec("vp8", 90_000, 96, 97)
EXTENSIONS = Extensions(abs_send_time=2, transport_cc=3, mid=4)
MID = "1"
TRACK = TrackId("camera")
PUBLISHER = PeerId("publisher")
CAMERA = 0x1000
BARE = 0x2000
"SSRC of the bare loop's packets."
OPENED = 64
"A sink decrypts and checks one packet in so many."
REST = 1.0
"Milliseconds for which sinks are left alone: neither engine nor bare loop pays for waking them."
WARM_UP = 1.5
"Seconds of traffic before the first stretch that counts."
QUIET = 0.5
"Seconds without a packet after which what is missing counts as lost."


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one publisher sends."""

    fps: float = 30.0
    burst: int = 9
    size: int = 1200

    def frames(self, seconds: float) -> int:
        """In so many seconds."""
        return max(1, round(seconds * self.fps))


class Stand:
    """Made by `standing`."""

    def __init__(self, engine: Apart, crowd: Crowd, sinks: list[PeerId], traffic: Traffic) -> None:
        self.engine, self.crowd, self.sinks, self.traffic = engine, crowd, sinks, traffic
        self._numbers = itertools.count(1)
        self._keys = {sink: (secrets.token_bytes(32), secrets.token_bytes(12)) for sink in sinks}
        self._looped = 0

    async def dial(self, peer: PeerId) -> None:
        """Bring one client up. Raises `TimeoutError`."""
        near, far = (Credentials(secrets.token_hex(4), secrets.token_hex(12)) for _ in range(2))
        self.engine.submit(Open(peer, Role.ANSWERER, near, far, (self.crowd.fingerprint,), None))
        reachable = await self.engine.saw(Reachable, peer=peer)
        prints = (self.engine.fingerprint,)
        self.crowd.submit(Open(peer, Role.CALLER, far, near, prints, None, candidates=reachable.candidates))
        await self.crowd.saw(Connected, peer=peer)
        await self.engine.saw(Connected, peer=peer)

    async def connect(self) -> None:
        """Everybody is there, and the publisher's camera goes to all."""
        for peer in (PUBLISHER, *self.sinks):
            await self.dial(peer)
        traffic = self.traffic
        self.engine.submit(Expect(TRACK, PUBLISHER, MID, Kind.VIDEO, (CODEC,), EXTENSIONS, (), (CAMERA, CAMERA + 1)))
        self.crowd.native.publish(
            PUBLISHER, Stream(CAMERA, MID, CODEC, EXTENSIONS, traffic.fps, traffic.burst, traffic.size, CAMERA + 1)
        )
        for sink in self.sinks:
            self.route(sink)
            self.crowd.native.watch_bare(sink, Watch(BARE, CODEC, EXTENSIONS), *self._keys[sink])

    def route(self, sink: PeerId) -> RouteId:
        """Send the camera to one more."""
        number = next(self._numbers)
        ssrc = number << 16
        route = Route(RouteId(number), TRACK, sink, MID, (CODEC,), EXTENSIONS, ssrc, ssrc + 1)
        self.crowd.native.watch(sink, Watch(ssrc, CODEC, EXTENSIONS, ssrc + 1))
        self.engine.submit(route, SetLayer(RouteId(number), SINGLE))
        return RouteId(number)

    async def warm(self) -> None:
        """Let packets flow until every route has switched."""
        self.crowd.native.play(PUBLISHER, CAMERA, self.traffic.frames(WARM_UP))
        for number in range(1, len(self.sinks) + 1):
            await self.engine.saw(Switched, route=RouteId(number))
        await asyncio.sleep(WARM_UP + QUIET)

    async def forward(self, seconds: float) -> Taken:
        """One stretch through the engine."""
        self.crowd.native.begin()
        before = await self.engine.reading()
        start = time.monotonic()
        due = self.play(seconds)
        await asyncio.sleep(seconds)
        await self._arrived(due)
        after = await self.engine.reading()
        counted = {name: after.figures[name] - before.figures[name] for name in after.figures}
        took = time.monotonic() - start
        return Taken(took, after.cpu - before.cpu, due, self.crowd.figures(), counted, after.wakes - before.wakes)

    def play(self, seconds: float) -> int:
        """Begin to send; how many packets are to arrive, over all sinks."""
        frames = self.traffic.frames(seconds)
        self.crowd.native.play(PUBLISHER, CAMERA, frames)
        return frames * self.traffic.burst * len(self.sinks)

    async def idle(self, seconds: float) -> Taken:
        """One stretch in which everybody is connected and nothing is sent."""
        self.crowd.native.begin()
        before = await self.engine.reading()
        await asyncio.sleep(seconds)
        after = await self.engine.reading()
        counted = {name: after.figures[name] - before.figures[name] for name in after.figures}
        return Taken(seconds, after.cpu - before.cpu, 0, self.crowd.figures(), counted, after.wakes - before.wakes)

    async def loop(self, seconds: float, pool: ProcessPoolExecutor) -> Taken:
        """One stretch of the bare loop, to the same sockets."""
        frames = self.traffic.frames(seconds)
        sinks = [(*self.crowd.native.address(sink), *self._keys[sink]) for sink in self.sinks]
        self.crowd.native.begin()
        start = time.monotonic()
        order = bare_order(self.traffic, frames, sinks, self._looped)
        cpu, counted = await asyncio.get_running_loop().run_in_executor(pool, looped, order)
        self._looped += frames * self.traffic.burst
        due = frames * self.traffic.burst * len(self.sinks)
        await self._arrived(due)
        return Taken(time.monotonic() - start, cpu, due, self.crowd.figures(), counted, 0)

    async def _arrived(self, due: int) -> None:
        came, quiet_at = -1, time.monotonic() + QUIET
        while (now := self.crowd.figures()["received"]) < due and time.monotonic() < quiet_at:
            if now > came:
                came, quiet_at = now, time.monotonic() + QUIET
            await asyncio.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Order:
    """What the bare loop is to do."""

    sinks: list[tuple[str, int, bytes, bytes]]
    fps: float
    burst: int
    size: int
    frames: int
    first: int


def bare_order(traffic: Traffic, frames: int, sinks: list[tuple[str, int, bytes, bytes]], first: int) -> Order:
    """The engine's traffic, sink by sink; `first` goes on from stretch to stretch, so that no number comes twice."""
    return Order(sinks, traffic.fps, traffic.burst, traffic.size, frames, first)


def looped(order: Order) -> tuple[float, dict[str, int]]:
    """Carry an order out; the CPU seconds of this process that it took, and what was sent."""
    before = time.process_time()
    counted = bare_loop()(
        order.sinks, ssrc=BARE, fps=order.fps, burst=order.burst, size=order.size, frames=order.frames,
        first=order.first,
    )  # fmt: skip
    return time.process_time() - before, counted


async def standing(
    stack: AsyncExitStack, name: str, sinks: int, traffic: Traffic, cpus: frozenset[int], *,
    joined: bool = False, coalesce: float = 0.0, workers: int = 1, make: Callable[..., Apart] = Apart,
) -> tuple[Stand, ProcessPoolExecutor]:  # fmt: skip
    """Everybody connected, packets flown once. `joined`: sinks take GRO. `coalesce`, in ms, `workers`: the engine's."""
    engine = make(name, cpus, Settings(addresses=("127.0.0.1",), coalesce=coalesce, workers=workers))
    stack.push_async_callback(engine.close)
    await engine.start()
    crowd = Crowd(opened=OPENED, joined=joined, rest_ms=REST)
    stack.callback(crowd.close)
    pool = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), bare.pin, (cpus,)))
    stand = Stand(engine, crowd, [PeerId(f"sink{number}") for number in range(sinks)], traffic)
    await stand.connect()
    await stand.warm()
    stack.callback(lambda: engine.submit(*(Close(peer) for peer in (PUBLISHER, *stand.sinks))))
    return stand, pool


async def measured(
    name: str, sinks: int, traffic: Traffic, seconds: float, rounds: int, cpus: frozenset[int], *,
    joined: bool = False, coalesce: float = 0.0, against: str = "bare loop",
) -> tuple[list[Taken], list[Taken]]:  # fmt: skip
    """Stretches of an engine and, in turn, of what it is held `against`: the bare loop, itself `idle`, or nothing."""
    forwarded: list[Taken] = []
    compared: list[Taken] = []
    async with AsyncExitStack() as stack:
        stand, pool = await standing(stack, name, sinks, traffic, cpus, joined=joined, coalesce=coalesce)
        for _ in range(rounds):
            forwarded.append(await stand.forward(seconds))
            if against == "bare loop":
                compared.append(await stand.loop(seconds, pool))
            elif against == "idle":
                compared.append(await stand.idle(seconds))
    return forwarded, compared


def pinned() -> frozenset[int]:
    """Keep this process, with publisher and sinks, to the first CPU; where the engine is to run: the last."""
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[0]})
    return frozenset({cpus[-1]})
