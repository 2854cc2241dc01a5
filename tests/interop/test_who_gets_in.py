"""Who is admitted to a call and who is put out of it, at a real focus on a real homeserver.

Nobody here trusts the client: those who are put out are deaf to hangups, so that what they
receive ends only because the focus sends no more. A second homeserver stands by for the
users of a server that a room denies.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from bench.browser import until
from bench.participants import media, sdp
from bench.participants.accounts import Account, register_one
from bench.participants.aiortc_line import AiortcLine
from bench.participants.call import Seat
from bench.participants.habits import Habits
from bench.participants.known import Known
from bench.participants.member import CALL, MEMBER, NOTHING, Participant, start_call
from bench.stage import Stage
from signalling.matrix import Homeserver, MatrixError
from weir.demo import Demo, Options
from weir.homeserver import LocalHomeserver, free_port

pytestmark = [
    pytest.mark.slow, pytest.mark.synapse, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module"),
]  # fmt: skip

LISTEN = 7.0
"Seconds: an invite may wait 5 s for room state before it is refused."
FAR = "127.0.0.1"
"The other homeserver's name; an ACL knows no ports."


@dataclass
class Stand:
    """A running focus with its homeserver, and another homeserver."""

    stage: Stage
    far: LocalHomeserver
    session: aiohttp.ClientSession

    async def person(self, *, far: bool = False) -> Person:
        """Somebody new, here or at the other homeserver."""
        url = self.far.base_url if far else self.stage.homeserver
        secret = self.far.registration_secret if far else self.stage.registration_secret
        server = Homeserver(url, None, self.session)
        return Person(await register_one(server, secret, 0), server)

    async def figure(self, name: str) -> float:
        """One of the focus's figures, 0 if it is not there; labels are part of the name."""
        return await self.stage.metric(self.session, name.replace("{", r"\{")) or 0.0


@dataclass
class Person:
    """An account, signed in."""

    account: Account
    server: Homeserver

    @property
    def user(self) -> str:
        return self.account.user_id


