"""What real clients of the SFU era did (digest §20), items 1 to 9: the call goes on in each."""

from __future__ import annotations

from typing import Any

import pytest

from bench.participants import sdp
from cameras import F, Q
from matrix_room import MEMBER, ROOM, Room, call_room
from media_bytes import read_vp8
from scripted_client import Client, dialled

# 1: the first offer.


async def subscribed_at_once(room: Room) -> tuple[Client, Client]:
    """Alice is there; Bob's channel opens and he subscribes, and still has not said that he took our answer."""
    alice, bob = Client(room, "alice"), Client(room, "bob")
    await alice.dial()
    await bob.connect(await bob.enter().invite().answered())
    bob.want(alice.line("video"), width=320, height=180)
    return alice, bob


async def test_20_01_the_first_offer_waits_until_the_client_took_our_answer() -> None:
    async with call_room() as room:
        alice, bob = await subscribed_at_once(room)
        bob.stable = False  # an offer would be dropped now, silently and for ever
        await room.pass_time(2)
        assert not bob.offers()
        bob.stable = True
        bob.select()
        await bob.watches(alice.line("video"), alice.cameras())
        assert bob.dropped_offers == 0 and len(bob.offers()) == 1


async def test_20_01_it_does_not_wait_for_ever() -> None:
    async with call_room() as room:
        alice, bob = await subscribed_at_once(room)
        await room.pass_time(4)
        await bob.watches(alice.line("video"), alice.cameras())


async def test_20_01_a_first_offer_that_was_dropped_is_made_again() -> None:
    async with call_room() as room:
        alice, bob = await subscribed_at_once(room)
        bob.stable = False
        await room.pass_time(4)
        await room.until(lambda: bob.dropped_offers == 1, "our offer to be dropped")
        bob.stable = True
        await room.pass_time(6)
        await bob.watches(alice.line("video"), alice.cameras())


# 2: a camera that comes back.


async def test_20_02_a_camera_off_and_on_keeps_the_tile_and_the_picture() -> None:
    async with call_room() as room:
        alice, bob, carol = await dialled(room, "alice", "bob", "carol")
        line, cameras, stream = alice.line("video"), alice.cameras(), alice.stream
        bob.want(line, alice.line("audio"), width=1280, height=720)
        await bob.watches(line, cameras)
        seen, asked = len(bob.views), len(bob.offers())
        alice.describe(video_muted=True)
        await room.pass_time(3)
        alice.describe(video_muted=False)
        for name in ("temporary", stream):
            # The stream's id changes to a temporary one and back, twice within a moment; track ids stay.
            for own in alice.own.values():
                own.stream = name
            await alice.renegotiate()
        await bob.watches(line, cameras)
        assert all(stream in view and "temporary" not in view for view in bob.views[seen:] + carol.views[seen:])
        assert all(len(view[stream]["tracks"]) == 2 for view in bob.views[seen:])
        assert len(bob.offers()) == asked
        assert not bob.views[-1][stream]["video_muted"]


async def test_20_02_who_joins_in_that_moment_gets_the_lasting_name() -> None:
    async with call_room() as room:
        alice, bob = Client(room, "alice"), Client(room, "bob")
        await alice.dial()
        stream = alice.stream
        for own in alice.own.values():
            own.stream = "temporary"
        await alice.renegotiate()
        await bob.dial()
        for own in alice.own.values():
            own.stream = stream
        await alice.renegotiate()
        assert all(list(view) == [stream] for view in bob.views)
        bob.want(alice.line("video"), width=320, height=180)
        await bob.watches(alice.line("video"), alice.cameras())


# 3: lines that the client made.


async def test_20_03_nothing_is_ever_forwarded_on_a_line_that_the_client_made() -> None:
    async with call_room() as room:
        alice, bob, carol = await dialled(room, "alice", "bob", "carol")
        screen = alice.share()
        await alice.renegotiate()
        screen.direction = "inactive"
        await alice.renegotiate()
        alice.want(bob.line("video"), bob.line("audio"), carol.line("video"), width=320, height=180)
        await alice.watches(bob.line("video"), bob.cameras())
        await alice.watches(carol.line("video"), carol.cameras())
        for offer in alice.offers():
            for section in sdp.read(offer["description"]["sdp"]).sections:
                if section.mid in alice.own:
                    assert section.direction in ("recvonly", "inactive") and not section.track


