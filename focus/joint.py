"""Which bit rates the layers of all publishers should have, chosen for a meeting as a whole.

Pure (after the simulcast controller of SIGCOMM'22, "GSO-Simulcast"). Fixed rates for layers fit nobody's link: who has
400 kbit/s for nine tiles sees two of them at 150. Here a layer's rate may lie below what its pixels usually take: then
it shows the detail of a smaller picture. Whatever is tried is valued by what every viewer would be granted of it
(`allocate.best`); the best of all that was tried is kept, the fixed rates among it, so that a meeting never ends
below them, and nobody in it further below than is allowed. It knows no peers, no SDP and no time: chance is an
argument, and who calls it bounds its work.
"""

from __future__ import annotations

import math
import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from focus.allocate import best
from focus.ask import BITS_A_PIXEL, UNIT, Ask, Class, Option
from focus.vocabulary import Rid

K = TypeVar("K", bound=Hashable)

PARTS = (0.26, 0.33, 0.42, 0.52, 0.65, 0.8, 1.0)
"Of that, what a layer may be given: at less a lower one does as well."
TRIED: tuple[float | None, ...] = (*PARTS, None)
WORTH = 0.001
"Of what those have whose link has an end: all viewers together must have so much more for rates to be changed."
HEAT = 0.6
"What may be lost at first, on average, for the chance of finding more behind it; less and less."
ALL = 0.2
"How often all publishers are changed alike."
BLAME = 2.0
"How many times what somebody loses below the allowed counts against what the others gain."


class Layer(Struct, frozen=True):
    """One picture size that a publisher can encode."""

    rid: Rid
    pixels: float
    bps: float
    "What it has by itself, in bits a second."
    full: float = 0.0
    "What shows all its detail; 0: what its pixels usually take."

    least: float = 0.0
    "What it is not given less than, unless it takes less by itself."

    @property
    def most(self) -> float:
        """Bits a second beyond which it becomes no better."""
        return self.full or BITS_A_PIXEL * self.pixels


class Publisher(Struct, Generic[K], frozen=True):
    """One camera."""

    key: K
    layers: tuple[Layer, ...]
    "Smallest first."
    uplink: float
    "Bits a second that it can send, for all layers together."


class Shown(Struct, Generic[K], frozen=True):
    """A picture as one viewer shows it."""

    publisher: K
    pixels: float
    weight: float = 1.0
    top: int | None = None
    "The place of the largest layer that it may be given; None: the smallest with as many pixels."


class Viewer(Struct, Generic[K], frozen=True):
    """One subscriber."""

    pictures: tuple[Shown[K], ...]
    downlink: float
    "Bits a second for them."
    beside: tuple[Ask, ...] = ()
    "What else its link carries, at rates that nobody chooses."


Rates = tuple[float | None, ...]
"What a publisher's layers are given, in their order; None: not sent."


class Found(Struct, Generic[K], frozen=True):
    """What a search found."""

    rates: Mapping[K, Rates]
    gain: float
    "What all viewers together have more than at the fixed ones."
    thin: float
    "What those whose link has an end have at the fixed ones."


class Meeting(Struct, Generic[K], frozen=True):
    """Everybody."""

    publishers: Mapping[K, Publisher[K]]
    viewers: tuple[Viewer[K], ...]


class _Search(Generic[K]):
    """Where a search is, and the best that it has seen."""

    def __init__(self, meeting: Meeting[K], work: int, least: float) -> None:
        self.meeting = meeting
        self.rates = self.best = fixed(meeting)
        self.left = work
        "Viewers that may still be valued."
        self._known: Known[K] = {}
        self._each = [valued(meeting, viewer, self.rates, self._known) for viewer in meeting.viewers]
        self._sum = self.best_sum = sum(self._each)
        pairs = zip(self._each, meeting.viewers, strict=True)
        self.thin = sum(value for value, viewer in pairs if viewer.downlink < math.inf)
        self._news = WORTH * self.thin
        self._least = [least * value for value in self._each]
        self._short = 0.0
        "What viewers lack of the least that they should have."
        self._watched: dict[K, list[int]] = {}
        for at, viewer in enumerate(meeting.viewers):
            for picture in viewer.pictures:
                self._watched.setdefault(picture.publisher, []).append(at)

    def offer(self, changed: Mapping[K, Rates], mercy: float = 0.0) -> None:
        """Take other rates of some publishers if all viewers together lose no more than `mercy` by them."""
        changed = {key: rates for key, rates in changed.items() if rates != self.rates[key]}
        touched = sorted({at for key in changed for at in self._watched.get(key, ())})
        if not touched or self.left <= 0:
            return
        self.left -= len(touched)
        rates = {**self.rates, **changed}
        new = {at: valued(self.meeting, self.meeting.viewers[at], rates, self._known) for at in touched}
        gain = sum(new.values()) - sum(self._each[at] for at in touched)
        short = sum(max(0.0, self._least[at] - value) for at, value in new.items())
        short -= sum(max(0.0, self._least[at] - self._each[at]) for at in touched)
        if gain - BLAME * short <= -mercy:
            return
        self.rates = rates
        self._sum += gain
        self._short += short
        for at, value in new.items():
            self._each[at] = value
        if self._sum > self.best_sum + self._news and self._short <= 1e-6:
            self.best, self.best_sum = rates, self._sum


def fixed(meeting: Meeting[K]) -> dict[K, Rates]:
    """The layers as they are by themselves: of those that do not fit into an uplink, the largest are not sent."""
    return {key: _fitting(publisher, tuple(layer.bps for layer in publisher.layers))
            for key, publisher in meeting.publishers.items()}  # fmt: skip


