"""Whatever a client or another homeserver says is counted by its reason, breaks nothing, and the call goes on.

Through a real agent, switchboard and engine; the homeserver is in memory. That each
reason is the right one for each input is the affair of the parsers' own tests.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focus.faults import PeerFault
from matrix_room import CALL, CONF, MEMBER, Room, call_room
from scripted_client import SIMULCAST, Client
from signalling import events
from signalling.limits import SignallingLimits
from signalling.link import StateEvent
from signalling.membership import flaws
from vectors import (
    CALL_EVENTS,
    CHANNEL,
    MEMBER_EVENTS,
    SDP,
    TO_DEVICE,
    corrupted,
    corrupted_text,
    header,
    is_json,
    shortened,
)

numbers = itertools.count(1)
chances = st.randoms(use_true_random=False)
quickly = settings(max_examples=15, deadline=None)


def anew() -> str:
    """A user whose patience with us is not used up."""
    return f"@mallory{next(numbers)}:there.test"


def throw(room: Room, type: str, content: dict[str, Any]) -> None:
    room.home.to_focus(anew(), type, content)


async def goes_on(room: Room) -> None:
    """Somebody else can still join."""
    client = Client(room, f"late{next(numbers)}")
    client.enter().invite()
    await client.answered()
    assert not room.faults("bug"), "our own code failed"


def entering(room: Room) -> tuple[Client, str]:
    """Somebody who may dial, and an offer in order."""
    client = Client(room, f"mallory{next(numbers)}").enter()
    client.add("audio")
    client.add("video", rids=SIMULCAST)
    return client, client.offer()["sdp"]


def verdict(type: str, content: dict[str, Any]) -> str | None:
    """As what the parsers refuse a to-device message, None if they take it."""
    try:
        head = events.header(content)
        if head.to_session == events.FOCUS_SESSION:
            events.parse(type, content)
    except PeerFault as fault:
        return fault.what
    return None if head.to_session == events.FOCUS_SESSION else "not_for_us"


async def test_every_bad_to_device_message_is_counted_under_its_reason() -> None:
    async with call_room() as room:
        for reason, type, changes in TO_DEVICE:
            before = room.faults(reason)
            throw(room, type, header("M", f"c{next(numbers)}", CONF) | dict(changes))
            assert room.faults(reason) == before + 1, (reason, type)
        await goes_on(room)


@given(chance=chances)
@quickly
async def test_twins_of_bad_to_device_messages_are_counted_or_understood(chance: random.Random) -> None:
    async with call_room() as room:
        for _, type, changes in TO_DEVICE:
            whole = header("M", f"c{next(numbers)}", CONF) | dict(changes)
            for twin in (shortened(whole, chance), corrupted(whole, chance)):
                if not isinstance(twin, dict):
                    continue  # no homeserver hands over such content
                reason = verdict(type, twin)
                before = Counter(room.agent.faults)
                throw(room, type, twin)
                if reason is not None:
                    assert room.faults(reason) == before[reason] + 1, (reason, type, twin)
        await goes_on(room)


@pytest.mark.parametrize(
    ("type", "vectors"), [(MEMBER, MEMBER_EVENTS), (CALL, CALL_EVENTS)], ids=["member events", "call events"]
)
async def test_every_bad_piece_of_call_state_is_counted_under_its_reason(type: str, vectors: Any) -> None:
    async with call_room() as room:
        for reason, content in vectors:
            before = room.faults(reason)
            room.home.put(type, anew(), content)
            assert room.faults(reason) > before, (reason, content)
        await goes_on(room)


@given(chance=chances)
@quickly
async def test_twins_of_bad_call_state_are_counted_or_understood(chance: random.Random) -> None:
    async with call_room() as room:
        for type, vectors in ((MEMBER, MEMBER_EVENTS), (CALL, CALL_EVENTS)):
            for _, whole in vectors:
                for twin in (shortened(whole, chance), corrupted(whole, chance)):
                    before, user = Counter(room.agent.faults), anew()
                    if not isinstance(twin, dict):
                        continue
                    room.home.put(type, user, twin)
                    found = Counter(flaws(StateEvent("!r", type, user, user, twin, 0)))
                    assert room.agent.faults == before + found, twin
        await goes_on(room)


async def test_an_entry_for_somebody_else_is_counted_and_one_of_matrixrtc_is_not() -> None:
    async with call_room() as room:
        room.home.put(MEMBER, "@victim:here.test", {"m.calls": []}, sender=anew())
        assert room.faults("member_of_another") == 1
        room.home.put(MEMBER, "_@other:here.test_DEV_m.call", {"application": "m.call"}, sender="@other:here.test")
        room.home.put(MEMBER, "@other:here.test", {}, sender="@other:here.test")
        assert sum(room.agent.faults.values()) == 1


@pytest.mark.parametrize("expires", [1e999, float("nan"), -1, 2**60, True, "soon"])
async def test_an_expiry_that_no_clock_has_is_counted(expires: object) -> None:
    async with call_room() as room:
        device = {"device_id": "D", "session_id": "s", "expires_ts": expires}
        room.home.put(MEMBER, anew(), {"m.calls": [{"m.call_id": CONF, "m.devices": [device]}]})
        assert room.agent.faults == Counter(member_device=1)


async def test_every_bad_description_is_counted_and_only_its_sender_stays_out() -> None:
    async with call_room() as room:
        alice = await Client(room, "alice").dial()
        for reason, old, new in SDP:
            before, (mallory, whole) = room.faults(reason), entering(room)
            mallory.send("m.call.invite", {"offer": {"type": "offer", "sdp": whole.replace(old, new)}})
            await room.counted(reason, before + 1)
            await mallory.gets("m.call.reject")
        assert room.switchboard.peers() == 1
        assert alice.call in {leg.call for leg in room.agent._legs}
        await goes_on(room)


@given(chance=chances)
@settings(max_examples=5, deadline=None)
async def test_twins_of_descriptions_harm_only_their_sender(chance: random.Random) -> None:
    async with call_room() as room:
        alice = await Client(room, "alice").dial()
        for _ in range(12):
            mallory, whole = entering(room)
            twin = shortened(whole, chance) if chance.random() < 0.5 else corrupted_text(whole, chance)
            mallory.send("m.call.invite", {"offer": {"type": "offer", "sdp": twin}})
            await room.until(lambda m=mallory: m.inbox, "an answer or a refusal")  # type: ignore[misc]
        assert alice.call in {leg.call for leg in room.agent._legs}
        await goes_on(room)


async def test_every_bad_message_on_the_data_channel_is_counted_and_the_channel_goes_on() -> None:
    async with call_room(messages_burst=10_000, messages_per_second=10_000) as room:
        alice = await Client(room, "alice").dial()
        for reason, text in CHANNEL:
            before = room.faults(reason)
            alice.say_text(text)
            await room.counted(reason, before + 1)
        alice.say("m.call.ping", {})
        await alice.hears("m.call.pong")


@given(chance=chances)
@settings(max_examples=5, deadline=None)
async def test_twins_on_the_data_channel_are_counted_or_understood(chance: random.Random) -> None:
    async with call_room(messages_burst=10_000, messages_per_second=10_000) as room:
        alice = await Client(room, "alice").dial()
        limits, expected = SignallingLimits(), Counter[str]()
        for _, text in CHANNEL:
            if len(text) > 10_000:
                continue
            for twin in (shortened(text, chance) or "", corrupted_text(text, chance)):
                alice.say_text(twin)
                try:
                    if isinstance(events.parse_channel(twin, limits.text, limits.depth), events.Unknown):
                        expected["channel_unknown_type"] += 1
                except PeerFault as fault:
                    expected[fault.what] += 1
                assert is_json(twin) or expected, "what is no JSON is refused"
        for reason, count in expected.items():
            await room.counted(reason, count)
        alice.say("m.call.ping", {})
        await alice.hears("m.call.pong")


async def test_a_flood_on_the_data_channel_is_counted_and_costs_nobody_the_call() -> None:
    async with call_room(messages_burst=20, messages_per_second=0.1) as room:
        alice = await Client(room, "alice").dial()
        for _ in range(100):
            alice.say_text("no JSON")
        await room.counted("too_many_messages", 60)
        await goes_on(room)


async def test_bytes_on_the_data_channel_are_counted() -> None:
    async with call_room() as room:
        alice = await Client(room, "alice").dial()
        assert alice.end.channel is not None
        alice.end.channel.send(b"\xff\x00")

        def dropped() -> int:
            return {str(drop): count for drop, count in room.engine.counters().drops}.get("message_binary", 0)

        alice.say("m.call.ping", {})
        await alice.hears("m.call.pong")
        assert dropped() == 1


async def test_a_flood_of_to_device_messages_is_counted_and_costs_nobody_the_call() -> None:
    async with call_room() as room:
        flooder = anew()
        for number in range(150):
            room.home.to_focus(flooder, "m.call.hangup", header("M", f"c{number}", CONF))
        assert room.faults("too_many_messages") >= 40
        await goes_on(room)


async def test_one_user_may_be_in_four_calls_and_is_refused_a_fifth() -> None:
    async with call_room() as room:
        devices = [(f"D{number}", f"s{number}") for number in range(5)]
        clients = [Client(room, "alice", device, session) for device, session in devices]
        room.membership(clients[0].user, "join")
        room.entry(clients[0].user, *devices)
        for client in clients:
            client.invite()
        for client in clients[:4]:
            await client.answered()
        assert (await clients[4].gets("m.call.reject"))["reason"] == "too_many_calls"
        assert room.faults("refused_too_many_calls") == 1
        await goes_on(room)
