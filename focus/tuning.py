"""Which bit rates publishers are told for their layers: the plan of `joint.py`, read off a conference and kept calm.

Pure. Only where the engine knows what links carry, only cameras in layers whose publisher does what it is asked, and
only while somebody's link carries less than it asks for; else a publisher's own rates stand. More is told at once, less
when it was called for a while. Viewers with wide links are valued too: nobody pays for another's thin link with more
than a fiftieth of what it has.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from types import MappingProxyType

from msgspec.structs import replace

from focus.allocate import HEADROOM
from focus.ask import BITS_A_PIXEL
from focus.budget import asks, probed
from focus.joint import PARTS, Found, Layer, Meeting, Publisher, Rates, Shown, Viewer, fixed, search
from focus.snapshot import Conference, Tuned, Tuning
from focus.vocabulary import Kind, PeerId, Rid, TrackId

EVERY = 2.0
"Seconds from one look to the next: what was told shows in what is measured by then."
HOLD = 4.0
"Seconds for which less must be called for before it is told."
NEWS = 0.15
"Part by which a rate must differ from what was told."
LEAST = 30_000
"Bits a second below which no layer is a picture."
KEPT = 0.98
"Part of what it would have at the publishers' own rates that every viewer keeps."
BEGINS, GOES_ON = 0.05, 0.02
"Of what those with thin links have at those: all together must have so much more before rates are told, and after."
SHARED, STANDS = 0.85, 0.95
"Part of an estimate for which rates are sought, since a step up wants room, and by which they are judged then."
CHANGES = 0.04
"Part by which other rates must be better to take the place of those that stand,"
DWELLS = 15.0
"once these stood for so many seconds."
FOLLOWS = 0.3
"Part of the way to the newest estimate of a thin link that is gone at a look."
MOST = 800
"Tracks, counted at everybody who gets them, beyond which there is no such plan: a look would take too long."
WORK, LESS_WORK = 1500, 300
"Pictures that may be valued in a look, and in one after many that found nothing better."
PATIENCE = 15
"Such looks."
HEAT = 0.1
BETTER = 0.005
FORGETS = 0.9
"A layer that takes less than it did is believed by so much at a look: a picture that stands still soon moves again."
OBEYED = 0.85
"What takes less than this part of what was told would take no more by itself."
Told = Mapping[Rid, int]
"Bits a second; a layer that is not named has its own rate."
NOTHING: Told = MappingProxyType({})


def tune(conference: Conference, now: float) -> Conference:
    """Look anew at what publishers are told, if it is time. The conference must be settled."""
    before = conference.tuning
    if not conference.wide or now < before.again:
        return conference
    tracks = {name: _known(conference, name, flowing) for name, flowing in _cameras(conference).items()}
    gain, still = 0.0, 0
    called: Mapping[TrackId, Told] = {}
    links = _links(conference)
    if tracks and links:
        meeting = _meeting(conference, tracks, links)
        found = _found(conference, tracks, meeting)
        gain = found.gain / max(found.thin, 1.0)
        still = before.still + 1 if gain < before.gain + BETTER else 0
        # While the search still finds more it is too early to tell anybody.
        dwelt = still > 0 and now >= before.changed + DWELLS
        stands = _standing(meeting, tracks, found, dwelt)
        called = {name: _target(of.own, stands[name]) for name, of in tracks.items()}
        tracks = {
            name: replace(of, parts=_parts(of.own, found.rates[name]), stands=_parts(of.own, stands[name]))
            for name, of in tracks.items()
        }
    peers = dict(conference.peers)
    pictures: set[TrackId] = set()
    for name, own in conference.roster.own.items():
        peer = peers[name]
        rates: dict[TrackId, Told] = {}
        for track in (one.id for one in own if one.id in tracks):
            said, lower = told_now(peer.rates.get(track, NOTHING), called.get(track, NOTHING), tracks[track].lower, now)
            tracks[track] = replace(tracks[track], lower=lower)
            if said:
                rates[track] = said
        pictures |= rates.keys()
        if rates != peer.rates:
            peers[name] = replace(peer, rates=MappingProxyType(rates))
    moved = any(peer is not conference.peers[name] for name, peer in peers.items())
    gain = max(gain, FORGETS * before.gain)
    changed = now if any(of.stands != _stood(before, name) for name, of in tracks.items()) else before.changed
    looks, told = before.looks + 1, frozenset(pictures)
    made = Tuning(MappingProxyType(tracks), now + EVERY, looks, gain, still, told, links, changed)
    return replace(conference, tuning=made, peers=MappingProxyType(peers) if moved else conference.peers)


def told_now(told: Told, called: Told, lower: float | None, now: float) -> tuple[Told, float | None]:
    """What to tell of a picture, and since when less was called for."""
    kept = {rid: bps for rid, bps in told.items() if rid in called}
    raised = {rid: called[rid] if called[rid] > bps * (1 + NEWS) else bps for rid, bps in kept.items()}
    if all(rid in raised and bps >= raised[rid] * (1 - NEWS) for rid, bps in called.items()):
        return raised, None
    since = now if lower is None else lower
    return (dict(called), None) if now >= since + HOLD else (raised, since)


def _stood(before: Tuning, name: TrackId) -> Mapping[Rid, float]:
    return before.tracks[name].stands if name in before.tracks else {}


def _cameras(conference: Conference) -> dict[TrackId, list[Rid]]:
    """Pictures whose rates may be told, with the layers that flow, smallest first."""
    roster, found = conference.roster, {}
    for name, own in roster.own.items():
        if not conference.peers[name].obeys:
            continue
        for track in own:
            flowing = [rid for rid, _ in roster.ranked[track.id] if rid in track.layers]
            if track.kind is Kind.VIDEO and track.id not in roster.screens and flowing:
                found[track.id] = flowing
    return found


def _known(conference: Conference, name: TrackId, flowing: list[Rid]) -> Tuned:
    """What the layers that flow take by themselves: as measured, but where they were told to take less."""
    told = conference.peers[conference.tracks[name].peer].rates.get(name, NOTHING)
    before = conference.tuning.tracks.get(name, Tuned())
    measured = conference.rates.get(name, {})
    sizes = dict(conference.roster.ranked[name])
    own: dict[Rid, float] = {}
    for rid in flowing:
        known = before.own.get(rid, 0.0)
        bps = float(measured.get(rid, 0))
        if not bps:
            own[rid] = known or BITS_A_PIXEL * sizes[rid][0] * sizes[rid][1]
        elif bps < known and rid in told and bps >= OBEYED * told[rid]:
            own[rid] = known
        else:
            own[rid] = max(bps, FORGETS * known)
    return replace(before, own=own)


def _links(conference: Conference) -> Mapping[PeerId, float]:
    """Bits a second of the links that carry less than is asked for, in a conference that is not too large."""
    if sum(len(peer.takes) for peer in conference.peers.values()) > MOST:
        return {}
    found: dict[PeerId, float] = {}
    for name, peer in conference.peers.items():
        # What a peer says of itself follows what it gets: no reason to think that it could not get more.
        if peer.estimate is not None and peer.estimate < peer.need / HEADROOM and probed(conference, peer):
            known = conference.tuning.links.get(name, float(peer.estimate))
            found[name] = known + FOLLOWS * (peer.estimate - known)
    return found


def _found(
    conference: Conference, tracks: Mapping[TrackId, Tuned], meeting: Meeting[TrackId]
) -> Found[TrackId]:
    """Search on from where the last look ended."""
    meeting = _narrowed(meeting, SHARED)
    begin = {name: _rates(of.own, of.parts) for name, of in tracks.items()}
    pictures = sum(len(viewer.pictures) for viewer in meeting.viewers)
    work = WORK if conference.tuning.still < PATIENCE else LESS_WORK
    viewers = work * len(meeting.viewers) // max(1, pictures)
    return search(meeting, random.Random(conference.tuning.looks), begin, viewers, KEPT, PARTS, HEAT)


def _standing(
    meeting: Meeting[TrackId], tracks: Mapping[TrackId, Tuned], found: Found[TrackId], dwelt: bool
) -> Mapping[TrackId, Rates]:
    """The rates that are to stand: those that do, or what was found, or publishers' own."""
    meeting = _narrowed(meeting, STANDS)

    def judged(rates: Mapping[TrackId, Rates]) -> float:
        once = search(meeting, random.Random(0), rates, 1, KEPT, PARTS)
        return once.gain / max(once.thin, 1.0)

    standing = {name: _rates(of.own, of.stands) for name, of in tracks.items()}
    told = any(of.stands for of in tracks.values())
    now, new = judged(standing) if told else 0.0, judged(found.rates)
    if now >= GOES_ON and (not dwelt or new <= now + CHANGES * (1 + now)):
        return standing
    if not told and not dwelt:
        return fixed(meeting)
    return found.rates if new >= (GOES_ON if told else BEGINS) else fixed(meeting)


