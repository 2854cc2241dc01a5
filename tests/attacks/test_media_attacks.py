"""Attacks on SRTP, RTCP, extensions and descriptors, over every engine: dropped, counted, and the call goes on."""

from __future__ import annotations

import asyncio
import struct
import time

import pylibsrtp
import pytest

from cameras import ROUTE_RTX, ROUTE_SSRC
from engines import ENGINES, Make
from focus.commands import Drop
from media_bytes import fir, nack, pli, receiver_report, rtp, vp8
from packets import OWN, padded, video
from scene import Stage, stage

pytestmark = [pytest.mark.parametrize("make", ENGINES), pytest.mark.slow]

MALLORYS = ROUTE_SSRC + 0x10
"The SSRC under which the watcher gets the hostile track."


def picture(number: int, keyframe: bool = True) -> bytes:
    """A packet of the hostile track that is in order."""
    return video(vp8(number, number, keyframe, (64, 48), start=True, body=b"body"), number=number)


async def throw(scene: Stage, *datagrams: bytes) -> None:
    """Send as they are, and let the engine read now and then."""
    for number, datagram in enumerate(datagrams):
        scene.throw(datagram)
        if number % 50 == 49:
            await asyncio.sleep(0)


def seal(scene: Stage, plain: bytes) -> bytes:
    """As a sender without libsrtp's scruples would: what it does not protect is thrown as it is."""
    try:
        return scene.seal(plain)
    except pylibsrtp.Error:
        return plain


async def test_R1_a_flood_of_forged_packets_hangs_nobody_up(make: Make) -> None:
    async with stage(make) as scene:
        await throw(scene, scene.seal(picture(0)))
        await scene.watcher.heard(MALLORYS)
        before = scene.focus.dropped(Drop.AUTHENTICATION)
        forged = [video(b"x" * 40, number=number & 0xFFFF) + bytes(16) for number in range(2000)]
        await throw(scene, *forged, *(receiver_report(OWN) + struct.pack("!I", n) + bytes(14) for n in range(500)))
        await scene.dropped(Drop.AUTHENTICATION, before + 1500)  # on a busy machine the kernel may drop some itself
        await throw(scene, scene.seal(picture(1)))
        await scene.watcher.heard(MALLORYS, 2)
        await scene.goes_on()


async def test_R2_a_replayed_packet_is_forwarded_once(make: Make) -> None:
    async with stage(make) as scene:
        sealed = [scene.seal(picture(number, number == 0)) for number in range(40)]
        report = scene.seal(receiver_report(OWN))
        await throw(scene, *sealed)
        await scene.watcher.heard(MALLORYS, 40)
        for _ in range(10):
            await throw(scene, *sealed, *reversed(sealed), report)
            await asyncio.sleep(0.02)
        await scene.dropped(Drop.REPLAYED, 800)
        await scene.goes_on()
        assert len(scene.watcher.of(MALLORYS)) == 40


async def test_R3_packets_shorter_than_they_say_are_dropped(make: Make) -> None:
    async with stage(make) as scene:
        bad = []
        for count in range(16):
            for words in (None, 0, 1, 0xFFFF):
                for length in (4, 8, 11, 12, 13, 15, 16, 20, 30, 44, 60, 76, 90):
                    head = bytes((0x80 | (words is not None) << 4 | count, 96)) + struct.pack("!HII", length, 0, OWN)
                    block = b"" if words is None else struct.pack("!HH", 0xBEDE, words)
                    bad.append((head + bytes(4 * count) + block + bytes(90))[:length])
        await throw(scene, *(seal(scene, plain) for plain in bad))
        await throw(scene, *bad)
        control = (b"\x80" + bytes((kind,)) + bytes(length) for kind in range(192, 224) for length in range(30))
        await throw(scene, *control)
        await scene.goes_on()


async def test_R4_more_padding_than_packet_is_dropped(make: Make) -> None:
    async with stage(make) as scene:
        before = scene.focus.dropped(Drop.MALFORMED)
        paddings = enumerate((0, 11, 12, 100, 255))
        bad = [padded(video(b"0123456789", number=number), padding) for number, padding in paddings]
        await throw(scene, *(scene.seal(plain) for plain in bad))
        await scene.dropped(Drop.MALFORMED, before + len(bad))
        await throw(scene, scene.seal(rtp(OWN, 9, 0, 96, b"", {}, padding=255)))
        await scene.dropped(Drop.PADDING, 1)
        await scene.goes_on()
        assert not scene.watcher.of(MALLORYS)


