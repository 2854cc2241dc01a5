"""Which layer of each track one subscriber gets, within what its link carries.

Pure: tracks that it asks for with what their layers cost, a budget in bits a second, what
was granted before and the time. It knows nothing of peers, of the wire or of how a layer is
switched. Sound first, whatever the budget; then the base of a screen share; then the lowest
layer of every track; then, step by step, the upgrade with the most utility for its bits.
Down at once, up with patience.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from operator import itemgetter
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

from focus.vocabulary import Rid

K = TypeVar("K", bound=Hashable)

UNIT = 320.0 * 180.0
"Pixels of a thumbnail: what they add is counted in such."
BITS_A_PIXEL = 2.6
"Bits a second that a pixel takes, as encoders spend them: 150 kbit/s at 320 x 180, 600 at 640 x 360."
FULL_RATE = 30.0
STAYS = 1.05
"What flows may exceed the budget by so much: rates and estimates waver."
HEADROOM = 1.1
"An upgrade must leave that much."
HELD = 1.0
"Seconds that there must have been room before an upgrade."
TRUSTED = 3.0
"Seconds after which room that leaves nothing is enough: a link may be just so wide."
REGRET = 10.0
"Seconds: an upgrade that is taken back sooner had not been wise."
PATIENCE = 2.0
"Seconds from a downgrade to the next upgrade; doubled by each that had not been wise."
MOST_PATIENCE = 60.0
ANOTHER = 1.5
"With so many times the budget that had seemed enough it is another link, and nothing on it was unwise."
SWAP = 1.1
"Utility must grow so much before one track's quality is taken for another's."
PAUSED = -1
"The place of no option."


class Class(IntEnum):
    """What a track is, in order of who is served first."""

    AUDIO = 0
    SCREEN = 1
    CAMERA = 2


STILL = {Class.AUDIO: 0.0, Class.SCREEN: 0.05, Class.CAMERA: 0.2}
"Part of its worth that a picture loses with each halving of its rate: a screen is read."


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


class Step(NamedTuple):
    """An upgrade along the convex hull of an ask's options."""

    worth: float
    "Utility for a bit."
    bps: float
    "What it costs more."
    place: int
    "To which option it leads."


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """What a subscriber wants of one track. Who wants the same can share the value: it is told by identity."""

    kind: Class
    options: tuple[Option, ...]
    "What flows and is not more than it wants, cheapest first and each better than the one before; at least one."
    shown: float = UNIT
    "Pixels in which it is shown."
    weight: float = 1.0
    costs: tuple[float, ...] = field(init=False, repr=False)
    "Bits a second by place; that of `PAUSED`, 0, comes last."
    worths: tuple[float, ...] = field(init=False, repr=False)
    "Utility, likewise."
    steps: tuple[Step, ...] = field(init=False, repr=False)
    "From the first option to the best, falling in worth."
    turn: tuple[int, float, float] = field(init=False, repr=False)
    "Who has the least is served first."

    def __post_init__(self) -> None:
        """Look up once what is the same for all who share it."""
        worths = tuple(self._worth(option) for option in self.options)
        object.__setattr__(self, "costs", (*(option.bps for option in self.options), 0.0))
        object.__setattr__(self, "worths", (*worths, 0.0))
        object.__setattr__(self, "steps", tuple(_hull(self.options, worths)))
        object.__setattr__(self, "turn", (int(self.kind), -self.weight, -self.shown))

    def _worth(self, option: Option) -> float:
        """What somebody has of an option: pixels that it sees, in doublings, and how smoothly."""
        if self.kind is Class.AUDIO:
            return 0.0
        still = STILL[self.kind] * math.log2(max(1.0, FULL_RATE / max(option.fps, 1.0)))
        return self.weight * math.log2(1.0 + min(option.pixels, self.shown) / UNIT) * max(0.0, 1.0 - still)


def _hull(options: Sequence[Option], worths: Sequence[float]) -> list[Step]:
    """Again and again the step with the most utility for its bits."""
    steps: list[Step] = []
    place = 0
    while True:
        further = [
            Step((worths[aim] - worths[place]) / max(options[aim].bps - options[place].bps, 1.0),
                 options[aim].bps - options[place].bps, aim)
            for aim in range(place + 1, len(options)) if worths[aim] > worths[place]
        ]  # fmt: skip
        if not further:
            return steps
        steps.append(max(further, key=lambda step: (step.worth, step.place)))
        place = steps[-1].place


class Move(NamedTuple):
    """When a track's option changed last."""

    since: float
    rose: bool
    "For the better, or it had all from the start."
    regrets: int = 0
    "Upgrades in a row that were soon taken back."
    budget: float = math.inf
    "At the last upgrade."


