"""Who is admitted to a call and who is put out of it, at a real focus on a real homeserver.

Nobody here trusts the client: those who are put out are deaf to hangups, so that what they
receive ends only because the focus sends no more.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.browser import until
from bench.participants import media, sdp
from bench.participants.accounts import Account
from bench.participants.call import Seat
from bench.participants.habits import Habits
from bench.participants.known import Known
from bench.participants.member import CALL, MEMBER, NOTHING, Participant, start_call
from bench.stage import Stage, stage
from signalling.matrix import Homeserver

pytestmark = [pytest.mark.slow, pytest.mark.synapse, pytest.mark.timeout(180)]

LISTEN = 7.0
"Seconds: an invite may wait 5 s for room state before it is refused."


@dataclass
class Place:
    """A room with a call and the focus in it, and its admin."""

    stand: Stage
    session: aiohttp.ClientSession
    admin: Homeserver
    room: str
    conf: str

    def server(self, account: Account) -> Homeserver:
        return Homeserver(self.stand.homeserver, account.access_token, self.session)


async def place(stand: Stage, session: aiohttp.ClientSession, admin: Account) -> Place:
    server = Homeserver(stand.homeserver, admin.access_token, session)
    focus = stand.focus[0]
    room = await server.create_room(
        preset="public_chat", invite=[focus], power_level_content_override={"events": {CALL: 0, MEMBER: 0}}
    )
    conf = secrets.token_hex(8)
    await start_call(server, room, conf)

    async def joined() -> bool:
        return (await server.get_state(room, "m.room.member", focus)).get("membership") == "join"

    await until(joined, 20, "the focus in the room")
    return Place(stand, session, server, room, conf)


async def write_entry(place: Place, account: Account, device: str, session: str) -> None:
    user, focus_device = place.stand.focus
    entry = {
        "device_id": device, "session_id": session, "expires_ts": int((time.time() + 3600) * 1000),
        "feeds": [{"purpose": "m.usermedia"}],
        "org.matrix.msc3898.foci.active": [{"user_id": user, "device_id": focus_device}],
    }  # fmt: skip
    content = {"m.calls": [{"m.call_id": place.conf, "m.devices": [entry]}]}
    await place.server(account).put_state(place.room, MEMBER, account.user_id, content)


async def dial(place: Place, account: Account, device: str, session: str) -> list[Mapping[str, Any]]:
    """Send an invite that is in order but for who sends it; return all that comes back within the time."""
    server = place.server(account)
    only_messages = await server.filter(account.user_id, NOTHING)
    since = (await server.sync(None, only_messages, 0))["next_batch"]
    fingerprint = "sha-256 " + ":".join(f"{byte:02X}" for byte in secrets.token_bytes(32))
    local = sdp.Local("abcd", secrets.token_hex(12), fingerprint, "s", "mic", "cam", 1234, "x")
    call = secrets.token_hex(8)
    content = {
        "version": "1", "call_id": call, "conf_id": place.conf, "party_id": device, "device_id": device,
        "sender_session_id": session, "dest_session_id": "sfu", "seq": 0, "lifetime": 60000,
        "invitee": place.stand.focus[0], "offer": {"type": "offer", "sdp": sdp.offer(local)},
    }  # fmt: skip
    user, focus_device = place.stand.focus
    await server.send_to_device("m.call.invite", {user: {focus_device: content}})
    heard: list[Mapping[str, Any]] = []
    deadline = time.monotonic() + LISTEN
    while time.monotonic() < deadline:
        got = await server.sync(since, only_messages, int(max(0.0, deadline - time.monotonic()) * 1000))
        since = got["next_batch"]
        heard += [e for e in got.get("to_device", {}).get("events", []) if e["content"].get("call_id") == call]
    return heard


# Each makes one account unfit, and returns the device that it will name.


async def stranger(place: Place, account: Account) -> str:
    return account.device_id


async def invited(place: Place, account: Account) -> str:
    await place.admin.invite(place.room, account.user_id)
    return account.device_id


async def member(place: Place, account: Account) -> str:
    await place.server(account).join(place.room)
    await write_entry(place, account, account.device_id, "s")
    return account.device_id


async def left(place: Place, account: Account) -> str:
    await member(place, account)
    await place.server(account).leave(place.room)
    return account.device_id


async def kicked(place: Place, account: Account) -> str:
    await member(place, account)
    await place.admin.kick(place.room, account.user_id)
    return account.device_id


async def banned(place: Place, account: Account) -> str:
    await member(place, account)
    await place.admin.ban(place.room, account.user_id)
    return account.device_id


async def another_device(place: Place, account: Account) -> str:
    await member(place, account)
    return "OTHER"


UNFIT: list[Callable[[Place, Account], Awaitable[str]]] = [
    stranger, invited, left, kicked, banned, another_device,
]  # fmt: skip
"The seventh, a user of a server that the room's ACL denies, needs a second homeserver: see tests/signalling."


async def test_of_those_who_may_not_enter_none_is_answered(http: aiohttp.ClientSession) -> None:
    async with stage(0, page=False) as stand:

        async def tried(make: Callable[[Place, Account], Awaitable[str]]) -> list[Mapping[str, Any]]:
            admin, account = await stand.accounts(2, http)
            where = await place(stand, http, admin)
            return await dial(where, account, await make(where, account), "s")

        control, *refused = await asyncio.gather(tried(member), *(tried(make) for make in UNFIT))
        assert [event["type"] for event in control][:1] == ["m.call.answer"], "the test itself must be able to get in"
        for make, heard in zip(UNFIT, refused, strict=True):
            types = [event["type"] for event in heard]
            assert "m.call.answer" not in types, make.__name__
            assert types in ([], ["m.call.reject"]), make.__name__


# Being put out of a call that runs.


class Deaf(Participant):
    """A client that will not hear that it is put out."""

    def _hand_on(self, event: Mapping[str, Any]) -> None:
        if event.get("type") != "m.call.hangup":
            super()._hand_on(event)


async def ban(place: Place, account: Account) -> None:
    await place.admin.ban(place.room, account.user_id)


async def kick(place: Place, account: Account) -> None:
    await place.admin.kick(place.room, account.user_id)


async def leave(place: Place, account: Account) -> None:
    await place.server(account).leave(place.room)


async def terminate(place: Place, account: Account) -> None:
    content = {"m.intent": "m.room", "m.type": "m.video", "m.terminated": "call_ended"}
    await place.admin.put_state(place.room, CALL, place.conf, content)


async def test_media_ends_within_two_seconds_at_the_receiver(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    people = await asyncio.to_thread(media.people, 2, tmp_path, lambda step, done: None)
    known = await asyncio.to_thread(Known, people)
    ends = (ban, kick, leave, terminate)
    async with stage(0, page=False) as stand:
        places = [await place(stand, http, admin) for admin in await stand.accounts(len(ends), http)]
        found = await asyncio.gather(
            *(seconds_of_media_after(end, where, people, known) for end, where in zip(ends, places, strict=True))
        )
    assert all(seconds < 2.0 for seconds in found), dict(zip((end.__name__ for end in ends), found, strict=True))


async def seconds_of_media_after(
    end: Callable[[Place, Account], Awaitable[None]], where: Place, people: list[media.Person], known: Known
) -> float:
    """Two people call; one is put out; how long it still receives, from before it is asked for."""
    accounts = await where.stand.accounts(2, where.session)
    leaving = asyncio.Event()
    call = [
        (Participant if number == 0 else Deaf)(
            where.server(account), where.room,
            Seat(number, 2, account.user_id, account.device_id, secrets.token_hex(4), where.conf, where.stand.focus,
                 people[number], known, time.monotonic),
            Habits(random.Random(number)),
        )
        for number, account in enumerate(accounts)
    ]  # fmt: skip
    inside = [asyncio.ensure_future(one.run(leaving)) for one in call]
    victim = call[1]

    async def flows() -> bool:
        received = victim.call.receiver.live.values() if victim.call is not None else ()
        return sum(track.check.frames for track in received) > 20

    await until(flows, 60, "a picture at the one who is put out")
    assert victim.call is not None
    transport = victim.call.transport
    started = last = time.monotonic()
    count = transport.packets_in
    await end(where, accounts[1])
    while time.monotonic() - started < 5:
        await asyncio.sleep(0.02)
        if transport.packets_in != count:
            last, count = time.monotonic(), transport.packets_in
    leaving.set()
    await asyncio.wait(inside, timeout=20)
    for task in inside:
        task.cancel()
    await asyncio.gather(*inside, return_exceptions=True)
    return last - started
