"""Media from one peer to others: bound, renumbered into one continuous stream, switched at keyframes."""

from __future__ import annotations

import asyncio

import pytest

from cameras import (
    OPUS,
    RECEIVED,
    ROUTE_SSRC,
    SINK_OPUS,
    SOUND,
    TRACK,
    VP8,
    Camera,
    F,
    H,
    Q,
    bodies,
    expect,
    layers,
    route,
)
from engines import SPANNING, Make, side
from far_end import far_ends, landed
from focus.commands import Appeared, Codec, Drop, Levels, SetLayer, Switched, Vanished
from focus.vocabulary import SINGLE, Kind, RouteId
from heard import ONE, contiguous, forward, ticking
from media_bytes import read, read_vp8, rtp

pytestmark = pytest.mark.parametrize("make", SPANNING)


async def test_a_track_is_forwarded_untouched_but_for_its_numbers(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, ssrcs=(0x1000, 0x1001)), route(s), SetLayer(ONE, SINGLE))
        camera = Camera(p, 0x1000)
        for number in range(12):
            await camera.frame(keyframe=number == 0, packets=2)
        got = await s.heard(ROUTE_SSRC, 24)
        assert [packet.payload[-40:] for packet in got] == [read(packet).payload[-40:] for packet in camera.sent]
        assert bodies([packet.payload for packet in got]) == bodies([read(packet).payload for packet in camera.sent])
        assert [packet.marker for packet in got] == [False, True] * 12
        assert {packet.pt for packet in got} == {120}
        assert contiguous(got) and got[0].sequence < 1 << 15
        assert [forward(a.timestamp, b.timestamp) for a, b in zip(got[::2], got[2::2], strict=False)] == [3000] * 11
        descriptors = [read_vp8(packet.payload) for packet in got]
        pictures = [d.picture for d in descriptors[::2] if d.picture is not None]
        assert [forward(a, b, 15) for a, b in zip(pictures, pictures[1:], strict=False)] == [1] * 11
        levels = [d.tl0 for d in descriptors[::2] if d.tl0 is not None]
        assert [forward(a, b, 8) for a, b in zip(levels, levels[1:], strict=False)] == [1] * 11


async def test_nothing_is_forwarded_before_a_keyframe(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, ssrcs=(0x1000,)), route(s), SetLayer(ONE, SINGLE))
        camera = Camera(p, 0x1000)
        for _ in range(3):
            await camera.frame()
        key = await camera.frame(keyframe=True)
        got = await s.heard(ROUTE_SSRC)
        assert bodies([got[0].payload]) == bodies([read(key[0]).payload])
        await focus.counted(Drop.AWAITING_KEYFRAME, 3)
        assert focus.all(Switched) == [Switched(ONE, SINGLE)]


async def test_a_track_appears_at_its_first_packet_and_again_with_its_size(make: Make) -> None:
    async with side(make) as focus, far_ends("p") as (p,):
        await p.call(focus)
        focus.submit(expect(p, rids=(F, H, Q)))
        f, q = layers(p, F, Q)
        await f.frame()
        await focus.saw(Appeared, layer=F, width=0)
        await f.frame(keyframe=True)
        await focus.saw(Appeared, layer=F, width=1280, height=720)
        await q.frame(keyframe=True)
        await focus.saw(Appeared, layer=Q, width=320, height=180)
        await f.frame(keyframe=True, size=(960, 540))
        await focus.saw(Appeared, layer=F, width=960, height=540)
        await f.frame(keyframe=True, size=(960, 540))
        await q.frame()
        await landed(focus, p)
        assert [event.width for event in focus.all(Appeared)] == [0, 1280, 320, 960]


async def test_the_scaling_bits_of_a_keyframe_are_not_size(make: Make) -> None:
    async with side(make) as focus, far_ends("p") as (p,):
        await p.call(focus)
        focus.submit(expect(p, ssrcs=(0x1000,)))
        await Camera(p, 0x1000).frame(keyframe=True, size=(640 | 0x4000, 360 | 0x8000))
        await focus.saw(Appeared, width=640, height=360)


