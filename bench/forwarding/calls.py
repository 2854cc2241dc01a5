"""A stand with many publishers: calls in which everybody's streams go to whom they are for.

It knows who sends what and who gets whose; how people are connected and what a stretch is, is
`native.py`'s affair. Streams are not in step with each other, as those of real people are not.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from multiprocessing import get_context

from bench.crowd import Crowd, Stream, Watch
from bench.forwarding import bare
from bench.forwarding.apart import Apart
from bench.forwarding.native import BARE, CODEC, EXTENSIONS, OPENED, QUIET, REST, WARM_UP, Stand, Traffic
from focus.commands import Close, Codec, Expect, Extensions, Route, SetLayer
from focus.engine import Settings
from focus.lines import line_name
from focus.vocabulary import SINGLE, Kind, PeerId, RouteId, TrackId

VOICE = Codec("opus", 48_000, 111, None)
VOICE_EXTENSIONS = Extensions(audio_level=1, abs_send_time=2, transport_cc=3, mid=4)
PACKETS_A_SECOND = 50.0
"Of a voice: 20 ms each (RFC 7587)."
WITHIN = 10.0
"Seconds for every route to flow."


@dataclass(frozen=True, slots=True)
class Source:
    """One stream of one person."""

    peer: PeerId
    kind: Kind
    stream: Stream
    sinks: tuple[PeerId, ...]
    phase: float
    "How much later than others it begins: 0 to 1 of the time from one frame to the next."

    @property
    def track(self) -> TrackId:
        """The name of it."""
        return TrackId(f"{self.peer} {self.kind}")

    def frames(self, seconds: float) -> int:
        """In so many seconds."""
        return max(1, round(seconds * self.stream.fps))


def voice(ssrc: int, size: int) -> Stream:
    """Speech without pauses, in packets of so many bytes before they are sealed."""
    return Stream(ssrc, "0", VOICE, VOICE_EXTENSIONS, PACKETS_A_SECOND, 1, size)


def picture(ssrc: int, fps: float, burst: int, size: int) -> Stream:
    """A camera without layers."""
    return Stream(ssrc, "1", CODEC, EXTENSIONS, fps, burst, size, ssrc + 1, width=640, height=360)


class Calls(Stand):
    """Made by `calling`."""

    def __init__(self, engine: Apart, crowd: Crowd, sources: Sequence[Source], like: Traffic) -> None:
        """`like`: what the bare loop sends to each sink in their stead."""
        super().__init__(engine, crowd, list(dict.fromkeys(sink for one in sources for sink in one.sinks)), like)
        self.sources = sorted(sources, key=lambda one: one.phase / one.stream.fps)
        self._lines: Counter[PeerId] = Counter()

    @property
    def people(self) -> list[PeerId]:
        """Who sends, who receives and who does both."""
        return list(dict.fromkeys((*(one.peer for one in self.sources), *self.sinks)))

    async def connect(self) -> None:
        """Everybody is there, and every stream goes where it is for."""
        for peer in self.people:
            await self.dial(peer)
        for sink in self.sinks:
            self.crowd.native.watch_bare(sink, Watch(BARE, CODEC, EXTENSIONS), *self._keys[sink])
        for one in self.sources:
            stream = one.stream
            ssrcs = (stream.ssrc,) if stream.rtx_ssrc is None else (stream.ssrc, stream.rtx_ssrc)
            self.engine.submit(
                Expect(one.track, one.peer, stream.mid, one.kind, (stream.codec,), stream.extensions, (), ssrcs)
            )
            self.crowd.native.publish(one.peer, stream)
            for sink in one.sinks:
                self.pass_on(one, sink)

    def pass_on(self, source: Source, sink: PeerId) -> None:
        """Send a stream to one more."""
        number, stream = next(self._numbers), source.stream
        ssrc = number << 16
        repair = None if stream.rtx_ssrc is None else ssrc + 1
        # Named as the control plane names them: the name is in every packet, and its length counts.
        route, mid = RouteId(number), line_name(self._lines[sink])
        self._lines[sink] += 1
        self.crowd.native.watch(sink, Watch(ssrc, stream.codec, stream.extensions, repair))
        self.engine.submit(
            Route(route, source.track, sink, mid, (stream.codec,), stream.extensions, ssrc, repair),
            SetLayer(route, SINGLE),
        )

    async def warm(self) -> None:
        """Let packets flow until they do on every route. Raises `TimeoutError`."""
        async with asyncio.timeout(WITHIN):
            while True:
                self.play(WARM_UP)
                await asyncio.sleep(WARM_UP + QUIET)
                books = [self.crowd.native.books(sink) for sink in self.sinks]
                if all(book["received"] for one in books for ssrc, book in one.items() if ssrc != BARE):
                    return

    def play(self, seconds: float) -> int:
        """Begin to send, each stream in its phase; how many packets are to arrive, over all sinks."""
        start = time.monotonic()
        for one in self.sources:
            # Within one frame of the slowest: no longer than the event loop may stand still.
            time.sleep(max(0.0, start + one.phase / one.stream.fps - time.monotonic()))
            self.crowd.native.play(one.peer, one.stream.ssrc, one.frames(seconds))
        return sum(one.frames(seconds) * one.stream.burst * len(one.sinks) for one in self.sources)


async def calling(
    stack: AsyncExitStack, sources: Sequence[Source], like: Traffic, cpus: frozenset[int], coalesce: float = 0.0
) -> tuple[Calls, ProcessPoolExecutor]:
    """Everybody connected, packets flown once. `coalesce`, in ms: the engine's. The pool is for the bare loop."""
    engine = Apart("native", cpus, Settings(addresses=("127.0.0.1",), coalesce=coalesce))
    stack.push_async_callback(engine.close)
    await engine.start()
    crowd = Crowd(opened=OPENED, rest_ms=REST)
    stack.callback(crowd.close)
    pool = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), bare.pin, (cpus,)))
    stand = Calls(engine, crowd, sources, like)
    await stand.connect()
    await stand.warm()
    stack.callback(lambda: engine.submit(*(Close(peer) for peer in stand.people)))
    return stand, pool
