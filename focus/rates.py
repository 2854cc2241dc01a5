"""How many bits a second a track's layers are taken for, from what the engine measures of them each second.

Pure. Links are shared out by it, so it is calm, and near what a layer takes at its most: encoders waver, and an
estimate is what a link carries at any moment, not on average. It knows no link and no subscriber.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from msgspec.structs import replace

from focus import commands
from focus.mappings import put, without
from focus.snapshot import Conference
from focus.vocabulary import TrackId

K = TypeVar("K")

RISE_IS_NEWS, FALL_IS_NEWS = 0.05, 0.15
"Parts by which a layer's rate must move to be looked at."
UP = 0.5
"Part of a rise that is believed at once: a keyframe is soon over."
HOLD = 5.0
"Seconds since a track's rates moved, before one falls: who pauses in a sentence will go on,"
DOWN = 0.7
"and then no further than to this part of it."
MOST = 10**9
"Bits a second of a layer."


def measured(conference: Conference, event: commands.Rates, now: float) -> Conference:
    """Take in what a track's layers took in the last second. The same conference where that is no news.

    What a publisher was told to take no more than is believed at once.
    """
    track = conference.tracks.get(event.track)
    if track is None:
        return conference
    name = track.id
    known, had = conference.rates.get(name, {}), conference.parts.get(name, {})
    told = conference.peers[track.peer].rates.get(name, {})
    still = now < conference.rated.get(name, -HOLD) + HOLD
    rates = {
        layer: _taken(known.get(layer, 0), bps, told.get(layer, MOST), still) for layer, bps in event.bps if bps > 0
    }
    parts = {
        (layer, spatial, temporal): _taken(had.get((layer, spatial, temporal), 0), bps, told.get(layer, MOST), still)
        for layer, spatial, temporal, bps in event.parts
    }
    if not _moved(rates, known) and not _moved(parts, had):
        return conference
    return replace(
        conference,
        rates=put(conference.rates, name, MappingProxyType(rates)),
        parts=put(conference.parts, name, MappingProxyType(parts)),
        rated=put(conference.rated, name, now),
    )


def forgotten(conference: Conference, gone: Iterable[TrackId]) -> Conference:
    """The conference without the rates of tracks that are gone."""
    names = tuple(gone)
    if not names:
        return conference
    return replace(
        conference,
        rates=without(conference.rates, *names),
        parts=without(conference.parts, *names),
        rated=without(conference.rated, *names),
    )


def _taken(known: int, bps: int, told: int, still: bool) -> int:
    """What something is taken for that took `bps`; 0 is not known yet."""
    if not known:
        return bps
    known = min(known, max(told, bps))
    if bps > known:
        return known + round(UP * (bps - known))
    return known if still else max(bps, int(DOWN * known))


def _moved(taken: Mapping[K, int], known: Mapping[K, int]) -> bool:
    """Whether rates are of other things, or others."""
    return taken.keys() != known.keys() or any(
        not (1 - FALL_IS_NEWS) * known[name] <= bps <= (1 + RISE_IS_NEWS) * known[name] for name, bps in taken.items()
    )
