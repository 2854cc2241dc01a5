"""Routes and tracks that come and go, and what is counted of them."""

from __future__ import annotations

import asyncio

import pytest

from cameras import (
    OPUS,
    PUBLISHED,
    ROUTE_SSRC,
    SINK_OPUS,
    SOUND,
    TRACK,
    VP8,
    Camera,
    F,
    Q,
    bodies,
    expect,
    layers,
    route,
)
from engines import SPANNING, Make, join, side
from far_end import FarEnd, far_ends
from focus.commands import Appeared, Close, Codec, Connected, Drop, Forget, Rates, SetLayer, Unroute
from focus.vocabulary import SINGLE, Kind, PeerId, RouteId
from heard import ONE, contiguous, ticking
from media_bytes import read, rtp

pytestmark = pytest.mark.parametrize("make", SPANNING)


async def test_packets_of_another_codec_are_dropped(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        pcm = Codec("pcmu", 8000, 0, None)
        focus.submit(
            expect(p, track=SOUND, kind=Kind.AUDIO, codecs=(OPUS, pcm), ssrcs=(0x7000,)),
            route(s, track=SOUND, codecs=(SINK_OPUS,), rtx_ssrc=None),
            SetLayer(ONE, SINGLE),
        )
        await p.send(rtp(0x7000, 1, 960, 111, b"\xfc\x01"), rtp(0x7000, 2, 1920, 0, b"\x01" * 160))
        await p.send(rtp(0x7000, 3, 2880, 13, b"\x01"), rtp(0x7000, 4, 3840, 111, b"\xfc\x04"))
        got = await s.heard(ROUTE_SSRC, 2)
        assert [packet.payload for packet in got] == [b"\xfc\x01", b"\xfc\x04"]
        await focus.counted(Drop.OTHER_CODEC, 1)
        await focus.counted(Drop.UNKNOWN_PAYLOAD_TYPE, 1)


# The table.


async def test_a_route_ends_and_another_may_follow(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, ssrcs=(0x1000,)), route(s), route(s), SetLayer(ONE, SINGLE))
        camera = Camera(p, 0x1000)
        await camera.frame(keyframe=True)
        await s.heard(ROUTE_SSRC)
        focus.submit(Unroute(ONE), Unroute(ONE), SetLayer(ONE, SINGLE))
        await focus.counted(Drop.UNKNOWN_PEER, 2)
        await camera.frame(keyframe=True)
        focus.submit(route(s, 2), SetLayer(RouteId(2), SINGLE))
        await camera.frame(keyframe=True)
        await s.heard(ROUTE_SSRC + 0x10)
        assert len(s.of(ROUTE_SSRC)) == 1


async def test_a_track_is_forgotten_and_expected_anew(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, ssrcs=(0x1000,)), route(s), SetLayer(ONE, SINGLE))
        camera = Camera(p, 0x1000)
        await camera.frame(keyframe=True)
        await s.heard(ROUTE_SSRC)
        focus.submit(Unroute(ONE), Forget(TRACK), Forget(TRACK))
        await camera.frame(keyframe=True)
        await focus.bell.until(ticking(focus, lambda: focus.dropped(Drop.UNKNOWN_SSRC) == 1), 3, "a stray")
        focus.submit(expect(p, ssrcs=(0x1000,)), route(s, 2), SetLayer(RouteId(2), SINGLE))
        await camera.frame(keyframe=True)
        await s.heard(ROUTE_SSRC + 0x10)


async def test_expecting_again_with_other_ids_replaces_them_and_the_stream_goes_on(make: Make) -> None:
    from dataclasses import replace

    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, ssrcs=(0x1000,)), route(s), SetLayer(ONE, SINGLE))
        camera = Camera(p, 0x1000)
        await camera.frame(keyframe=True)
        await s.heard(ROUTE_SSRC)
        focus.submit(expect(p, ssrcs=(0x1000,), extensions=replace(PUBLISHED, video_orientation=9)))
        await camera.frame(extra={9: b"\x02"})
        got = await s.heard(ROUTE_SSRC, 2)
        assert got[1].extensions[2] == b"\x02" and contiguous(got)


