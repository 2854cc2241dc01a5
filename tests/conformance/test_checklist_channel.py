"""The focus's checklist (digest §17), the lines about the data channel: 5 to 7 and 9 to 11."""

from __future__ import annotations

import asyncio

import pytest

from bench.participants import sdp
from matrix_room import call_room
from scripted_client import UNSTABLE, Client, dialled


async def test_17_05_an_open_channel_brings_the_full_set_at_once() -> None:
    async with call_room() as room:
        alice, bob = Client(room, "alice"), Client(room, "bob")
        await alice.dial()
        assert alice.told("m.call.sdp_stream_metadata_changed") == [{"sdp_stream_metadata": {}}]
        await bob.dial()
        type, content = bob.heard[0]
        assert type == "m.call.sdp_stream_metadata_changed"
        stream = content["sdp_stream_metadata"][alice.stream]
        assert stream == {
            "user_id": alice.user, "device_id": alice.device, "purpose": "m.usermedia",
            "audio_muted": False, "video_muted": False,
            "tracks": {
                alice.line("audio").track: {"kind": "audio"},
                alice.line("video").track: {"kind": "video", "width": 1280, "height": 720},
            },
        }  # fmt: skip


async def test_17_05_every_change_brings_the_full_set_to_all_others() -> None:
    async with call_room() as room:
        alice, bob, carol = (Client(room, name) for name in ("alice", "bob", "carol"))
        for client in (alice, bob, carol):
            await client.dial()
        for client in (alice, bob):
            view = await client.sees(lambda view: carol.stream in view, "carol")
            assert len(view) == 2, "the full set, not the change alone"
        carol.describe(audio_muted=True)
        for client in (alice, bob):
            view = await client.sees(lambda view: view[carol.stream]["audio_muted"], "carol muted")
            assert len(view) == 2 and not view[carol.stream]["video_muted"]
        carol.share()
        await carol.renegotiate()
        for client in (alice, bob):
            view = await client.sees(lambda view: carol.screen in view, "carol's screen")
            assert view[carol.screen]["purpose"] == "m.screenshare" and len(view) == 3
        carol.hang_up()
        await alice.sees(lambda view: list(view) == [bob.stream], "bob alone")
        await bob.sees(lambda view: list(view) == [alice.stream], "alice alone")
        assert not any(carol.stream in view for view in carol.views)


async def test_17_06_nobody_sees_own_streams_nor_lends_them_to_another() -> None:
    async with call_room() as room:
        alice, bob = Client(room, "alice"), Client(room, "bob")
        await bob.dial()
        alice.muted |= {"user_id": bob.user, "device_id": bob.device}  # type: ignore[dict-item]
        await alice.dial()
        view = await bob.sees(lambda view: alice.stream in view, "alice")
        assert (view[alice.stream]["user_id"], view[alice.stream]["device_id"]) == (alice.user, alice.device)
        alice.describe(audio_muted=True)
        view = await bob.sees(lambda view: view[alice.stream]["audio_muted"], "alice muted")
        assert (view[alice.stream]["user_id"], view[alice.stream]["device_id"]) == (alice.user, alice.device)
        for client in (alice, bob):
            assert not any(client.stream in view for view in client.views)


async def test_17_06_two_devices_of_a_user_see_each_other() -> None:
    async with call_room() as room:
        phone, laptop = Client(room, "alice", "PHONE"), Client(room, "alice", "LAPTOP")
        room.membership(phone.user, "join")
        room.entry(phone.user, (phone.device, phone.session), (laptop.device, laptop.session))
        for client in (phone, laptop):
            await client.connect(await client.invite().answered())
            client.select()
        view = await phone.sees(lambda view: laptop.stream in view, "the laptop")
        assert view[laptop.stream]["device_id"] == "LAPTOP"


async def test_17_06_a_description_cannot_take_the_stream_of_another() -> None:
    async with call_room() as room:
        alice, bob, mallory = (Client(room, name) for name in ("alice", "bob", "mallory"))
        await alice.dial()
        await bob.dial()
        mallory.stream = alice.stream
        await mallory.dial()
        view = await bob.sees(lambda view: len(view) == 2, "both")
        assert view[alice.stream]["user_id"] == alice.user
        assert {words["user_id"] for words in view.values()} == {alice.user, mallory.user}


# 7: subscriptions.


