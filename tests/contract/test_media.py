"""Media from one peer to others: bound, renumbered into one continuous stream, switched at keyframes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from cameras import (
    OPUS,
    PUBLISHED,
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
from engines import SPANNING, Make, Side, join, side
from far_end import FarEnd, far_ends, landed
from focus.commands import (
    Appeared,
    Close,
    Codec,
    Connected,
    Drop,
    Forget,
    Levels,
    Rates,
    SetLayer,
    Switched,
    Unroute,
    Vanished,
)
from focus.vocabulary import SINGLE, Kind, PeerId, Rid, RouteId
from media_bytes import Rtp, read, read_vp8, rtp

pytestmark = pytest.mark.parametrize("make", SPANNING)

ONE = RouteId(1)


def contiguous(packets: list[Rtp]) -> bool:
    """Whether each sequence number follows the one before."""
    return all(b.sequence == (a.sequence + 1) & 0xFFFF for a, b in zip(packets, packets[1:], strict=False))


def forward(first: int, second: int, width: int = 32) -> int:
    """How far a wrapping counter went."""
    step = (second - first) & (1 << width) - 1
    return step - (1 << width) if step >> width - 1 else step


def carries(end: FarEnd, layer: Rid, count: int) -> bool:
    """Whether so many packets came, the newest of this layer."""
    got = end.of(ROUTE_SSRC)
    return len(got) >= count and f"{layer}:".encode() in got[-1].payload


def came(end: FarEnd, body: bytes) -> bool:
    """Whether a packet with this body came."""
    return any(body == got.payload[-40:] for got in end.of(ROUTE_SSRC))


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


def ticking(focus: Side, condition: Callable[[], bool]) -> Callable[[], bool]:
    """A condition on counters, which ring no bell: look again soon."""
    loop = asyncio.get_running_loop()

    def look() -> bool:
        loop.call_later(0.02, focus.bell.ring)
        return condition()

    return look


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