@dataclass(frozen=True, slots=True)
class Allotment(Generic[K]):
    """What a subscriber's tracks have, and since when there is room for more."""

    asks: Mapping[K, Ask] = field(default_factory=lambda: MappingProxyType({}))
    places: Mapping[K, int] = field(default_factory=lambda: MappingProxyType({}))
    "What each has of its options; `PAUSED` where the link does not carry it."
    moves: Mapping[K, Move] = field(default_factory=lambda: MappingProxyType({}))
    roomy: float | None = None
    again: float = math.inf
    "When time alone may change the decision."

    def option(self, key: K) -> Option | None:
        """What a track has, None while it is paused or not asked for."""
        place = self.places.get(key, PAUSED)
        return self.asks[key].options[place] if place != PAUSED else None


def best(asks: Collection[Ask], budget: float) -> list[int]:
    """The option of each ask, by place, within the budget: without memory. Sound is granted in any case."""
    places = [PAUSED] * len(asks)
    left = budget
    turns = [(ask.turn, n, ask) for n, ask in enumerate(asks)]
    turns.sort(key=itemgetter(0, 1))
    steps: list[tuple[float, int, int, float, Ask]] = []
    for _, n, ask in turns:
        base = ask.costs[0]
        # One screen or camera that does not fit stays paused; a cheaper one after it may fit.
        if base <= left or ask.kind is Class.AUDIO:
            places[n] = 0
            left -= base
            for worth, more, place in ask.steps:
                steps.append((-worth, n, place, more, ask))
    steps.sort(key=itemgetter(0, 1, 2))
    full = set()
    for _, n, place, more, ask in steps:
        if n in full:
            continue
        if more <= left:
            places[n] = place
            left -= more
            continue
        # What comes after is dearer still, but a smaller step may lie within the one that does not fit.
        full.add(n)
        here = places[n]
        fitting = [aim for aim in range(here + 1, place) if ask.costs[aim] - ask.costs[here] <= left]
        if fitting:
            places[n] = max(fitting, key=ask.worths.__getitem__)
            left -= ask.costs[places[n]] - ask.costs[here]
    return places


def need(asks: Collection[Ask]) -> float:
    """Bits a second that all of it would take, with the room that the last upgrade wants."""
    return sum(ask.costs[-2] for ask in asks) * HEADROOM


def allocate(asks: Mapping[K, Ask], budget: float, before: Allotment[K], now: float) -> Allotment[K]:
    """Decide for one subscriber. `before` itself comes back where nothing changes."""
    every = list(asks.values())
    held, fresh = _held(asks, before)
    everything = sum([ask.costs[-2] for ask in every])
    spent = sum([ask.costs[place] for ask, place in zip(every, held, strict=True)])
    roomy: float | None = None
    again = math.inf
    if spent > budget * STAYS:
        goal = best(every, budget)
        places = [aim if n in fresh else min(aim, have) for n, (aim, have) in enumerate(zip(goal, held, strict=True))]
    elif fresh:
        places = _served(every, held, fresh, budget, everything)
    elif spent >= everything:
        places = held
    else:
        moves = [before.moves.get(key) for key in asks]
        places, roomy, again = _raised(every, moves, held, budget, everything, before.roomy, now)
    return _settled(asks, places, held, budget, roomy, again, before, now)


def _held(asks: Mapping[K, Ask], before: Allotment[K]) -> tuple[list[int], set[int]]:
    """What each has of what there is now, and who asks for the first time or for something else, or is paused and could
    have something smaller now: layers appear one by one, not the smallest first."""
    had, places = before.asks, before.places
    held: list[int] = []
    fresh: set[int] = set()
    for key, ask in asks.items():
        old = had.get(key)
        if old is ask:
            held.append(places[key])
            continue
        if old is None:
            fresh.add(len(held))
            held.append(PAUSED)
            continue
        place = places[key]
        if old.options[-1].layer != ask.options[-1].layer or place == PAUSED and _smaller(ask, old):
            fresh.add(len(held))
        held.append(_kept(ask, old, place))
    return held, fresh


def _smaller(ask: Ask, old: Ask) -> bool:
    """Whether the smallest layer was not there before."""
    return all(option.layer != ask.options[0].layer for option in old.options)


def _kept(ask: Ask, old: Ask, place: int) -> int:
    """The place of what was granted among what there is now: itself, or else the next lower."""
    if place == PAUSED:
        return PAUSED
    had = old.options[place]
    if place < len(ask.options) and _same(ask.options[place], had):
        return place
    same = (aim for aim, option in enumerate(ask.options) if _same(option, had))
    lower = (
        aim for aim in reversed(range(len(ask.options)))
        if (ask.options[aim].pixels, ask.options[aim].fps) <= (had.pixels, had.fps)
    )  # fmt: skip
    return next(same, next(lower, 0))


