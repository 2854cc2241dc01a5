"""Attacks on ICE and DTLS, over every engine: no answer to nobody, no byte to a victim, no call that ends of it."""

from __future__ import annotations

import asyncio
import random

import pytest
from aiortc.rtcicetransport import RTCIceCandidate, RTCIceParameters

from cameras import ROUTE_SSRC
from engines import ENGINES, Make, Side, side
from far_end import FarEnd, far_ends
from focus.commands import Candidate, Connected, Loss, Lost, Open, Reachable, Role
from focus.vocabulary import PeerId
from scene import stage
from strangers import ALERT, HELLO, check, handshake, stranger

pytestmark = [pytest.mark.parametrize("make", ENGINES), pytest.mark.slow]


async def settled(side: Side) -> None:
    """Wait until the engine has counted nothing new for a while: it has read all."""
    before = -1
    while (now := sum(count for _, count in side.engine.counters().drops)) != before:
        before = now
        await asyncio.sleep(0.1)


async def test_N1_garbage_is_not_answered_and_the_call_goes_on(make: Make) -> None:
    chance = random.Random(1)
    async with stage(make) as scene:
        with stranger(scene.port) as one, stranger(scene.port) as other:
            before = scene.drops()
            for _ in range(20):
                await one.send(*(chance.randbytes(chance.randrange(1, 1500)) for _ in range(100)))
                await other.send(*(bytes((first,)) + chance.randbytes(40) for first in range(256)))
                await scene.goes_on()
            await settled(scene.focus)
            assert scene.drops() - before > 1000, "counted, but for what the kernel dropped itself"
            assert one.heard() == other.heard() == []


async def test_N2_only_a_proved_check_is_answered_and_hardly_with_more_than_it_has(make: Make) -> None:
    async with side(make) as focus, far_ends("a") as (end,):
        focus.submit(end.open())
        reachable = await focus.saw(Reachable)
        near, far = end.near, end.far
        with stranger(reachable.candidates[0].port) as nobody, stranger(reachable.candidates[0].port) as somebody:
            for user in (near, far, type(near)("unknown1", near.pwd)):
                await nobody.send(check(user, far, key="w" * 24))
            await nobody.send(check(near, near), check(far, near), bytes(20))
            await nobody.send(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12))
            request = check(near, far)
            await somebody.send(request)
            heard: list[bytes] = []
            for _ in range(100):
                heard += somebody.heard()
                await asyncio.sleep(0.01)
            answers = [datagram for datagram in heard if datagram[:2] == b"\x01\x01"]
            assert len(answers) == 1 and len(answers[0]) <= 1.6 * len(request)
            assert sum(map(len, heard)) <= 3 * len(request), "with the check that asks back"
            assert nobody.heard() == []


async def test_N3_a_victim_that_a_peer_names_gets_no_media_and_three_bytes_for_one(make: Make) -> None:
    async with stage(make) as scene:
        with stranger(scene.focus.all(Reachable, peer=scene.watcher.peer)[0].candidates[0].port) as victim:
            await victim.send(check(scene.watcher.near, scene.watcher.far, nominate=True))
            heard: list[bytes] = []
            for _ in range(30):
                await scene.goes_on()
                heard += victim.heard()
                await asyncio.sleep(0.1)
            assert all(datagram[0] < 4 for datagram in heard), "STUN only"
            assert sum(map(len, heard)) <= 3 * victim.sent
            assert len(scene.watcher.of(ROUTE_SSRC)) >= 30, "the peer itself gets its media as before"


async def test_D1_a_hello_from_elsewhere_does_not_spoil_a_handshake(make: Make) -> None:
    spray = [handshake(1, HELLO, record=number) for number in range(20)] + [ALERT] * 20
    async with side(make) as focus, far_ends(*(f"p{number}" for number in range(6))) as ends:
        for end in ends:
            focus.submit(end.open())
            reachable = await focus.saw(Reachable, peer=end.peer)
            with stranger(reachable.candidates[0].port) as racer:
                await racer.send(*spray)
                dialling = asyncio.ensure_future(end.dial(reachable.candidates, focus.engine.fingerprint))
                while not dialling.done():
                    await racer.send(*spray)
                    await asyncio.sleep(0.01)
                await dialling
                await focus.saw(Connected, peer=end.peer)
                await racer.send(*spray)
                assert racer.heard() == []
        assert not focus.all(Lost)