async def test_17_07_a_subscription_brings_one_offer_with_all_that_was_asked() -> None:
    async with call_room() as room:
        alice, bob, carol = (Client(room, name) for name in ("alice", "bob", "carol"))
        for client in (alice, bob, carol):
            await client.dial()
        lines = [one.line(kind) for one in (alice, bob) for kind in ("audio", "video")]
        await carol.sees(lambda view: len(view) == 2, "both")
        carol.want(*lines, width=320, height=180)
        offer = await carol.hears("m.call.negotiate")
        remote = sdp.read(offer["description"]["sdp"])
        assert [section.mid for section in remote.sections[:3]] == ["0", "1", "2"], "the client's own stay in place"
        sent = [(section.kind, section.stream, section.track) for section in remote.sections[3:]]
        assert sent == [(line.kind, line.stream, line.track) for line in lines]
        assert {section.direction for section in remote.sections[3:]} == {"sendonly"}
        for line in lines:
            assert line.track in offer["sdp_stream_metadata"][line.stream]["tracks"]
        await carol.watches(lines[1], alice.cameras())
        await carol.watches(lines[2], [bob.microphone()])
        assert len(carol.offers()) == 1


async def test_17_07_subscribing_again_and_to_the_unknown_changes_nothing() -> None:
    async with call_room() as room:
        alice, bob = await dialled(room, "alice", "bob")
        line = alice.line("video")
        bob.want(line, width=320, height=180)
        await bob.watches(line, alice.cameras())
        for _ in range(3):
            bob.want(line, width=320, height=180)
        for stream, track in ((alice.stream, "nothing"), ("nobody", line.track), (bob.stream, bob.line("video").track)):
            names = [{"stream_id": stream, "track_id": track}]
            bob.say("m.call.track_subscription", {"subscribe": names, "unsubscribe": []})
        bob.say("m.call.track_subscription", {})
        await bob.watches(line, alice.cameras())
        assert len(bob.offers()) == 1
        assert not room.all_faults()


async def test_17_07_the_older_words_start_and_stop_are_understood() -> None:
    async with call_room() as room:
        alice, bob = await dialled(room, "alice", "bob")
        line = alice.line("audio")
        name = {"stream_id": line.stream, "track_id": line.track}
        bob.say("m.call.track_subscription", {"start": [name]})
        await bob.watches(line, [alice.microphone()])
        bob.say("m.call.track_subscription", {"stop": [name]})
        await room.until(lambda: bob.on(line) is None, "the sound's line to be inactive")


# 9: unsubscribing.


async def test_17_09_what_is_no_longer_wanted_is_inactive_and_comes_back() -> None:
    async with call_room() as room:
        alice, bob = await dialled(room, "alice", "bob")
        line, cameras = alice.line("video"), alice.cameras()
        bob.want(line, width=320, height=180)
        await bob.watches(line, cameras)
        first = bob.on(line)
        bob.want(unwanted=[line])
        await room.until(lambda: bob.on(line) is None, "the line to be inactive")
        assert first is not None and bob.heard_lines[first.mid].direction == "inactive"
        before = len(bob.end.rtp)
        for _ in range(5):
            for camera in cameras:
                await camera.frame(keyframe=True)
        bob.want(line, width=320, height=180)
        await bob.watches(line, cameras)
        again = bob.on(line)
        assert again is not None and again.mid == first.mid, "the free line is used again"
        assert not any(packet.ssrc in first.ssrcs for packet in bob.end.rtp[before:]), "an SSRC is never used twice"
        assert len(bob.layout) == 4


async def test_17_09_a_free_line_is_used_for_another_track_with_its_own_msid() -> None:
    async with call_room() as room:
        alice, bob, carol = (Client(room, name) for name in ("alice", "bob", "carol"))
        for client in (alice, bob, carol):
            await client.dial()
        carol.want(alice.line("video"), width=320, height=180)
        await carol.watches(alice.line("video"), alice.cameras())
        carol.want(unwanted=[alice.line("video")])
        await room.until(lambda: carol.on(alice.line("video")) is None, "alice's line to be inactive")
        carol.want(bob.line("video"), width=320, height=180)
        await carol.watches(bob.line("video"), bob.cameras())
        assert len(carol.layout) == 4
        offer = carol.offers()[-1]
        assert bob.line("video").track in offer["sdp_stream_metadata"][bob.stream]["tracks"]


# 10: colliding and lost offers.


