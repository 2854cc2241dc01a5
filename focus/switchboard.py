"""Events to their conferences, and what those decide to the engine and the face.

One loop, one wake: engine events, what faces post, and the passing of time all end up in
a conference's inbox. A conference in which our own code fails is taken down, counted and
logged; the others do not notice.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from focus import commands
from focus.conference import Running
from focus.engine import Engine
from focus.limits import Limits
from focus.subscribe import decodes
from focus.vocabulary import Asked, ConferenceId, Ended, Join, Left, Names, PeerId, Reason, Ticked, Told

log = logging.getLogger(__name__)

TICK = 0.25
"Seconds between looks at deadlines."
LEAST = 0.005
"Between turns that nothing but time called for."


class Face(Protocol):
    """A way in for peers, such as Matrix signalling."""

    def tell(self, conference: ConferenceId, told: Told) -> None:
        """Carry an effect to its peer. Must not block."""

    def hear(self, conference: ConferenceId, peer: PeerId, text: str) -> None:
        """A data channel message of a peer. Must not block; answers come back through `post` and `say`."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How much there is, for metrics and health."""

    conferences: int
    peers: int
    tracks: int
    routes: int
    undecodable: int
    "Tracks that a peer took a line for and cannot decode: it has none of the codecs that they may come in."


@dataclass(slots=True)
class Bucket:
    """A token bucket: how many messages a peer may still send."""

    tokens: float
    since: float


