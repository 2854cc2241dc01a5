"""A peer's transport, from `Open` to `Lost`: who is let in, in which order it is told, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engines import SPANNING, Make, Side, join, side
from far_end import FarEnd, far_ends
from focus.commands import (
    Close,
    Connected,
    Credentials,
    Drop,
    Loss,
    Lost,
    Message,
    Open,
    Opened,
    Reachable,
    Restart,
    Role,
    Send,
)
from focus.engine import Settings
from focus.vocabulary import PeerId
from sockets import Quiet, free_range

pytestmark = pytest.mark.parametrize("make", SPANNING)

A, B = PeerId("a"), PeerId("b")


async def test_a_client_is_told_where_and_then_connected(make: Make) -> None:
    async with side(make) as focus, far_ends("a") as (end,):
        await end.call(focus)
        reachable, connected = focus.events[:2]
        assert isinstance(reachable, Reachable) and isinstance(connected, Connected)
        assert [candidate.host for candidate in reachable.candidates] == ["127.0.0.1"]
        assert end.dtls is not None and end.dtls.state == "connected"


async def test_two_engines_connect_to_each_other(make: Make) -> None:
    async with side(make) as answerer, side(make) as caller:
        await join(answerer, caller, A, B)
        await answerer.saw(Connected, peer=A)
        await caller.saw(Connected, peer=B)
        await answerer.saw(Opened, peer=A)
        await caller.saw(Opened, peer=B)


async def test_the_certificate_is_the_same_for_every_peer_and_new_in_every_engine(make: Make) -> None:
    async with side(make) as one, side(make) as other:
        name, digest = one.engine.fingerprint
        assert name == "sha-256" and len(digest.split(":")) == 32 and digest == digest.upper()
        assert one.engine.fingerprint == (name, digest) != other.engine.fingerprint


async def test_gcm_is_preferred(make: Make) -> None:
    async with side(make) as focus, far_ends("a") as (end,):
        await end.call(focus)
        assert end.dtls is not None and end.dtls._ssl is not None
        # The length of the key is the engine's choice.
        assert end.dtls._ssl.get_selected_srtp_profile() in (b"SRTP_AEAD_AES_128_GCM", b"SRTP_AEAD_AES_256_GCM")


async def test_a_client_without_gcm_is_served_too(make: Make) -> None:
    from aiortc.rtcdtlstransport import SRTP_AES128_CM_SHA1_80

    async with side(make) as focus, far_ends("a") as (end,):
        focus.submit(end.open())
        reachable = await focus.saw(Reachable)
        await end.dial(reachable.candidates, focus.engine.fingerprint, profiles=[SRTP_AES128_CM_SHA1_80])
        await focus.saw(Connected)


@asynccontextmanager
async def dialling(end: FarEnd, reachable: Reachable, focus: Side) -> AsyncIterator[None]:
    """Somebody who dials, for as long as the block runs. Who is refused need not be told."""
    task = asyncio.create_task(end.dial(reachable.candidates, focus.engine.fingerprint))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


WRONG = ("sha-256", ":".join(["AB"] * 32))


async def test_a_wrong_fingerprint_is_refused_as_answerer(make: Make) -> None:
    async with side(make) as focus, far_ends("a") as (end,):
        focus.submit(end.open(fingerprints=(WRONG,)))
        reachable = await focus.saw(Reachable)
        async with dialling(end, reachable, focus):
            assert (await focus.saw(Lost)).loss is Loss.DTLS
        assert not focus.all(Connected)


async def test_a_wrong_fingerprint_is_refused_as_caller(make: Make) -> None:
    async with side(make) as answerer, side(make) as caller:
        here, there = Credentials("herehere", "h" * 24), Credentials("therethere", "t" * 24)
        answerer.submit(Open(A, Role.ANSWERER, here, there, (caller.engine.fingerprint,), None))
        reachable = await answerer.saw(Reachable)
        caller.submit(Open(B, Role.CALLER, there, here, (WRONG,), None, candidates=reachable.candidates))
        assert (await caller.saw(Lost)).loss is Loss.DTLS
        assert not caller.all(Connected)


@pytest.mark.parametrize("fingerprints", [(), (("md5", "AB:CD"),), (("sha-256", ""),), (("sha-256", "nonsense"),)])
async def test_a_missing_or_unusable_fingerprint_is_refused(
    make: Make, fingerprints: tuple[tuple[str, str], ...]
) -> None:
    async with side(make) as focus, far_ends("a") as (end,):
        focus.submit(end.open(fingerprints=fingerprints))
        await focus.bell.until(lambda: focus.events, 5, "anything")
        if reachable := focus.all(Reachable):
            async with dialling(end, reachable[0], focus):
                await focus.saw(Lost)
        assert (await focus.saw(Lost)).loss is Loss.DTLS
        assert not focus.all(Connected)


async def test_one_of_two_hashes_may_be_unknown_but_both_known_must_match(make: Make) -> None:
    async with side(make) as focus, far_ends("a", "b") as (one, other):
        focus.submit(
            one.open(fingerprints=(("sha-999", "00"), one.fingerprint)),
            other.open(fingerprints=(other.fingerprint, ("sha-512", "00"))),
        )
        async with (
            dialling(one, await focus.saw(Reachable, peer=one.peer), focus),
            dialling(other, await focus.saw(Reachable, peer=other.peer), focus),
        ):
            await focus.saw(Connected, peer=one.peer)
            assert (await focus.saw(Lost, peer=other.peer)).loss is Loss.DTLS


async def test_close_frees_the_peer_without_a_word(make: Make) -> None:
    async with side(make) as focus, far_ends("a") as (end,):
        await end.call(focus, channel=True)
        told = focus.mark()
        focus.submit(Close(A), Close(A))
        assert end.dtls is not None
        changed = asyncio.Event()
        end.dtls.on("statechange", changed.set)
        await asyncio.wait_for(changed.wait(), 5)
        assert end.dtls.state == "closed"
        assert focus.events[told:] == []
        await focus.counted(Drop.UNKNOWN_PEER, 1)


async def test_a_closed_name_may_be_opened_again(make: Make) -> None:
    async with side(make) as focus, far_ends("a", "a") as (first, second):
        await first.call(focus)
        told = focus.mark()
        focus.submit(Close(A), second.open())
        reachable = await focus.saw(Reachable, after=told)
        await second.dial(reachable.candidates, focus.engine.fingerprint)
        await focus.saw(Connected, after=told)
        assert not focus.all(Lost)


async def test_closing_before_anything_was_connected(make: Make) -> None:
    async with side(make) as focus, far_ends("a") as (end,):
        focus.submit(end.open(), Close(A))
        focus.submit(end.open())
        reachable = await focus.saw(Reachable)
        focus.submit(Close(A))
        with Quiet(reachable.candidates[0]) as gone:
            gone.send(b"\x00\x01\x00\x00")
        assert not focus.all(Lost)


async def test_open_said_twice_changes_nothing(make: Make) -> None:
    async with side(make) as focus, far_ends("a") as (end,):
        focus.submit(end.open())
        await end.call(focus)
        focus.submit(end.open())
        assert len(focus.all(Reachable)) == 1 and len(focus.all(Connected)) == 1
        assert not focus.all(Lost)


async def test_commands_for_a_dead_peer_are_counted(make: Make) -> None:
    async with side(make) as focus:
        who = Credentials("nobody", "n" * 24)
        focus.submit(Close(A), Send(A, "x"), Restart(A, who, who))
        await focus.counted(Drop.UNKNOWN_PEER, 3)
        assert focus.events == []


async def test_a_client_that_closes_in_order_is_lost_as_closed(make: Make) -> None:
    async with side(make) as focus, far_ends("a") as (end,):
        await end.call(focus, channel=True)
        await end.close()
        assert (await focus.saw(Lost)).loss is Loss.CLOSED


async def test_the_peer_of_a_closed_engine_is_lost(make: Make) -> None:
    async with side(make) as answerer, side(make) as caller:
        await join(answerer, caller, A, B)
        await caller.saw(Opened)
        await answerer.engine.close()
        assert (await caller.saw(Lost)).loss is Loss.CLOSED
        await answerer.engine.close()


async def test_the_port_range_is_kept_and_running_out_of_it_is_survived(make: Make) -> None:
    low = free_range(3)
    async with side(make, Settings(addresses=("127.0.0.1",), port_low=low, port_high=low + 2)) as focus:
        ends = [FarEnd(PeerId(f"p{n}")) for n in range(5)]
        focus.submit(*(end.open() for end in ends))
        await focus.bell.until(lambda: len(focus.all(Reachable)) + len(focus.all(Lost)) == 5, 5, "an end for each")
        ports = [candidate.port for said in focus.all(Reachable) for candidate in said.candidates]
        assert set(ports) <= {low, low + 1, low + 2}
        assert len(focus.all(Reachable)) >= 3
        focus.submit(Close(focus.all(Reachable)[0].peer))
        told = focus.mark()
        again = FarEnd(PeerId("again"))
        await asyncio.sleep(0)
        focus.submit(again.open())
        await focus.saw(Reachable, after=told, peer=again.peer)


async def test_public_addresses_are_announced_in_place_of_bound_ones(make: Make) -> None:
    settings = Settings(addresses=("127.0.0.1", "127.0.0.2"), announce=("198.51.100.7", "198.51.100.8"))
    async with side(make, settings) as focus, far_ends("a") as (end,):
        focus.submit(end.open())
        reachable = await focus.saw(Reachable)
        assert [candidate.host for candidate in reachable.candidates] == ["198.51.100.7", "198.51.100.8"]


# ICE restart.


async def test_a_restart_moves_to_new_credentials_and_keeps_the_session(make: Make) -> None:
    async with side(make) as answerer, side(make) as caller:
        await join(answerer, caller, A, B)
        await caller.saw(Opened)
        await answerer.saw(Opened)
        here, there = Credentials("newhere", "H" * 24), Credentials("newthere", "T" * 24)
        addresses = answerer.all(Reachable)[0].candidates
        answerer.submit(Restart(A, here, there), Restart(A, here, there))
        caller.submit(Restart(B, there, here, addresses))
        for number in range(20):
            caller.submit(Send(B, f"up {number}"))
            answerer.submit(Send(A, f"down {number}"))
            await asyncio.sleep(0.02)
        await answerer.saw(Message, text="up 19")
        await caller.saw(Message, text="down 19")
        assert [said.text for said in answerer.all(Message)] == [f"up {n}" for n in range(20)]
        assert not answerer.all(Lost) and not caller.all(Lost)
        assert len(answerer.all(Connected)) == 1 and len(caller.all(Connected)) == 1


async def test_the_old_path_carries_when_a_restart_is_never_taken_up(make: Make) -> None:
    async with side(make) as focus, far_ends("a") as (end,):
        await end.call(focus, channel=True)
        focus.submit(Restart(A, Credentials("newhere", "H" * 24), Credentials("newthere", "T" * 24)))
        assert end.channel is not None
        end.channel.send("still here")
        await focus.saw(Message, text="still here")
        focus.submit(Send(A, "so am I"))
        await end.bell.until(lambda: end.texts == ["so am I"], 5, "an answer")


