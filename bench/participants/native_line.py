"""A line on the crowd in Rust (`focus/native/src/crowd`): thousands in one process, no packet enters Python.

All lines of a process share one `NativeStack`: a thread that sends people's loops, answers
what comes, and checks every packet and every byte of it. Here it is told who dials, sends
and expects what, and asked what it found.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aioice import Candidate as Told

from bench.crowd import Crowd, Stream, Watch
from bench.participants import media, picture, sdp, voice
from bench.participants.found import Found
from bench.participants.known import Known
from bench.participants.line import Counts, Track, Unconnected, changes
from focus.commands import (
    Candidate,
    Codec,
    Credentials,
    Event,
    Extensions,
    Lost,
    Message,
    Open,
    Opened,
    Role,
    Send,
)
from focus.vocabulary import PeerId

EXTENSIONS = Extensions(mid=4, rid=10, repaired_rid=11, transport_cc=3, abs_send_time=2, audio_level=1)
"As in `sdp.EXTENSIONS`."
OPUS, VP8 = Codec("opus", 48_000, sdp.OPUS, None), Codec("vp8", 90_000, sdp.VP8, sdp.RTX)
REST = 2.0
"Milliseconds between two looks at the sockets: what comes wakes nobody."
DECODE = 0.05
"Seconds between two looks for whole frames, where somebody decodes."
TURN = 0.2
"Seconds between two looks at whose turn it is to talk."
DROPS = ("stranger", "unopened", "wrong_payload_type", "after_end", "padding")
"What the crowd counts of packets that are of no use."


class NativeStack:
    """The crowd that all lines share. Made inside a running event loop; `focus.native.Unavailable` where not built."""

    def __init__(self, people: Sequence[media.Person]) -> None:
        self.crowd = Crowd(joined=True, rest_ms=REST, keeps=False)
        self.crowd.native.load(people)
        self.crowd.on_event = self._tell
        self.places = {id(person): number for number, person in enumerate(people)}
        self.lines: dict[PeerId, NativeLine] = {}

    def line(
        self, person: media.Person, known: Known, cname: str, talks: Callable[[float], bool], clock: Callable[[], float]
    ) -> NativeLine:
        """Return a new one. The crowd knows the loops by itself."""
        return NativeLine(self, self.places[id(person)], talks, clock)

    def close(self) -> None:
        """End the crowd's thread."""
        self.crowd.close()

    def _tell(self, event: Event) -> None:
        line = self.lines.get(getattr(event, "peer", PeerId("")))
        if line is not None:
            line.hear(event)


@dataclass(slots=True)
class Received:
    """See `line.Track`."""

    section: sdp.Section
    found: Found
    recovered: int = 0
    duplicates: int = 0
    frame: Callable[[bytes], None] | None = None

    @property
    def name(self) -> tuple[str, str]:
        return self.section.stream, self.section.track

    @property
    def ssrc(self) -> int:
        return self.section.ssrcs[0]

    def update(self, told: Mapping[str, Any], shift: float) -> None:
        """Take the crowd's figures; `shift`: from its clock to the call's."""
        self.recovered, self.duplicates = told["recovered"], told["duplicates"]
        self.found = Found(
            self.section.kind, faults=Counter(told["faults"]), packets=told["packets"], octets=told["octets"],
            frames=told["frames"], keyframes=told["keyframes"], size=told["size"],
            first_frame=None if told["first_frame"] is None else told["first_frame"] + shift,
            newest_frame=-1e9 if told["newest_frame"] is None else told["newest_frame"] + shift,
            longest_gap=told["longest_gap"], wanted=self.found.wanted,
            wanted_at=0.0 if told["wanted_at"] is None else told["wanted_at"] + shift,
            switches=told["switches"],
        )  # fmt: skip
        self.found.arrivals.extend(at + shift for at in told["arrivals"])


