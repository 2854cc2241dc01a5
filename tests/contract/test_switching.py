"""Layers that are switched, paused, silent or gappy: the output stays one continuous stream."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from cameras import ROUTE_SSRC, Camera, F, H, Q, bodies, expect, layers, route
from engines import SPANNING, Make, side
from far_end import far_ends, landed
from focus.commands import Drop, SetLayer, Switched
from focus.vocabulary import SINGLE
from heard import ONE, came, carries, contiguous, forward
from media_bytes import read, read_vp8

pytestmark = pytest.mark.parametrize("make", SPANNING)


async def test_a_switch_waits_for_the_keyframe_and_the_output_goes_on_without_a_gap(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, rids=(F, H, Q)), route(s), SetLayer(ONE, Q))
        cameras = dict(zip((F, H, Q), layers(p, F, H, Q), strict=True))

        async def play(frames: int, key: object = None) -> None:
            for number in range(frames):
                for rid, camera in cameras.items():
                    await camera.frame(keyframe=rid == key and number == 0, packets=2)
                await asyncio.sleep(0.01)

        await play(3, key=Q)
        before = len(await s.heard(ROUTE_SSRC, 6))
        for target in (F, H, Q, F):
            focus.submit(SetLayer(ONE, target))
            await play(3)
            before += 6
            assert len(await s.heard(ROUTE_SSRC, before)) == before, "the old layer goes on until the keyframe"
            current = focus.all(Switched)[-1].layer
            assert current is not None
            assert s.of(ROUTE_SSRC)[-1].payload.count(f"{current}:".encode()) == 1
            told = focus.mark()
            await play(3, key=target)
            await focus.saw(Switched, after=told, layer=target)
            # Layers come in the order f, h, q: of the frame that switches, the old layer's part may precede.
            before += 8 if list(cameras).index(current) < list(cameras).index(target) else 6
            await s.bell.until(partial(carries, s, target, before), 3, "the new layer")
        got = s.of(ROUTE_SSRC)
        assert contiguous(got)
        stamps = [packet.timestamp for packet in got]
        steps = [forward(a, b) for a, b in zip(stamps, stamps[1:], strict=False)]
        assert all(0 <= step < 45000 for step in steps), steps
        read_all = [read_vp8(packet.payload) for packet in got]
        pictures = [forward(a.picture or 0, b.picture or 0, 15) for a, b in zip(read_all, read_all[1:], strict=False)]
        assert set(pictures) <= {0, 1}, pictures
        assert [event.layer for event in focus.all(Switched)] == [Q, F, H, Q, F]


async def test_layers_of_one_clock_keep_their_time_across_a_switch(make: Make) -> None:
    """Both layers' sender reports tell the same wall clock, so a switch must land where that clock says."""
    from media_bytes import sender_report

    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, rids=(F, Q)), route(s), SetLayer(ONE, Q))
        f, q = layers(p, F, Q)
        ntp = 3_900_000_000.0
        await q.frame(keyframe=True)
        await f.frame(keyframe=True)
        await s.heard(ROUTE_SSRC)
        # Reports from different moments: f's 0.5 s before the frame to come, q's 0.2 s before it.
        await p.send(sender_report(f.ssrc, ntp, f.timestamp - 45000))
        await p.send(sender_report(q.ssrc, ntp + 0.3, q.timestamp - 18000))
        await landed(focus, p)
        focus.submit(SetLayer(ONE, F))
        await q.frame()
        await f.frame(keyframe=True)
        got = await s.heard(ROUTE_SSRC, 3)
        assert got[2].payload.count(b"f:") == 1
        # q's frame and f's keyframe were taken at the same instant. The stream may not stand still: one small step.
        assert 0 < forward(got[1].timestamp, got[2].timestamp) <= 3000
        first = got[2].timestamp
        for _ in range(3):
            await f.frame()
        got = await s.heard(ROUTE_SSRC, 6)
        assert [forward(first, packet.timestamp) for packet in got[3:]] == [3000, 6000, 9000]


