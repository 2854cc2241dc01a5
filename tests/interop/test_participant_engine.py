"""Two participants of each stack through the reference engine: all must agree on every packet, as lines promise."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import av
import pytest
from aiortc.rtp import is_rtcp

from bench.browser import until
from bench.participants import media, sdp
from bench.participants.found import Found
from bench.participants.known import Known
from bench.participants.line import Line, Track
from bench.participants.stacks import STACKS, choose
from focus.commands import (
    Close,
    Codec,
    Connected,
    Credentials,
    Event,
    Expect,
    Extensions,
    Message,
    Open,
    Reachable,
    Role,
    Route,
    Send,
    SetLayer,
)
from focus.engine import Settings
from focus.native import available
from focus.reference.engine import ReferenceEngine
from focus.reference.ice import Path
from focus.vocabulary import Kind, PeerId, Rid, RouteId, TrackId

pytestmark = pytest.mark.timeout(120)

VP8 = Codec("vp8", 90_000, sdp.VP8, sdp.RTX)
OPUS = Codec("opus", 48_000, sdp.OPUS, None)
CAMERA = sdp.Section(
    "video", "w0", "sendonly", "s", "v", (7001, 7002), (("vp8", sdp.VP8), ("rtx", sdp.RTX)), False
)
VOICE = sdp.Section("audio", "w1", "sendonly", "s", "a", (7003,), (("opus", sdp.OPUS),), False)
IDS = Extensions(mid=4, rid=10, repaired_rid=11, transport_cc=3, abs_send_time=2, audio_level=1)


@pytest.fixture(scope="session")
def people() -> list[media.Person]:
    """Two real people's loops."""
    return media.people(2)


@dataclass
class Floor:
    """An engine and whoever listens to its events."""

    engine: ReferenceEngine
    events: list[Event] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        self.events += self.engine.drain()
        self.changed.set()

    async def until(self, found: Callable[[], bool]) -> None:
        while not found():
            self.changed.clear()
            await self.changed.wait()


