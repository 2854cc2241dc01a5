"""Two participants through the reference engine: two stacks that share no code must agree on every packet."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bench.participants import media, rtcp, sdp
from bench.participants.known import Known
from bench.participants.publisher import Publisher
from bench.participants.receiver import Receiver
from bench.participants.transport import Transport
from focus.commands import (
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
from focus.reference.engine import ReferenceEngine
from focus.vocabulary import Kind, PeerId, Rid, RouteId, TrackId

VP8 = Codec("vp8", 90_000, sdp.VP8, sdp.RTX)
OPUS = Codec("opus", 48_000, sdp.OPUS, None)
IDS = Extensions(mid=4, rid=10, repaired_rid=11, transport_cc=3, abs_send_time=2, audio_level=1)


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> list[media.Person]:
    """Two real people's loops, encoded once."""
    return media.people(2, tmp_path_factory.mktemp("loops"), lambda step, done: None)


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
    transport: Transport
    publisher: Publisher
    receiver: Receiver
    task: asyncio.Future[None] | None = None

    async def dial(self, floor: Floor) -> None:
        ufrag, pwd = self.transport.credentials
        name, _, digest = self.transport.fingerprint.partition(" ")
        ours = Credentials(f"{self.peer}frag", f"{self.peer}{'p' * 22}")
        floor.engine.submit(
            [Open(self.peer, Role.ANSWERER, ours, Credentials(ufrag, pwd), ((name, digest),), 5000)]
        )

        def told() -> list[Reachable]:
            return [event for event in floor.events if isinstance(event, Reachable) and event.peer == self.peer]

        await floor.until(lambda: bool(told()))
        candidates = [f"1 1 udp 2122260223 {c.host} {c.port} typ host" for c in told()[0].candidates]
        prints = (floor.engine.fingerprint,)
        await self.transport.gather(told()[0].candidates[0].host)
        await self.transport.connect(
            sdp.Remote(ours.ufrag, ours.pwd, prints, "passive", False, tuple(candidates), 5000, ())
        )
        await floor.until(lambda: Connected(self.peer) in floor.events)
        await self.transport.opened.wait()
        self.task = asyncio.ensure_future(self.media())

    async def media(self) -> None:
        def hear(data: bytes) -> None:
            for packet in rtcp.parse(data):
                self.publisher.hear(packet, time.monotonic(), self.transport.send)
                self.receiver.rtcp(packet, time.monotonic())

        self.transport.on_rtp = lambda data: self.receiver.rtp(data, time.monotonic())
        self.transport.on_rtcp = hear
        self.publisher.start(time.monotonic())
        while True:
            now = time.monotonic()
            due = self.publisher.send_due(now, time.time(), self.transport.send)
            self.receiver.send_due(now, self.transport.send)
            await asyncio.sleep(max(0.0, min(due - now, 0.03)))

    async def close(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.transport.close()


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    engine = ReferenceEngine(Settings(addresses=("127.0.0.1",)), time.monotonic)
    floor = Floor(engine)
    engine.listen(floor.wake)
    yield floor
    await engine.close()


@pytest.fixture
async def pair(floor: Floor, people: list[media.Person]) -> AsyncIterator[tuple[Client, Client]]:
    """A sends camera and voice, B receives them on w0 and w1."""
    clients = []
    known = Known(people)
    for number, person in enumerate(people):
        publisher = Publisher(person, lambda now: True, random.Random(number), f"c{number}")
        receiver = Receiver(publisher.audio.ssrc, known)
        clients.append(Client(PeerId(f"peer{number}"), Transport(), publisher, receiver))
    a, b = clients
    await asyncio.gather(a.dial(floor), b.dial(floor))
    ssrcs = (a.publisher.audio.ssrc,)
    floor.engine.submit(
        [
            Expect(TrackId("tv"), a.peer, "1", Kind.VIDEO, (VP8,), IDS, (Rid("f"), Rid("h"), Rid("q"))),
            Expect(TrackId("ta"), a.peer, "0", Kind.AUDIO, (OPUS,), IDS, (), ssrcs),
            Route(RouteId(1), TrackId("tv"), b.peer, "w0", (VP8,), IDS, 7001, 7002),
            Route(RouteId(2), TrackId("ta"), b.peer, "w1", (OPUS,), IDS, 7003, None),
            SetLayer(RouteId(1), Rid("q")),
            SetLayer(RouteId(2), Rid("")),
        ]
    )
    video, audio = (("vp8", sdp.VP8), ("rtx", sdp.RTX)), (("opus", sdp.OPUS),)
    b.receiver.expect(
        [
            sdp.Section("video", "w0", "sendonly", "s", "v", (7001, 7002), video, False),
            sdp.Section("audio", "w1", "sendonly", "s", "a", (7003,), audio, False),
        ]
    )
    yield a, b
    await a.close()
    await b.close()


async def shows(client: Client, width: int, frames: int = 10) -> None:
    """Wait until a keyframe of this width has come and `frames` more frames after it."""
    check = client.receiver.live["w0"].check
    take, done, left = client.receiver.rtp, asyncio.Event(), frames

    def look(data: bytes, now: float) -> None:
        nonlocal left
        before = check.frames
        take(data, now)
        left -= check.frames - before if check.size[0] == width else 0
        if left <= 0:
            done.set()

    client.receiver.rtp = look  # type: ignore[method-assign]
    await done.wait()
    client.receiver.rtp = take  # type: ignore[method-assign]


async def test_all_layers_in_turn_arrive_without_a_fault(floor: Floor, pair: tuple[Client, Client]) -> None:
    a, b = pair
    for rid, width in (("q", 320), ("f", 1280), ("h", 640), ("q", 320), ("f", 1280)):
        floor.engine.submit([SetLayer(RouteId(1), Rid(rid))])
        await shows(b, width)
    video, audio = b.receiver.live["w0"].check, b.receiver.live["w1"].check
    assert not +video.faults and not +audio.faults, (video.faults, audio.faults)
    assert not b.receiver.drops
    assert audio.packets > 50
    assert a.publisher.keyframe_requests >= 4


async def test_the_data_channel_carries_text_both_ways(floor: Floor, pair: tuple[Client, Client]) -> None:
    a, _ = pair
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    a.transport.on_text = heard.set_result
    a.transport.say("up")
    await floor.until(lambda: Message(a.peer, "up") in floor.events)
    floor.engine.submit([Send(a.peer, "down")])
    assert await heard == "down"


async def test_what_the_way_down_loses_comes_back(floor: Floor, pair: tuple[Client, Client]) -> None:
    _, b = pair
    chance = random.Random(5)
    take, lost = b.receiver.rtp, 0

    def lossy(data: bytes, now: float) -> None:
        nonlocal lost
        if chance.random() < 0.1:
            lost += 1
        else:
            take(data, now)

    b.receiver.rtp = lossy  # type: ignore[method-assign]
    floor.engine.submit([SetLayer(RouteId(1), Rid("f"))])
    await shows(b, 1280, 50)
    track = b.receiver.live["w0"]
    b.receiver.rtp = take  # type: ignore[method-assign]
    assert lost > 20
    assert track.order.recovered > 10
    assert not track.check.faults["wrong_splice"] and not track.check.faults["picture_id"]


def test_loops_are_kept(people: list[media.Person], tmp_path: Path) -> None:
    assert [len(layer.frames) for layer in people[0].layers] == [150, 150, 150]
    assert all(not layer.frames[at][0] & 1 for layer in people[1].layers for at in range(0, 150, media.GOP))
