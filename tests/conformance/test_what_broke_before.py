"""What broke the predecessor (digest §20, item 10): the call goes on in each."""

from __future__ import annotations

import asyncio

import pytest

from bench.participants import sdp
from cameras import F
from matrix_room import Room, call_room
from media_bytes import read_vp8
from scripted_client import Client


async def watching(room: Room) -> tuple[Client, Client, Client]:
    """Alice films; Bob and Carol see her."""
    alice, bob, carol = (Client(room, name) for name in ("alice", "bob", "carol"))
    for client in (alice, bob, carol):
        await client.dial()
    cameras = alice.cameras()
    for client in (bob, carol):
        client.want(alice.line("video"), width=320, height=180)
        await client.watches(alice.line("video"), cameras)
    return alice, bob, carol


async def test_20_10_colliding_offers_wedge_nobody() -> None:
    async with call_room(offer_timeout=600.0) as room:  # so that no watchdog helps
        alice, bob, carol = await watching(room)
        line = carol.line("video")
        # Bob's own offer is under way while ours comes: he drops ours, and we have to take his.
        screen = bob.share()
        offer = bob.offer()
        bob.want(line, width=320, height=180)
        await room.until(lambda: bob.dropped_offers == 1, "our offer to be dropped")
        bob.say("m.call.negotiate", {"description": offer, "sdp_stream_metadata": bob.metadata})
        await bob.watches(line, carol.cameras())
        alice.want(screen, width=1280, height=720)
        await alice.watches(screen, bob.cameras(screen))
        await carol.watches(alice.line("video"), alice.cameras())


async def test_20_10_ice_restarts_of_all_at_once_lock_nothing_up() -> None:
    async with call_room() as room:
        alice, bob, carol = await watching(room)
        await asyncio.gather(*(client.restart_ice() for client in (alice, bob, carol)))
        for client in (bob, carol):
            await client.watches(alice.line("video"), alice.cameras())
        assert room.switchboard.peers() == 3


async def test_20_10_a_second_screen_is_seen_and_never_taken_for_a_camera() -> None:
    async with call_room() as room:
        alice, bob, carol = await watching(room)
        screens = [alice.share(), bob.share()]
        cameras, screen = alice.cameras(), alice.cameras(screens[0])
        for client in (alice, bob):
            await client.renegotiate()
        carol.want(*screens, width=1280, height=720)
        await carol.watches(screens[0], screen)
        await carol.watches(screens[1], bob.cameras(screens[1]))
        # Like a browser that was heard: no more mid and rid in its packets, and then a renegotiation.
        for sender in (*cameras, *screen):
            sender.named = False
        for line in alice.own.values():
            line.stream = {alice.stream: "temporary"}.get(line.stream, line.stream)
        await alice.renegotiate()
        marks = {line.mid: len(carol.received(line)) for line in (screens[0],)}
        for _ in range(5):
            for sender in screen:
                await sender.frame(keyframe=True, size=(1920, 1080))
            for sender in cameras:
                await sender.frame(keyframe=True)
        await room.until(lambda: len(carol.received(screens[0])) >= marks[screens[0].mid] + 5, "the screen")
        sizes = [read_vp8(p.payload).size for p in carol.received(screens[0])[marks[screens[0].mid] :]]
        assert set(sizes) == {(1920, 1080)}, "the screen, and nothing of the camera"


async def test_20_10_a_page_reload_leaves_no_twin() -> None:
    async with call_room() as room:
        alice, bob, carol = await watching(room)
        await alice.end.vanish()  # no hangup, no goodbye
        again = alice.again()
        await again.dial()
        for client in (bob, carol):
            view = await client.sees(lambda view: again.stream in view, "alice again")
            assert [words["user_id"] for words in view.values()].count(alice.user) == 1
            client.want(again.line("video"), width=320, height=180)
            await client.watches(again.line("video"), again.cameras())
        again.want(bob.line("video"), width=320, height=180)
        await again.watches(bob.line("video"), bob.cameras())
        assert room.switchboard.peers() == 3


MALFORMED = {
    "empty": "", "no-version": "hello", "no-media": "v=0\r\ns=-\r\n", "half": None, "binary": "v=0\r\n\x00\xff",
    "lines": "v=0\r\n" + "a=x\r\n" * 6000, "port": "v=0\r\nm=audio 99999999 X 1\r\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", MALFORMED)