@pytest.mark.slow
@pytest.mark.parametrize(("beside", "least", "most"), [(True, 0.7, 1.9), (False, 1.9, 3.0)])
async def test_a_silent_layer_vanishes_sooner_beside_one_that_flows(
    make: Make, beside: bool, least: float, most: float
) -> None:
    async with side(make) as focus, far_ends("p") as (p,):
        await p.call(focus)
        focus.submit(expect(p, rids=(F, Q)))
        f, q = layers(p, F, Q)
        await f.frame(keyframe=True)
        await q.frame(keyframe=True)
        start = asyncio.get_running_loop().time()
        while not focus.all(Vanished, layer=F):
            if beside:
                await q.padding()
            await asyncio.sleep(0.1)
            assert asyncio.get_running_loop().time() - start < most + 1
        assert least < asyncio.get_running_loop().time() - start < most
        assert not beside or not focus.all(Vanished, layer=Q), "padding is a sign of life"
        told = focus.mark()
        await f.frame()
        await focus.saw(Appeared, after=told, layer=F)


# Binding an SSRC to a track and a layer.


@pytest.mark.parametrize("how", ["ssrc", "mid", "payload type"])
async def test_a_plain_track_is_known_by(make: Make, how: str) -> None:
    async with side(make) as focus, far_ends("p") as (p,):
        await p.call(focus)
        other = Codec("vp8", 90000, 102, 103)
        focus.submit(
            expect(p, ssrcs=(0x1000,) if how == "ssrc" else (), codecs=(other if how == "payload type" else VP8,)),
            expect(p, ssrcs=(0x2000,) if how == "ssrc" else (), track=SOUND, mid="2"),
        )
        camera = Camera(p, 0x1000, named=how == "mid", pt=102 if how == "payload type" else 96)
        await camera.frame(keyframe=True)
        assert (await focus.saw(Appeared)).track == TRACK


async def test_what_fits_two_tracks_or_none_is_dropped(make: Make) -> None:
    async with side(make) as focus, far_ends("p") as (p,):
        await p.call(focus)
        focus.submit(expect(p, rids=(F, Q)), expect(p, track=SOUND, mid="2", ssrcs=(0x9000,)))
        for stray in (
            Camera(p, 0x1000, named=False),
            Camera(p, 0x1001, mid="7"),
            Camera(p, 0x1002, rid=H),
            Camera(p, 0x1003, mid=""),
            Camera(p, 0x1004, pt=99, named=False),
        ):
            if not stray.mid:
                stray.named = False
            await stray.frame(keyframe=True)
        await focus.bell.until(ticking(focus, lambda: focus.dropped(Drop.UNKNOWN_SSRC) == 5), 3, "five strays")
        assert not focus.all(Appeared)


async def test_the_ids_last_once_bound_though_the_sender_stops_naming_them(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, rids=(F, Q)), route(s), SetLayer(ONE, F))
        f, q = layers(p, F, Q)
        await f.frame(keyframe=True)
        await q.frame(keyframe=True)
        f.named = q.named = False
        for _ in range(5):
            await f.frame()
            await q.frame()
        got = await s.heard(ROUTE_SSRC, 6)
        assert all(b"f:" in packet.payload for packet in got)
        await focus.bell.until(ticking(focus, lambda: focus.dropped(Drop.OTHER_LAYER) >= 5), 3, "the other layer")


async def test_at_most_32_streams_are_kept_for_a_transport(make: Make) -> None:
    async with side(make) as focus, far_ends("p") as (p,):
        await p.call(focus)
        focus.submit(
            *(expect(p, track=f"t{n}", mid=f"m{n}", ssrcs=()) for n in range(40))  # each bound by its mid
        )
        for number in range(40):
            await Camera(p, 0x1000 + number, mid=f"m{number}").frame(keyframe=True)
        await focus.counted(Drop.TOO_MANY_SSRCS, 8)
        await focus.bell.until(lambda: len(focus.all(Appeared)) == 32, 3, "32 appear")


async def test_two_publishers_with_the_same_ssrc_do_not_meet(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "o", "s") as (p, o, s):
        for end in (p, o, s):
            await end.call(focus)
        focus.submit(
            expect(p, ssrcs=(0x1000,)), expect(o, ssrcs=(0x1000,), track=SOUND),
            route(s), route(s, 2, track=SOUND, mid="w1"), SetLayer(ONE, SINGLE), SetLayer(RouteId(2), SINGLE),
        )  # fmt: skip
        here, there = Camera(p, 0x1000, sequence=100), Camera(o, 0x1000, sequence=900)
        for number in range(5):
            await here.frame(keyframe=number == 0)
            await there.frame(keyframe=number == 0)
        one, two = await s.heard(ROUTE_SSRC, 5), await s.heard(ROUTE_SSRC + 0x10, 5)
        assert [p.payload[-40:] for p in one] == [read(p).payload[-40:] for p in here.sent]
        assert [p.payload[-40:] for p in two] == [read(p).payload[-40:] for p in there.sent]


# Layers.


