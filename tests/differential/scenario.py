"""A seeded scenario: who publishes what over which network, who watches what when, and what else goes wrong.

`scenario(seed)` is pure: one seed, one list of actions. Nothing in it reacts to an engine.
"""

from __future__ import annotations

import random
import struct
from dataclasses import replace

from actions import Connect, Control, Miss, Scenario, Submit, Tick
from focus.commands import (
    Close,
    Codec,
    Command,
    Credentials,
    Expect,
    Forget,
    Keyframe,
    Open,
    Role,
    Route,
    SetLayer,
    Unroute,
)
from focus.vocabulary import SINGLE, Kind, PeerId, Rid, RouteId, TrackId
from media_bytes import fir, pli, receiver_report, remb, rtcp
from publishing import INSTANTS, Publisher, Script, broken, draw_extensions

BEAT = 10 / INSTANTS
"Seconds between ticks."
SPREAD = 2654435761
"What a route's SSRC is multiplied by for its first timestamp."
MISSED = (1,) * 20 + (3,) * 20 + (20,) * 8 + (300,)
"How many packets a NACK is about."
NOBODY = Credentials("ufrag", "p" * 22)


def scenario(seed: int) -> Scenario:
    """Everything that happens in the scenario of this seed."""
    chance = random.Random(seed)
    script = Script(chance, chance.choice((1.5, 2.5, 4.0)))
    play = ControlPlane(script)
    publishers = [play.publisher(number) for number in range(chance.choice((1, 1, 2)))]
    viewers = [play.viewer(number) for number in range(chance.choice((1, 2, 2, 3)))]
    viewers += [publisher.peer for publisher in publishers if chance.random() < 0.3]
    for publisher in publishers:
        for track in publisher.tracks:
            play.receive(publisher, track)
            for viewer in viewers:
                if chance.random() < 0.8:
                    play.watch(track, viewer)
    for publisher in publishers:
        publisher.run()
    for peer in [*(publisher.peer for publisher in publishers), *viewers]:
        if chance.random() < 0.08:
            now = chance.uniform(0.3, script.seconds)
            play.say(now, Close(peer), Close(peer))
            # Somebody else takes the place.
            again = play.viewer(len(viewers), now + 0.01)
            for publisher in publishers:
                for track in publisher.tracks:
                    play.watch(track, again, now + 0.02)
    play.mistakes()
    for beat in range(1, int((script.seconds + 0.3) / BEAT)):
        script.at(beat * BEAT, Tick())
    return Scenario(seed, script.actions())


def draw_ssrc(chance: random.Random) -> int:
    """A route's SSRC. The first numbers on it derive from it; some of them lie just before a wrap."""
    kind = chance.randrange(3)
    if kind == 0:
        return ((1 << 32) - chance.randrange(1, 200_000)) * pow(SPREAD, -1, 1 << 32) & 0xFFFFFFFF
    if kind == 1:
        return chance.randrange(1 << 17) << 15 | (0x7FFF - chance.randrange(20) if chance.random() < 0.8 else 0)
    return chance.randrange(1, 1 << 32)


def arrived(chance: random.Random) -> bytes:
    """Transport-wide feedback about some packets, sent or not: one run, each a little after the one before."""
    count = chance.choice((1, 2, 7, 20))
    head = struct.pack("!IIHHIH", 1, 2, chance.randrange(1 << 16), count, chance.randrange(1 << 32), 1 << 13 | count)
    body = head + chance.randbytes(count)
    return rtcp(15, 205, body + bytes(-len(body) % 4))