class NativeLine:
    """See `line.Line`."""

    def __init__(
        self, stack: NativeStack, person: int, talks: Callable[[float], bool], clock: Callable[[], float]
    ) -> None:
        self.stack, self.native, self.person = stack, stack.crowd.native, person
        self.talks, self.clock = talks, clock
        self.shift = clock() - self.native.clock()
        self.peer = PeerId(secrets.token_hex(8))
        self.local = Credentials(secrets.token_hex(4), secrets.token_hex(12))
        self.audio_ssrc = random_ssrc()
        self.closed = asyncio.Event()
        self.on_text: Callable[[str], None] = lambda text: None
        self.on_track: Callable[[Track], None] = lambda track: None
        self.faults: Counter[str] = Counter()
        self.active = True
        self._up: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._live: dict[str, Received] = {}
        self._past: list[Received] = []
        self._there = False
        self._told: Mapping[str, int] = {}

    @property
    def credentials(self) -> tuple[str, str]:
        return self.local.ufrag, self.local.pwd

    @property
    def fingerprint(self) -> str:
        return " ".join(self.stack.crowd.fingerprint)

    async def gather(self, remote: sdp.Remote) -> list[str]:
        if remote.setup == "active":
            raise Unconnected("dtls: a native client is always the one that dials")
        told = Credentials(remote.ufrag, remote.pwd)
        dials = Open(
            self.peer, Role.CALLER, self.local, told, remote.fingerprints, remote.sctp_port,
            candidates=reachable(remote.candidates),
        )  # fmt: skip
        try:
            self.stack.crowd.submit(dials)
        except OSError as wrong:
            raise Unconnected(f"socket: {wrong}") from None
        self._there = True
        self.stack.lines[self.peer] = self
        host, port = self.native.address(self.peer)
        return [f"1 1 udp 2130706431 {host} {port} typ host"]

    async def connect(self, remote: sdp.Remote) -> None:
        if not await self._up:
            raise Unconnected("ice or dtls")
        say = Stream(self.audio_ssrc, "0", OPUS, EXTENSIONS, fps=voice.RATE / voice.FRAME)
        self.native.loop_of(self.peer, say, self.person)
        for layer, rid in enumerate(sdp.RIDS):
            ssrc, rtx = random_ssrc(), random_ssrc()
            show = Stream(ssrc, "1", VP8, EXTENSIONS, fps=float(picture.FPS), rtx_ssrc=rtx, rid=rid)
            self.native.loop_of(self.peer, show, self.person, layer)

    def hear(self, event: Event) -> None:
        """Take an event of the crowd's."""
        match event:
            case Opened() if not self._up.done():
                self._up.set_result(True)
            case Message(text=text):
                self.on_text(text)
            case Lost():
                if not self._up.done():
                    self._up.set_result(False)
                self.closed.set()

    async def flow(self) -> None:
        talking = False
        next_turn = self.clock()
        self.native.start(self.peer)
        while True:
            now = self.clock()
            if now >= next_turn:
                next_turn = now + TURN
                if self.talks(now) != talking:
                    talking = not talking
                    self.native.talk(self.peer, talking)
            decoding = [track for track in self._live.values() if track.frame is not None]
            for track in decoding:
                for frame in self.native.frames(self.peer, track.ssrc):
                    if track.frame is not None:
                        track.frame(frame)
            await asyncio.sleep(DECODE if decoding else TURN)

    def heard(self) -> int:
        return self._tally().get("came", 0)

    def say(self, text: str) -> None:
        if self._there and not self.closed.is_set():
            self.stack.crowd.submit(Send(self.peer, text))

    def expect(self, sections: Iterable[sdp.Section]) -> None:
        ended, begun = changes({mid: track.section for mid, track in self._live.items()}, sections)
        if ended:
            self._look()
        for mid in ended:
            track = self._live.pop(mid)
            self._past.append(track)
            self.native.forget(self.peer, track.ssrc)
        for section in begun:
            used = {ssrc for track in self._live.values() for ssrc in track.section.ssrcs}
            self.faults["ssrc_used_twice"] += len(used & set(section.ssrcs))
            self._begin(section)

    def _begin(self, section: sdp.Section) -> None:
        types = dict(reversed(section.codecs))
        video = section.kind == "video"
        # Another codec than ours has no payload type that could come: each packet of it is a fault.
        pt = types.get("vp8" if video else "opus", 0)
        codec = replace(VP8, pt=pt, rtx_pt=types.get("rtx")) if video else replace(OPUS, pt=pt)
        rtx = section.ssrcs[1] if len(section.ssrcs) > 1 else None
        self.native.check(self.peer, Watch(section.ssrcs[0], codec, EXTENSIONS, rtx), video)
        track = self._live[section.mid] = Received(section, Found(section.kind))
        self.on_track(track)
        if track.frame is not None:
            self.native.frames(self.peer, track.ssrc)

    def want(self, name: tuple[str, str], size: tuple[int, int]) -> None:
        for track in self._live.values():
            if track.name == name:
                track.found.wanted = size
                self.native.want(self.peer, track.ssrc, *size)

    def live(self) -> Sequence[Track]:
        self._look()
        return list(self._live.values())

    def tracks(self) -> Sequence[Track]:
        self._look()
        return [*self._past, *self._live.values()]

    def _look(self) -> None:
        told = self.native.checks(self.peer) if self._there else {}
        for track in self._live.values():
            if track.ssrc in told:
                track.update(told[track.ssrc], self.shift)

    def _tally(self) -> Mapping[str, int]:
        if self._there:
            self._told = self.native.tally(self.peer)
        return self._told

    def counts(self) -> Counts:
        told = Counter(self._tally())
        faults = Counter({name: told[name] for name in ("feedback_for_stranger", "malformed_rtcp")})
        drops = Counter({name: told[name] for name in DROPS if told[name]})
        return Counts(
            told["came"], told["sent"] + told["resent"] + told["feedback"], told["resent"], told["told_missing"],
            told["keyframes_asked"], faults + self.faults, drops,
        )  # fmt: skip

    async def close(self) -> None:
        if self._there:
            self._look()
            self._tally()
            self._there = False
            del self.stack.lines[self.peer]
            self.stack.crowd.leave(self.peer)
        self.closed.set()


def random_ssrc() -> int:
    """Return an SSRC: any 32 bits but 0."""
    return secrets.randbelow((1 << 32) - 1) + 1


def reachable(values: Iterable[str]) -> tuple[Candidate, ...]:
    """Return the candidates whose attribute values name an address. Raises `ValueError` for one that is malformed."""
    found = []
    for value in values:
        told = Told.from_sdp(value)
        try:
            ipaddress.ip_address(told.host)
        except ValueError:
            continue
        if told.transport.lower() == "udp":
            found.append(Candidate(told.host, told.port))
    return tuple(found)