async def test_20_10_one_malformed_invite_costs_itself_alone(kind: str) -> None:
    async with call_room() as room:
        mallory = Client(room, "mallory").enter()
        whole = Client(room, "mallory").invite().document("actpass")
        bad = {"type": "offer", "sdp": MALFORMED[kind] if MALFORMED[kind] is not None else whole[: len(whole) // 2]}
        invite = {"offer": bad, "lifetime": 60000}
        mallory.send("m.call.invite", invite)  # the first invite of this call
        alice, bob, carol = await watching(room)
        mallory.again(mallory.session).send("m.call.invite", invite)  # and one in its midst
        await carol.watches(alice.line("video"), alice.cameras())
        await room.kill()
        mallory.again(mallory.session).send("m.call.invite", invite)  # and one that waits for a restarted focus
        await room.start()
        new = [client.again(client.session) for client in (alice, bob)]
        for client in new:
            await client.dial()
        new[1].want(new[0].line("video"), width=320, height=180)
        await new[1].watches(new[0].line("video"), new[0].cameras())
        assert not mallory.got("m.call.answer")
        assert sum(room.all_faults().values()) >= 1, "it is counted"


async def test_20_10_one_malformed_offer_in_a_call_costs_that_offer_alone() -> None:
    async with call_room() as room:
        alice, bob, carol = await watching(room)
        words = {"sdp_stream_metadata": alice.metadata}
        alice.say("m.call.negotiate", {"description": {"type": "offer", "sdp": "v=0\r\nx"}} | words)
        await room.counted("sdp_line")
        for client in (bob, carol):
            await client.watches(alice.line("video"), alice.cameras())
        screen = alice.share()
        await alice.renegotiate()
        bob.want(screen, width=1280, height=720)
        await bob.watches(screen, alice.cameras(screen))


async def test_20_10_somebody_leaves_while_every_layer_is_stalled() -> None:
    async with call_room() as room:
        alice, bob, carol = await watching(room)
        for client in (bob, carol):
            client.want(alice.line("video"), width=1280, height=720)
        await room.pass_time(5)  # nothing comes: all her layers have stalled
        alice.hang_up()
        for client in (bob, carol):
            await client.sees(lambda view: alice.stream not in view, "alice gone")
        bob.want(carol.line("video"), width=320, height=180)
        await bob.watches(carol.line("video"), carol.cameras())


async def test_20_10_a_stalled_track_may_be_asked_for() -> None:
    async with call_room() as room:
        alice, _, _ = await watching(room)
        await room.pass_time(5)
        dave = await Client(room, "dave").dial()
        dave.want(alice.line("video"), width=1280, height=720)
        await dave.watches(alice.line("video"), alice.cameras())
        assert {camera.rid for camera in alice.cameras()} >= {F}


async def test_20_10_bursts_beyond_every_queue_are_cut_and_the_call_goes_on() -> None:
    async with call_room() as room:
        alice, bob, carol = await watching(room)
        mallory = Client(room, "mallory").enter()
        for number in range(500):
            bob.want(carol.line("video"), width=number, height=number)
        for _ in range(500):
            bob.send("m.call.candidates", {"candidates": [{"candidate": ""}] * 20})
            offer = {"type": "offer", "sdp": "v=0"}
            mallory.send("m.call.invite", {"offer": offer}, call_id=f"call{mallory.seq}", seq=None)
        bob.seq += 100
        for _ in range(200):
            bob.send("m.call.candidates", {"candidates": []})
            bob.seq += 1
        await room.counted("too_many_messages")
        assert room.faults("too_many_invites") + room.faults("too_many_messages") > 400
        await room.pass_time(8)
        await carol.watches(alice.line("video"), alice.cameras())
        alice.describe(audio_muted=True)
        await carol.sees(lambda view: view[alice.stream]["audio_muted"], "alice's mute")


async def test_20_10_a_burst_of_people_is_answered_to_the_last() -> None:
    async with call_room() as room:
        crowd = [Client(room, f"person{number}") for number in range(60)]
        for client in crowd:
            client.enter().invite()
        remotes = [await client.answered() for client in crowd]
        assert all(isinstance(remote, sdp.Remote) for remote in remotes)
        assert room.switchboard.peers() == 60
