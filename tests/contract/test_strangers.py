"""What must get no answer, and change nothing (security N1 to N3, N8, D1, D2)."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from engines import SPANNING, Make, side
from far_end import far_ends
from focus.commands import Candidate, Connected, Credentials, Drop, Lost, Opened, Reachable, Restart
from focus.vocabulary import PeerId
from media_bytes import rtp
from sockets import Quiet

pytestmark = pytest.mark.parametrize("make", SPANNING)

A = PeerId("a")


def stun(user: str | None, key: str | None, method: int = 1, kind: int = 0, cut: int | None = None) -> bytes:
    """A STUN message by aioice, as a stranger would write it."""
    from aioice import stun as wire

    message = wire.Message(wire.Method(method), wire.Class(kind))
    if user is not None:
        message.attributes["USERNAME"] = user
    message.attributes["PRIORITY"] = 1
    if key is not None:
        message.add_message_integrity(key.encode())
    data = bytes(message)
    return data if cut is None else data[:cut]


async def test_nothing_but_a_valid_check_gets_an_answer(make: Make) -> None:
    async with side(make) as focus, far_ends("a") as (end,):
        focus.submit(end.open())
        reachable = await focus.saw(Reachable)
        user = f"{end.near.ufrag}:{end.far.ufrag}"
        good = stun(user, end.near.pwd)
        flipped = bytearray(good)
        flipped[-12] ^= 1
        noise: list[bytes] = [
            stun(None, None),
            stun(user, None),
            stun(None, end.near.pwd),
            stun(user, "w" * 24),
            stun(f"wrong:{end.far.ufrag}", end.near.pwd),
            stun(f"{end.near.ufrag}:wrong", end.near.pwd),
            stun(user, end.near.pwd, method=3),
            stun(user, end.near.pwd, kind=0x110),
            bytes(flipped),
            good[:20],
            good[:-4],
            b"",
            b"\x00",
            bytes(20),
            bytes(range(256)),
            b"\x16\xfe\xff" + bytes(60),
            rtp(1, 1, 1, 96, b"x" * 50),
            b"\x80\xc8\x00\x06" + bytes(24),
        ] + [struct.pack("!B", first) + bytes(99) for first in range(256)]
        with Quiet(reachable.candidates[0]) as stranger, Quiet(reachable.candidates[0]) as friend:
            for data in noise:
                stranger.send(data)
            friend.send(good)
            for _ in range(200):
                if friend.heard():
                    break
                await asyncio.sleep(0.01)
            else:
                raise AssertionError("a valid check got no answer")
            # The valid check came last, on the same socket of the engine: all before it has been read.
            assert stranger.heard() is None
        await end.call(focus)


async def test_no_check_goes_to_an_address_that_a_client_merely_names(make: Make) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        victim.bind(("127.0.0.1", 0))
        victim.setblocking(False)
        named = Candidate("127.0.0.1", victim.getsockname()[1])
        async with side(make) as focus, far_ends("a") as (end,):
            focus.submit(end.open(candidates=(named,)))
            await end.call(focus, channel=True)
            focus.submit(Restart(A, Credentials("newnew", "n" * 24), Credentials("otherone", "o" * 24), (named,)))
            await asyncio.sleep(0.3)
            with pytest.raises(BlockingIOError):
                victim.recv(2000)


async def test_media_and_handshakes_of_strangers_change_nothing(make: Make) -> None:
    async with side(make) as focus, far_ends("a") as (end,):
        focus.submit(end.open())
        reachable = await focus.saw(Reachable)
        with Quiet(reachable.candidates[0]) as stranger:
            for _ in range(50):
                stranger.send(b"\x16\xfe\xfd" + bytes(10) + b"\x00\x20" + bytes(32))
                stranger.send(b"\x15\xfe\xfd" + bytes(10) + b"\x00\x02\x02\x28")
            await end.dial(reachable.candidates, focus.engine.fingerprint)
            await focus.saw(Connected)
            before = focus.engine.counters().packets_in
            for number in range(50):
                stranger.send(b"\x15\xfe\xfd" + bytes(10) + b"\x00\x02\x02\x28")
                stranger.send(rtp(7, number, 0, 96, bytes(60)))
            channel = await end.open_channel()
            await focus.saw(Opened)
            await end.bell.until(lambda: channel.readyState == "open", 5, "the channel opens")
            assert stranger.heard() is None
        assert not focus.all(Lost)
        assert focus.engine.counters().packets_in == before
        assert focus.dropped(Drop.NOT_DEMUXED) + focus.dropped(Drop.AUTHENTICATION) > 0