async def test_17_10_colliding_offers_are_both_carried_out() -> None:
    async with call_room(offer_timeout=600.0) as room:  # so that no watchdog helps
        alice, bob = await dialled(room, "alice", "bob")
        bob.answers_offers = False
        bob.want(alice.line("video"), width=320, height=180)
        await room.until(lambda: bob.dropped_offers == 1, "our offer to be dropped")
        bob.answers_offers = True
        screen = bob.share()  # bob's offer meets ours
        await bob.renegotiate()
        await bob.watches(alice.line("video"), alice.cameras())
        await alice.sees(lambda view: bob.screen in view, "bob's screen")
        alice.want(screen, width=1280, height=720)
        await alice.watches(screen, bob.cameras(screen))


async def test_17_10_a_lost_offer_is_made_again() -> None:
    async with call_room() as room:
        alice, bob = await dialled(room, "alice", "bob")
        bob.answers_offers = False
        bob.want(alice.line("video"), width=320, height=180)
        await room.until(lambda: bob.dropped_offers == 1, "our offer to be dropped")
        bob.answers_offers = True
        await room.pass_time(6)
        await bob.watches(alice.line("video"), alice.cameras())


async def test_17_10_who_never_answers_an_offer_is_given_up() -> None:
    async with call_room() as room:
        alice, bob = await dialled(room, "alice", "bob")
        bob.answers_offers = False
        bob.want(alice.line("video"), width=320, height=180)
        await room.until(lambda: bob.dropped_offers == 1, "our offer to be dropped")
        await room.pass_time(40)
        assert 3 <= bob.dropped_offers <= 8
        await bob.gets("m.call.hangup")
        await alice.sees(lambda view: not view, "bob gone")


async def test_17_10_an_answer_that_nobody_waits_for_is_dropped() -> None:
    async with call_room() as room:
        alice, bob = await dialled(room, "alice", "bob")
        bob.want(alice.line("video"), width=320, height=180)
        await bob.watches(alice.line("video"), alice.cameras())
        answer = {"type": "answer", "sdp": bob.document("active", bob.layout, answering=True)}
        for _ in range(3):
            bob.say("m.call.negotiate", {"description": answer, "sdp_stream_metadata": bob.metadata})
        await bob.watches(alice.line("video"), alice.cameras())


# 11: signs of life.


async def test_17_11_pings_come_at_least_every_thirty_seconds() -> None:
    async with call_room() as room:
        alice = await Client(room, "alice").dial()
        for count in range(1, 4):
            await room.pass_time(30)
            assert len(alice.told("m.call.ping")) >= count
        assert not alice.got("m.call.hangup"), "pongs keep the call"


async def test_17_11_no_pong_ends_the_call_and_clears_up() -> None:
    async with call_room() as room:
        alice, bob = await dialled(room, "alice", "bob")
        bob.answers_pings = False
        await alice.sees(lambda view: bob.stream in view, "bob")
        await room.pass_time(25)
        assert (await bob.gets("m.call.hangup"))["reason"] == "keep_alive_timeout"
        await alice.sees(lambda view: not view, "bob gone")
        assert room.switchboard.peers() == 1


async def test_17_11_a_channel_that_never_opens_is_not_waited_for() -> None:
    async with call_room() as room:
        alice = Client(room, "alice")
        await alice.connect(await alice.enter().invite().answered(), channel=False)
        alice.select()
        await room.pass_time(32)
        await alice.gets("m.call.hangup")
        await room.counted_down()


async def test_17_11_a_client_that_pings_us_gets_a_pong() -> None:
    async with call_room() as room:
        alice = await Client(room, "alice").dial()
        alice.say("m.call.ping", {})
        await alice.hears("m.call.pong")


@pytest.mark.parametrize("text", ["", "null", "[]", "{", '{"type":7}', '{"type":"m.call.negotiate"}', "\u0000" * 99])
async def test_17_11_nonsense_on_the_channel_ends_nothing(text: str) -> None:
    async with call_room() as room:
        alice, bob = await dialled(room, "alice", "bob")
        alice.say_text(text or " ")
        alice.describe(video_muted=True)
        await bob.sees(lambda view: view[alice.stream]["video_muted"], "alice's mute")
        assert sum(room.all_faults().values()) == 1
        await asyncio.sleep(0)


async def test_17_05_the_set_is_under_both_names_wherever_a_client_may_look() -> None:
    async with call_room() as room:
        alice, bob = Client(room, "alice"), Client(room, "bob")
        await alice.dial()
        await bob.enter().invite().answered()
        answer = await bob.gets("m.call.answer")
        assert list(answer[UNSTABLE]) == [alice.stream]