# 4: metadata.


async def test_20_04_metadata_is_sent_on_change_only() -> None:
    async with call_room() as room:
        alice, bob, _ = await dialled(room, "alice", "bob", "carol")
        line, cameras = alice.line("video"), alice.cameras()
        bob.want(line, width=320, height=180)
        await bob.watches(line, cameras)
        before = len(bob.told("m.call.sdp_stream_metadata_changed"))
        for width in (1280, 640, 320):
            bob.want(line, width=width, height=width * 9 // 16)
            await bob.watches(line, cameras)
            alice.describe()
        await room.pass_time(8)
        await bob.watches(line, cameras)
        assert len(bob.told("m.call.sdp_stream_metadata_changed")) == before


async def test_20_04_the_answer_holds_the_streams_so_that_a_client_may_subscribe_at_once() -> None:
    async with call_room() as room:
        alice, bob = Client(room, "alice"), Client(room, "bob")
        await alice.dial()
        await bob.enter().invite().answered()
        assert set(bob.views[0][alice.stream]["tracks"]) == {line.track for line in alice.own.values()}


# 5: ICE restart.


async def test_20_05_the_answer_to_an_ice_restart_comes_over_the_old_path() -> None:
    async with call_room() as room:
        alice, bob, _ = await dialled(room, "alice", "bob", "carol")
        line, cameras = alice.line("video"), alice.cameras()
        bob.want(line, width=320, height=180)
        await bob.watches(line, cameras)
        near = alice.end.near
        for client in (alice, bob, alice):
            await client.restart_ice()
            assert client.remote.ufrag != near.ufrag
            await bob.watches(line, cameras)
        alice.describe(audio_muted=True)
        await bob.sees(lambda view: view[alice.stream]["audio_muted"], "what alice says on the new path")
        assert not alice.got("m.call.hangup") and len(bob.offers()) == 1


async def test_20_05_the_old_path_carries_while_the_new_one_is_not_found() -> None:
    async with call_room() as room:
        alice, bob, _ = await dialled(room, "alice", "bob", "carol")
        line, cameras = alice.line("video"), alice.cameras()
        bob.want(line, width=320, height=180)
        await bob.watches(line, cameras)
        alice.end.far = type(alice.end.far)("unfindable", "u" * 24)
        await alice.renegotiate()
        await room.pass_time(3)
        await bob.watches(line, cameras)


# 6, 7: what is stale.


@pytest.mark.parametrize("invite_first", [False, True])
async def test_20_06_a_stale_stream_stands_beside_nothing_and_before_nobody(invite_first: bool) -> None:
    async with call_room() as room:
        bob, alice = await dialled(room, "bob", "alice")
        await bob.sees(lambda view: alice.stream in view, "alice")
        seen = len(bob.views)
        again = alice.again()
        if invite_first:
            again.invite()
            await room.pass_time(1)
            assert not again.inbox, "the room still names the old session"
            room.entry(again.user, (again.device, again.session))
            room.agent.look()
        else:
            room.entry(again.user, (again.device, again.session))
            again.invite()
        await again.answered()
        await bob.sees(lambda view: again.stream in view, "the new stream")
        assert all(len(view) < 2 for view in bob.views[seen:]), "never old and new at once"
        assert list(again.views[0]) == [bob.stream]


async def test_20_07_an_invite_of_a_session_that_is_over_is_dropped_unheard() -> None:
    async with call_room() as room:
        alice, bob = Client(room, "alice"), Client(room, "bob")
        await bob.dial()
        alice.enter().invite()
        await alice.answered()
        again = alice.again()
        await again.dial()
        await room.kill()
        alice.seq = 0  # the homeserver gives the old invite once more
        alice.send("m.call.invite", {"offer": {"type": "offer", "sdp": alice.document("actpass")}})
        await room.start()
        answers = len(alice.got("m.call.answer"))
        third = again.again(again.session)
        await third.dial()
        await room.pass_time(8)
        assert len(alice.got("m.call.answer")) == answers and not alice.got("m.call.reject")
        assert not third.got("m.call.hangup")


@pytest.mark.parametrize("numbered", [True, False])
async def test_20_07_messages_of_a_live_call_may_come_twice(numbered: bool) -> None:
    async with call_room() as room:
        sent: list[tuple[str, str, Any, str | None]] = []
        deliver = room.home.to_focus

        def keep(sender: str, type: str, content: Any, proven: str | None = None) -> None:
            content = content if numbered else {key: content[key] for key in content if key != "seq"}
            sent.append((sender, type, content, proven))
            deliver(sender, type, content, proven)

        room.home.to_focus = keep  # type: ignore[method-assign]
        alice, bob, carol = await dialled(room, "alice", "bob", "carol")
        line, cameras = alice.line("video"), alice.cameras()
        bob.want(line, width=320, height=180)
        await bob.watches(line, cameras)
        for message in sent:
            deliver(*message)
        await bob.watches(line, cameras)
        for client in (alice, bob, carol):
            assert not client.got("m.call.hangup") and len(client.got("m.call.answer")) == 1
        assert len(bob.offers()) == 1


async def test_20_07_the_invite_of_a_call_that_ended_does_not_replace_a_newer_one() -> None:
    async with call_room() as room:
        alice, bob = Client(room, "alice"), Client(room, "bob")
        await bob.dial()
        offer = await first_invite(alice)
        again = alice.again(alice.session)
        await again.dial()
        alice.seq = 0
        alice.send("m.call.invite", {"offer": offer})
        bob.want(again.line("video"), width=320, height=180)
        await bob.watches(again.line("video"), again.cameras())
        assert len(alice.got("m.call.answer")) == 1


async def first_invite(client: Client) -> dict[str, str]:
    """Dial and hang up; the offer."""
    await client.enter().invite().answered()
    client.hang_up()
    return {"type": "offer", "sdp": client.document("actpass")}


# 8: oddities.


class Odd(Client):
    """Says usedtx twice in its answers."""

    def document(self, setup: str, mids: Any = None, *, answering: bool = False) -> str:
        text = super().document(setup, mids, answering=answering)
        return text.replace("usedtx=1", "usedtx=1;usedtx=1") if answering else text


async def test_20_08_the_oddities_of_real_clients_are_taken() -> None:
    async with call_room() as room:
        alice, bob = Client(room, "alice"), Odd(room, "bob")
        bob.call = "1795430599316n7qSMJFsC0vqinjm"
        await alice.dial()
        assert room.home.state[ROOM, MEMBER, alice.user].content["m.calls"]
        await bob.dial()
        bob.want(alice.line("audio"), alice.line("video"), width=640, height=360)
        await bob.watches(alice.line("audio"), [alice.microphone()])
        await bob.watches(alice.line("video"), alice.cameras())
        assert not room.all_faults()


# 9: figures to beat.


async def test_20_09_the_tile_of_a_client_that_crashed_is_gone_within_thirty_seconds() -> None:
    async with call_room() as room:
        alice, bob, _ = await dialled(room, "alice", "bob", "carol")
        await bob.sees(lambda view: alice.stream in view, "alice")
        alice.answers_pings = False
        await room.pass_time(26)
        await bob.sees(lambda view: alice.stream not in view, "alice gone")


async def test_20_09_a_larger_layer_is_there_within_a_tenth_of_a_second() -> None:
    async with call_room() as room:
        alice, bob, _ = await dialled(room, "alice", "bob", "carol")
        line, cameras = alice.line("video"), alice.cameras()
        bob.want(line, width=320, height=180)
        # It flows for so long that more than its smallest layer may be had.
        await bob.watches(line, cameras, 80)
        assert {camera.rid for camera in cameras} >= {F, Q}
        bob.want(line, width=1280, height=720)
        got = await bob.watches(line, cameras, 10)
        assert read_vp8(got[-1].payload).size == (1280, 720), "within ten frames at a hundred a second"


async def test_20_09_a_restarted_focus_waits_for_no_time_out_of_its_clients() -> None:
    async with call_room() as room:
        alice, bob, _ = await dialled(room, "alice", "bob", "carol")
        await room.restart()
        assert alice.got("m.call.hangup") or await alice.gets("m.call.hangup")
        new = [alice.again(alice.session), bob.again(bob.session)]
        for client in new:
            await client.dial()
        new[1].want(new[0].line("video"), width=320, height=180)
        await new[1].watches(new[0].line("video"), new[0].cameras())