async def test_D2_no_handshake_is_answered_before_its_address_has_proved_itself(make: Make) -> None:
    async with side(make) as focus, far_ends("a") as (end,):
        focus.submit(end.open())
        reachable = await focus.saw(Reachable)
        with stranger(reachable.candidates[0].port) as racer:
            hello = handshake(1, HELLO)
            await racer.send(*[hello] * 50)
            # It knows the password, but never answers what we ask: it may have written a victim's address.
            await racer.send(check(end.near, end.far, nominate=True), *[hello] * 50)
            await asyncio.sleep(0.5)
            assert all(datagram[0] < 4 for datagram in racer.heard())
        assert not focus.all(Lost)


async def knock(end: FarEnd, candidates: tuple[Candidate, ...]) -> None:
    """Connect by ICE, and begin no handshake."""
    ice = end.ice = await end.gather(end.far)
    for candidate in candidates:
        await ice.addRemoteCandidate(RTCIceCandidate(1, "1", candidate.host, candidate.port, 1000, "udp", "host"))
    await ice.addRemoteCandidate(None)
    await ice.start(RTCIceParameters(end.near.ufrag, end.near.pwd))


FRAGMENTS = {
    "empty": [handshake(1, b"", total=500, at=at, record=at) for at in range(400)],
    "overlapping": [handshake(1, bytes((at,)) * 60, total=300, at=7 * at % 240, record=at) for at in range(200)],
    "megabytes": [handshake(1, bytes(1000), total=0xFFFFFF, at=1000 * at, record=at) for at in range(1000)],
    "never the first": [handshake(1, bytes(900), number=at, record=at) for at in range(1, 1000)],
    "certificates": [handshake(11, bytes(1000), number=1, total=65_000, at=1000 * at, record=at) for at in range(65)],
    "beyond its end": [handshake(1, bytes(400), total=100, at=at, record=at) for at in range(100)],
}


@pytest.mark.parametrize("fragments", FRAGMENTS.values(), ids=FRAGMENTS)
async def test_D3_fragments_that_lie_cost_their_sender_only(make: Make, fragments: list[bytes]) -> None:
    async with stage(make) as scene, far_ends("knocker") as (knocker,):
        scene.focus.submit(knocker.open())
        reachable = await scene.focus.saw(Reachable, peer=knocker.peer)
        await knock(knocker, reachable.candidates)
        assert knocker.ice is not None
        for number, fragment in enumerate(fragments):
            await knocker.ice._send(fragment)
            if number % 50 == 49:
                await asyncio.sleep(0)
        before = len(scene.watcher.of(ROUTE_SSRC))
        await scene.camera.frame(keyframe=True)
        await scene.watcher.heard(ROUTE_SSRC, before + 1)
        assert {lost.peer for lost in scene.focus.all(Lost)} <= {knocker.peer}
        assert not scene.focus.all(Connected, peer=knocker.peer)


WRONG = {
    "another's": (("sha-256", ":".join(["AB"] * 32)),),
    "none": (),
    "of a weak hash": (("sha-1", ":".join(["AB"] * 20)),),
}


@pytest.mark.parametrize("fingerprints", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("role", [Role.ANSWERER, Role.CALLER])
async def test_D4_who_is_not_who_was_signalled_is_never_connected(
    make: Make, role: Role, fingerprints: tuple[tuple[str, str], ...]
) -> None:
    async with side(make) as focus, side(make) as other, far_ends("a") as (end,):
        peer, dialling = PeerId("a"), list[asyncio.Future[None]]()
        near, far = end.near, end.far
        if role is Role.ANSWERER:
            focus.submit(Open(peer, role, near, far, fingerprints, None))
            await focus.bell.until(lambda: focus.events, 5, "anything")
            if focus.all(Reachable) and not focus.all(Lost):
                # Who is refused need not be told.
                (reachable,) = focus.all(Reachable)
                dialling.append(asyncio.ensure_future(end.dial(reachable.candidates, focus.engine.fingerprint)))
        else:
            other.submit(Open(peer, Role.ANSWERER, near, far, (focus.engine.fingerprint,), None))
            reachable = await other.saw(Reachable)
            focus.submit(Open(peer, role, far, near, fingerprints, None, candidates=reachable.candidates))
        assert (await focus.saw(Lost)).loss is Loss.DTLS
        assert not focus.all(Connected)
        for task in dialling:
            task.cancel()
        await asyncio.gather(*dialling, return_exceptions=True)
