"""What a subscriber wants of one track: the options that there are for it, what each costs and what it is worth.

Pure, and shared: whoever wants the same of a track holds the same value, so what follows from it is looked up once.
It knows nothing of budgets and of who asks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from focus.vocabulary import Rid

UNIT = 320.0 * 180.0
"Pixels of a thumbnail: what they add is counted in such."
BITS_A_PIXEL = 2.6
"Bits a second that a pixel takes, as encoders spend them: 150 kbit/s at 320 x 180, 600 at 640 x 360."
FULL_RATE = 30.0
PAUSED = -1
"The place of no option."


Carried = tuple[Rid, int | None, int | None]
"A layer, and the highest spatial and temporal id within, None for all."


class Class(IntEnum):
    """What a track is, in order of who is served first."""

    AUDIO = 0
    SCREEN = 1
    CAMERA = 2


STILL = {Class.AUDIO: 0.0, Class.SCREEN: 0.05, Class.CAMERA: 0.2}
"Part of its worth that a picture loses with each halving of its rate: a screen is read."


class Option(Struct, frozen=True):
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

    rank: float
    "Utility for a bit, negative: the best comes first."
    place: int
    "To which option it leads."
    bps: float
    "What it costs more."


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
    carried: tuple[Carried, ...] = field(init=False, repr=False)
    "What the options are."
    most: float = field(init=False, repr=False)
    "Bits a second of the best."
    steps: tuple[Step, ...] = field(init=False, repr=False)
    "From the first option to the best, falling in worth."
    turn: tuple[int, float, float] = field(init=False, repr=False)
    "Who has the least is served first."

    def __post_init__(self) -> None:
        """Look up once what is the same for all who share it."""
        worths = tuple(self._worth(option) for option in self.options)
        object.__setattr__(self, "costs", (*(option.bps for option in self.options), 0.0))
        object.__setattr__(self, "worths", (*worths, 0.0))
        carried = tuple([(option.layer, option.spatial, option.temporal) for option in self.options])
        object.__setattr__(self, "carried", carried)
        object.__setattr__(self, "most", self.options[-1].bps if self.options else 0.0)
        object.__setattr__(self, "steps", tuple(_hull(self.options, worths)))
        object.__setattr__(self, "turn", (int(self.kind), -self.weight, -self.shown))

    def seeks(self, other: Ask) -> bool:
        """Whether it would like the same picture as another, however many of it a second."""
        return self.carried[-1][:2] == other.carried[-1][:2]

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
            Step((worths[place] - worths[aim]) / max(options[aim].bps - options[place].bps, 1.0),
                 aim, options[aim].bps - options[place].bps)
            for aim in range(place + 1, len(options)) if worths[aim] > worths[place]
        ]  # fmt: skip
        if not further:
            return steps
        steps.append(min(further, key=lambda step: (step.rank, -step.place)))
        place = steps[-1].place


class Kept(NamedTuple):
    """What somebody has of another ask for the same track."""

    place: int
    "Its place among the options that there are now: itself, or else the next lower."
    anew: bool
    "It asks for something else now, or it is paused and could have something smaller than it could before."
    same: bool
    "The options are as they were, if at another price."


@lru_cache(2048)
def kept(ask: Ask, old: Ask) -> tuple[Kept, ...]:
    """What becomes of each option of an ask that another takes the place of; that of `PAUSED` comes last."""
    if ask.carried == old.carried:
        # By far the most usual: at another price.
        return tuple([Kept(place, anew=False, same=True) for place in (*range(len(ask.carried)), PAUSED)])
    other = not ask.seeks(old)
    # Layers appear one by one, not the smallest first.
    smaller = all(option.layer != ask.options[0].layer for option in old.options)
    places = (_nearest(ask, had, part) for had, part in zip(old.options, old.carried, strict=True))
    return (*(Kept(place, other, same=False) for place in places), Kept(PAUSED, other or smaller, same=False))


def _nearest(ask: Ask, had: Option, part: Carried) -> int:
    if part in ask.carried:
        return ask.carried.index(part)
    lower = (
        aim for aim in reversed(range(len(ask.options)))
        if (ask.options[aim].pixels, ask.options[aim].fps) <= (had.pixels, had.fps)
    )  # fmt: skip
    return next(lower, 0)
