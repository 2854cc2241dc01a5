"""Which layer of each track one subscriber gets, within what its link carries.

Pure: tracks that it asks for with what their layers cost, a budget in bits a second, what
was granted before and the time. It knows nothing of peers, of the wire or of how a layer is
switched. Sound first, whatever the budget; then the base of a screen share; then the lowest
layer of every track; then, step by step, the upgrade with the most utility for its bits.
Down at once, up with patience.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from operator import lt
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct, field

from focus.ask import PAUSED, Ask, Carried, Class, Kept, Option, kept

K = TypeVar("K", bound=Hashable)

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
"""With so many times the budget that had seemed enough it is another link, and nothing on it was unwise.

What did not fit when it was first asked for may come at once then: what a link carries is not known before it is used.
"""
SWAP = 1.1
"Utility must grow so much before one track's quality is taken for another's."


NEVER = Kept(PAUSED, anew=True, same=False)
"Of who asks for the first time."


class Move(NamedTuple):
    """When a track's option changed last."""

    since: float
    rose: bool
    "For the better, or it had all from the start."
    regrets: int = 0
    "Upgrades in a row that were soon taken back."
    budget: float = math.inf
    "At the last upgrade, or when it was first asked for."
    first: bool = False
    "It has what it got when it was first asked for. That is no downgrade."


class Allotment(Struct, Generic[K], frozen=True):
    """What a subscriber's tracks have, and since when there is room for more."""

    asks: Mapping[K, Ask] = field(default_factory=lambda: MappingProxyType({}))
    places: Mapping[K, int] = field(default_factory=lambda: MappingProxyType({}))
    "What each has of its options; `PAUSED` where the link does not carry it."
    carried: Mapping[K, Carried] = field(default_factory=lambda: MappingProxyType({}))
    "What that is. As long as it is the same, so is the value."
    moves: Mapping[K, Move] = field(default_factory=lambda: MappingProxyType({}))
    roomy: float | None = None
    again: float = math.inf
    "When time alone may change the decision."

    def option(self, key: K) -> Option | None:
        """What a track has, None while it is paused or not asked for."""
        place = self.places.get(key, PAUSED)
        return self.asks[key].options[place] if place != PAUSED else None


def order(asks: Sequence[Ask]) -> list[int]:
    """Who is served first, by their numbers."""
    turns = [ask.turn for ask in asks]
    return sorted(range(len(turns)), key=turns.__getitem__)


def best(asks: Sequence[Ask], budget: float, turns: Sequence[int] | None = None) -> list[int]:
    """The option of each ask, by place, within the budget: without memory. Sound is granted in any case.

    `turns`: their order, where it is known.
    """
    places = [PAUSED] * len(asks)
    left = budget
    steps: list[tuple[float, int, int, float]] = []
    for n in order(asks) if turns is None else turns:
        ask = asks[n]
        base = ask.costs[0]
        # One screen or camera that does not fit stays paused; a cheaper one after it may fit.
        if base <= left or ask.kind is Class.AUDIO:
            places[n] = 0
            left -= base
            steps += [(rank, n, place, more) for rank, place, more in ask.steps]
    steps.sort()
    full = set()
    for _, n, place, more in steps:
        if more <= left:
            if n not in full:
                places[n] = place
                left -= more
        elif n not in full:
            # What comes after is dearer still, but a smaller step may lie within the one that does not fit.
            full.add(n)
            if place - (here := places[n]) > 1:
                ask = asks[n]
                fitting = [aim for aim in range(here + 1, place) if ask.costs[aim] - ask.costs[here] <= left]
                if fitting:
                    places[n] = max(fitting, key=ask.worths.__getitem__)
                    left -= ask.costs[places[n]] - ask.costs[here]
    return places


def need(asks: Collection[Ask]) -> float:
    """Bits a second that all of it would take, with the room that the last upgrade wants."""
    return sum([ask.most for ask in asks]) * HEADROOM


class Sharing(NamedTuple):
    """What is decided over: all asks by number, and what each has."""

    every: list[Ask]
    held: list[int]
    turns: Sequence[int]
    "Who is served first."
    budget: float
    most: float
    "What all of it would cost."

    def goal(self, room: float) -> list[int]:
        """What each would have of so much room if nobody had anything."""
        return [len(ask.options) - 1 for ask in self.every] if self.most <= room else best(self.every, room, self.turns)


def allocate(asks: Mapping[K, Ask], budget: float, before: Allotment[K], now: float) -> Allotment[K]:
    """Decide for one subscriber. `before` itself comes back where nothing changes."""
    every = list(asks.values())
    held, fresh, alike, same = _held(asks, before)
    most = sum([ask.most for ask in every])
    spent = _cost(every, held)
    # Where all of it fits, nobody's turn matters.
    turns = order(every) if most > budget / HEADROOM else ()
    sharing = Sharing(every, held, turns, budget, most)
    roomy: float | None = None
    again = math.inf
    if spent > budget * STAYS:
        goal = best(every, budget, turns)
        places = [aim if n in fresh else min(aim, have) for n, (aim, have) in enumerate(zip(goal, held, strict=True))]
    elif fresh:
        places = _served(sharing, fresh)
    elif spent >= most:
        places = held
    else:
        places, roomy, again = _raised(sharing, list(asks), before, now)
    moves = _moves(sharing, asks, places, before, now) if places != held or not alike else before.moves
    found: Mapping[K, int] = before.places
    carried: Mapping[K, Carried] = before.carried
    if not same or places != [*found.values()]:
        found = dict(zip(asks, places, strict=True))
        carried = {key: asks[key].carried[place] for key, place in found.items() if place != PAUSED}
        carried = before.carried if carried == before.carried else carried
    if asks == before.asks:
        if (found, moves, roomy, again) == (before.places, before.moves, before.roomy, before.again):
            return before
        asks = before.asks
    return Allotment(asks, found, carried, moves, roomy, again)


