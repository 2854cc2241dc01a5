"""What a hostile publisher or a stranger sends to the media port is dropped under a name, and others' media goes on.

`scene.Stage` has an honest publisher whom somebody watches, and a publisher who has valid keys
and no manners. Which drop each packet earns is part of the engine's contract.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket

import pylibsrtp
import pytest
from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, DataChunk

from cameras import ROUTE_SSRC
from engines import ENGINES, Make
from focus.commands import Drop, Lost
from media_bytes import receiver_report
from packets import FOREIGN, OWN, RTCP, RTP, STRANGE, cut, flipped, video
from scene import stage

pytestmark = pytest.mark.parametrize("make", ENGINES)


@pytest.mark.parametrize("vectors", [RTP, RTCP], ids=["RTP", "RTCP"])
async def test_bad_packets_under_valid_keys_are_dropped_by_name(
    make: Make, vectors: tuple[tuple[Drop, bytes], ...]
) -> None:
    async with stage(make) as scene:
        for reason, plain in vectors:
            before = scene.focus.dropped(reason)
            scene.throw(scene.seal(plain))
            await scene.dropped(reason, before + 1)
        assert not scene.watcher.of(ROUTE_SSRC + 0x10), "nothing of it was forwarded"
        await scene.goes_on()


async def test_a_strangers_datagrams_are_dropped_by_name_and_not_answered(make: Make) -> None:
    async with stage(make) as scene:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.setblocking(False)
            for reason, datagram in STRANGE:
                before = scene.focus.dropped(reason)
                stranger.sendto(datagram, ("127.0.0.1", scene.port))
                await scene.dropped(reason, before + 1)
            await scene.goes_on()
            with pytest.raises(BlockingIOError):
                stranger.recv(2000)


async def test_forged_replayed_and_cut_packets_of_a_known_sender_change_nothing(make: Make) -> None:
    async with stage(make) as scene:
        sealed = scene.seal(video(b"\x10\x10\x00\x00\x9d\x01\x2a" + bytes(8), number=20))
        scene.throw(sealed)
        await scene.watcher.heard(ROUTE_SSRC + 0x10)
        before = {drop: scene.focus.dropped(drop) for drop in Drop}
        scene.throw(sealed, sealed)
        await scene.dropped(Drop.REPLAYED, before[Drop.REPLAYED] + 2)
        fresh = scene.seal(video(number=21))
        scene.throw(fresh[:20], fresh[:-1], fresh[:-1] + bytes((fresh[-1] ^ 1,)))
        scene.throw(video(number=22), receiver_report(OWN) + bytes(14))
        await scene.dropped(Drop.AUTHENTICATION, before[Drop.AUTHENTICATION] + 5)
        scene.throw(sealed[:11], b"\x80" * 4)
        await scene.dropped(Drop.TOO_SHORT, before[Drop.TOO_SHORT] + 2)
        scene.throw(b"\x80" * 1501)
        await scene.dropped(Drop.MALFORMED, before[Drop.MALFORMED] + 1)
        assert len(scene.watcher.of(ROUTE_SSRC + 0x10)) == 1, "neither a replay nor a forgery is forwarded"
        await scene.goes_on()


@pytest.mark.parametrize("seed", range(4))
async def test_twins_of_bad_packets_end_nothing(make: Make, seed: int) -> None:
    chance = random.Random(seed)
    async with stage(make) as scene:
        taken = scene.focus.engine.counters().packets_in
        sent = 0
        for _, plain in (*RTP, *RTCP):
            for twin in (cut(plain, chance), flipped(plain, chance)):
                try:
                    sealed = scene.seal(twin)
                except pylibsrtp.Error:
                    sealed = twin  # as a sender without libsrtp's scruples: what it is, is found out before its key
                for datagram in (sealed, cut(sealed, chance), flipped(sealed, chance)):
                    if datagram and 127 < datagram[0] < 192:
                        scene.throw(datagram)
                        sent += 1
        loop = asyncio.get_running_loop()

        def all_in() -> bool:
            loop.call_later(0.01, scene.focus.bell.ring)
            return scene.focus.engine.counters().packets_in >= taken + sent

        await scene.focus.bell.until(all_in, 3, "every datagram taken in")
        assert scene.drops() >= sent // 2, "what is broken is counted"
        await scene.goes_on()


async def test_who_never_finishes_a_message_is_put_out_and_the_others_stay(make: Make) -> None:
    async with stage(make) as scene:
        sctp = scene.mallory.sctp
        assert sctp is not None
        for _ in range(1100):
            chunk = DataChunk(flags=SCTP_DATA_FIRST_FRAG)
            chunk.tsn, chunk.stream_id, chunk.stream_seq, chunk.protocol = sctp._local_tsn, 1, 0, 51
            chunk.user_data = bytes(1100)
            sctp._local_tsn = sctp._local_tsn + 1 & 0xFFFFFFFF
            with contextlib.suppress(ConnectionError):  # put out before the end
                await sctp._send_chunk(chunk)
            await asyncio.sleep(0)
        await scene.focus.saw(Lost, peer=scene.mallory.peer)
        assert scene.focus.dropped(Drop.MESSAGE_OVERRUN) == 1
        before = len(scene.watcher.of(ROUTE_SSRC))
        await scene.camera.frame(keyframe=True)
        await scene.watcher.heard(ROUTE_SSRC, before + 1)


async def test_a_message_that_is_too_long_is_dropped_by_name(make: Make) -> None:
    async with stage(make) as scene:
        assert scene.mallory.sctp is not None and scene.mallory.channel is not None
        scene.mallory.sctp._remote_max_message_size = 0  # it does not care what we said
        scene.mallory.channel.send("x" * 262_145)
        await scene.dropped(Drop.MALFORMED, 1)
        await scene.goes_on()


async def test_who_sends_too_fast_is_cut_to_a_measure_and_may_go_on(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("focus.reference.session.MOST_PACKETS", 100)  # of 3000, which a busy machine may not manage
    async with stage(make) as scene:
        sealed = [scene.seal(video(ssrc=FOREIGN, pt=99, number=number)) for number in range(6000)]
        for at in range(0, len(sealed), 50):
            scene.throw(*sealed[at : at + 50])
            await asyncio.sleep(0)
            if scene.focus.dropped(Drop.TOO_FAST) >= 100:
                break
        await scene.dropped(Drop.TOO_FAST, 100)
        await scene.goes_on()