class ControlPlane:
    """What is commanded, and what subscribers report."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.chance = script.chance
        self._routes = 0

    def say(self, now: float, *commands: Command) -> None:
        """Submit commands."""
        for command in commands:
            self.script.at(now, Submit(command))

    def _open(self, peer: PeerId, now: float) -> None:
        self.say(now, Open(peer, Role.ANSWERER, NOBODY, NOBODY, (("sha-256", "00"),), None))

    def publisher(self, number: int) -> Publisher:
        """A peer that is there from the beginning, with a track or two, rarely a crowd of them."""
        chance = self.chance
        peer = PeerId(f"p{number}" + "x" * chance.randrange(5))
        self._open(peer, 0)
        self.script.at(0.02, Connect(peer))
        publisher = Publisher(peer, self.script, 0.05)
        if chance.random() < 0.03:
            for mid in range(11):
                publisher.publish(str(mid), crowded=True)
        else:
            for mid in range(chance.choice((1, 1, 2))):
                publisher.publish(str(mid))
        if chance.random() < 0.01:
            publisher.flood(chance.uniform(0.3, self.script.seconds))
        return publisher

    def viewer(self, number: int, now: float = 0) -> PeerId:
        """A peer that mostly connects, sooner or later."""
        chance = self.chance
        peer = PeerId(f"v{number}")
        self._open(peer, now)
        if chance.random() < 0.95:
            self.script.at(now + chance.choice((0.02, 0.02, chance.uniform(0, self.script.seconds))), Connect(peer))
        self._estimates(peer)
        return peer

    def _estimates(self, peer: PeerId) -> None:
        """Reports about the whole path: what arrived when, and how much may come."""
        chance, script = self.chance, self.script
        if chance.random() < 0.4:
            return
        for _ in range(chance.randrange(6)):
            bps, ssrc = chance.randrange(10_000_000), chance.randrange(1 << 32)
            # Of all streams, or of one that nobody sends.
            told = remb(1, bps, *([ssrc] if ssrc % 3 == 0 else []))
            if chance.random() < 0.5:
                told = arrived(chance)
            script.arrive(chance.uniform(0.1, script.seconds), peer, receiver_report(1) + told)

    def receive(self, publisher: Publisher, track: Expect) -> None:
        """Have a track received, perhaps under other numbers later, perhaps not to the end."""
        chance, seconds = self.chance, self.script.seconds
        self.say(0.04 if chance.random() < 0.9 else chance.uniform(0, 0.5), track)
        if chance.random() < 0.15:
            now = chance.uniform(0.3, seconds)
            renewed = replace(track, extensions=draw_extensions(chance, bool(track.rids)))
            self.say(now, renewed)
            publisher.renew(renewed, now + chance.choice((0, 0.1)))
        if chance.random() < 0.1:
            now = chance.uniform(0.3, seconds)
            self.say(now, Forget(track.track))
            if chance.random() < 0.5:
                self.say(now + chance.choice((0, 0.2)), replace(track, track=TrackId(track.track + "'")))
        for _ in range(chance.choice((0, 0, 1, 3))):
            layer = chance.choice(track.rids or (SINGLE,))
            self.say(chance.uniform(0.1, seconds), Keyframe(track.track, layer))

    def watch(self, track: Expect, viewer: PeerId, now: float = 0) -> None:
        """Forward a track to a peer, perhaps stop, perhaps begin again on another route."""
        chance, seconds = self.chance, self.script.seconds
        start = min(seconds, now + chance.choice((0.05, 0.05, 0.1, chance.uniform(0.05, seconds))))
        end = seconds if chance.random() < 0.8 else chance.uniform(start, seconds)
        self._route(track, viewer, start, end)
        if end < seconds and chance.random() < 0.5:
            self._route(track, viewer, end + chance.choice((0, 0.2)), seconds)

    def _route(self, track: Expect, viewer: PeerId, start: float, end: float) -> None:
        chance = self.chance
        self._routes += 1
        number = RouteId(self._routes)
        video = track.kind is Kind.VIDEO
        codec = Codec("opus", 48000, 109, None) if chance.random() < 0.9 else Codec("pcmu", 8000, 0, None)
        if video:
            codec = Codec("vp8", 90000, 120, chance.choice((121, 121, 121, None)))
        ssrc, rtx = draw_ssrc(chance), chance.randrange(1, 1 << 32) if chance.random() < 0.9 else None
        ids = draw_extensions(chance, False)
        route = Route(number, track.track, viewer, f"w{number}", (codec,), ids, ssrc, rtx)
        self.say(start, route)
        now, patience = start + chance.choice((0, 0, 0.1)), chance.choice((0.1, 0.5, 1.0, 5.0, 9.0))
        layers = (*(track.rids or (SINGLE,)) * chance.choice((1, 9)), None, Rid("none"))
        while now < end:
            spatial, temporal = chance.choice((None, None, 0, 1)), chance.choice((None, None, 0, 0, 1, 2))
            self.say(now, SetLayer(number, chance.choice(layers), spatial, temporal))
            now += chance.expovariate(1 / patience) + 1 / INSTANTS
        if chance.random() < 0.2:
            renewed = replace(
                route, mid=chance.choice(("a", "longer", route.mid)), extensions=draw_extensions(chance, False),
                codecs=(replace(codec, pt=chance.choice((codec.pt, 100)), rtx_pt=chance.choice((codec.rtx_pt, 101))),),
            )  # fmt: skip
            self.say(chance.uniform(start, end), renewed)
        if end < self.script.seconds:
            self.say(end, Unroute(number))
        self._reports(viewer, ssrc, rtx, start, end)

    def _reports(self, viewer: PeerId, ssrc: int, rtx: int | None, start: float, end: float) -> None:
        """What a subscriber says about one route: what it misses, that its picture is broken, how it receives."""
        chance, script = self.chance, self.script
        for _ in range(chance.choice((0, 2, 8, 20))):
            far, many = chance.choice((3, 3, 10, 30, 300, 400, 600, 1100)), chance.choice(MISSED)
            back = tuple(chance.randrange(-2, far) for _ in range(many))
            now = chance.uniform(start, end + 0.1)
            script.at(now, Miss(viewer, ssrc, back))
            if chance.random() < 0.3:
                # Asked for again, soon or after a round trip.
                script.at(now + chance.choice((0.05, 0.11)), Miss(viewer, ssrc, back))
        for _ in range(chance.choice((0, 0, 1, 5))):
            lost = pli(1, ssrc) if chance.random() < 0.5 else fir(1, ssrc)
            script.arrive(chance.uniform(start, end + 0.1), viewer, receiver_report(1) + lost)
        for _ in range(chance.choice((0, 0, 2))):
            about = (ssrc, 0, chance.randrange(1 << 16), chance.randrange(500), chance.randrange(1 << 32), 6554)
            script.arrive(chance.uniform(start, end), viewer, rtcp(1, 201, struct.pack("!IIIIIII", 1, *about)))
        if rtx is not None and chance.random() < 0.05:
            script.arrive(chance.uniform(start, end), viewer, pli(1, rtx))

    def mistakes(self) -> None:
        """Commands about what is not there, or is there already, and noise from everybody."""
        chance, script = self.chance, self.script
        unknown: tuple[Command, ...] = (
            Unroute(RouteId(999)), Unroute(RouteId(1)), SetLayer(RouteId(998), SINGLE), SetLayer(RouteId(2), Rid("f")),
            Forget(TrackId("nothing")), Keyframe(TrackId("nothing"), SINGLE), Close(PeerId("nobody")),
            Open(PeerId("v0"), Role.ANSWERER, NOBODY, NOBODY, (("sha-256", "00"),), None),
            Expect(TrackId("t"), PeerId("nobody"), "0", Kind.AUDIO, (), draw_extensions(chance, False), ()),
            Route(
                RouteId(997), TrackId("nothing"), PeerId("v0"), "w", (Codec("vp8", 90000, 96, None),),
                draw_extensions(chance, False), 5, None,
            ),
        )  # fmt: skip
        for command in unknown:
            if chance.random() < 0.1:
                self.say(chance.uniform(0, script.seconds), command)
        if script.garbage:
            for _ in range(chance.randrange(10)):
                kind, count = chance.choice((200, 201, 203, 205, 206, 207)), chance.randrange(32)
                compound = rtcp(count, kind, chance.randbytes(4 * chance.randrange(9)))
                peer = PeerId(chance.choice(("v0", "v1")))
                now = chance.uniform(0, script.seconds)
                script.at(now, Control(peer, compound if len(compound) >= 8 else compound + receiver_report(1)))
                script.arrive(now, peer, broken(receiver_report(7) + compound, chance))
