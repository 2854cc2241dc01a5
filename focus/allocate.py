"""Which layer of each track one subscriber gets, within what its link carries.

Pure: tracks that it asks for in order of their weight, what their layers cost, a budget in
bits a second, what was granted before and the time. It knows nothing of peers, of the wire
or of how a layer is switched. Sound first, whatever the budget; then the base of a screen
share; then the lowest layer of every track; then, step by step, the upgrade with the most
utility for its bits. Down at once, up with patience.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from types import MappingProxyType
from typing import Generic, TypeVar

from focus.vocabulary import Rid

K = TypeVar("K", bound=Hashable)

UNIT = 320.0 * 180.0
"Pixels of a thumbnail: what they add is counted in such."
FULL_RATE = 30.0
STAYS = 1.05
"What flows may exceed the budget by so much: rates and estimates waver."
HEADROOM = 1.1
"An upgrade must leave that much."
HELD = 1.0
"Seconds that there must have been room before an upgrade."
REGRET = 10.0
"Seconds: an upgrade that is taken back sooner had not been wise."
PATIENCE = 2.0
"Seconds from a downgrade to the next upgrade; doubled by each that had not been wise."
MOST_PATIENCE = 60.0
SWAP = 1.1
"Utility must grow so much before one track's quality is taken for another's."
PAUSED = -1


class Class(IntEnum):
    """What a track is, in order of who is served first."""

    AUDIO = 0
    SCREEN = 1
    CAMERA = 2


@dataclass(frozen=True, slots=True)
class Option:
    """One way to carry a track: a layer, or a part of one."""

    layer: Rid
    bps: float
    "Bits a second with all that it needs."
    pixels: float = 0.0
    fps: float = FULL_RATE
    spatial: int | None = None
    "Highest spatial id within the layer, None for all."
    temporal: int | None = None


@dataclass(frozen=True, slots=True)
class Ask(Generic[K]):
    """What a subscriber wants of one track."""

    key: K
    kind: Class
    options: tuple[Option, ...]
    "What flows and is not more than it wants, cheapest first and each better than the one before."
    shown: float = UNIT
    "Pixels in which it is shown."
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Grant:
    """What one track has."""

    option: Option | None
    "None: paused, the link does not carry it."
    top: Option
    "The best that was wanted then: another one means that the subscriber asks for something new."
    since: float
    "When it changed last."
    rose: bool = False
    "It changed for the better."
    regrets: int = 0
    "Upgrades in a row that were soon taken back."


@dataclass(frozen=True, slots=True)
class Allotment(Generic[K]):
    """What a subscriber's tracks have, and since when there is room for more."""

    grants: Mapping[K, Grant] = field(default_factory=lambda: MappingProxyType({}))
    roomy: float | None = None
    again: float = math.inf
    "When time alone may change the decision."


def utility(ask: Ask[K], place: int) -> float:
    """What a subscriber has of an option, 0 while paused: pixels that it sees, in doublings, and how smoothly."""
    if place == PAUSED or ask.kind is Class.AUDIO:
        return 0.0
    option = ask.options[place]
    smooth = max(0.0, 1.0 - 0.2 * math.log2(max(1.0, FULL_RATE / max(option.fps, 1.0))))
    return ask.weight * math.log2(1.0 + min(option.pixels, ask.shown) / UNIT) * smooth


def best(asks: Sequence[Ask[K]], budget: float) -> list[int]:
    """The option of each ask, by place, within the budget: without memory. Sound is granted in any case."""
    places = [PAUSED] * len(asks)
    left = budget
    order = sorted(range(len(asks)), key=lambda n: (asks[n].kind, -asks[n].weight, -asks[n].shown))
    for n in order:
        ask = asks[n]
        base = ask.options[0].bps
        # One screen or camera that does not fit stays paused; a cheaper one after it may fit.
        if ask.kind is Class.AUDIO or base <= left:
            places[n] = 0
            left -= base
    steps = [step for n in range(len(asks)) if places[n] == 0 and (step := _step(asks[n], n, 0)) is not None]
    heapq.heapify(steps)
    while steps:
        _, n, place = heapq.heappop(steps)
        more = asks[n].options[place].bps - asks[n].options[places[n]].bps
        if more > left:
            # The step after next is dearer still, but a smaller one may lie within the one that does not fit.
            smaller = _within(asks[n], places[n], place, left)
            if smaller is None:
                continue
            place = smaller
            more = asks[n].options[place].bps - asks[n].options[places[n]].bps
        left -= more
        places[n] = place
        following = _step(asks[n], n, place)
        if following is not None:
            heapq.heappush(steps, following)
    return places


def _step(ask: Ask[K], n: int, place: int) -> tuple[float, int, int] | None:
    """The upgrade with the most utility for its bits (an edge of the convex hull): its worth negated, n, place."""
    here, cost = utility(ask, place), ask.options[place].bps
    found = None
    for further in range(place + 1, len(ask.options)):
        more = max(ask.options[further].bps - cost, 1.0)
        worth = (utility(ask, further) - here) / more
        if worth > 0 and (found is None or worth > found[0]):
            found = (worth, further)
    return None if found is None else (-found[0], n, found[1])


def _within(ask: Ask[K], place: int, further: int, left: float) -> int | None:
    """The best option between two that fits into what is left."""
    here = ask.options[place].bps
    fitting = [between for between in range(place + 1, further) if ask.options[between].bps - here <= left]
    return max(fitting, key=lambda between: utility(ask, between), default=None)


def need(asks: Sequence[Ask[K]]) -> float:
    """Bits a second that all of it would take, with the room that the last upgrade wants."""
    return sum(ask.options[-1].bps for ask in asks) * HEADROOM


