"""An honest call and somebody hostile beside it, over one engine: what both suites of attacks play on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cameras import ROUTE_SSRC, VP8, Camera, expect, route
from engines import Make, Side, side
from far_end import FarEnd, far_ends
from focus.commands import Drop, Lost, Reachable, SetLayer
from focus.vocabulary import SINGLE, RouteId, TrackId
from packets import OWN


@dataclass
class Stage:
    """An honest call, and somebody hostile beside it."""

    focus: Side
    watcher: FarEnd
    camera: Camera
    mallory: FarEnd
    honest: FarEnd
    port: int
    "Of the hostile publisher's transport."

    async def goes_on(self) -> None:
        """The watcher still gets the honest picture, and the hostile one was not put out."""
        before = len(self.watcher.of(ROUTE_SSRC))
        for patience in (0.5, 0.5, 3):
            await self.camera.frame(keyframe=True)
            try:
                await self.watcher.heard(ROUTE_SSRC, before + 1, patience)
                break
            except AssertionError:
                # A flood fills sockets on a busy machine, and the kernel drops what comes then. A camera goes on.
                if patience == 3:
                    raise
        assert not self.focus.all(Lost)

    def drops(self) -> int:
        return sum(count for _, count in self.focus.engine.counters().drops)

    async def dropped(self, reason: Drop, times: int) -> None:
        """Wait until so many were dropped for a reason."""
        loop = asyncio.get_running_loop()

        def enough() -> bool:
            loop.call_later(0.01, self.focus.bell.ring)
            return self.focus.dropped(reason) >= times

        try:
            await self.focus.bell.until(enough, 3, f"{times} of {reason}")
        except AssertionError as late:
            raise AssertionError(f"{late}; dropped: {dict(self.focus.engine.counters().drops)}") from None

    def throw(self, *datagrams: bytes) -> None:
        """Send as they are, from the hostile publisher's own, validated socket."""
        assert self.mallory.ice is not None
        pair = self.mallory.ice._connection._nominated[1]
        for datagram in datagrams:
            pair.protocol.transport.sendto(datagram, pair.remote_addr)

    def seal(self, plain: bytes) -> bytes:
        """Protect with the hostile publisher's keys."""
        assert self.mallory.dtls is not None
        session = self.mallory.dtls._tx_srtp
        assert session is not None
        control = len(plain) > 1 and 192 <= plain[1] <= 223
        sealed: bytes = session.protect_rtcp(plain) if control else session.protect(plain)
        return sealed


@asynccontextmanager
async def stage(make: Make) -> AsyncIterator[Stage]:
    async with side(make) as focus, far_ends("honest", "watcher", "mallory") as (honest, watcher, mallory):
        for end in (honest, watcher, mallory):
            await end.call(focus, channel=end is mallory)
        mine = expect(mallory, ssrcs=(OWN,), track=TrackId("mallory"), codecs=(VP8,))
        # The watcher is subscribed to the hostile track too, so that what could get through would be seen.
        focus.submit(
            expect(honest, ssrcs=(0x1000, 0x1001)), route(watcher), SetLayer(RouteId(1), SINGLE),
            mine, route(watcher, 2, track=mine.track), SetLayer(RouteId(2), SINGLE),
        )  # fmt: skip
        camera = Camera(honest, 0x1000)
        await camera.frame(keyframe=True)
        await watcher.heard(ROUTE_SSRC)
        (reachable,) = focus.all(Reachable, peer=mallory.peer)
        yield Stage(focus, watcher, camera, mallory, honest, reachable.candidates[0].port)