async def test_extensions_are_carried_under_the_sinks_ids(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, rids=(Q,)), route(s), SetLayer(ONE, Q))
        (camera,) = layers(p, Q)
        extra = {13: b"\x01", 5: b"\x00\x10\x20", 12: b"\x80\x00\x01", 8: bytes(8), 2: b"abc", 14: b"\x01\x02\x03"}
        await camera.frame(keyframe=True, extra=extra)
        (got,) = await s.heard(ROUTE_SSRC)
        written = got.extensions.pop(RECEIVED.abs_send_time)
        assert len(written) == 3 and written != b"abc", "the send time is ours"
        assert got.extensions == {1: b"w0", 2: b"\x01", 4: b"\x00\x10\x20", 7: b"\x80\x00\x01", 6: bytes(8)}


async def test_a_sink_that_negotiated_no_extensions_gets_none(make: Make) -> None:
    from focus.commands import Extensions

    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, rids=(Q,)), route(s, extensions=Extensions()), SetLayer(ONE, Q))
        (camera,) = layers(p, Q)
        await camera.frame(keyframe=True, extra={13: b"\x01"})
        (got,) = await s.heard(ROUTE_SSRC)
        assert got.extensions == {}


async def test_a_long_extension_is_carried_too(make: Make) -> None:
    long = bytes(range(40))
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(expect(p, ssrcs=(0x1000,)), route(s), SetLayer(ONE, SINGLE))
        block = bytes((12, len(long))) + long + bytes((4, 1)) + b"1"
        block += bytes(-len(block) % 4)
        from media_bytes import vp8

        head = b"\x90\x60" + (5).to_bytes(2, "big") + bytes(4) + (0x1000).to_bytes(4, "big")
        await p.send(head + b"\x10\x00" + (len(block) // 4).to_bytes(2, "big") + block + vp8(keyframe=True))
        (got,) = await s.heard(ROUTE_SSRC)
        assert got.extensions[7] == long and got.extensions[1] == b"w0"


# Audio.


async def test_sound_flows_at_once_and_its_loudness_is_told(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(
            expect(p, track=SOUND, kind=Kind.AUDIO, codecs=(OPUS,), ssrcs=(0x7000,)),
            route(s, track=SOUND, codecs=(SINK_OPUS,), rtx_ssrc=None),
            SetLayer(ONE, SINGLE),
        )
        for number in range(10):
            await p.send(
                rtp(0x7000, number, 960 * number, 111, bytes((0xFC, number)), {1: bytes((0x80 | 30,)), 4: b"1"})
            )
        got = await s.heard(ROUTE_SSRC, 10)
        assert [packet.payload for packet in got] == [bytes((0xFC, n)) for n in range(10)]
        assert contiguous(got) and {packet.pt for packet in got} == {109}
        assert [forward(a.timestamp, b.timestamp) for a, b in zip(got, got[1:], strict=False)] == [960] * 9
        assert got[0].extensions[5] == bytes((0x80 | 30,))
        told = await focus.saw(Levels)
        assert told.loudness == told.recent[-1] == 97 and len(told.recent) == 50
        assert (await focus.saw(Appeared)).layer == SINGLE


async def test_a_voice_goes_on_at_once_after_a_pause_as_if_it_had_been_silent(make: Make) -> None:
    async with side(make) as focus, far_ends("p", "s") as (p, s):
        await p.call(focus)
        await s.call(focus)
        focus.submit(
            expect(p, track=SOUND, kind=Kind.AUDIO, codecs=(OPUS,), ssrcs=(0x7000,)),
            route(s, track=SOUND, codecs=(SINK_OPUS,), rtx_ssrc=None),
        )
        def sound(number: int) -> bytes:
            return rtp(0x7000, number, 960 * number, 111, bytes((number,)))

        for start in range(0, 60, 15):
            focus.submit(SetLayer(ONE, SINGLE))
            await p.send(*map(sound, range(start, start + 5)))
            await s.heard(ROUTE_SSRC, start // 3 + 5)
            focus.submit(SetLayer(ONE, None))
            await p.send(*map(sound, range(start + 5, start + 15)))
            await focus.counted(Drop.OTHER_LAYER, (start // 15 + 1) * 10)
        got = s.of(ROUTE_SSRC)
        assert [packet.payload[0] for packet in got] == [n for n in range(60) if n % 15 < 5] and contiguous(got)
        # By its own clock, though it came faster than that.
        steps = [forward(a.timestamp, b.timestamp) for a, b in zip(got, got[1:], strict=False)]
        assert steps == [960 * 11 if n % 5 == 4 else 960 for n in range(19)]
        assert focus.engine.counters().keyframe_requests == 0