class Switchboard:
    """See `focus/README.md` for the API that a face uses."""

    def __init__(
        self,
        engine: Engine,
        face: Face | None,
        limits: Limits,
        codecs: tuple[str, ...],
        names: Names,
        clock: Callable[[], float],
    ) -> None:
        self.face = face
        self.faults: Counter[str] = Counter()
        "Peers' faults by what was wrong, and `bug` for ours."
        self._engine = engine
        self._limits = limits
        self._codecs = codecs
        self._names = names
        self._clock = clock
        self._conferences: dict[ConferenceId, Running] = {}
        self._started = 0
        "Conferences ever started: the newest one's number."
        self._where: dict[PeerId, ConferenceId] = {}
        self._buckets: dict[PeerId, Bucket] = {}
        self._due: dict[ConferenceId, None] = {}
        self._soon: dict[ConferenceId, float] = {}
        "When a conference has something to do though nothing comes, where that is before the next tick."
        self._ticked = False
        self._held: list[commands.Command] | None = None
        "What a turn has for the engine, None between turns: submitted at once, it wakes the engine once."
        self._wake = asyncio.Event()
        engine.listen(self._wake.set)

    def post(self, conference: ConferenceId, asked: Asked) -> None:
        """Ask something of a conference. A `Join` starts one that does not exist; anything else is then dropped."""
        running = self._conferences.get(conference)
        if running is None:
            if not isinstance(asked, Join):
                return
            if len(self._conferences) >= self._limits.conferences:
                self.faults["too_many_conferences"] += 1
                self._tell(conference, Ended(asked.peer, Reason.BUSY))
                return
            self._started += 1
            ours, wide = self._engine.fingerprint, self._engine.wide
            running = Running(conference, self._limits, self._codecs, self._names, ours, self._started, wide)
            self._conferences[conference] = running
        if isinstance(asked, Join):
            self._where[asked.peer] = conference
        running.post(asked)
        self._due[conference] = None
        self._wake.set()

    def say(self, conference: ConferenceId, peer: PeerId, text: str, *, urgent: bool = False) -> None:
        """Send a text on a peer's data channel; `urgent`: it may overtake what was sent before."""
        if self._where.get(peer) == conference:
            self._submit([commands.Send(peer, text, urgent)])

    def _submit(self, given: list[commands.Command]) -> None:
        if self._held is None:
            self._engine.submit(given)
        else:
            self._held += given

    def figures(self) -> Figures:
        """Count what is there."""
        running = [r.conference for r in self._conferences.values()]
        uses = [(slot, slot.use, c) for c in running for peer in c.peers.values() for slot in peer.slots]
        used = [(slot, use, c) for slot, use, c in uses if use is not None and not use.spare]
        blind = [
            slot for slot, use, c in used
            if slot.accepted and use.track in c.tracks and not decodes(slot, c.roster.sent[use.track])
        ]  # fmt: skip
        return Figures(
            len(running),
            sum(len(c.peers) for c in running),
            sum(len(c.tracks) for c in running),
            len(used),
            len(blind),
        )

    def undecodable(self) -> int:
        """Tracks that somebody would see if it had their codec."""
        return self.figures().undecodable

    def peers(self) -> int:
        """Peers in all conferences."""
        return self.figures().peers

    def conferences(self) -> int:
        """Conferences that exist."""
        return len(self._conferences)

    async def run(self) -> None:
        """Work until cancelled."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(TICK, self._tick)
        sooner: asyncio.TimerHandle | None = None
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._ticked:
                    self._ticked = False
                    timer = loop.call_later(TICK, self._tick)
                    for name, running in self._conferences.items():
                        running.post(Ticked())
                        self._due[name] = None
                self.turn(self._clock())
                if sooner is not None:
                    sooner.cancel()
                    sooner = None
                if self._soon:
                    wait = min(self._soon.values()) - self._clock()
                    sooner = loop.call_later(max(LEAST, wait), self._wake.set)
        finally:
            timer.cancel()
            if sooner is not None:
                sooner.cancel()

    def _tick(self) -> None:
        self._ticked = True
        self._wake.set()

    def turn(self, now: float) -> None:
        """Take everything that waits and carry out what follows. `run` calls it; so do tests in virtual time."""
        self._held = []
        try:
            for event in self._engine.drain():
                self._sort(event, now)
            self._due.update(dict.fromkeys(name for name, at in self._soon.items() if at <= now))
            due, self._due = self._due, {}
            for name in due:
                self._work(name, now)
        finally:
            held, self._held = self._held, None
            if held:
                self._engine.submit(held)

    def _sort(self, event: commands.Event, now: float) -> None:
        """Put an engine event into its conference's inbox; a message goes to the face first."""
        if isinstance(event, commands.Switched):
            return
        tracked = isinstance(event, commands.Appeared | commands.Vanished | commands.Rates | commands.Levels)
        peer = PeerId(event.track.split("/")[0]) if tracked else event.peer  # type: ignore[union-attr]
        conference = self._where.get(peer)
        if conference is None or conference not in self._conferences:
            return
        if isinstance(event, commands.Message) and not self._heard(conference, event, now):
            return
        self._conferences[conference].post(event)
        self._due[conference] = None

    def _heard(self, conference: ConferenceId, message: commands.Message, now: float) -> bool:
        """Pass a message to the face, within the peer's rate (security G4)."""
        limits = self._limits
        bucket = self._buckets.setdefault(message.peer, Bucket(limits.messages_burst, now))
        bucket.tokens = min(limits.messages_burst, bucket.tokens + (now - bucket.since) * limits.messages_per_second)
        bucket.since = now
        if bucket.tokens < 1:
            self.faults["too_many_messages"] += 1
            return False
        bucket.tokens -= 1
        if self.face is not None:
            try:
                self.face.hear(conference, message.peer, message.text)
            except Exception:
                self.faults["bug"] += 1
                log.exception("a face failed on a message")
        return True

    def _work(self, name: ConferenceId, now: float) -> None:
        running = self._conferences.get(name)
        self._soon.pop(name, None)
        if running is None:
            return
        try:
            effects = running.work(now, self.faults)
        except Exception:
            self.faults["bug"] += 1
            log.exception("a conference failed and is taken down")
            gone = [peer for peer, where in self._where.items() if where == name]
            effects = (*running.abandon(), *(Ended(peer, Reason.UNKNOWN) for peer in gone))
        self._submit([effect for effect in effects if not isinstance(effect, Told)])
        for effect in effects:
            if isinstance(effect, Told):
                self._tell(name, effect)
        known = running.conference.peers
        for peer in [peer for peer, where in self._where.items() if where == name and peer not in known]:
            del self._where[peer]
            self._buckets.pop(peer, None)
        if running.over:
            del self._conferences[name]
        elif running.soon < math.inf:
            self._soon[name] = running.soon

    def _tell(self, conference: ConferenceId, told: Told) -> None:
        if self.face is None:
            return
        try:
            self.face.tell(conference, told)
        except Exception:
            self.faults["bug"] += 1
            log.exception("a face failed to carry an effect")

    def end(self, conference: ConferenceId, reason: Reason) -> None:
        """End a conference with everybody in it; faces are told by the caller, who decided it."""
        running = self._conferences.get(conference)
        if running is not None:
            for peer in running.conference.peers:
                self.post(conference, Left(peer, reason))
