"""What a played case is worth: shares of the capacity, delay in the queue, how fast steps are followed. Pure.

Capacity is the bottleneck's, integrated over time. A queue's delay is what packets waited, not
what the path takes. RFC 8868 says what is to be told of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.bottleneck import Passed, bits_between, rate_at
from tests.congestion.play import Played

INTERVAL = 0.2
"Seconds of a point in the curves."
REACHED = 0.9
WHILE = 3
"Intervals."
SHORT = 0.05
"Seconds: a queue below it is short."


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one case."""

    used: float
    "Of the capacity, by all that came through."
    shares: tuple[float, ...]
    "Of the capacity while it sends, for each flow."
    queue_p95: float
    "Seconds."
    lost: float
    "Of the packets that came to the bottleneck."
    up: tuple[float, ...]
    "Seconds until a step up is nine tenths used, for each."
    down: tuple[float, ...]
    "Seconds until the queue is short after a step down, for each."
    jain: float | None
    "1: all flows that should get the same do. None: none should."


def bits(received: Sequence[tuple[float, int]], start: float, end: float) -> float:
    """What arrived between two times."""
    return 8.0 * sum(size for at, size in received if start <= at < end)


def quantile(values: Sequence[float], part: float) -> float:
    """The value that so many are not above; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def jain(shares: Sequence[float]) -> float:
    """Jain's index of fairness: 1 when all are the same, 1/n when one has everything."""
    squares = len(shares) * sum(share * share for share in shares)
    return sum(shares) ** 2 / squares if squares else 0.0


def curve(received: Sequence[tuple[float, int]], seconds: float) -> list[float]:
    """Bits a second in each interval."""
    found = [0.0] * round(seconds / INTERVAL)
    for at, size in received:
        place = int(at / INTERVAL)
        if place < len(found):
            found[place] += size * 8 / INTERVAL
    return found


def waits(book: Sequence[Passed], seconds: float) -> list[float]:
    """The longest wait in each interval, in seconds."""
    found = [0.0] * round(seconds / INTERVAL)
    for one in book:
        place = int(one.at / INTERVAL)
        if one.wait is not None and place < len(found):
            found[place] = max(found[place], one.wait)
    return found


def losses(book: Sequence[Passed], seconds: float) -> list[float]:
    """Of the packets of each interval, the part that was lost for want of room."""
    came, lost = [0] * round(seconds / INTERVAL), [0] * round(seconds / INTERVAL)
    for one in book:
        place = int(one.at / INTERVAL)
        if place < len(came):
            came[place] += 1
            lost[place] += one.wait is None
    return [gone / all_of_it if all_of_it else 0.0 for gone, all_of_it in zip(lost, came, strict=True)]


def figures(run: Played) -> Figures:
    """All of a case. Where pictures go both ways, the way there is judged; what goes back has its share."""
    case = run.case
    there = [got for got, flow in zip(run.received, case.flows, strict=True) if not flow.back]
    everything = sorted([one for got in there for one in got] + list(run.others))
    capacity = bits_between(case.rates, 0, case.seconds)
    through = curve(everything, case.seconds)
    delays = waits(run.there, case.seconds)
    rates = [(when, rate_at(case.rates, when - 1e-9), rate) for when, rate in case.rates[1:]]
    shares = []
    for got, flow in zip(run.received, case.flows, strict=True):
        steps = case.rates_back if flow.back and case.rates_back is not None else case.rates
        shares.append(bits(got, flow.start, case.seconds) / bits_between(steps, flow.start, case.seconds))
    alike = None
    if case.alike is not None:
        alike = jain([bits(got, *case.alike) for got in there])
    return Figures(
        used=bits(everything, 0, case.seconds) / capacity,
        shares=tuple(shares),
        queue_p95=quantile([one.wait for one in run.there if one.wait is not None], 0.95),
        lost=sum(one.wait is None for one in run.there) / max(1, len(run.there)),
        up=tuple(risen(through, when, rate) for when, before, rate in rates if rate > before),
        down=tuple(drained(delays, when) for when, before, rate in rates if rate < before),
        jain=alike,
    )


def risen(through: Sequence[float], when: float, rate: float) -> float:
    """Seconds from a step until nine tenths of the new rate come through for a while; infinite: never."""
    for place in range(round(when / INTERVAL), len(through) - WHILE + 1):
        if sum(through[place : place + WHILE]) / WHILE >= REACHED * rate:
            return (place + WHILE) * INTERVAL - when
    return float("inf")


def drained(delays: Sequence[float], when: float) -> float:
    """Seconds from a step until, after its peak, nobody in an interval waits long; 0 where nobody ever did."""
    first = round(when / INTERVAL)
    window = delays[first : first + round(3 / INTERVAL)]
    if not window or max(window) < SHORT:
        return 0.0
    peak = first + window.index(max(window))
    for place in range(peak, len(delays)):
        if delays[place] < SHORT:
            return place * INTERVAL - when
    return float("inf")