async def test_a_sink_that_left_is_counted_and_the_others_go_on(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s", "o") as (p, s, o):
        for end in (p, s, o):
            await end.call(focus)
        focus.submit(
            expect(p, ssrcs=(0x1000,)), route(s), route(o, 2), SetLayer(ONE, SINGLE), SetLayer(RouteId(2), SINGLE)
        )
        camera = Camera(p, 0x1000)
        await camera.frame(keyframe=True)
        await s.heard(ROUTE_SSRC)
        focus.submit(Close(s.peer))
        for _ in range(3):
            await camera.frame()
        assert contiguous(await o.heard(ROUTE_SSRC + 0x10, 4))
        focus.submit(Unroute(ONE), route(s, 3))
        await focus.bell.until(ticking(focus, lambda: focus.dropped(Drop.UNKNOWN_PEER) >= 1), 3, "counted")


async def test_routes_and_tracks_may_be_told_before_the_peers_are_connected(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        focus.submit(p.open(), s.open())
        focus.submit(expect(p, rids=(Q,)), route(s), SetLayer(ONE, Q))
        await p.call(focus)
        (camera,) = layers(p, Q)
        await camera.frame(keyframe=True)
        await focus.saw(Appeared)
        await s.call(focus)
        await camera.frame(keyframe=True)
        await camera.frame()
        got = await s.heard(ROUTE_SSRC)
        assert len(got) >= 1


async def test_rates_are_measured_each_second(make: Make) -> None:
    async with side(make) as focus, far_ends("p") as (p,):
        await p.call(focus)
        focus.submit(expect(p, rids=(F, Q)))
        f, q = layers(p, F, Q)
        loop = asyncio.get_running_loop()
        start = loop.time()
        while not [r for r in focus.all(Rates) if dict(r.bps).get(F, 0) > 20000]:
            await f.frame(packets=4)
            await q.frame()
            await asyncio.sleep(0.02)
            assert loop.time() - start < 5
        rates = dict(next(r for r in focus.all(Rates) if dict(r.bps).get(F, 0) > 20000).bps)
        assert 3.0 < rates[F] / rates[Q] < 5.0


async def test_counters_add_up(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, ssrcs=(0x1000,)), route(s), SetLayer(ONE, SINGLE))
        before = focus.engine.counters()
        camera = Camera(p, 0x1000)
        for number in range(10):
            await camera.frame(keyframe=number == 0)
        await s.heard(ROUTE_SSRC, 10)
        after = focus.engine.counters()
        assert after.packets_in - before.packets_in >= 10 and after.packets_out - before.packets_out >= 10
        assert after.bytes_in - before.bytes_in >= sum(map(len, camera.sent))
        assert after.bytes_out > before.bytes_out


async def test_media_crosses_two_engines(make: Make) -> None:
    """As on a trunk: a client publishes to the caller, another watches at the answerer."""
    async with side(make) as near, side(make) as far, far_ends("p", "s") as (p, s):
        await p.call(far)
        await s.call(near)
        trunk, knurt = PeerId("trunk"), PeerId("knurt")
        await join(near, far, trunk, knurt)
        await near.saw(Connected, peer=trunk)
        await far.saw(Connected, peer=knurt)
        link = FarEnd(knurt)
        far.submit(expect(p, rids=(Q,)), route(link, mid="1", extensions=PUBLISHED, codecs=(VP8,)), SetLayer(ONE, Q))
        near.submit(
            expect(FarEnd(trunk), ssrcs=(ROUTE_SSRC, ROUTE_SSRC + 1)), route(s, ssrc=0x77, rtx_ssrc=0x78),
            SetLayer(ONE, SINGLE),
        )  # fmt: skip
        (camera,) = layers(p, Q)
        for number in range(10):
            await camera.frame(keyframe=number == 0, packets=2)
        got = await s.heard(0x77, 20)
        assert contiguous(got)
        assert bodies([packet.payload for packet in got]) == bodies([read(packet).payload for packet in camera.sent])