def joint(
    meeting: Meeting[K], chance: random.Random, begin: Mapping[K, Rates] | None = None, work: int = 40_000
) -> Mapping[K, Rates]:
    """The rates of `search`, of whatever may be tried."""
    return search(meeting, chance, begin, work).rates


def search(
    meeting: Meeting[K],
    chance: random.Random,
    begin: Mapping[K, Rates] | None = None,
    work: int = 40_000,
    least: float = 0.0,
    tried: Sequence[float | None] = TRIED,
    heat: float = HEAT,
) -> Found[K]:
    """Rates for a meeting: at least as good for all together as the fixed ones.

    `begin`: rates of before, kept where nothing better is found: the search goes on from there. `work`: how many times
    a viewer may be valued. `least`: the part of what it has at the fixed rates that everybody keeps. `tried`: parts of
    what shows all its detail that a layer may be given, None to try without it. `heat`: see `HEAT`; a short search does
    better with less.
    """
    state = _Search(meeting, work, least)
    alone = state.best_sum
    if begin is not None:
        known = {key: rates for key, rates in begin.items() if key in meeting.publishers}
        state.offer({key: _fitting(meeting.publishers[key], rates) for key, rates in known.items()})
    publishers = meeting.publishers
    most = max((len(publisher.layers) for publisher in publishers.values()), default=0)
    # What is better for all alike no change of one publisher may make worth it.
    for place in range(most if begin is None else 0):
        for part in tried:
            state.offer(_given(state, list(publishers), {place: part}))
    keys = list(publishers)
    begun = state.left
    while state.left > 0 and keys and most:
        before = state.left
        mercy = -heat * state.left / begun * math.log(1.0 - chance.random())
        some = keys if chance.random() < ALL else [chance.choice(keys)]
        parts = {chance.randrange(most): chance.choice(tried) for _ in range(chance.choice((1, 2)))}
        state.offer(_given(state, some, parts), mercy)
        # What changes nothing is work too.
        state.left -= before == state.left
    return Found(state.best, state.best_sum - alone, state.thin)


def _given(state: _Search[K], keys: Sequence[K], parts: Mapping[int, float | None]) -> dict[K, Rates]:
    return {key: given(state.meeting.publishers[key], state.rates[key], parts) for key in keys}


def given(publisher: Publisher[K], rates: Rates, parts: Mapping[int, float | None]) -> Rates:
    """Rates with some layers at parts of what shows all their detail, and what fits into the uplink of that."""
    new = list(rates)
    for place, part in parts.items():
        if place < len(new):
            new[place] = None if part is None else _part(publisher.layers[place], part)
    return _fitting(publisher, tuple(new))


def _part(layer: Layer, part: float) -> float:
    return max(part * layer.most, min(layer.least, layer.bps))


def _fitting(publisher: Publisher[K], rates: Rates) -> Rates:
    """As a browser does: layers are filled from the smallest on, and the largest are not sent where nothing is left."""
    left = publisher.uplink
    kept: list[float | None] = []
    for rate in rates:
        kept.append(rate if rate is not None and rate <= left else None)
        left -= kept[-1] or 0.0
    return tuple(kept)


Known = dict[tuple[Shown[K], Rates], Ask | None]
"What pictures at some rates come to, looked up once for all who show them alike."


def valued(meeting: Meeting[K], viewer: Viewer[K], rates: Mapping[K, Rates], known: Known[K] | None = None) -> float:
    """What a viewer has of what it would be granted."""
    known = {} if known is None else known
    asks = [*viewer.beside]
    for picture in viewer.pictures:
        key = picture, rates[picture.publisher]
        if key not in known:
            known[key] = _ask(meeting.publishers[picture.publisher], picture, key[1])
        ask = known[key]
        if ask is not None:
            asks.append(ask)
    if sum([ask.costs[-2] for ask in asks]) <= viewer.downlink:
        return sum([ask.worths[-2] for ask in asks])
    return sum([ask.worths[place] for ask, place in zip(asks, best(asks, viewer.downlink), strict=True)])


def _ask(publisher: Publisher[K], picture: Shown[K], rates: Rates) -> Ask | None:
    options: list[Option] = []
    for place, (layer, rate) in enumerate(zip(publisher.layers, rates, strict=True)):
        if rate is None:
            continue
        pixels = layer.pixels * min(1.0, rate / layer.most)
        while options and rate <= options[-1].bps and pixels >= options[-1].pixels:
            options.pop()
        if not options or rate > options[-1].bps and pixels > options[-1].pixels:
            options.append(Option(layer.rid, rate, pixels))
        if place == picture.top if picture.top is not None else layer.pixels >= picture.pixels:
            break
    return Ask(Class.CAMERA, tuple(options), max(picture.pixels, UNIT / 16), picture.weight) if options else None


def total(meeting: Meeting[K], rates: Mapping[K, Rates]) -> float:
    """What all viewers have together."""
    return sum(valued(meeting, viewer, rates) for viewer in meeting.viewers)


def ladder(pixels: Sequence[float]) -> tuple[Layer, ...]:
    """The customary layers at 150, 500 and 2500 kbit/s, smallest first, of pictures of these sizes."""
    return tuple(
        Layer(rid, size, bps)
        for rid, size, bps in zip((Rid("q"), Rid("h"), Rid("f")), pixels, (150e3, 500e3, 2500e3), strict=False)
    )
