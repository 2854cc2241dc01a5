"""The focus's checklist (digest §17), the lines about who may speak and when: 1 to 4, 12, 13."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.participants import sdp
from matrix_room import CONF, DEVICE, HOST, ROOM, Room, call_room
from scripted_client import UNSTABLE, Client, dialled
from signalling.link import Batch, Gone


async def test_17_01_an_invite_is_answered_with_all_that_a_client_checks() -> None:
    async with call_room() as room:
        alice = Client(room, "alice")
        alice.enter().invite()
        answer = await alice.gets("m.call.answer")
        assert {key: answer[key] for key in answer if key not in ("answer", UNSTABLE, "sdp_stream_metadata")} == {
            "version": "1", "call_id": alice.call, "conf_id": CONF, "party_id": DEVICE, "device_id": DEVICE,
            "sender_session_id": "sfu", "dest_session_id": alice.session, "seq": 0,
        }  # fmt: skip
        assert answer[UNSTABLE] == {}, "its presence alone puts the client into metadata mode"
        assert answer["answer"]["type"] == "answer"
        remote = sdp.read(answer["answer"]["sdp"])
        assert [(one.kind, one.mid, one.direction) for one in remote.sections[:2]] == [
            ("audio", "0", "recvonly"), ("video", "1", "recvonly"),
        ]  # fmt: skip
        assert remote.candidates
        last = await alice.gets("m.call.candidates")
        assert last["candidates"][-1]["candidate"] == "" and last["seq"] == 1


async def test_17_01_the_answer_to_an_encrypted_invite_is_encrypted() -> None:
    async with call_room() as room:
        modes: list[tuple[str, bool]] = []
        alice = Client(room, "alice")
        alice.proven = alice.device
        hear = room.home.devices[alice.user, alice.device]

        def note(type: str, content: dict[str, Any], encrypted: bool) -> None:
            modes.append((type, encrypted))
            hear(type, content, encrypted)

        room.home.devices[alice.user, alice.device] = note
        await alice.dial()
        assert ("m.call.answer", True) in modes
        assert all(encrypted for _, encrypted in modes)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"dest_session_id": "another"}, "not_for_us"),
        ({"dest_session_id": None}, "not_for_us"),
        ({"conf_id": None}, "field_conf_id"),
        ({"conf_id": 7}, "field_conf_id"),
        ({"call_id": None}, "field_call_id"),
        ({"call_id": ["x"]}, "field_call_id"),
        ({"device_id": None}, "field_device_id"),
        ({"device_id": {}}, "field_device_id"),
        ({"offer": None}, "description"),
        ({"offer": {"type": "answer", "sdp": "v=0"}}, "description_type"),
        ({"seq": "first"}, "field_seq"),
    ],
)
async def test_17_02_what_is_not_addressed_or_not_whole_is_ignored(changes: dict[str, Any], fault: str) -> None:
    async with call_room() as room:
        alice = Client(room, "alice")
        alice.enter().invite(**changes)
        await room.counted(fault)
        again = alice.again(alice.session)
        await again.dial()
        assert [type for type, _ in alice.inbox] == []


async def test_17_03_candidates_before_their_invite_are_buffered() -> None:
    async with call_room() as room:
        alice = Client(room, "alice").enter()
        alice.seq = 1
        alice.send("m.call.candidates", {"candidates": [{"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host"}]})
        assert not alice.inbox
        alice.seq = 0
        await alice.connect(await alice.invite().answered())
        assert not room.all_faults()


async def test_17_03_an_empty_candidate_is_the_end_and_no_fault() -> None:
    async with call_room() as room:
        alice = Client(room, "alice")
        await alice.dial()
        for entry in ({"candidate": ""}, {"candidate": "", "sdpMid": "", "sdpMLineIndex": 0}):
            alice.send("m.call.candidates", {"candidates": [entry]})
        assert not room.all_faults()
        bob = await Client(room, "bob").dial()
        await alice.sees(lambda view: bob.stream in view, "bob: the call goes on")


async def test_17_03_messages_are_taken_in_the_order_of_their_numbers() -> None:
    async with call_room() as room:
        bob, alice = await dialled(room, "bob", "alice")
        alice.seq += 1
        alice.hang_up()  # ahead of the message before it
        await bob.sees(lambda view: alice.stream in view, "alice, since a message is still missing")
        alice.seq -= 2
        alice.send("m.call.candidates", {"candidates": [{"candidate": ""}]})
        await bob.sees(lambda view: not view, "alice gone")


async def test_17_03_a_lost_message_stalls_the_call_for_seconds_only() -> None:
    async with call_room() as room:
        alice = Client(room, "alice").enter()
        alice.seq = 5
        alice.invite()
        await room.pass_time(2)
        assert not alice.inbox
        await room.pass_time(2)
        await alice.gets("m.call.answer")


async def test_17_03_messages_without_a_number_are_taken_as_they_come() -> None:
    async with call_room() as room:
        alice, bob = Client(room, "alice"), Client(room, "bob")
        await bob.dial()
        remote = await alice.enter().invite(seq=None).answered()
        alice.send("m.call.select_answer", {"selected_party_id": DEVICE}, seq=None)
        await alice.connect(remote)
        await bob.sees(lambda view: alice.stream in view, "alice")
        alice.send("m.call.hangup", {}, seq=None)
        await bob.sees(lambda view: not view, "alice gone")


async def test_17_04_an_answer_of_another_party_taken_ends_our_leg() -> None:
    async with call_room() as room:
        alice, bob = Client(room, "alice"), Client(room, "bob")
        await bob.dial()
        await alice.enter().invite().answered()
        await bob.sees(lambda view: alice.stream in view, "alice")
        alice.select("ANOTHERPARTY")
        await bob.sees(lambda view: not view, "alice gone")


# 12: sessions and restarts.


async def test_17_12_a_new_session_of_a_device_replaces_the_old_one() -> None:
    async with call_room() as room:
        bob, alice = await dialled(room, "bob", "alice")
        again = alice.again()
        await again.dial()
        await bob.sees(lambda view: list(view) == [again.stream], "the new session alone")
        assert not any(alice.stream in view and again.stream in view for view in bob.views)
        bob.want(again.line("video"), width=320, height=180)
        await bob.watches(again.line("video"), again.cameras())
        assert room.switchboard.peers() == 2


async def test_17_12_a_new_call_of_the_same_session_replaces_the_old_one() -> None:
    async with call_room() as room:
        bob, alice = await dialled(room, "bob", "alice")
        again = alice.again(alice.session)
        await again.invite().answered()
        await bob.sees(lambda view: list(view) == [again.stream], "the new call alone")
        assert not alice.got("m.call.hangup"), "a hangup could end the new call of a careless client"


async def test_17_12_a_restarted_focus_tells_its_callers_and_takes_them_again() -> None:
    async with call_room() as room:
        alice, bob = await dialled(room, "alice", "bob")
        await room.restart()
        for client in (alice, bob):
            hangup = await client.gets("m.call.hangup")
            assert hangup["call_id"] == client.call and hangup["dest_session_id"] == client.session
        alice.send("m.call.candidates", {"candidates": []})
        new = [alice.again(alice.session), bob.again(bob.session)]
        for client in new:
            await client.dial()
        new[1].want(new[0].line("video"), width=320, height=180)
        await new[1].watches(new[0].line("video"), new[0].cameras())


# 13: ends.


def hangs_up(room: Room, alice: Client) -> None:
    alice.hang_up()


def leaves_call(room: Room, alice: Client) -> None:
    room.entry(alice.user)


def leaves_room(room: Room, alice: Client) -> None:
    room.membership(alice.user, "leave")


def is_banned(room: Room, alice: Client) -> None:
    room.membership(alice.user, "ban")


def is_denied(room: Room, alice: Client) -> None:
    room.home.put("m.room.server_acl", "", {"allow": ["*"], "deny": ["there.test"]}, HOST)


def terminated(room: Room, alice: Client) -> None:
    room.call(terminated="call_ended")


def terminated_as_hydrogen_does(room: Room, alice: Client) -> None:
    room.call(terminated=True)


def focus_put_out(room: Room, alice: Client) -> None:
    room.agent.take(Batch((Gone(ROOM),), (), False))


@pytest.mark.parametrize(
    "end",
    [
        hangs_up, leaves_call, leaves_room, is_banned, is_denied, terminated, terminated_as_hydrogen_does,
        focus_put_out,
    ],
)  # fmt: skip
async def test_17_13_every_end_frees_the_peer_and_the_empty_conference(end: Callable[[Room, Client], None]) -> None:
    async with call_room() as room:
        alice = Client(room, "alice")
        alice.user = "@alice:there.test"
        room.home.devices[alice.user, alice.device] = alice._to_device
        await alice.dial()
        assert room.switchboard.conferences() == 1
        end(room, alice)
        await room.counted_down()
        assert bool(alice.got("m.call.hangup")) == (end is not hangs_up), "whoever is put out is told"


async def test_17_13_a_peer_that_never_connects_is_given_up() -> None:
    async with call_room() as room:
        alice, bob = Client(room, "alice"), Client(room, "bob")
        await bob.dial()
        await alice.enter().invite().answered()
        await bob.sees(lambda view: alice.stream in view, "alice")
        await room.pass_time(32)
        assert (await alice.gets("m.call.hangup"))["reason"] == "ice_failed"
        await bob.sees(lambda view: not view, "alice gone")


async def test_17_13_a_transport_that_closes_ends_the_call() -> None:
    async with call_room() as room:
        bob, alice = await dialled(room, "bob", "alice")
        await bob.sees(lambda view: alice.stream in view, "alice")
        await alice.end.close()
        await bob.sees(lambda view: not view, "alice gone")


async def test_17_13_an_expired_entry_ends_a_silent_call_only() -> None:
    async with call_room() as room:
        alice, bob = Client(room, "alice"), Client(room, "bob")
        await bob.dial()
        await alice.enter(lasts=10).invite().answered()
        alice.select()
        await alice.connect(alice_answer(alice))
        await room.pass_time(40)
        await bob.sees(lambda view: alice.stream in view, "alice, who still talks")
        alice.answers_pings = False
        await room.pass_time(30)
        await bob.sees(lambda view: not view, "alice gone")
        refused = alice.again(alice.session).invite()
        await room.pass_time(7)
        assert [type for type, _ in refused.inbox] == ["m.call.reject"]


def alice_answer(alice: Client) -> sdp.Remote:
    return sdp.read(alice.got("m.call.answer")[0]["answer"]["sdp"])
