"""A publisher of a scenario: its tracks, what it sends when, and what the network makes of it.

Everything is drawn in advance: the publisher repairs what the network lost as if it had been
asked to, and sends keyframes by itself.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from actions import Action, Control, Media, Timed
from focus.commands import Codec, Expect, Extensions
from focus.vocabulary import SINGLE, Kind, PeerId, Rid, TrackId
from media_bytes import rtcp
from streams import GROUPS, Sent, Stream, near_wrap
from tests.wire import Conditions, Wire

INSTANTS = 512
"In a second. Each is a whole number of nanoseconds and exact as a float, so that no side rounds time."
OPUS, PCMU = Codec("opus", 48000, 111, None), Codec("pcmu", 8000, 0, None)
VP8, VP8_PLAIN, VP8_BARE = Codec("vp8", 90000, 96, 97), Codec("vp8", 90000, 100, None), Codec("vp8", 90000, 98, None)
RIDS = ((Rid("f"), Rid("h"), Rid("q")), (Rid("hi"), Rid("lo")), (Rid("0"), Rid("1"), Rid("2")))
KINDS = ("voice", "simulcast", "simulcast", "signalled", "signalled", "named", "bare")
"Of tracks: how their packets say whose they are. Bare ones do only by their payload type."
FLOOD = 3100
"Packets at once, more than any peer may send in a second."
CLEAN = Conditions(delay=0.01)
NETWORKS = (
    CLEAN,
    Conditions(jitter=0.03, lost=0.03),
    Conditions(jitter=0.01, overtaken=0.1, held=0.08),
    Conditions(doubled=0.1, lost=0.01, held=0.2),
    Conditions(pattern=(False,) * 7 + (True,) * 3),
    Conditions(jitter=0.05, lost=0.15, overtaken=0.1, held=0.3, doubled=0.1),
    Conditions(rate=400_000, queue=0.15),
)


class Script:
    """The scenario as it is being written."""

    def __init__(self, chance: random.Random, seconds: float) -> None:
        self.chance = chance
        self.seconds = seconds
        self.garbage = chance.choice((0.0, 0.0, 0.0, 0.01, 0.05))
        "Chance that a packet is followed by a broken twin."
        self._actions: list[tuple[float, int, Action]] = []

    def at(self, now: float, action: Action) -> None:
        """Have something happen, at the nearest instant."""
        self._actions.append((max(0, round(now * INSTANTS)) / INSTANTS, len(self._actions), action))

    def actions(self) -> tuple[Timed, ...]:
        """In order of time."""
        return tuple((now, action) for now, _, action in sorted(self._actions, key=lambda entry: entry[:2]))

    def arrive(self, now: float, peer: PeerId, data: bytes) -> None:
        """Have a packet arrive, and perhaps a broken twin of it."""
        self.at(now, _told_apart(peer, data))
        if self.chance.random() < self.garbage:
            self.at(now + self.chance.random() * 0.05, _told_apart(peer, broken(data, self.chance)))


def _told_apart(peer: PeerId, data: bytes) -> Action:
    """As a transport tells them apart (RFC 5761 §4)."""
    return Control(peer, data) if 192 <= data[1] <= 223 else Media(peer, data)


def broken(data: bytes, chance: random.Random) -> bytes:
    """A twin that is cut short, has a bit turned, or is noise. Never shorter than what a transport lets pass."""
    kind = chance.randrange(4)
    if kind == 0:
        return chance.randbytes(chance.randrange(12, 60))
    if kind == 1 and len(data) > 12:
        return data[: chance.randrange(12, len(data))]
    twin = bytearray(data)
    twin[chance.randrange(min(len(twin), 48))] ^= 1 << chance.randrange(8)
    return bytes(twin)


def draw_extensions(chance: random.Random, simulcast: bool) -> Extensions:
    """Negotiated ids, some absent. Simulcast needs mid and rids."""
    numbers = chance.sample(range(1, 256 if chance.random() < 0.1 else 15), 10)
    absent = chance.choice((0.0, 0.2, 0.6))
    ids = Extensions(*(0 if chance.random() < absent else number for number in numbers))
    return replace(ids, mid=numbers[0], rid=numbers[1], repaired_rid=numbers[2]) if simulcast else ids


@dataclass(slots=True)
class Source:
    """A stream's encoder: how often, how much, and when it is silent."""

    stream: Stream
    interval: float
    gop: int
    "Frames from keyframe to keyframe."
    packets: int
    "Most packets of a frame."
    silent: tuple[float, float]
    "From when to when it sends nothing."