async def test_K1_a_storm_of_keyframe_requests_reaches_the_publisher_as_a_few(make: Make) -> None:
    async with stage(make) as scene:
        began, before = time.monotonic(), len(asked(scene))
        for number in range(100):
            await scene.watcher.send(
                *[receiver_report(1) + pli(1, ROUTE_SSRC), receiver_report(1) + fir(1, ROUTE_SSRC, number)] * 5
            )
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        count, took = len(asked(scene)) - before, time.monotonic() - began
        assert 1 <= count <= 1 + took / 0.5, f"{count} requests in {took:.1f} s"
        await scene.goes_on()


def asked(scene: Stage) -> list[object]:
    """The keyframe requests that the honest publisher got."""
    return [packet for packet in scene.honest.rtcp if packet.kind == 206 and packet.count in (1, 4)]


async def test_K2_a_storm_of_nacks_is_not_amplified(make: Make) -> None:
    async with stage(make) as scene:
        for _ in range(30):
            await scene.camera.frame()
        sent = await scene.watcher.heard(ROUTE_SSRC, 31)
        began = time.monotonic()
        numbers = [packet.sequence for packet in sent]
        for _ in range(100):
            await scene.watcher.send(receiver_report(1) + nack(1, ROUTE_SSRC, *numbers, *range(200)))
            await asyncio.sleep(0.01)
        took = time.monotonic() - began
        again = scene.watcher.of(ROUTE_RTX)
        assert 1 <= len(again) <= 3 * len(sent) * (1 + took), "three times a second each at most"
        size = sum(len(packet.payload) for packet in again)
        assert size <= 8_000 * (1 + took), "64 kbit a second, for a track that has less than twice as much"
        await scene.goes_on()


async def test_C1_a_descriptor_that_is_cut_is_dropped_and_the_call_goes_on(make: Make) -> None:
    async with stage(make) as scene:
        whole = b"\xf0\xf0\x80\x01\x02\x20\x10\x00\x00\x9d\x01\x2a\x40\x00\x30\x00body"
        bad = [whole[:length] for length in range(1, len(whole))]
        bad += [bytes((first, second)) + b"\xff" * 3 for first in range(0, 256, 5) for second in range(0, 256, 17)]
        await throw(scene, *(seal(scene, video(payload, number=number)) for number, payload in enumerate(bad)))
        await throw(scene, scene.seal(picture(len(bad) + 1)))
        await scene.goes_on()
        assert scene.focus.dropped(Drop.MALFORMED) >= 4


async def test_C2_extensions_whose_lengths_lie_are_left_out_and_the_call_goes_on(make: Make) -> None:
    async with stage(make) as scene:
        bad: list[bytes] = []
        for profile in (0xBEDE, 0x1000, 0x100F, 0x0000):
            for block in (
                b"\x4f\x00\x00\x00", b"\xf0\x31\x00\x00", b"\x00\x00\x00\x00", b"\x40\x31\xaf\x66", b"\x04\xff\x31\x31",
                b"\x0a\x00\x04\x01" + b"1" * 4, b"\xa1" + b"\xff" * 3, b"\xcf" + b"d" * 19, b"\x0c\xfa" + b"d" * 250,
                b"\x04\x11" + b"m" * 18, b"\x31\x00\x00\x00" * 60, b"\x30\xff" * 40,
            ):  # fmt: skip
                block = block.ljust(-(-len(block) // 4) * 4, b"\0")
                head = b"\x90\x60" + struct.pack("!HIIHH", len(bad), 0, OWN, profile, len(block) // 4)
                bad.append(head + block + vp8(1, 1, True, (64, 48), start=True, body=b"body"))
        await throw(scene, *(seal(scene, plain) for plain in bad))
        await scene.goes_on()
        assert all(len(value) < 256 for packet in scene.watcher.of(MALLORYS) for value in packet.extensions.values())
