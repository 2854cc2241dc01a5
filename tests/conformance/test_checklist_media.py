"""The focus's checklist (digest §17), the lines about media: 8 and 14 to 16."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest

from cameras import SIZES, Camera, F, H, Q
from focus.vocabulary import Rid
from matrix_room import Room, call_room
from media_bytes import Rtp, read, read_vp8
from own_lines import EXTENSIONS, Line
from scripted_client import SIMULCAST, Client


async def pair(room: Room, **invite: object) -> tuple[Client, Client]:
    """Alice, who publishes as told, and Bob."""
    alice, bob = Client(room, "alice"), Client(room, "bob")
    await alice.dial(**invite)
    await bob.dial()
    return alice, bob


def nothing_on(bob: Client, line: Line) -> bool:
    return bob.on(line) is None


async def shown(bob: Client, line: Line, cameras: Sequence[Camera], size: tuple[int, int]) -> list[Rtp]:
    """Keyframes are sent until Bob sees one of a size; all that came to him until then."""
    before = len(bob.received(line))
    deadline = asyncio.get_running_loop().time() + 5
    while True:
        got = bob.received(line)[before:]
        if any(read_vp8(packet.payload).size == size for packet in got):
            return got
        assert asyncio.get_running_loop().time() < deadline, f"{size} is not seen"
        for camera in cameras:
            await camera.frame(keyframe=True)
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("order", [(F, H, Q), (Q, H, F)], ids=["full-first", "small-first"])
async def test_17_08_a_wanted_size_moves_the_layer_without_an_offer(order: tuple[Rid, ...]) -> None:
    async with call_room() as room:
        alice, bob = await pair(room, camera=order)
        line, cameras = alice.line("video"), alice.cameras()
        await shown_at(bob, line, cameras, 320, 180, Q)
        for width, height, rid in ((1280, 720, F), (640, 360, H), (320, 180, Q), (1280, 720, F)):
            await shown_at(bob, line, cameras, width, height, rid)
        packets = bob.received(line)
        assert all(b.sequence == (a.sequence + 1) & 0xFFFF for a, b in zip(packets, packets[1:], strict=False))
        assert len(bob.offers()) == 1


async def shown_at(bob: Client, line: Line, cameras: Sequence[Camera], width: int, height: int, rid: Rid) -> None:
    """Bob asks for a size and sees the layer for it."""
    bob.want(line, width=width, height=height)
    await bob.room.until(lambda: bob.on(line), "the offer")
    await shown(bob, line, cameras, SIZES[rid])


async def test_17_08_the_switch_waits_for_a_keyframe() -> None:
    async with call_room() as room:
        alice, bob = await pair(room)
        line, cameras = alice.line("video"), alice.cameras()
        full, _, small = cameras
        await shown_at(bob, line, cameras, 320, 180, Q)
        bob.want(line, width=1280, height=720)
        asked = await alice.end.told(lambda p: p.kind == 206 and p.media == full.ssrc, "a keyframe request")
        assert asked.count == 1
        before = len(bob.received(line))
        for _ in range(5):
            await full.frame()
            await small.frame()
        await room.until(lambda: len(bob.received(line)) >= before + 5, "the small layer, still")
        await full.frame(keyframe=True)
        await full.frame()
        await small.frame()
        await room.until(lambda: len(bob.received(line)) >= before + 7, "the full layer")
        sizes = [read_vp8(packet.payload).body.split(b":")[0][-1:] for packet in bob.received(line)[before:]]
        assert sizes == [b"q"] * 5 + [b"f"] * 2


# 14: what may be published.


@pytest.mark.parametrize(
    ("camera", "microphone", "kinds"),
    [
        (SIMULCAST, True, ["audio", "video"]), ((), True, ["audio", "video"]), (None, True, ["audio"]),
        ((), False, ["video"]), ((F, Q), False, ["video"]),
    ],
    ids=["simulcast", "one-layer", "audio-only", "camera-only", "two-layers"],
)  # fmt: skip
async def test_17_14_every_kind_of_call_is_carried(
    camera: tuple[Rid, ...] | None, microphone: bool, kinds: list[str]
) -> None:
    async with call_room() as room:
        alice, bob = await pair(room, camera=camera, microphone=microphone)
        view = await bob.sees(lambda view: alice.stream in view, "alice")
        assert [words["kind"] for words in view[alice.stream]["tracks"].values()] == kinds
        lines = [alice.line(kind) for kind in kinds]
        bob.want(*lines, width=1280, height=720)
        for line in lines:
            senders = alice.cameras(line) if line.kind == "video" else [alice.microphone()]
            await bob.watches(line, senders)


async def test_17_14_a_call_of_a_channel_alone_gets_media_later() -> None:
    async with call_room() as room:
        alice, bob = await pair(room, camera=None, microphone=False)
        assert bob.views[-1] == {}, "who sends nothing has no stream"
        line = alice.add("video", rids=SIMULCAST)
        await alice.renegotiate()
        bob.want(line, width=320, height=180)
        await bob.watches(line, alice.cameras(line))
        alice.want(bob.line("video"), width=320, height=180)
        await alice.watches(bob.line("video"), bob.cameras())


async def test_17_14_a_screen_may_be_shared_and_taken_back_three_times() -> None:
    async with call_room() as room:
        alice, bob = await pair(room)
        for _ in range(3):
            screen = alice.share()
            await alice.renegotiate()
            await bob.sees(lambda view: alice.screen in view, "the screen")
            bob.want(screen, width=1280, height=720)
            await bob.watches(screen, alice.cameras(screen))
            screen.direction = "inactive"
            await alice.renegotiate()
            await bob.sees(lambda view: alice.screen not in view, "the screen gone")
            await room.until(partial(nothing_on, bob, screen), "its line to be inactive")
        line = alice.line("video")
        bob.want(line, width=320, height=180)
        await bob.watches(line, alice.cameras())


async def test_17_14_two_people_share_at_once_and_all_see_both() -> None:
    async with call_room() as room:
        alice, bob = await pair(room)
        carol = await Client(room, "carol").dial()
        screens = [alice.share(), bob.share()]
        for client in (alice, bob):
            await client.renegotiate()
        await carol.sees(lambda view: alice.screen in view and bob.screen in view, "both screens")
        carol.want(*screens, width=1280, height=720)
        alice.want(screens[1], width=1280, height=720)
        bob.want(screens[0], width=1280, height=720)
        sent = [alice.cameras(screens[0]), bob.cameras(screens[1])]
        for watcher, number in ((carol, 0), (carol, 1), (alice, 1), (bob, 0)):
            await watcher.watches(screens[number], sent[number])


# 15: silence that is meant.


async def test_17_15_a_muted_camera_keeps_its_tile_its_line_and_its_layer() -> None:
    async with call_room() as room:
        alice, bob = await pair(room)
        line, cameras = alice.line("video"), alice.cameras()
        await shown_at(bob, line, cameras, 1280, 720, F)
        alice.describe(video_muted=True)
        await bob.sees(lambda view: view[alice.stream]["video_muted"], "the mute")
        await room.pass_time(10)
        assert alice.stream in bob.views[-1] and bob.on(line) is not None
        alice.describe(video_muted=False)
        await bob.sees(lambda view: not view[alice.stream]["video_muted"], "the camera on")
        # Every layer is back, the small one first: the full one is what Bob gets.
        _, half, small = cameras
        await small.frame(keyframe=True)
        await half.frame(keyframe=True)
        await shown(bob, line, cameras, SIZES[F])
        assert len(bob.offers()) == 1


async def test_17_15_somebody_silent_for_minutes_is_not_reaped() -> None:
    async with call_room() as room:
        alice, bob = await pair(room, camera=None)
        line, microphone = alice.line("audio"), alice.microphone()
        bob.want(line)
        await bob.watches(line, [microphone])
        await room.pass_time(120, step=4)
        assert alice.stream in bob.views[-1] and not alice.got("m.call.hangup")
        before = len(bob.received(line))
        await microphone.say(b"hello again")
        await room.until(lambda: len(bob.received(line)) > before, "her voice")
        assert bob.received(line)[-1].payload == b"hello again"
        assert len(bob.offers()) == 1


# 16: what a focus must not touch.


async def test_17_16_encrypted_frames_pass_byte_for_byte_with_their_extensions() -> None:
    async with call_room() as room:
        alice, bob = await pair(room, camera=())
        line = alice.line("video")
        bob.want(line, width=640, height=360)
        (camera,) = alice.cameras()
        await bob.watches(line, [camera], 1)
        extra = {13: b"\x03", 5: b"\x00\x10\x20", 12: b"\x80\x01\x02"}
        sent = []
        for number in range(30):
            sent += await camera.frame(keyframe=number == 0, packets=3, extra=extra)
        last = read_vp8(read(sent[-1]).payload).body
        await room.until(lambda: read_vp8(bob.received(line)[-1].payload).body == last, "the last packet")
        ids = {uri: number for number, uri in extension_ids(bob, line)}
        for out, packet in zip(sent, bob.received(line)[-len(sent) :], strict=True):
            whole = read(out)
            assert read_vp8(packet.payload).body == read_vp8(whole.payload).body
            assert packet.marker == whole.marker
            assert packet.extensions[ids[EXTENSIONS[13]]] == b"\x03"
            assert packet.extensions[ids[EXTENSIONS[5]]] == b"\x00\x10\x20"


def extension_ids(bob: Client, line: Line) -> list[tuple[int, str]]:
    """Ids in the focus's newest offer, on the m-line that carries somebody's line."""
    section = bob.on(line)
    assert section is not None
    part = bob.offers()[-1]["description"]["sdp"].split(f"a=mid:{section.mid}\r\n")[1].split("\r\nm=")[0]
    words = [row.removeprefix("a=extmap:").split(" ") for row in part.split("\r\n") if row.startswith("a=extmap:")]
    return [(int(number), uri) for number, uri in words]


async def test_17_16_encrypted_sound_passes_byte_for_byte_with_its_level() -> None:
    async with call_room() as room:
        alice, bob = await pair(room, camera=None)
        line = alice.line("audio")
        bob.want(line)
        microphone = alice.microphone()
        await bob.watches(line, [microphone], 1)
        payloads = [bytes((0xF8, number, 255 - number)) * 20 for number in range(20)]
        for number, payload in enumerate(payloads):
            await microphone.say(payload, level=number)
        await room.until(lambda: bob.received(line)[-1].payload == payloads[-1], "all of it")
        got = bob.received(line)[-len(payloads) :]
        assert [packet.payload for packet in got] == payloads
        level = {uri: number for number, uri in extension_ids(bob, line)}["urn:ietf:params:rtp-hdrext:ssrc-audio-level"]
        assert [packet.extensions[level][0] & 0x7F for packet in got] == list(range(20))