class Publisher:
    """One peer that publishes."""

    def __init__(self, peer: PeerId, script: Script, start: float) -> None:
        self.peer = peer
        self.start = start
        self.script = script
        self.chance = script.chance
        self.tracks: list[Expect] = []
        self._sources: list[Source] = []
        self._wire = Wire[bytes](self.chance.choice(NETWORKS), self.chance)
        self._number = near_wrap(self.chance, 16)
        self._numbered = self.chance.random() < 0.8
        self._repairing = self.chance.choice((0.0, 0.5, 0.9))
        self._agenda: list[tuple[float, int, Callable[[float], None]]] = []
        self._entries = 0

    def publish(self, mid: str, *, crowded: bool = False) -> Expect:
        """Add a track of some kind and its encoders."""
        chance = self.chance
        kind = "simulcast" if crowded else chance.choice(KINDS)
        ids = draw_extensions(chance, kind == "simulcast")
        if kind == "bare":
            ids = replace(ids, mid=0)
        elif kind == "named":
            ids = replace(ids, mid=ids.mid or 1)
        rids = chance.choice(RIDS) if kind == "simulcast" else ()
        codecs = (OPUS, PCMU) if kind == "voice" else (VP8_BARE,) if kind == "bare" else (VP8, VP8_PLAIN)
        ssrcs = tuple(chance.sample(range(1, 1 << 32), 2 * max(1, len(rids))))
        signalled = ssrcs[: 1 if kind == "voice" else 2] if kind in ("voice", "signalled") else ()
        video = kind != "voice"
        sort = Kind.VIDEO if video else Kind.AUDIO
        expect = Expect(TrackId(f"{self.peer}/{mid}"), self.peer, mid, sort, codecs, ids, rids, signalled)
        interval = 0.5 if crowded else chance.choice((1 / 30, 1 / 30, 1 / 15) if video else (0.02, 0.02, 0.06))
        leap, bits = chance.choice((0,) * 9 + (0.02, 0.02, 0.9, 1, 1)), chance.choice((15, 15, 15, 7, 0))
        for place, rid in enumerate(rids or (SINGLE,)):
            codec = chance.choice(codecs) if chance.random() < 0.1 else codecs[0]
            stream = Stream(
                expect, rid, codec, ssrcs[2 * place], ssrcs[2 * place + 1], chance,
                chance.choice((1, 10, 10**9, 10**9)), bits, chance.random() < 0.8, chance.choice(GROUPS), leap,
            )  # fmt: skip
            silent = chance.uniform(0, self.script.seconds)
            most = chance.choice((1, 2, 4, 8)) if video else 1
            source = Source(
                stream, interval if leap < 1 else 1 / 30, chance.choice((3, 8, 15, 60)), most if leap < 1 else 8,
                (silent, silent + chance.choice((0, 0, 0.3, 2.5, 9))),
            )  # fmt: skip
            self._sources.append(source)
            self._later(self.start + chance.random() * chance.choice((0.1, 0.1, 2)), source, self._frame)
            self._later(self.start + chance.uniform(0.05, 1), source, self._report)
        self.tracks.append(expect)
        return expect

    def renew(self, expect: Expect, now: float) -> None:
        """From `now` on, send a track as another description says."""

        def change(_: float) -> None:
            for source in self._sources:
                if source.stream.expect.mid == expect.mid:
                    source.stream.expect = expect

        self._agenda.append((now, self._entry(), change))

    def flood(self, now: float) -> None:
        """More packets than a peer may send. Nobody knows their SSRC."""
        head = b"\x80\x7f\0\0\0\0\0\0\0\0\0\0"
        for _ in range(FLOOD):
            self.script.at(now, Media(self.peer, head))

    def run(self) -> None:
        """Send everything until the scenario ends."""
        heapq.heapify(self._agenda)
        while self._agenda and self._agenda[0][0] < self.script.seconds:
            now, _, work = heapq.heappop(self._agenda)
            work(now)

    def _entry(self) -> int:
        self._entries += 1
        return self._entries

    def _later(self, when: float, source: Source, work: Callable[[float, Source], None]) -> None:
        heapq.heappush(self._agenda, (when, self._entry(), lambda now: work(now, source)))

    def _frame(self, now: float, source: Source) -> None:
        chance, stream = self.chance, source.stream
        self._later(now + source.interval, source, self._frame)
        if source.silent[0] <= now < source.silent[1]:
            if chance.random() < 0.02 and not stream.expect.ssrcs:
                # It will come back as another encoder, on another SSRC.
                stream.ssrc, stream.rtx_ssrc = chance.randrange(1, 1 << 32), chance.randrange(1, 1 << 32)
                stream.named = 5
                stream.begin()
            return
        for sent in stream.frame(source.interval, stream.frames % source.gop == 0, chance.randint(1, source.packets)):
            self._send(now, stream, sent)
        odd = chance.random()
        if odd < 0.03:
            self._send(now, stream, stream.padding())
        elif odd < 0.035:
            self._send(now, stream, stream.strange())

    def _numbering(self) -> int | None:
        if not self._numbered:
            return None
        self._number = self._number + 1 & 0xFFFF
        return self._number

    def _carry(self, now: float, data: bytes) -> bool:
        arrivals = self._wire.send(now, data, len(data))
        for at in arrivals:
            self.script.arrive(at, self.peer, data)
        return bool(arrivals)

    def _send(self, now: float, stream: Stream, sent: Sent) -> None:
        chance = self.chance
        arrived = self._carry(now, stream.dump(sent, self._numbering()))
        if stream.codec.rtx_pt is None:
            return
        # Some repairs are asked for twice, and some for what was only late.
        wanted = self._repairing if not arrived else 0.02
        while chance.random() < wanted:
            wanted /= 3
            when = now + chance.choice((0.03, 0.1, 0.3, 2)) * (1 + chance.random())
            heapq.heappush(self._agenda, (when, self._entry(), lambda at: self._repair(at, stream, sent)))

    def _repair(self, now: float, stream: Stream, sent: Sent) -> None:
        self._carry(now, stream.repair(sent, self._numbering()))

    def _report(self, now: float, source: Source) -> None:
        self._later(now + self.chance.uniform(0.5, 1.5), source, self._report)
        stream = source.stream
        compound = stream.report(now)
        odd = self.chance.random()
        if odd < 0.2:
            compound += rtcp(1, 202, stream.ssrc.to_bytes(4, "big") + b"\x01\x01c\0")
        elif odd < 0.22:
            compound += rtcp(1, 203, stream.ssrc.to_bytes(4, "big"))
        self._carry(now, compound)
