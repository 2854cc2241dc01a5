"""`MatrixLink` at a real Synapse: what a batch holds, whose message it is, what a restart brings back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from signalling.link import Batch, Gone, Invited, StateEvent, ToDevice, Unreachable
from signalling.matrix import Homeserver
from signalling.rooms import FILTER
from tests.conftest import SignUp
from tests.matrix.following import Following, Open, following, until

MEMBER = "org.matrix.msc3401.call.member"


async def test_an_invite_a_join_and_call_state_come_in_order(sign_up: SignUp, at: Open) -> None:
    alice, focus = await sign_up("alice"), await (await sign_up("focus")).whoami()
    async with following(at(focus, "f")) as follower:
        assert (await follower.next()) == Batch((), (), True)
        room = await alice.create_room(invite=[focus.user_id])
        assert await follower.next() == Batch((Invited(room, (await alice.whoami()).user_id),), (), False)
        await follower.link.join(room)
        joined = await follower.next()
        states = [event for event in joined.rooms if isinstance(event, StateEvent)]
        members = {event.key: event.content["membership"] for event in states if event.type == "m.room.member"}
        assert members == {(await alice.whoami()).user_id: "join", focus.user_id: "join"}
        assert {"m.room.create", "m.room.power_levels"} <= {event.type for event in states}
        me = (await alice.whoami()).user_id
        await alice.put_state(room, MEMBER, me, {"m.calls": []})
        event = await follower.room_event()
        assert isinstance(event, StateEvent)
        assert (event.type, event.key, event.sender, event.content) == (MEMBER, me, me, {"m.calls": []})
        assert event.sent > 1_600_000_000_000
        await alice.kick(room, focus.user_id)
        assert await follower.room_event() == Gone(room)


async def test_what_people_say_does_not_wake_the_focus(sign_up: SignUp, at: Open) -> None:
    alice, focus = await sign_up("alice"), await sign_up("focus")
    login, me = await focus.whoami(), (await alice.whoami()).user_id
    room = await alice.create_room(preset="public_chat")
    await focus.join(room)
    async with following(at(login, "f")) as follower:
        await follower.next()
        for number in range(10):
            await alice.send_event(room, "m.room.message", {"msgtype": "m.text", "body": str(number)})
            await alice.put_state(room, "m.room.topic", "", {"topic": str(number)})
        await alice.put_state(room, MEMBER, me, {"m.calls": []})
        (event,) = (await follower.next()).rooms
        assert isinstance(event, StateEvent) and event.type == MEMBER


async def test_the_first_batch_after_a_restart_holds_all_state_and_what_waited(sign_up: SignUp, at: Open) -> None:
    alice, focus = await sign_up("alice"), await sign_up("focus")
    login, who = await focus.whoami(), await alice.whoami()
    room = await alice.create_room(preset="public_chat")
    await focus.join(room)
    await alice.put_state(room, MEMBER, who.user_id, {"m.calls": [1]})
    async with following(at(login, "f")) as follower:
        await follower.next()
    await alice.send_to_device("m.call.invite", {login.user_id: {login.device_id: {"n": 1}}})
    async with following(at(login, "f")) as follower:
        batch = await follower.next()
    assert batch.first
    assert batch.messages == (ToDevice(who.user_id, "m.call.invite", {"n": 1}, None),)
    found = {(e.type, e.key): e.content for e in batch.rooms if isinstance(e, StateEvent)}
    assert found[MEMBER, who.user_id] == {"m.calls": [1]}
    assert ("m.room.member", login.user_id) in found


async def test_a_batch_that_was_not_handled_comes_again(sign_up: SignUp, at: Open) -> None:
    alice, focus = await sign_up("alice"), await (await sign_up("focus")).whoami()
    link = at(focus, "f")
    async with following(link) as follower:
        await follower.next()
    await alice.send_to_device("m.call.invite", {focus.user_id: {focus.device_id: {"n": 1}}})
    for _ in range(2):
        link = at(focus, "f")
        await link.start()
        batches = link.batches()
        assert [message.content for message in (await anext(batches)).messages] == [{"n": 1}]
        await link.close()  # it was never asked for the next: as if we had crashed
    async with following(at(focus, "f")) as follower:
        assert len((await follower.next()).messages) == 1
    async with following(at(focus, "f")) as follower:
        assert (await follower.next()).messages == ()


async def test_redacted_state_comes_as_empty_state(sign_up: SignUp, at: Open) -> None:
    alice, focus = await sign_up("alice"), await sign_up("focus")
    me = (await alice.whoami()).user_id
    room = await alice.create_room(preset="public_chat")
    await focus.join(room)
    written = await alice.put_state(room, MEMBER, me, {"m.calls": [1]})
    said = await alice.send_event(room, "m.room.message", {"body": "x", "msgtype": "m.text"})
    async with following(at(await focus.whoami(), "f")) as follower:
        await follower.next()
        await alice.redact(room, said)
        await alice.redact(room, written)
        event = await follower.room_event()
        assert isinstance(event, StateEvent)
        assert (event.type, event.key, event.content) == (MEMBER, me, {})


# Olm, both ends ours; `tests/interop` has a client's.


@pytest.fixture
async def pair(sign_up: SignUp, at: Open) -> AsyncIterator[tuple[Following, Following]]:
    async with AsyncExitStack() as stack:
        both = []
        for name in ("focus", "alice"):
            login = await (await sign_up(name)).whoami()
            both.append(await stack.enter_async_context(following(at(login, name))))
            await both[-1].next()
        yield both[0], both[1]


def to(follower: Following) -> tuple[str, str]:
    return follower.link.user, follower.link.device


async def test_an_encrypted_message_proves_its_device_and_is_answered(pair: tuple[Following, Following]) -> None:
    focus, alice = pair
    await alice.link.send(*to(focus), "m.call.invite", {"n": 1}, encrypted=True)
    assert await focus.message() == ToDevice(alice.link.user, "m.call.invite", {"n": 1}, alice.link.device)
    await focus.link.send(*to(alice), "m.call.answer", {"n": 2}, encrypted=True)
    assert await alice.message() == ToDevice(focus.link.user, "m.call.answer", {"n": 2}, focus.link.device)


async def test_a_plain_message_proves_no_device(pair: tuple[Following, Following]) -> None:
    focus, alice = pair
    await alice.link.send(*to(focus), "m.call.invite", {"n": 1}, encrypted=False)
    assert await focus.message() == ToDevice(alice.link.user, "m.call.invite", {"n": 1}, None)


@pytest.mark.parametrize("type", ["m.room_key", "m.forwarded_room_key", "m.secret.send", "m.room_key.withheld"])
async def test_room_keys_are_dropped_and_nothing_is_kept(pair: tuple[Following, Following], type: str) -> None:
    focus, alice = pair
    key = {"algorithm": "m.megolm.v1.aes-sha2", "room_id": "!r", "session_id": "s", "session_key": "k"}
    await alice.link.send(*to(focus), type, key, encrypted=True)
    await alice.link.send(*to(focus), "m.call.invite", {}, encrypted=True)
    assert (await focus.message()).type == "m.call.invite"
    assert focus.link.faults["room_key_dropped"] == 1
    assert focus.link.memory.tables() == {"value", "olm_session"}


async def test_an_encrypted_message_of_an_unknown_device_is_counted(pair: tuple[Following, Following]) -> None:
    focus, alice = pair
    content = {"algorithm": "m.olm.v1.curve25519-aes-sha2", "sender_key": "A" * 43, "ciphertext": {}}
    for bad in (content, content | {"sender_key": 5}, {}):
        await alice.link.send(*to(focus), "m.room.encrypted", bad, encrypted=False)
    await alice.link.send(*to(focus), "m.call.invite", {}, encrypted=False)
    assert (await focus.message()).type == "m.call.invite"
    assert focus.link.faults == {"unknown_device": 1, "malformed": 2}


async def test_after_a_restart_queued_messages_are_opened_and_answered(sign_up: SignUp, at: Open) -> None:
    focus, alice = [await (await sign_up(name)).whoami() for name in ("focus", "alice")]
    async with following(at(alice, "alice")) as client:
        await client.next()
        async with following(at(focus, "focus")) as before:
            await before.next()
            await client.link.send(*to(before), "m.one", {}, encrypted=True)
            await before.message()
        await client.link.send(focus.user_id, focus.device_id, "m.two", {}, encrypted=True)
        async with following(at(focus, "focus")) as after:
            assert await after.message() == ToDevice(alice.user_id, "m.two", {}, alice.device_id)
            await after.link.send(*to(client), "m.three", {}, encrypted=True)
            assert (await client.message()).type == "m.three"


async def test_who_waits_for_far_away_keys_holds_nobody_up(
    pair: tuple[Following, Following], sign_up: SignUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    focus, alice = pair
    bob = await sign_up("bob")
    answered, request = asyncio.Event(), focus.link._server.request

    async def slow(method: str, path: str, *rest: Any, **more: Any) -> dict[str, Any]:
        if path.endswith("/keys/query"):
            await answered.wait()
        return await request(method, path, *rest, **more)

    monkeypatch.setattr(focus.link._server, "request", slow)
    await alice.link.send(*to(focus), "m.first", {}, encrypted=True)
    await alice.link.send(*to(focus), "m.second", {}, encrypted=False)
    await bob.send_to_device("m.plain", {focus.link.user: {focus.link.device: {}}})
    room = await bob.create_room(invite=[focus.link.user])
    seen = [await focus.next() for _ in range(2)]
    assert [message.type for batch in seen for message in batch.messages] == ["m.plain"]
    assert any(isinstance(event, Invited) and event.room == room for batch in seen for event in batch.rooms)
    answered.set()
    late = await focus.next()
    assert [message.type for message in late.messages] == ["m.first", "m.second"], "a sender's order is kept"


async def test_a_session_that_no_longer_fits_is_mended(sign_up: SignUp, at: Open, tmp_path: Path) -> None:
    focus, alice = [await (await sign_up(name)).whoami() for name in ("focus", "alice")]
    async with following(at(alice, "alice")) as client:
        await client.next()
        async with following(at(focus, "focus")) as before:
            await before.next()
            await client.link.send(*to(before), "m.one", {}, encrypted=True)
            await before.message()
            await before.link.send(*to(client), "m.two", {}, encrypted=True)
            await client.message()
            before.link.memory._db.execute("DELETE FROM olm_session")  # a backup, put back
        async with following(at(focus, "focus")) as after:
            await after.next()
            await client.link.send(*to(after), "m.lost", {}, encrypted=True)
            await until(lambda: after.link.faults["undecryptable"] == 1)
            await until(lambda: len(client.link.memory.sessions(after.link._olm.curve25519)) == 2)
            await client.link.send(*to(after), "m.found", {}, encrypted=True)
            assert (await after.message()).type == "m.found"


async def test_a_room_of_which_the_sync_skipped_a_part_is_read_anew(
    sign_up: SignUp, at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FILTER["room"]["timeline"], "limit", 1)
    alice, focus = await sign_up("alice"), await sign_up("focus")
    me = (await alice.whoami()).user_id
    room = await alice.create_room(preset="public_chat")
    await focus.join(room)
    written = await alice.put_state(room, MEMBER, me, {"m.calls": [1]})
    link = at(await focus.whoami(), "f")
    async with following(link) as follower:
        await follower.next()
    # Back after a first sync that has all state: the redaction is beyond the limit of the second.
    await link_gap(alice, room, me, written)
    link = at(await focus.whoami(), "f")
    await link.start()
    answer = await link._server.sync(link.memory.since, link._filter, 0)
    states = [event for event in await link._rooms.read(answer, False) if isinstance(event, StateEvent)]
    await link.close()
    assert [event.content for event in states if event.type == MEMBER][-1] == {}


async def link_gap(alice: Homeserver, room: str, me: str, written: str) -> None:
    await alice.redact(room, written)
    for level in range(3):
        await alice.put_state(room, "m.call", "c", {"level": level})


async def test_a_place_that_the_homeserver_does_not_know_is_given_up(sign_up: SignUp, at: Open) -> None:
    focus = await (await sign_up("focus")).whoami()
    link = at(focus, "f")
    link.memory.since = "nonsense"
    async with following(link) as follower:
        assert (await follower.next()).first


@pytest.mark.parametrize("deed", ["kick", "ban", "leave"])
async def test_who_is_put_out_is_seen_within_two_seconds(sign_up: SignUp, at: Open, deed: str) -> None:
    alice, bob, focus = [await sign_up(name) for name in ("alice", "bob", "focus")]
    target = (await bob.whoami()).user_id
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await focus.join(room)
    async with following(at(await focus.whoami(), "f")) as follower:
        await follower.next()
        async with asyncio.timeout(2):
            await {
                "kick": lambda: alice.kick(room, target),
                "ban": lambda: alice.ban(room, target),
                "leave": lambda: bob.leave(room),
            }[deed]()
            event = await follower.room_event()
    assert isinstance(event, StateEvent)
    assert (event.type, event.key) == ("m.room.member", target)
    assert event.content["membership"] == ("ban" if deed == "ban" else "leave")


async def test_a_device_without_keys_cannot_be_reached_encrypted(pair: tuple[Following, Following]) -> None:
    focus, alice = pair
    with pytest.raises(Unreachable):
        await focus.link.send(alice.link.user, "NOSUCHDEVICE", "m.x", {}, encrypted=True)
    with pytest.raises(Unreachable):
        await focus.link.send("@nobody:localhost", "X", "m.x", {}, encrypted=True)


async def test_one_time_keys_are_filled_up_when_used(pair: tuple[Following, Following], sign_up: SignUp) -> None:
    focus, _ = pair
    asker = await sign_up("asker")
    claim: dict[str, Any] = {"one_time_keys": {focus.link.user: {focus.link.device: "signed_curve25519"}}}
    taken = set()
    for _ in range(80):  # 50 are kept: without filling up, the fallback key would come again and again
        answer = await asker.request("POST", "/_matrix/client/v3/keys/claim", claim)
        taken.add(str(answer["one_time_keys"][focus.link.user][focus.link.device]))
        await asker.send_to_device("m.x", {focus.link.user: {focus.link.device: {}}})
        await focus.message()
    assert len(taken) >= 79