def allocate(asks: Sequence[Ask[K]], budget: float, before: Allotment[K], now: float) -> Allotment[K]:
    """Decide for one subscriber. Asks have at least one option each."""
    had = [before.grants.get(ask.key) for ask in asks]
    # Who asks for the first time, or for something else, is served at once.
    fresh = [grant is None or grant.top.layer != ask.options[-1].layer for ask, grant in zip(asks, had, strict=True)]
    held = [_held(ask, grant) for ask, grant in zip(asks, had, strict=True)]
    everything = sum(ask.options[-1].bps for ask in asks)
    goal = [len(ask.options) - 1 for ask in asks] if everything <= budget else best(asks, budget)
    roomy: float | None = None
    again = math.inf
    if _cost(asks, held) > budget * STAYS:
        places = [min(aim, have) if not new else aim for aim, have, new in zip(goal, held, fresh, strict=True)]
    elif any(fresh):
        places = _served(asks, goal, held, fresh, budget)
    else:
        places, roomy, again = _raised(asks, had, held, budget, before.roomy, now)
    grants = {ask.key: _grant(ask, place, grant, now) for ask, place, grant in zip(asks, places, had, strict=True)}
    return Allotment(MappingProxyType(grants), roomy, again)


def _held(ask: Ask[K], grant: Grant | None) -> int:
    """The place of what was granted among what there is now: itself, or else the next lower."""
    if grant is None or grant.option is None:
        return PAUSED
    had = grant.option
    places = [
        place for place, option in enumerate(ask.options)
        if (option.layer, option.spatial, option.temporal) == (had.layer, had.spatial, had.temporal)
        or option.pixels <= had.pixels and option.fps <= had.fps
    ]  # fmt: skip
    return max(places, default=0)


def _cost(asks: Sequence[Ask[K]], places: Sequence[int]) -> float:
    return sum(ask.options[place].bps for ask, place in zip(asks, places, strict=True) if place != PAUSED)


def _worth(asks: Sequence[Ask[K]], places: Sequence[int]) -> float:
    return sum(utility(ask, place) for ask, place in zip(asks, places, strict=True))


def _served(
    asks: Sequence[Ask[K]], goal: Sequence[int], held: Sequence[int], fresh: Sequence[bool], budget: float
) -> list[int]:
    """Serve those who ask anew beside what the others have; where that is too much, as if all asked anew."""
    beside = [aim if new else have for aim, have, new in zip(goal, held, fresh, strict=True)]
    if _cost(asks, beside) <= budget:
        return beside
    return [aim if new else min(aim, have) for aim, have, new in zip(goal, held, fresh, strict=True)]


def _raised(
    asks: Sequence[Ask[K]],
    had: Sequence[Grant | None],
    held: list[int],
    budget: float,
    roomy: float | None,
    now: float,
) -> tuple[list[int], float | None, float]:
    """Raise what may rise: the places, since when there is room, and when to look again."""
    everything = sum(ask.options[-1].bps for ask in asks)
    room = budget / HEADROOM
    goal = [len(ask.options) - 1 for ask in asks] if everything <= room else best(asks, room)
    higher = [n for n in range(len(asks)) if goal[n] > held[n]]
    if not higher:
        return held, None, math.inf
    swaps = any(goal[n] < held[n] for n in range(len(asks)))
    if swaps and _worth(asks, goal) < SWAP * _worth(asks, held):
        # Not worth what others would lose; but what is left over may be used.
        goal = _over(asks, held, higher, room)
        higher = [n for n in range(len(asks)) if goal[n] > held[n]]
        swaps = False
        if not higher:
            return held, None, math.inf
    since = now if roomy is None else roomy
    waits = {n: max(since + HELD, _patient(had[n])) for n in higher}
    ready = [n for n in higher if waits[n] <= now]
    if not ready or (swaps and len(ready) < len(higher)):
        return held, since, max(waits.values()) if swaps else min(waits.values())
    if swaps:
        return goal, None, math.inf
    places = list(held)
    for n in ready:
        places[n] = goal[n]
    waiting = [waits[n] for n in higher if n not in ready]
    return places, since, min(waiting, default=math.inf)


def _over(asks: Sequence[Ask[K]], held: list[int], higher: Sequence[int], room: float) -> list[int]:
    """What is left over goes to those who may rise, the most useful first."""
    places = list(held)
    left = room - _cost(asks, held)
    for n in sorted(higher, key=lambda n: -asks[n].weight):
        options = asks[n].options
        have = options[held[n]].bps if held[n] != PAUSED else 0.0
        fitting = [place for place in range(held[n] + 1, len(options)) if options[place].bps - have <= left]
        if fitting:
            places[n] = fitting[-1]
            left -= options[fitting[-1]].bps - have
    return places


def _patient(grant: Grant | None) -> float:
    """Until when a track waits for its next upgrade."""
    if grant is None or grant.rose:
        return -math.inf
    return grant.since + min(PATIENCE * 2.0**grant.regrets, MOST_PATIENCE)


def _grant(ask: Ask[K], place: int, grant: Grant | None, now: float) -> Grant:
    option = ask.options[place] if place != PAUSED else None
    top = ask.options[-1]
    if grant is None:
        return Grant(option, top, now, rose=option is top)
    before = _held(ask, grant)
    if place == before:
        same = grant.option == option and grant.top == top
        return grant if same else replace(grant, option=option, top=top)
    rose = place > before
    regrets = grant.regrets
    if not rose and grant.top.layer == top.layer:
        regrets = min(regrets + 1, 5) if grant.rose and now - grant.since < REGRET else regrets
    elif rose and grant.rose and now - grant.since > 3 * REGRET:
        regrets = 0
    return Grant(option, top, now, rose, regrets)