@dataclass
class Place:
    """A room with a call and the focus in it, and its admin."""

    stand: Stand
    admin: Homeserver
    room: str
    conf: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stand(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    folder = tmp_path_factory.mktemp("stand")
    ready = folder / "ready.json"
    options = Options(folder / "demo", people=0, page=False, ready_file=ready, federation=free_port("127.0.0.1"))
    demo = Demo(options, lambda line: None)
    far = LocalHomeserver(folder / "far", server_name=FAR, federation=free_port("127.0.0.1"))
    async with aiohttp.ClientSession() as session:
        try:
            await asyncio.gather(demo.start(), far.start())
            yield Stand(Stage(ready, folder), far, session)
        finally:
            await demo.stop()
            await far.stop()


async def place(stand: Stand) -> Place:
    admin = (await stand.person()).server
    focus = stand.stage.focus[0]
    room = await admin.create_room(
        preset="public_chat", invite=[focus], power_level_content_override={"events": {CALL: 0, MEMBER: 0}}
    )
    conf = secrets.token_hex(8)
    await start_call(admin, room, conf)

    async def joined() -> bool:
        return (await admin.get_state(room, "m.room.member", focus)).get("membership") == "join"

    await until(joined, 20, "the focus in the room")
    return Place(stand, admin, room, conf)


async def write_entry(place: Place, person: Person) -> None:
    user, focus_device = place.stand.stage.focus
    entry = {
        "device_id": person.account.device_id, "session_id": "s", "expires_ts": int((time.time() + 3600) * 1000),
        "feeds": [{"purpose": "m.usermedia"}],
        "org.matrix.msc3898.foci.active": [{"user_id": user, "device_id": focus_device}],
    }  # fmt: skip
    content = {"m.calls": [{"m.call_id": place.conf, "m.devices": [entry]}]}
    await person.server.put_state(place.room, MEMBER, person.user, content)

    async def arrived() -> bool:
        try:
            return bool(await place.admin.get_state(place.room, MEMBER, person.user))
        except MatrixError:
            return False

    await until(arrived, 20, "the entry at the focus's homeserver")


class Ear(asyncio.DatagramProtocol):
    """A socket that is named as a candidate and takes down what comes."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.heard.append(data)


@asynccontextmanager
async def ear() -> AsyncIterator[tuple[Ear, str]]:
    """An open ear and its candidate."""
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Ear, ("127.0.0.1", 0))
    try:
        port = transport.get_extra_info("sockname")[1]
        yield protocol, f"candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host"
    finally:
        transport.close()


@dataclass
class Heard:
    """What came back of a call."""

    messages: list[Mapping[str, Any]]
    datagrams: list[bytes]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.messages]


async def dial(place: Place, person: Person, device: str) -> Heard:
    """Send an invite that is in order but for who sends it; return all that comes back within the time."""
    server = person.server
    only_messages = await server.filter(person.user, NOTHING)
    since = (await server.sync(None, only_messages, 0))["next_batch"]
    fingerprint = "sha-256 " + ":".join(f"{byte:02X}" for byte in secrets.token_bytes(32))
    local = sdp.Local("abcd", secrets.token_hex(12), fingerprint, "s", "mic", "cam", 1234, "x")
    call = secrets.token_hex(8)
    user, focus_device = place.stand.stage.focus
    header = {
        "version": "1", "call_id": call, "conf_id": place.conf, "party_id": device, "device_id": device,
        "sender_session_id": "s", "dest_session_id": "sfu",
    }  # fmt: skip
    heard: list[Mapping[str, Any]] = []
    async with ear() as (listener, candidate):
        offer = {"type": "offer", "sdp": sdp.offer(local) + f"a={candidate}\r\n"}
        invite = header | {"seq": 0, "lifetime": 60000, "invitee": user, "offer": offer}
        await server.send_to_device("m.call.invite", {user: {focus_device: invite}})
        trickled = header | {"seq": 1, "candidates": [{"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0}]}
        await server.send_to_device("m.call.candidates", {user: {focus_device: trickled}})
        deadline = time.monotonic() + LISTEN
        while time.monotonic() < deadline:
            got = await server.sync(since, only_messages, int(max(0.0, deadline - time.monotonic()) * 1000))
            since = got["next_batch"]
            heard += [e for e in got.get("to_device", {}).get("events", []) if e["content"].get("call_id") == call]
        return Heard(heard, listener.heard)


# Each makes one person unfit, and returns the device that it will name.


async def stranger(place: Place, person: Person) -> str:
    return person.account.device_id


async def invited(place: Place, person: Person) -> str:
    await place.admin.invite(place.room, person.user)
    return person.account.device_id


async def member(place: Place, person: Person) -> str:
    # Invited first, because that tells a homeserver far away where the room is.
    await place.admin.invite(place.room, person.user)
    await person.server.join(place.room)
    await write_entry(place, person)
    return person.account.device_id


async def left(place: Place, person: Person) -> str:
    await member(place, person)
    await person.server.leave(place.room)
    return person.account.device_id


async def kicked(place: Place, person: Person) -> str:
    await member(place, person)
    await place.admin.kick(place.room, person.user)
    return person.account.device_id


async def banned(place: Place, person: Person) -> str:
    await member(place, person)
    await place.admin.ban(place.room, person.user)
    return person.account.device_id


async def of_a_denied_server(place: Place, person: Person) -> str:
    await member(place, person)
    await deny(place, person)
    return person.account.device_id


async def another_device(place: Place, person: Person) -> str:
    await member(place, person)
    return "OTHER"


Unfit = Callable[[Place, Person], Awaitable[str]]
UNFIT: dict[Unfit, str] = {
    stranger: "not_joined", invited: "not_joined", left: "not_joined", kicked: "not_joined", banned: "banned",
    of_a_denied_server: "server_acl", another_device: "not_in_call",
}  # fmt: skip
"Who may not enter, and as what the focus counts it."


async def test_of_those_who_may_not_enter_none_is_answered_or_sent_a_packet(stand: Stand) -> None:
    async def tried(make: Unfit, *, far: bool = False) -> Heard:
        where, person = await place(stand), await stand.person(far=far)
        return await dial(where, person, await make(where, person))

    fit, far, *refused = await asyncio.gather(
        tried(member), tried(member, far=True), *(tried(make, far=make is of_a_denied_server) for make in UNFIT)
    )
    for control in (fit, far):
        assert control.types[:1] == ["m.call.answer"], "the test itself must be able to get in"
    for make, heard in zip(UNFIT, refused, strict=True):
        assert heard.types in ([], ["m.call.reject"]), make.__name__
        assert heard.datagrams == [], make.__name__
    assert await stand.figure("weir_packets_out_total") == 0, "nobody is connected, so no packet left"
    for why in set(UNFIT.values()):
        counted = await stand.figure(f'weir_faults_total{{reason="refused_{why}",room="signalling"}}')
        assert counted == list(UNFIT.values()).count(why), why


# Being put out of a call that runs.


class Deaf(Participant):
    """A client that will not hear that it is put out."""

    def _hand_on(self, event: Mapping[str, Any]) -> None:
        if event.get("type") != "m.call.hangup":
            super()._hand_on(event)


async def ban(place: Place, person: Person) -> None:
    await place.admin.ban(place.room, person.user)


async def kick(place: Place, person: Person) -> None:
    await place.admin.kick(place.room, person.user)


async def leave(place: Place, person: Person) -> None:
    await person.server.leave(place.room)


async def deny(place: Place, person: Person) -> None:
    acl = {"allow": ["*"], "deny": [FAR], "allow_ip_literals": True}
    await place.admin.put_state(place.room, "m.room.server_acl", "", acl)


async def terminate(place: Place, person: Person) -> None:
    content = {"m.intent": "m.room", "m.type": "m.video", "m.terminated": "call_ended"}
    await place.admin.put_state(place.room, CALL, place.conf, content)


async def test_media_ends_within_two_seconds_at_the_receiver(stand: Stand) -> None:
    people = await asyncio.to_thread(media.people, 2)
    known = await asyncio.to_thread(Known, people)
    ends = (ban, kick, leave, deny, terminate)
    found = await asyncio.gather(*(seconds_of_media_after(end, stand, people, known) for end in ends))
    assert all(seconds < 2.0 for seconds in found), dict(zip((end.__name__ for end in ends), found, strict=True))


def count_media(victim: Participant) -> Callable[[], int]:
    """How many RTP and RTCP datagrams reach a participant's sockets, whether or not it still takes them."""
    assert victim.call is not None and isinstance(victim.call.line, AiortcLine)
    count = 0

    def watch(protocol: asyncio.DatagramProtocol) -> None:
        take = protocol.datagram_received

        def received(data: bytes, addr: tuple[str | Any, int]) -> None:
            nonlocal count
            count += 127 < data[0] < 192
            take(data, addr)

        protocol.datagram_received = received  # type: ignore[method-assign]

    for protocol in victim.call.line.transport.ice._connection._protocols:
        watch(protocol)
    return lambda: count


async def seconds_of_media_after(
    end: Callable[[Place, Person], Awaitable[None]], stand: Stand, people: list[media.Person], known: Known
) -> float:
    """Two people call; one is put out; how long it still receives, from before it is asked for."""
    where = await place(stand)
    persons = [await stand.person(), await stand.person(far=end is deny)]
    for person in persons:
        await where.admin.invite(where.room, person.user)
    leaving = asyncio.Event()
    call = [
        (Participant if number == 0 else Deaf)(
            person.server, where.room,
            Seat(number, 2, person.user, person.account.device_id, secrets.token_hex(4), where.conf,
                 stand.stage.focus, people[number], known, time.monotonic),
            Habits(random.Random(number)),
        )
        for number, person in enumerate(persons)
    ]  # fmt: skip
    inside = [asyncio.ensure_future(one.run(leaving)) for one in call]
    victim = call[1]

    async def flows() -> bool:
        received = victim.call.line.live() if victim.call is not None else ()
        return sum(track.found.frames for track in received) > 20

    await until(flows, 60, "a picture at the one who is put out ")
    received = count_media(victim)

    async def more() -> bool:
        return received() > 10

    await until(more, 10, "media counted at the one who is put out")
    started = last = time.monotonic()
    count = received()
    await end(where, persons[1])
    while time.monotonic() - started < 5:
        await asyncio.sleep(0.02)
        if received() != count:
            last, count = time.monotonic(), received()
    leaving.set()
    await asyncio.wait(inside, timeout=20)
    for task in inside:
        task.cancel()
    await asyncio.gather(*inside, return_exceptions=True)
    return last - started
