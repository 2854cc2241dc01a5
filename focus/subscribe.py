"""Wants and roster to tracks, and a wanted size to a layer.

Pure. It knows what is published and what a peer asked for; it does not know budgets
(`allocate.py` will) nor how anything is negotiated.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from focus.snapshot import Conference, Peer, Published, Slot
from focus.vocabulary import SINGLE, Kind, Rid, TrackId, Want

TOLERANCE = 0.9
"A layer up to 10 % smaller than what is shown still counts as not smaller."
CUSTOMARY = {"f": 1.0, "h": 2.0, "q": 4.0}
"Scale of the customary layer names, until a keyframe tells the real size."


Subscribed = Mapping[TrackId, tuple[Published, Want]]
"What a peer should get, in the order of its wants."


def wanted(peer: Peer, conference: Conference) -> Subscribed:
    """The tracks that a peer should get. Its own devices' tracks are left out."""
    named, own = conference.roster.named, conference.roster.own_of(peer.owner)
    found = {}
    for key, want in peer.wants.items():
        track = named.get(key)
        if track is not None and track.peer not in own:
            found[track.id] = (track, want)
    return found


def decodes(slot: Slot, sent: frozenset[str]) -> bool:
    """Whether a peer takes, on a line of ours, any of the codecs that a track may come in."""
    if slot.line is not None:
        for codec in slot.line.codecs:
            if codec.name in sent:
                return True
    return False


def layer(track: Published, want: Want, full: tuple[int, int]) -> Rid:
    """The layer for a wanted size: the smallest that is not smaller than what is shown, within 10 %.

    `full` is the publisher's capture size, (0, 0) if untold. Where the right layer does not
    flow, the nearest lower one that does, else the nearest higher; where none flows, the
    smallest, which comes first: so its first keyframe is a picture, and the right one follows.
    """
    return chosen(ranked(track, full), track.layers, want)


def ranked(track: Published, full: tuple[int, int]) -> tuple[tuple[Rid, tuple[float, float]], ...]:
    """The layers of a track by size, smallest first; none where there is nothing to choose. `full`: see `layer`."""
    if track.kind is Kind.AUDIO or not track.line.rids:
        return ()
    return tuple(sizes(track.line.rids, track.layers, full))


def chosen(ranked: Sequence[tuple[Rid, tuple[float, float]]], layers: Container[Rid], want: Want) -> Rid:
    """As `layer`, of ranked layers. `layers`: those that flow."""
    if not ranked:
        return SINGLE
    ideal = _fitting(ranked, want)
    flowing = [index for index, (rid, _) in enumerate(ranked) if rid in layers]
    if not flowing:
        return ranked[0][0]
    if ideal in flowing:
        return ranked[ideal][0]
    lower = [index for index in flowing if index < ideal]
    return ranked[max(lower) if lower else min(flowing)][0]


def sizes(
    rids: Sequence[Rid], layers: Mapping[Rid, tuple[int, int]], full: tuple[int, int]
) -> list[tuple[Rid, tuple[float, float]]]:
    """Each layer's picture size, smallest first: measured where it flows, else guessed from the rest."""
    guesses = []
    for place, rid in enumerate(rids):
        scale = CUSTOMARY.get(rid, 2.0**place)
        measured = layers.get(rid, (0, 0))
        guesses.append((rid, scale, measured))
    widest = next(((w * s, h * s) for _, s, (w, h) in guesses if w and h), (0.0, 0.0))
    base = (float(full[0]), float(full[1])) if full[0] and full[1] else widest
    if not base[0]:
        base = (1280.0, 720.0)
    sized = [
        (rid, (float(w), float(h)) if w and h else (base[0] / scale, base[1] / scale)) for rid, scale, (w, h) in guesses
    ]
    return sorted(sized, key=lambda item: item[1][0] * item[1][1])


def _fitting(ranked: Sequence[tuple[Rid, tuple[float, float]]], want: Want) -> int:
    """Index of the right layer for a picture shown inside a box without being cut."""
    if want.width <= 0 or want.height <= 0:
        return 0
    for index, (_, (width, height)) in enumerate(ranked):
        shown = min(want.width / width, want.height / height)
        if shown <= 1 / TOLERANCE:
            return index
    return len(ranked) - 1
