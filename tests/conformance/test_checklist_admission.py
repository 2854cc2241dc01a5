"""The focus's checklist (digest §17), the lines about who may enter, and about other dialects: 17 to 19."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.participants import sdp
from matrix_room import CALL, DEVICE, FOCUS, HOST, MEMBER, ROOM, Room, call_room
from scripted_client import UNSTABLE, Client, dialled

# 17: who may enter.


def stranger(room: Room, mallory: Client) -> None:
    """Not in the room at all."""


def invited(room: Room, mallory: Client) -> None:
    room.membership(mallory.user, "invite")


def left(room: Room, mallory: Client) -> None:
    mallory.enter()
    room.membership(mallory.user, "leave")


def banned(room: Room, mallory: Client) -> None:
    mallory.enter()
    room.membership(mallory.user, "ban")


def of_a_denied_server(room: Room, mallory: Client) -> None:
    mallory.enter()
    room.home.put("m.room.server_acl", "", {"allow": ["here.test"], "deny": []}, HOST)
    mallory.user = "@mallory:there.test"
    room.home.devices[mallory.user, mallory.device] = mallory._to_device
    mallory.enter()


def naming_another_device(room: Room, mallory: Client) -> None:
    mallory.enter()
    mallory.device = "ALICEDEV"
    room.home.devices[mallory.user, mallory.device] = mallory._to_device


def of_another_session(room: Room, mallory: Client) -> None:
    mallory.enter()
    mallory.session = "yesterday"


def whose_device_olm_disproves(room: Room, mallory: Client) -> None:
    mallory.enter()
    mallory.proven = "OTHERDEV"


def in_the_room_only(room: Room, mallory: Client) -> None:
    room.membership(mallory.user, "join")


def at_another_focus(room: Room, mallory: Client) -> None:
    mallory.enter()
    content = room.home.state[ROOM, MEMBER, mallory.user].content
    foci = content["m.calls"][0]["m.devices"][0]["org.matrix.msc3898.foci.active"]
    foci[0]["device_id"] = "ANOTHERFOCUS"
    room.home.put(MEMBER, mallory.user, content)


def with_an_entry_that_somebody_else_wrote(room: Room, mallory: Client) -> None:
    mallory.enter()
    content = room.home.state[ROOM, MEMBER, mallory.user].content
    room.entry(mallory.user)
    room.home.put(MEMBER, mallory.user, content, sender=HOST)


def to_a_call_that_ended(room: Room, mallory: Client) -> None:
    mallory.enter()
    room.call(terminated=True)


@pytest.mark.parametrize(
    "unfit",
    [
        stranger, invited, left, banned, of_a_denied_server, naming_another_device, of_another_session,
        whose_device_olm_disproves, in_the_room_only, at_another_focus, with_an_entry_that_somebody_else_wrote,
        to_a_call_that_ended,
    ],
)  # fmt: skip
async def test_17_17_who_may_not_enter_gets_one_refusal_at_most(unfit: Callable[[Room, Client], None]) -> None:
    async with call_room() as room:
        mallory = Client(room, "mallory")
        unfit(room, mallory)
        mallory.invite()
        for _ in range(3):
            mallory.send("m.call.invite", {"offer": {"type": "offer", "sdp": mallory.document("actpass")}})
        await room.pass_time(12)
        assert [type for type, _ in mallory.inbox] in ([], ["m.call.reject"])
        assert room.switchboard.peers() == 0


async def test_17_17_an_invite_may_run_ahead_of_room_state() -> None:
    async with call_room() as room:
        alice = Client(room, "alice")
        room.membership(alice.user, "join")
        alice.invite()
        await room.pass_time(3)
        alice.enter()
        room.agent.look()
        await alice.gets("m.call.answer")


async def test_17_17_equal_call_ids_in_two_rooms_never_mix() -> None:
    async with call_room() as room:
        alice, bob = Client(room, "alice"), Client(room, "bob")
        for user in (HOST, FOCUS, bob.user):
            room.membership(user, "join", room="!other:here.test")
        room.call(room="!other:here.test")
        room.entry(bob.user, (bob.device, bob.session), room="!other:here.test")
        await alice.dial()
        await bob.invite().answered()
        assert room.switchboard.conferences() == 2
        assert bob.views == [{}] and alice.views[-1] == {}


# 18, 19: other dialects.


async def test_17_18_an_offer_by_to_device_negotiate_is_answered_the_same_way() -> None:
    async with call_room() as room:
        alice, bob = await dialled(room, "alice", "bob")
        screen = alice.share()
        alice.send("m.call.negotiate", {"description": alice.offer(), "lifetime": 60000, UNSTABLE: alice.metadata})
        answer = await alice.gets("m.call.negotiate")
        assert answer["description"]["type"] == "answer" and UNSTABLE in answer
        assert (answer["party_id"], answer["seq"]) == (DEVICE, 2)
        await bob.sees(lambda view: alice.screen in view, "alice's screen")
        bob.want(screen, width=1280, height=720)
        await bob.watches(screen, alice.cameras(screen))


async def test_17_18_it_is_so_before_the_client_said_that_it_took_our_answer() -> None:
    async with call_room() as room:
        alice = Client(room, "alice")
        await alice.connect(await alice.enter().invite().answered(), channel=False)
        alice.share()
        alice.send("m.call.negotiate", {"description": alice.offer(), "lifetime": 60000, UNSTABLE: alice.metadata})
        assert (await alice.gets("m.call.negotiate"))["description"]["type"] == "answer"
        assert len(alice.got("m.call.answer")) == 1


async def test_17_18_an_invite_said_again_with_another_offer_is_answered_again() -> None:
    async with call_room() as room:
        bob, alice = await dialled(room, "bob", "alice")
        alice.share()
        alice.send("m.call.invite", {"offer": alice.offer(), UNSTABLE: alice.metadata})
        answer = await alice.gets("m.call.answer", 2)
        assert len(sdp.read(answer["answer"]["sdp"]).sections) == 4
        await bob.sees(lambda view: alice.screen in view, "alice's screen")


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("@alice:here.test", {"memberships": [{"application": "m.call", "call_id": "", "device_id": "ALICEDEV"}]}),
        ("_@alice:here.test_ALICEDEV_m.call", {"application": "m.call", "call_id": "", "device_id": "ALICEDEV"}),
        ("@alice:here.test", {"focus_active": {"type": "livekit"}, "foci_preferred": [{"type": "livekit"}]}),
    ],
)
async def test_17_19_member_events_of_matrixrtc_are_ignored(key: str, content: dict[str, Any]) -> None:
    async with call_room() as room:
        alice, bob = Client(room, "alice"), Client(room, "bob")
        await bob.dial()
        room.membership(alice.user, "join")
        room.home.put(MEMBER, key, content, alice.user)
        alice.invite()
        await room.pass_time(7)
        assert not alice.got("m.call.answer")
        again = alice.again()
        await again.dial()
        await bob.sees(lambda view: again.stream in view, "alice, once she speaks our dialect")
        room.home.put(MEMBER, "_@bob:here.test_BOBDEV_m.call", content, bob.user)
        room.home.put(CALL, "", {"application": "m.call"}, HOST)
        bob.want(again.line("video"), width=320, height=180)
        await bob.watches(again.line("video"), again.cameras())