def _held(asks: Mapping[K, Ask], before: Allotment[K]) -> tuple[list[int], set[int], bool, bool]:
    """What each has of what there is now, who asks anew, whether these are the tracks that were, in that order, and
    whether there are the same options too."""
    keys, had, places = [*asks], before.asks, before.places
    olds: Iterable[Ask | None] = had.values()
    have: Iterable[int] = places.values()
    alike = same = keys == [*had] == [*places]
    if not alike:
        olds, have = [had.get(key) for key in keys], [places.get(key, PAUSED) for key in keys]
    held: list[int] = []
    fresh: set[int] = set()
    for ask, old, place in zip(asks.values(), olds, have, strict=True):
        if old is not ask:
            place, anew, as_was = kept(ask, old)[place] if old is not None else NEVER
            if anew:
                fresh.add(len(held))
            if not as_was:
                same = False
        held.append(place)
    return held, fresh, alike, same


def _cost(every: Sequence[Ask], places: Sequence[int]) -> float:
    return sum([ask.costs[place] for ask, place in zip(every, places, strict=True)])


def _served(sharing: Sharing, fresh: set[int]) -> list[int]:
    """Serve those who ask anew beside what the others have; where that is too much, as if all asked anew."""
    held = sharing.held
    goal = sharing.goal(sharing.budget)
    beside = [goal[n] if n in fresh else have for n, have in enumerate(held)]
    if _cost(sharing.every, beside) <= sharing.budget:
        return beside
    return [goal[n] if n in fresh else min(goal[n], have) for n, have in enumerate(held)]


def _raised(sharing: Sharing, keys: list[K], before: Allotment[K], now: float) -> tuple[list[int], float | None, float]:
    """Raise what may rise: the places, since when there is room, and when to look again."""
    held, budget = sharing.held, sharing.budget
    hold = HELD
    goal, higher, swaps = _better(sharing, budget / HEADROOM)
    if not higher:
        goal, higher, swaps = _better(sharing, budget)
        hold = TRUSTED
    if not higher:
        return held, None, math.inf
    since = now if before.roomy is None else before.roomy
    waits = {n: _waits(before.moves.get(keys[n]), since + hold, budget, spare=hold == HELD) for n in higher}
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


def _better(sharing: Sharing, room: float) -> tuple[list[int], list[int], bool]:
    """What could be with so much room, which are higher then, and whether others are lower for it."""
    every, held = sharing.every, sharing.held
    goal = sharing.goal(room)
    higher = [n for n, (aim, have) in enumerate(zip(goal, held, strict=True)) if aim > have]
    swaps = any(map(lt, goal, held))
    if higher and swaps and _worth(every, goal) < SWAP * _worth(every, held):
        # Not worth what others would lose; but what is left over may be used.
        goal = _over(every, held, higher, room)
        higher = [n for n in higher if goal[n] > held[n]]
        swaps = False
    return goal, higher, swaps


def _worth(every: Sequence[Ask], places: Sequence[int]) -> float:
    return sum([ask.worths[place] for ask, place in zip(every, places, strict=True)])


def _over(every: list[Ask], held: list[int], higher: Sequence[int], room: float) -> list[int]:
    """What is left over goes to those who may rise, the most useful first."""
    places = list(held)
    left = room - _cost(every, held)
    for n in sorted(higher, key=lambda n: every[n].turn):
        ask = every[n]
        have = ask.costs[held[n]]
        fitting = [aim for aim in range(held[n] + 1, len(ask.options)) if ask.costs[aim] - have <= left]
        if fitting:
            places[n] = fitting[-1]
            left -= ask.costs[fitting[-1]] - have
    return places


def _waits(move: Move | None, held: float, budget: float, *, spare: bool) -> float:
    """Until when a track waits for its next upgrade. `held`: when there was room long enough; `spare`: with more."""
    if move is None or move.rose:
        return held
    another = budget >= ANOTHER * move.budget
    if move.first:
        return -math.inf if another and spare else held
    return max(held, move.since + min(PATIENCE * 2.0 ** (0 if another else move.regrets), MOST_PATIENCE))


def _moves(
    sharing: Sharing, asks: Mapping[K, Ask], places: list[int], before: Allotment[K], now: float
) -> Mapping[K, Move]:
    """When each moved last, now that some have other places or there are others."""
    had, known = before.asks, before.moves
    return {
        key: _moved(ask, had.get(key), place, have, known.get(key), sharing.budget, now)
        for (key, ask), place, have in zip(asks.items(), places, sharing.held, strict=True)
    }


def _moved(ask: Ask, old: Ask | None, place: int, have: int, move: Move | None, budget: float, now: float) -> Move:
    if move is None or old is None:
        return Move(now, place == len(ask.options) - 1, budget=budget, first=True)
    if place == have:
        return move
    rose = place > have
    regrets = move.regrets
    if not rose and ask.seeks(old):
        regrets = min(regrets + 1, 5) if move.rose and now - move.since < REGRET else regrets
    elif rose and move.rose and now - move.since > 3 * REGRET:
        regrets = 0
    return Move(now, rose, regrets, budget if rose else move.budget)
