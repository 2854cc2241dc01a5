"""The cases of RFC 8867, sections 5.1 to 5.8, as values: who sends when, over which bottleneck. Nothing runs here.

One-way delay 50 ms and a drop-tail queue of 300 ms where a case names no other. Rates are those
of the paths; the times of the steps are the RFC's, with what it leaves open chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tests.bottleneck import Steps
from tests.wire import Bursts, Conditions

MEGABIT = 1e6
DELAY = 0.05


def steps(*pairs: tuple[float, float]) -> Steps:
    """From seconds and Mbit/s."""
    return tuple((when, rate * MEGABIT) for when, rate in pairs)


@dataclass(frozen=True, slots=True)
class Flow:
    """A picture that one end sends to the other."""

    start: float = 0.0
    paused: tuple[float, float] | None = None
    back: bool = False
    "It is sent against the others, over the other direction's bottleneck."
    delay: float = DELAY


@dataclass(frozen=True, slots=True)
class Case:
    """One case."""

    name: str
    seconds: float
    rates: Steps
    flows: tuple[Flow, ...]
    rates_back: Steps | None = None
    "None: what goes back meets no bottleneck."
    queue: float = 0.3
    long_transfers: int = 0
    "Of TCP, from the beginning."
    short_transfers: int = 0
    alike: tuple[float, float] | None = None
    "While the flows are compared with each other, and should get the same."
    path: Conditions = field(default_factory=Conditions)
    "What the way there does beside its delay and its rate."
    back_later: float = 0.0
    "Seconds by which feedback is late."


TABLE: tuple[Case, ...] = (
    Case("5.1", 100, steps((0, 1), (40, 2.5), (60, 0.6), (80, 1)), (Flow(),)),
    Case("5.2", 125, steps((0, 4), (25, 2), (50, 3.5), (75, 1), (100, 2)), (Flow(), Flow())),
    Case(
        "5.3",
        100,
        steps((0, 2), (20, 1), (40, 0.5), (60, 2)),
        (Flow(), Flow(back=True)),
        rates_back=steps((0, 2), (35, 0.8), (70, 2)),
    ),
    Case("5.4", 120, steps((0, 3.5)), tuple(Flow(start=start) for start in (0, 20, 40)), alike=(60, 120)),
    Case(
        "5.5",
        300,
        steps((0, 4)),
        tuple(Flow(start=10 * n, delay=delay) for n, delay in enumerate((0.01, 0.025, 0.05, 0.1, 0.15))),
    ),
    Case("5.6", 120, steps((0, 2)), (Flow(start=5),), long_transfers=1),
    Case("5.6, 1 s of queue", 120, steps((0, 2)), (Flow(start=5),), queue=1.0, long_transfers=1),
    Case("5.7", 300, steps((0, 2)), (Flow(), Flow()), short_transfers=10),
    Case("5.8", 120, steps((0, 3.5)), (Flow(paused=(40, 60)), Flow(), Flow()), alike=(80, 120)),
)

BURSTS = Bursts(begins=1 / 27, ends=1 / 3)
"10 % of the packets, three in a row at the mean."


def slower(case: Case) -> Case:
    """With 100 ms more each way."""
    flows = tuple(replace(flow, delay=flow.delay + 0.1) for flow in case.flows)
    return replace(case, name=f"{case.name}, 100 ms more", flows=flows)


def lossy(case: Case) -> Case:
    """With a tenth of the packets lost in bursts on the way there."""
    return replace(case, name=f"{case.name}, 10 % lost in bursts", path=replace(case.path, bursts=BURSTS))


def late(case: Case) -> Case:
    """With feedback half a second late."""
    return replace(case, name=f"{case.name}, feedback 500 ms late", back_later=0.5)


HARDER: tuple[Case, ...] = tuple(harder(case) for harder in (slower, lossy, late) for case in TABLE)
