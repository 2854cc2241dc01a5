"""Native synthetic clients that send people's loops and check them, at both engines, over real sockets."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack

import pytest

from bench.browser import until
from bench.crowd import Crowd, Stream, Watch
from bench.forwarding.apart import Apart
from bench.forwarding.native import CAMERA, CODEC, EXTENSIONS, MID, PUBLISHER, TRACK, Stand, Traffic
from bench.participants.media import Layer, Person
from focus.commands import Expect, Route, SetLayer
from focus.engine import Settings
from focus.native import available
from focus.vocabulary import SINGLE, Kind, PeerId, RouteId

SINK, SSRC = PeerId("sink"), 7 << 16

FRAMES = 30
"Enough for the loop to begin again within two seconds."


def frame(at: int) -> bytes:
    """A VP8 keyframe's or other frame's head (RFC 6386 §9.1), and bytes of several packets."""
    head = bytes([at % 15 != 0, 0, 0, 0x9D, 0x01, 0x2A, 64, 1, 180, 0])
    return head + bytes([at]) * (400 + 100 * at)


def person() -> Person:
    """Somebody with one layer."""
    return Person("anna", [Layer("f", 320, 180, 80_000, [frame(at) for at in range(FRAMES)])], [], [])


if available():

    @pytest.mark.slow
    @pytest.mark.timeout(120)
    @pytest.mark.parametrize("name", ["native", "reference"])
    async def test_a_looped_camera_arrives_without_a_fault_and_every_frame_is_known(name: str) -> None:
        cpus = frozenset(os.sched_getaffinity(0))
        async with AsyncExitStack() as stack:
            engine = Apart(name, cpus, Settings(addresses=("127.0.0.1",)))
            stack.push_async_callback(engine.close)
            await engine.start()
            crowd = Crowd()
            stack.callback(crowd.close)
            stand = Stand(engine, crowd, [SINK], Traffic())
            for peer in (PUBLISHER, SINK):
                await stand.dial(peer)
            crowd.native.load([person()])
            both = (CAMERA, CAMERA + 1)
            engine.submit(Expect(TRACK, PUBLISHER, MID, Kind.VIDEO, (CODEC,), EXTENSIONS, (), both))
            shape = Stream(CAMERA, MID, CODEC, EXTENSIONS, fps=15.0, rtx_ssrc=CAMERA + 1)
            crowd.native.loop_of(PUBLISHER, shape, 0, 0)
            crowd.native.check(SINK, Watch(SSRC, CODEC, EXTENSIONS, SSRC + 1), True)
            route = Route(RouteId(1), TRACK, SINK, MID, (CODEC,), EXTENSIONS, SSRC, SSRC + 1)
            engine.submit(route, SetLayer(RouteId(1), SINGLE))
            crowd.native.start(PUBLISHER)

            async def twice() -> bool:
                return bool(crowd.native.checks(SINK)[SSRC]["frames"] > 2 * FRAMES)

            await until(twice, 60, "the loop came round twice")
            found = crowd.native.checks(SINK)[SSRC]
            assert found["faults"] == {} and found["size"] == (320, 180), found
            assert found["known"] >= found["frames"] - 1 and found["keyframes"] >= 4, found
            assert crowd.native.tally(SINK)["unopened"] == 0
