"""Selection within a stream: temporal layers left out at once, let in again where they can be decoded."""

from __future__ import annotations

import asyncio

import pytest

from cameras import ROUTE_SSRC, Camera, F, Q, expect, layers, route
from engines import SPANNING, Make, side
from far_end import far_ends, landed
from focus.commands import Drop, Rates, SetLayer, Switched
from focus.vocabulary import SINGLE, RouteId
from media_bytes import read_vp8

pytestmark = pytest.mark.parametrize("make", SPANNING)

ONE = RouteId(1)
GROUP = ((0, False), (2, True), (1, True), (2, False))
"Temporal ids of pictures, and whether each needs lower ids only, as encoders order three layers."


async def group(camera: Camera, keyframe: bool = False, packets: int = 2) -> None:
    """Send a group of pictures."""
    for number, (temporal, sync) in enumerate(GROUP):
        await camera.frame(keyframe and number == 0, packets, temporal=temporal, sync=sync)


async def test_temporal_layers_go_and_come_and_no_counter_has_a_gap(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, ssrcs=(0x1000,)), route(s), SetLayer(ONE, SINGLE))
        camera = Camera(p, 0x1000)
        await group(camera, keyframe=True)
        await s.heard(ROUTE_SSRC, 8)
        for temporal, count in ((1, 12), (0, 14), (None, 18), (None, 26)):
            focus.submit(SetLayer(ONE, SINGLE, temporal=temporal))
            await group(camera)
            await landed(focus, p)
            await s.heard(ROUTE_SSRC, count)
        got = s.of(ROUTE_SSRC)
        read = [read_vp8(packet.payload) for packet in got]
        # The third layer waits for the second, and then for a picture that needs no other of its own.
        expected = [0, 2, 1, 2, 0, 1, 0, 0, 1, 0, 2, 1, 2]
        assert [vp8.temporal for vp8 in read[::2]] == expected
        for one, two, a, b in zip(got, got[1:], read, read[1:], strict=False):
            assert two.sequence == one.sequence + 1 & 0xFFFF
            assert one.marker == (one.timestamp != two.timestamp)
            assert ((b.picture or 0) - (a.picture or 0)) & 0x7FFF == one.marker
            assert ((b.tl0 or 0) - (a.tl0 or 0)) & 0xFF == (one.marker and b.temporal == 0)
        await focus.counted(Drop.OTHER_LAYER, 40 - len(got))


async def test_a_switch_to_another_layer_brings_as_much_of_it_as_is_wanted(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, rids=(F, Q)), route(s), SetLayer(ONE, Q))
        full, small = layers(p, F, Q)
        await group(small, keyframe=True, packets=1)
        await s.heard(ROUTE_SSRC, 4)
        focus.submit(SetLayer(ONE, F, spatial=0, temporal=0))
        # Until its keyframe comes, there is less of the old one, and not more again.
        await group(small, packets=1)
        await group(full, packets=1)
        await landed(focus, p)
        await group(full, keyframe=True, packets=1)
        await focus.saw(Switched, layer=F)
        await group(full, packets=1)
        got = await s.heard(ROUTE_SSRC, 7)
        assert [read_vp8(packet.payload).temporal for packet in got] == [0, 2, 1, 2, 0, 0, 0]
        assert [(b.sequence - a.sequence) & 0xFFFF for a, b in zip(got, got[1:], strict=False)] == [1] * 6


async def test_rates_are_told_of_each_part_with_all_that_it_needs(make: Make) -> None:
    async with side(make) as focus, far_ends("p") as (p,):
        await p.call(focus)
        focus.submit(expect(p, ssrcs=(0x1000,)))
        camera = Camera(p, 0x1000)

        def whole() -> Rates | None:
            return next((event for event in focus.all(Rates) if len(event.parts) == 3), None)

        for _ in range(1000):
            await group(camera)
            await asyncio.sleep(0.01)
            if (found := whole()) is not None:
                break
        assert found is not None
        assert [part[:3] for part in found.parts] == [(SINGLE, 0, 0), (SINGLE, 0, 1), (SINGLE, 0, 2)]
        rates = [part[3] for part in found.parts]
        assert 0 < rates[0] < rates[1] < rates[2] == dict(found.bps)[SINGLE]
