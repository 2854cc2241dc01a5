"""A line in Python on aiortc's transports: the independent stack, for about a dozen participants a process.

It joins `transport.py`, `publisher.py` and `receiver.py`, which share no code with either engine.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from aioice import Candidate

from bench.participants import media, rtcp
from bench.participants.known import Known
from bench.participants.line import Counts, Track
from bench.participants.publisher import Publisher
from bench.participants.receiver import Receiver
from bench.participants.sdp import Remote, Section
from bench.participants.transport import Transport

FEEDBACK = 0.03
"Seconds between two looks for missing packets."


class AiortcStack:
    """Nothing is shared."""

    def line(
        self, person: media.Person, known: Known, cname: str, talks: Callable[[float], bool], clock: Callable[[], float]
    ) -> AiortcLine:
        """Return a new one."""
        return AiortcLine(person, known, cname, talks, clock)

    def close(self) -> None:
        """Nothing is left."""


class AiortcLine:
    """See `line.Line`."""

    def __init__(
        self, person: media.Person, known: Known, cname: str, talks: Callable[[float], bool], clock: Callable[[], float]
    ) -> None:
        self.clock = clock
        self.transport = Transport()
        self.publisher = Publisher(person, talks, random.Random(secrets.randbits(64)), cname)
        self.receiver = Receiver(self.publisher.audio.ssrc, known)
        self.faults: Counter[str] = Counter()

    @property
    def credentials(self) -> tuple[str, str]:
        return self.transport.credentials

    @property
    def fingerprint(self) -> str:
        return self.transport.fingerprint

    @property
    def audio_ssrc(self) -> int:
        return self.publisher.audio.ssrc

    @property
    def active(self) -> bool:
        return self.transport.active

    @property
    def closed(self) -> asyncio.Event:
        return self.transport.closed

    @property
    def on_text(self) -> Callable[[str], None]:
        return self.transport.on_text

    @on_text.setter
    def on_text(self, hear: Callable[[str], None]) -> None:
        self.transport.on_text = hear

    @property
    def on_track(self) -> Callable[[Track], None]:
        return self.receiver.on_track

    @on_track.setter
    def on_track(self, appeared: Callable[[Track], None]) -> None:
        self.receiver.on_track = appeared

    async def gather(self, remote: Remote) -> list[str]:
        return await self.transport.gather(Candidate.from_sdp(remote.candidates[0]).host)

    async def connect(self, remote: Remote) -> None:
        self.transport.on_rtp = lambda data: self.receiver.rtp(data, self.clock())
        self.transport.on_rtcp = self._rtcp
        await self.transport.connect(remote)
        await self.transport.opened.wait()

    async def flow(self) -> None:
        clock, send = self.clock, self.transport.send
        now = next_feedback = clock()
        self.publisher.start(now)
        while True:
            now = clock()
            due = self.publisher.send_due(now, time.time(), send)
            if now >= next_feedback:
                self.receiver.send_due(now, send)
                next_feedback = now + FEEDBACK
            await asyncio.sleep(max(0.0, min(due, next_feedback) - clock()))

    def _rtcp(self, data: bytes) -> None:
        try:
            packets = rtcp.parse(data)
        except ValueError:
            self.faults["malformed_rtcp"] += 1
            return
        now = self.clock()
        for packet in packets:
            self.publisher.hear(packet, now, self.transport.send)
            self.receiver.rtcp(packet, now)

    def heard(self) -> int:
        return self.transport.packets_in

    def say(self, text: str) -> None:
        self.transport.say(text)

    def expect(self, sections: Iterable[Section]) -> None:
        self.receiver.expect(sections)

    def want(self, name: tuple[str, str], size: tuple[int, int]) -> None:
        track = self.receiver.track(*name)
        if track is not None:
            track.check.want(*size, self.clock())

    def live(self) -> Sequence[Track]:
        return list(self.receiver.live.values())

    def tracks(self) -> Sequence[Track]:
        return [*self.receiver.past, *self.receiver.live.values()]

    def counts(self) -> Counts:
        publisher, transport = self.publisher, self.transport
        return Counts(
            transport.packets_in, transport.packets_out, publisher.retransmitted, publisher.told_missing,
            publisher.keyframe_requests, self.faults + publisher.faults, self.receiver.drops,
        )  # fmt: skip

    async def close(self) -> None:
        await self.transport.close()