async def test_pausing_stops_at_once_and_resuming_waits_for_a_keyframe(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, ssrcs=(0x1000,)), route(s), SetLayer(ONE, SINGLE))
        camera = Camera(p, 0x1000)
        await camera.frame(keyframe=True)
        await s.heard(ROUTE_SSRC)
        focus.submit(SetLayer(ONE, None), SetLayer(ONE, None))
        await focus.saw(Switched, layer=None)
        for _ in range(3):
            await camera.frame(keyframe=True)
        await landed(focus, p)
        focus.submit(SetLayer(ONE, SINGLE))
        await camera.frame()
        await landed(focus, p)
        assert len(s.of(ROUTE_SSRC)) == 1
        await camera.frame(keyframe=True)
        got = await s.heard(ROUTE_SSRC, 2)
        assert contiguous(got)
        assert [event.layer for event in focus.all(Switched)] == [SINGLE, None, SINGLE]


async def test_a_layer_that_does_not_flow_leaves_the_old_one_running(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, rids=(F, Q)), route(s), SetLayer(ONE, Q))
        (q,) = layers(p, Q)
        await q.frame(keyframe=True)
        await s.heard(ROUTE_SSRC)
        focus.submit(SetLayer(ONE, F), SetLayer(ONE, F))
        for _ in range(5):
            await q.frame()
        assert contiguous(await s.heard(ROUTE_SSRC, 6))


async def test_a_layer_that_comes_back_on_a_new_ssrc_waits_for_its_keyframe(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, rids=(Q,)), route(s), SetLayer(ONE, Q))
        await Camera(p, 0x1000, Q).frame(keyframe=True)
        await s.heard(ROUTE_SSRC)
        again = Camera(p, 0x5000, Q, sequence=7, picture=9, tl0=3, timestamp=5)
        await again.frame()
        await again.frame(keyframe=True)
        await again.frame()
        got = await s.heard(ROUTE_SSRC, 3)
        assert contiguous(got) and b"q:8" in got[1].payload


async def test_padding_leaves_no_gap_and_loss_does(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, ssrcs=(0x1000,)), route(s), SetLayer(ONE, SINGLE))
        camera = Camera(p, 0x1000)
        await camera.frame(keyframe=True)
        await camera.padding()
        await camera.padding()
        await camera.frame()
        lost = camera.build()
        await camera.padding()
        await camera.frame()
        got = await s.heard(ROUTE_SSRC, 3)
        steps = [forward(a.sequence, b.sequence, 16) for a, b in zip(got, got[1:], strict=False)]
        assert steps == [1, 2]
        # The lost one was only late: it fits into its gap.
        await p.send(*lost)
        late = (await s.heard(ROUTE_SSRC, 4))[3]
        assert late.sequence == (got[1].sequence + 1) & 0xFFFF
        assert bodies([late.payload]) == bodies([read(lost[0]).payload])


async def test_a_sender_that_jumps_in_its_numbering_is_followed(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, ssrcs=(0x1000,)), route(s), SetLayer(ONE, SINGLE))
        camera = Camera(p, 0x1000, sequence=5000)
        await camera.frame(keyframe=True)
        for jump in (30000, 50000, 10000, 10700):
            camera.sequence = jump
            for number in range(6):
                await camera.frame(keyframe=number == 3)
            newest = read(camera.sent[-1]).payload[-40:]
            await s.bell.until(partial(came, s, newest), 3, f"media after {jump}")
        got = s.of(ROUTE_SSRC)
        assert contiguous(got), "a jump is not told as loss"


async def test_one_packet_that_is_hundreds_late_changes_nothing(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, ssrcs=(0x1000,)), route(s), SetLayer(ONE, SINGLE))
        camera = Camera(p, 0x1000, sequence=5000)
        await camera.frame(keyframe=True)
        held = camera.build()
        for _ in range(700):
            await camera.frame()
            if camera.sequence % 50 == 0:
                # An engine is faster than this client reads, and its socket holds about a hundred.
                await s.heard(ROUTE_SSRC, camera.sequence - 5001)
        await p.send(*held)
        for _ in range(5):
            await camera.frame()
        got = await s.heard(ROUTE_SSRC, 706)
        sequences = [packet.sequence for packet in got]
        assert len(set(sequences)) == 706 == (sequences[-1] - sequences[0] & 0xFFFF) + 1 - 1
        await focus.counted(Drop.TOO_OLD, 1)


# Header extensions.
