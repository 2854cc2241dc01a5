"""A case of RFC 8867 from beginning to end in virtual time: what each flow got, and what the queue did.

`played` runs it with any estimator; chance is a seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from tests.bottleneck import Bottleneck, Passed
from tests.congestion.cases import DELAY, Case, Flow
from tests.congestion.clock import Clock, Post
from tests.congestion.media import Estimates, Fate, Media, Packet
from tests.congestion.tcp import ShortTransfers, Tcp
from tests.wire import Conditions

T = TypeVar("T")

FREE: Conditions = Conditions(delay=DELAY)
"The way back of a transfer, and of feedback where the case has no bottleneck there."


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a case."""

    case: Case
    received: tuple[tuple[tuple[float, int], ...], ...]
    "For each flow: when, and how many bytes."
    estimates: tuple[tuple[tuple[float, float], ...], ...]
    "For each flow: when, and what it might send, in bits a second."
    others: tuple[tuple[float, int], ...]
    "What TCP's ends received."
    there: tuple[Passed, ...]
    "What came to the bottleneck."
    back: tuple[Passed, ...]


def played(case: Case, estimate: Callable[[], Estimates], seed: int = 1, feedback: float = 0.1) -> Played:
    """Run it, with an estimator for each flow."""
    clock, chance = Clock(), random.Random(seed)
    there = Bottleneck(case.rates, case.queue, book=[])
    back = None if case.rates_back is None else Bottleneck(case.rates_back, case.queue, book=[])

    def post(conditions: Conditions, shared: Bottleneck | None, of: type[T]) -> Post[T]:
        wire = Post[T](conditions, random.Random(chance.getrandbits(63)), shared)
        wire.clock = clock
        return wire

    def transfer() -> tuple[Post[int], Post[int]]:
        return post(FREE, there, int), post(FREE, None, int)

    def media(flow: Flow) -> Media:
        way = (there, back) if not flow.back else (back, there)
        path = replace(case.path, delay=flow.delay)
        return Media(
            clock,
            estimate(),
            post(path, way[0], Packet),
            post(Conditions(delay=flow.delay + case.back_later), way[1] if case.rates_back else None, list[Fate]),
            random.Random(chance.getrandbits(63)),
            start=flow.start,
            paused=flow.paused,
            feedback=feedback,
        )

    flows = [media(flow) for flow in case.flows]
    transfers: list[Tcp | ShortTransfers] = [Tcp(clock, *transfer()) for _ in range(case.long_transfers)]
    transfers += [
        ShortTransfers(clock, transfer, random.Random(chance.getrandbits(63))) for _ in range(case.short_transfers)
    ]
    clock.run(case.seconds)
    return Played(
        case,
        tuple(tuple(flow.received) for flow in flows),
        tuple(tuple(flow.estimates) for flow in flows),
        tuple(sorted(one for each in transfers for one in each.received)),
        tuple(there.book or ()),
        tuple(back.book or ()) if back is not None else (),
    )