def _meeting(
    conference: Conference, tracks: Mapping[TrackId, Tuned], links: Mapping[PeerId, float]
) -> Meeting[TrackId]:
    """A conference as `joint.py` sees it. What nobody may tell a rate of stands beside the pictures."""
    publishers = {}
    for name, of in tracks.items():
        sizes = dict(conference.roster.ranked[name])
        layers = tuple(Layer(rid, sizes[rid][0] * sizes[rid][1], bps, bps, LEAST) for rid, bps in of.own.items())
        # What a link up carries shows in what comes, and never is more asked for than that.
        publishers[name] = Publisher(name, layers, math.inf)
    places = {name: {rid: place for place, rid in enumerate(of.own)} for name, of in tracks.items()}
    viewers = []
    for peer in conference.peers.values():
        shown, beside = [], []
        found = asks(conference, peer)
        for route, name, *_ in peer.takes:
            ask = found.get(route)
            if ask is None:
                continue
            if name in tracks:
                shown.append(Shown(name, ask.shown, ask.weight, places[name][ask.options[-1].layer]))
            else:
                beside.append(ask)
        if shown:
            viewers.append(Viewer(tuple(shown), links.get(peer.id, math.inf), tuple(beside)))
    return Meeting(publishers, tuple(viewers))


def _narrowed(meeting: Meeting[TrackId], part: float) -> Meeting[TrackId]:
    viewers = tuple(replace(viewer, downlink=part * viewer.downlink) for viewer in meeting.viewers)
    return replace(meeting, viewers=viewers)


def _rates(own: Mapping[Rid, float], parts: Mapping[Rid, float]) -> Rates:
    return tuple(parts.get(rid, 1.0) * bps for rid, bps in own.items())


def _parts(own: Mapping[Rid, float], rates: Rates) -> Mapping[Rid, float]:
    """Rates as parts of a picture's own; those that are its own are left out."""
    pairs = zip(own.items(), rates, strict=True)
    return {rid: rate / bps for (rid, bps), rate in pairs if rate is not None and rate < bps}


def _target(own: Mapping[Rid, float], rates: Rates) -> Told:
    """What to tell: nothing of a layer that is to take what it takes anyway."""
    pairs = zip(own.items(), rates, strict=True)
    return {rid: int(rate) for (rid, bps), rate in pairs if rate is not None and rate < (1 - NEWS) * bps}