@dataclass
class Client:
    """One participant without its Matrix half."""

    peer: PeerId
    line: Line
    task: asyncio.Future[None] | None = None

    async def dial(self, floor: Floor) -> None:
        ufrag, pwd = self.line.credentials
        name, _, digest = self.line.fingerprint.partition(" ")
        ours = Credentials(f"{self.peer}frag", f"{self.peer}{'p' * 22}")
        floor.engine.submit(
            [Open(self.peer, Role.ANSWERER, ours, Credentials(ufrag, pwd), ((name, digest),), 5000)]
        )

        def told() -> list[Reachable]:
            return [event for event in floor.events if isinstance(event, Reachable) and event.peer == self.peer]

        await floor.until(lambda: bool(told()))
        candidates = [f"1 1 udp 2122260223 {c.host} {c.port} typ host" for c in told()[0].candidates]
        prints = (floor.engine.fingerprint,)
        remote = sdp.Remote(ours.ufrag, ours.pwd, prints, "passive", False, tuple(candidates), 5000, ())
        assert await self.line.gather(remote)
        await self.line.connect(remote)
        await floor.until(lambda: Connected(self.peer) in floor.events)
        self.task = asyncio.ensure_future(self.line.flow())

    def found(self, kind: str) -> Found:
        return next(track.found for track in self.line.live() if track.found.kind == kind)

    async def close(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.line.close()


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    engine = ReferenceEngine(Settings(addresses=("127.0.0.1",)), time.monotonic)
    floor = Floor(engine)
    engine.listen(floor.wake)
    yield floor
    await engine.close()


@pytest.fixture(params=[name for name in STACKS if name != "auto" and (name != "native" or available())])
async def pair(
    request: pytest.FixtureRequest, floor: Floor, people: list[media.Person]
) -> AsyncIterator[tuple[Client, Client]]:
    """A sends camera and voice, B receives them on w0 and w1."""
    stack, known = choose(request.param, people), Known(people)
    a, b = (
        Client(PeerId(f"peer{n}"), stack.line(one, known, f"c{n}", lambda now: True, time.monotonic))
        for n, one in enumerate(people)
    )
    await asyncio.gather(a.dial(floor), b.dial(floor))
    floor.engine.submit(
        [
            Expect(TrackId("tv"), a.peer, "1", Kind.VIDEO, (VP8,), IDS, (Rid("f"), Rid("h"), Rid("q"))),
            Expect(TrackId("ta"), a.peer, "0", Kind.AUDIO, (OPUS,), IDS, (), (a.line.audio_ssrc,)),
            Route(RouteId(1), TrackId("tv"), b.peer, "w0", (VP8,), IDS, 7001, 7002),
            Route(RouteId(2), TrackId("ta"), b.peer, "w1", (OPUS,), IDS, 7003, None),
            SetLayer(RouteId(1), Rid("q")),
            SetLayer(RouteId(2), Rid("")),
        ]
    )
    b.line.expect([CAMERA, VOICE])
    yield a, b
    await a.close()
    await b.close()
    stack.close()


@contextmanager
def losing(chance: random.Random) -> Iterator[list[bytes]]:
    """One packet of media in ten that the engine sends is lost while the block runs; yields them."""
    lost: list[bytes] = []
    send = Path.send_now

    def lossy(path: Path, data: bytes) -> bool:
        if 127 < data[0] < 192 and not is_rtcp(data) and chance.random() < 0.1:
            lost.append(data)
            return True
        return send(path, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "send_now", lossy)
        yield lost


async def shows(client: Client, width: int, frames: int = 10) -> None:
    """Wait until a keyframe of this width has come and `frames` more frames after it."""

    async def wide() -> bool:
        return client.found("video").size[0] == width

    await until(wide, 30, f"a picture {width} wide", every=0.02)
    before = client.found("video").frames

    async def more() -> bool:
        return client.found("video").frames >= before + frames

    await until(more, 30, f"{frames} frames", every=0.02)


async def test_all_layers_in_turn_arrive_without_a_fault(floor: Floor, pair: tuple[Client, Client]) -> None:
    a, b = pair
    for rid, width in (("q", 320), ("f", 1280), ("h", 640), ("q", 320), ("f", 1280)):
        floor.engine.submit([SetLayer(RouteId(1), Rid(rid))])
        await shows(b, width)
    video, audio = b.found("video"), b.found("audio")
    assert not +video.faults and not +audio.faults, (video.faults, audio.faults)
    assert not b.line.counts().drops and not +b.line.counts().faults
    assert audio.packets > 50
    assert a.line.counts().keyframe_requests >= 4 and not +a.line.counts().faults


async def test_a_size_that_is_asked_for_is_timed_and_every_frame_can_be_decoded(
    floor: Floor, pair: tuple[Client, Client]
) -> None:
    _, b = pair
    decoder = av.CodecContext.create("vp8", "r")
    decoded: list[tuple[int, int]] = []

    def decode(frame: bytes) -> None:
        for picture in decoder.decode(av.Packet(frame)):
            assert isinstance(picture, av.VideoFrame)
            decoded.append((picture.width, picture.height))

    def appeared(track: Track) -> None:
        if track.name == ("s", "v"):
            track.frame = decode

    b.line.on_track = appeared
    b.line.expect([replace(CAMERA, direction="inactive")])
    b.line.expect([CAMERA])
    b.line.want(("s", "v"), (1280, 720))
    floor.engine.submit([SetLayer(RouteId(1), Rid("h"))])
    await shows(b, 640)
    assert b.found("video").wanted_at > 0
    floor.engine.submit([SetLayer(RouteId(1), Rid("f"))])
    await shows(b, 1280, 20)
    assert len(b.found("video").switches) == 1 and not b.found("video").wanted_at

    async def seen() -> bool:
        return len(decoded) > 20 and decoded[-1] == (1280, 720)

    await until(seen, 30, "decoded pictures", every=0.02)
    assert {(640, 360), (1280, 720)} <= set(decoded)


async def test_a_track_that_ends_is_remembered_and_what_comes_late_is_no_stranger(pair: tuple[Client, Client]) -> None:
    _, b = pair
    await shows(b, 320)
    b.line.expect([replace(CAMERA, direction="inactive")])
    assert [track.name for track in b.line.live()] == [("s", "a")]
    frames = {track.name: track.found.frames for track in b.line.tracks()}
    assert frames["s", "v"] >= 10

    async def late() -> bool:
        return b.line.counts().drops["after_end"] > 0

    await until(late, 30, "a packet after the end", every=0.02)
    assert not b.line.counts().drops["stranger"]


async def test_the_data_channel_carries_text_both_ways(floor: Floor, pair: tuple[Client, Client]) -> None:
    a, _ = pair
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    a.line.on_text = heard.set_result
    a.line.say("up")
    await floor.until(lambda: Message(a.peer, "up") in floor.events)
    floor.engine.submit([Send(a.peer, "down")])
    assert await heard == "down"


async def test_a_line_notices_that_the_focus_is_gone(floor: Floor, pair: tuple[Client, Client]) -> None:
    floor.engine.submit([Close(client.peer) for client in pair])
    async with asyncio.timeout(30):
        for client in pair:
            await client.line.closed.wait()


async def test_what_the_way_down_loses_comes_back(floor: Floor, pair: tuple[Client, Client]) -> None:
    _, b = pair
    floor.engine.submit([SetLayer(RouteId(1), Rid("f"))])
    await shows(b, 1280)
    with losing(random.Random(5)) as lost:
        await shows(b, 1280, 50)
    assert len(lost) > 20
    track = next(track for track in b.line.live() if track.found.kind == "video")
    assert track.recovered > 10
    assert not track.found.faults["wrong_splice"] and not track.found.faults["picture_id"]


def test_loops_are_whole_and_kept_for_the_next(people: list[media.Person]) -> None:
    assert [len(layer.frames) for layer in people[0].layers] == [150, 150, 150]
    assert all(not layer.frames[at][0] & 1 for layer in people[1].layers for at in range(0, 150, media.GOP))
    assert media.people(2, progress=lambda step, done: pytest.fail("drawn again") if done < 1 else None) == people
