"""The actor of one conference: take what came, step each, settle once, plan, and tell the difference.

Everything that a conference does goes through `work`; there is no second path. It holds
the only mutable state of a conference: its newest snapshot, its last plan, its inbox.
"""

from __future__ import annotations

import math
from collections import Counter

from msgspec.structs import replace

from focus import commands, held
from focus.faults import PeerFault
from focus.limits import Limits
from focus.plan import NOTHING, Plan, changes, replan
from focus.settle import settle
from focus.snapshot import Conference
from focus.step import step
from focus.vocabulary import Asked, ConferenceId, Ended, Join, Names, Paused, PeerId, Told


class Running:
    """A conference at work."""

    def __init__(
        self,
        name: ConferenceId,
        limits: Limits,
        codecs: tuple[str, ...],
        names: Names,
        fingerprint: tuple[str, str],
        number: int,
        wide: bool = False,
    ) -> None:
        # An engine carries all conferences, so that their route ids must differ: the upper half is the conference's.
        self.conference = Conference(name, limits, codecs, wide, routes=number << 32)
        self._planned: Plan = NOTHING
        self._inbox: list[Asked | commands.Event] = []
        self._names = names
        self._fingerprint = fingerprint
        self._telling: dict[PeerId, float] = {}
        "When peers are told again of what is paused."

    @property
    def soon(self) -> float:
        """When to work again though nothing comes: what is told again must not wait for a tick. Infinite if never."""
        return min(self._telling.values(), default=math.inf)

    @property
    def over(self) -> bool:
        """Nobody is left and nothing waits."""
        return not self.conference.peers and not self._inbox

    def post(self, event: Asked | commands.Event) -> None:
        """Put an event in."""
        self._inbox.append(event)

    def work(self, now: float, faults: Counter[str]) -> tuple[commands.Command | Told, ...]:
        """Take all that came and return what to carry out. A peer's fault costs what carried it, and is counted."""
        inbox, self._inbox = self._inbox, []
        conference = self.conference
        refused: list[Told] = []
        for event in inbox:
            try:
                conference = step(conference, event, now, self._names)
            except PeerFault as fault:
                faults[fault.what] += 1
                # A call that goes on is worth more than one event. A bad answer is as good as none: the offer is
                # made anew until patience ends. A bad offer of a live peer stays unanswered; the next one may be good.
                if isinstance(event, Join) and event.peer not in conference.peers:
                    refused.append(Ended(event.peer, fault.earns))
        return (*self.take(conference, now), *refused)

    def take(self, conference: Conference, now: float) -> tuple[commands.Command | Told, ...]:
        """Go on from a snapshot that events have moved: what to carry out."""
        conference = settle(conference, self.conference, self._fingerprint, now, self._names)
        wanted = replan(conference, self.conference, self._planned)
        effects = changes(self._planned, wanted)
        self._planned = replace(wanted, ended=())
        self.conference = replace(conference, ended=())
        telling = {*self._telling, *(effect.peer for effect in effects if isinstance(effect, Paused))}
        if telling:
            again = {name: held.due(peer) for name in telling if (peer := conference.peers.get(name)) is not None}
            self._telling = {name: at for name, at in again.items() if at < math.inf}
        return effects

    def abandon(self) -> tuple[commands.Command | Told, ...]:
        """Take everything down after a bug: what the last plan had is undone, and everybody is told."""
        effects = changes(self._planned, NOTHING)
        self._planned = NOTHING
        self._inbox.clear()
        self._telling.clear()
        over = self.conference
        self.conference = Conference(over.id, over.limits, over.codecs, over.wide)
        return effects