def _same(one: Option, two: Option) -> bool:
    return (one.layer, one.spatial, one.temporal) == (two.layer, two.spatial, two.temporal)


def _served(every: list[Ask], held: list[int], fresh: set[int], budget: float, everything: float) -> list[int]:
    """Serve those who ask anew beside what the others have; where that is too much, as if all asked anew."""
    goal = [len(ask.options) - 1 for ask in every] if everything <= budget else best(every, budget)
    beside = [goal[n] if n in fresh else have for n, have in enumerate(held)]
    if sum(ask.costs[place] for ask, place in zip(every, beside, strict=True)) <= budget:
        return beside
    return [goal[n] if n in fresh else min(goal[n], have) for n, have in enumerate(held)]


def _raised(
    every: list[Ask],
    moves: list[Move | None],
    held: list[int],
    budget: float,
    everything: float,
    roomy: float | None,
    now: float,
) -> tuple[list[int], float | None, float]:
    """Raise what may rise: the places, since when there is room, and when to look again."""
    hold = HELD
    goal, higher, swaps = _better(every, held, budget / HEADROOM, everything)
    if not higher:
        goal, higher, swaps = _better(every, held, budget, everything)
        hold = TRUSTED
    if not higher:
        return held, None, math.inf
    since = now if roomy is None else roomy
    waits = {n: max(since + hold, _patient(moves[n], budget)) for n in higher}
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


def _better(every: list[Ask], held: list[int], room: float, everything: float) -> tuple[list[int], list[int], bool]:
    """What could be with so much room, which are higher then, and whether others are lower for it."""
    goal = [len(ask.options) - 1 for ask in every] if everything <= room else best(every, room)
    higher = [n for n, have in enumerate(held) if goal[n] > have]
    swaps = any(goal[n] < have for n, have in enumerate(held))
    if higher and swaps and _worth(every, goal) < SWAP * _worth(every, held):
        # Not worth what others would lose; but what is left over may be used.
        goal = _over(every, held, higher, room)
        higher = [n for n in higher if goal[n] > held[n]]
        swaps = False
    return goal, higher, swaps


def _worth(every: Sequence[Ask], places: Sequence[int]) -> float:
    return sum(ask.worths[place] for ask, place in zip(every, places, strict=True))


def _over(every: list[Ask], held: list[int], higher: Sequence[int], room: float) -> list[int]:
    """What is left over goes to those who may rise, the most useful first."""
    places = list(held)
    left = room - sum(ask.costs[place] for ask, place in zip(every, held, strict=True))
    for n in sorted(higher, key=lambda n: every[n].turn):
        ask = every[n]
        have = ask.costs[held[n]]
        fitting = [aim for aim in range(held[n] + 1, len(ask.options)) if ask.costs[aim] - have <= left]
        if fitting:
            places[n] = fitting[-1]
            left -= ask.costs[fitting[-1]] - have
    return places


def _patient(move: Move | None, budget: float) -> float:
    """Until when a track waits for its next upgrade."""
    if move is None or move.rose:
        return -math.inf
    regrets = move.regrets if budget < ANOTHER * move.budget else 0
    return move.since + min(PATIENCE * 2.0**regrets, MOST_PATIENCE)


def _settled(
    asks: Mapping[K, Ask],
    places: list[int],
    held: list[int],
    budget: float,
    roomy: float | None,
    again: float,
    before: Allotment[K],
    now: float,
) -> Allotment[K]:
    """Write down what was decided; what is as it was is taken over."""
    if asks == before.asks:
        asks = before.asks
    found: Mapping[K, int] = dict(zip(asks, places, strict=True))
    moves = before.moves
    if places != held or before.asks.keys() != asks.keys():
        moves = {
            key: _moved(ask, before.asks.get(key), place, have, moves.get(key), budget, now)
            for (key, ask), place, have in zip(asks.items(), places, held, strict=True)
        }
    if found == before.places:
        found = before.places
        if asks is before.asks and moves == before.moves and (roomy, again) == (before.roomy, before.again):
            return before
    return Allotment(asks, found, moves, roomy, again)


def _moved(ask: Ask, old: Ask | None, place: int, have: int, move: Move | None, budget: float, now: float) -> Move:
    if move is None or old is None:
        return Move(now, place == len(ask.options) - 1)
    if place == have:
        return move
    rose = place > have
    regrets = move.regrets
    if not rose and old.options[-1].layer == ask.options[-1].layer:
        regrets = min(regrets + 1, 5) if move.rose and now - move.since < REGRET else regrets
    elif rose and move.rose and now - move.since > 3 * REGRET:
        regrets = 0
    return Move(now, rose, regrets, budget if rose else move.budget)
