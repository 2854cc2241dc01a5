"""What deciding costs in a conference of 500 who all watch 50 cameras: `make bench NAME=plan`.

The real actor of a conference (`focus.conference.Running`) in virtual time, without engine and
SDP. Everybody has a link of its own width, one large tile and small ones, so that all decisions
differ. Timed is one `work`: step, settle, share out, plan, and the commands that follow. *Full*:
the rates of all layers of all tracks have moved and one has stopped: all are decided anew. *Incremental*: one
peer's estimate has moved by a third, or one tile became large or small. *A minute of the call*:
what comes in each 10 ms (estimates and tiles of somebody, signs of life, rates of all each second,
layers that go and come back, ticks) in one turn; the loop is blocked as long as a turn lasts.
Beside them, without a bar: a top layer that stops, and the plan from nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections import Counter
from dataclasses import replace
from functools import partial

from bench.planning.meeting import RATES, SIZES, STAGE, meeting
from focus.commands import Appeared, Estimate, Event, Rates, Vanished
from focus.conference import Running
from focus.garbage import look_rarely
from focus.snapshot import Conference
from focus.vocabulary import Alive, Asked, PeerId, Rid, Ticked, TrackId, Wanted

FULL_MS = 100.0
INCREMENTAL_MS = 2.0
BLOCKED_MS = 20.0
TOP = Rid("f")
SLOT = 0.01
"Seconds: what comes within is one turn."


class Stand:
    """The conference, its virtual clock, and how long its turns take."""

    def __init__(self, subscribers: int, tracks: int, seed: int) -> None:
        self.running: Running = meeting(subscribers, tracks, seed)
        self.chance = random.Random(seed)
        self.now = 10.0
        self.faults: Counter[str] = Counter()
        self.tracks: list[TrackId] = list(self.running.conference.tracks)
        self.peers: list[PeerId] = list(self.running.conference.peers)

    def turn(self, *events: Asked | Event) -> tuple[float, int]:
        """Let something happen: milliseconds that deciding took, and how many effects there were."""
        for event in events:
            self.running.post(event)
        start = time.perf_counter()
        effects = self.running.work(self.now, self.faults)
        return 1000 * (time.perf_counter() - start), len(effects)

    def from_nothing(self) -> float:
        """Plan all that there is, as if everybody had come at once."""
        whole = self.running.conference
        self.running.conference = Conference(whole.id, whole.limits, whole.codecs, whole.wide)
        start = time.perf_counter()
        self.running.take(whole, self.now)
        return 1000 * (time.perf_counter() - start)

    def rates(self, spread: float) -> list[Event]:
        """All tracks are measured."""
        by = partial(self.chance.uniform, 1 - spread, 1 + spread)
        return [Rates(track, tuple((rid, int(bps * by())) for rid, bps in RATES.items())) for track in self.tracks]

    def estimate(self, by: float) -> Event:
        """Somebody's link is estimated anew, so many times what it was."""
        peer = self.running.conference.peers[self.chance.choice(self.peers)]
        return Estimate(peer.id, max(200_000, int((peer.estimate or 0) * by)))

    def resize(self) -> Asked:
        """Somebody enlarges a tile."""
        peer = self.running.conference.peers[self.chance.choice(self.peers)]
        want = self.chance.choice(list(peer.wants.values()))
        size = STAGE if want.width != STAGE[0] else (320, 180)
        return Wanted(peer.id, (replace(want, width=size[0], height=size[1]),), ())

    def minute(self, seconds: float) -> list[float]:
        """The turns of a busy call."""
        turns: list[float] = []
        slots = int(seconds / SLOT)
        gone: TrackId | None = None
        for slot in range(slots):
            self.now += SLOT
            events: list[Asked | Event] = []
            # Each link moves once in two seconds, each person does something once in ten.
            events += [self.estimate(self.chance.uniform(0.9, 1.11)) for _ in range(self._some(0.5))]
            events += [self.resize() for _ in range(self._some(0.1))]
            events += [Alive(self.chance.choice(self.peers)) for _ in range(self._some(0.2))]
            if slot % 25 == 0:
                events.append(Ticked())
            if slot % 100 == 40:
                events += self.rates(0.12)
            if slot % 500 == 70:
                gone = self.chance.choice(self.tracks)
                events.append(Vanished(gone, TOP))
            elif slot % 500 == 270 and gone is not None:
                events.append(Appeared(gone, TOP, *SIZES[TOP]))
            if events:
                turns.append(self.turn(*events)[0])
        return turns

    def _some(self, each: float) -> int:
        """How many of them do something within a slot, if each does it so often a second."""
        expected = len(self.peers) * each * SLOT
        return int(expected) + (self.chance.random() < expected % 1)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.plan", description=__doc__)
    parser.add_argument("--subscribers", type=int, default=500)
    parser.add_argument("--tracks", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the call, in virtual time (default: 60)")
    arguments = parser.parse_args()
    # As the process of a focus does.
    look_rarely()
    stand = Stand(arguments.subscribers, arguments.tracks, 1)
    nothing = stand.from_nothing()
    full, part, layer = [], [], []
    effects = 0
    for _ in range(arguments.rounds):
        stand.now += 5
        # With a layer that stops, nobody waits for another turn.
        took, made = stand.turn(*stand.rates(0.5), Vanished(stand.tracks[1], TOP))
        full.append(took)
        effects += made
        for _ in range(20):
            stand.now += 0.25
            part.append(stand.turn(stand.estimate(stand.chance.choice((0.67, 1.5))))[0])
            part.append(stand.turn(stand.resize())[0])
        stand.now += 1
        layer.append(stand.turn(Vanished(stand.tracks[0], TOP))[0])
        stand.now += 5
        stand.turn(*(Appeared(track, TOP, *SIZES[TOP]) for track in stand.tracks[:2]))
    turns = stand.minute(arguments.seconds)
    p99 = statistics.quantiles(turns, n=100)[98]
    kept = statistics.median(full) < FULL_MS and statistics.median(part) < INCREMENTAL_MS and p99 < BLOCKED_MS
    kept = kept and not stand.faults
    print(
        json.dumps(
            {
                "bench": "plan", "subscribers": arguments.subscribers, "tracks": arguments.tracks,
                "full_ms": round(statistics.median(full), 2), "full_ms_most": round(max(full), 2),
                "full_effects": effects // arguments.rounds,
                "incremental_ms": round(statistics.median(part), 3),
                "incremental_ms_p95": round(statistics.quantiles(part, n=20)[18], 3),
                "layer_ms": round(statistics.median(layer), 2), "from_nothing_ms": round(nothing, 1),
                "blocked_ms_p50": round(statistics.median(turns), 3), "blocked_ms_p99": round(p99, 2),
                "blocked_ms_most": round(max(turns), 2), "turns": len(turns), "faults": dict(stand.faults),
                "load": os.getloadavg()[0], "pass": kept,
            }
        )
    )  # fmt: skip
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
