"""What one peer asks of its link, read off a conference: tracks with what their layers cost, for `allocate.py`.

Pure. It knows who wants what, which layers flow and what they were measured to take; it does
not decide. A peer whose link nobody has estimated yet is not bounded, and has no allotment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

from msgspec.structs import replace

from focus.allocate import HEADROOM, Allotment, allocate, need
from focus.ask import BITS_A_PIXEL, FULL_RATE, UNIT, Ask, Class, Option
from focus.snapshot import Conference, Peer, Published, Take, Tile
from focus.subscribe import Subscribed, chosen, decodes
from focus.vocabulary import SINGLE, Kind, PeerId, Rid, RouteId, TrackId, Want

VOICE = 40_000.0
"Bits a second of sound that was not measured yet."
UNTOLD = (640.0, 360.0)
"A picture of unknown size."
LARGE = 480 * 270.0
"Pixels from which on a picture is looked at, not glanced at."
LARGE_ENOUGH = 0.8
"Pictures with so much of the pixels that are shown are not worth more."
NEWS_OF_NEED = 0.1
"Part by which what a peer could use must move to be told."
LAG = 2.5
"Seconds until a receiver's own estimate is of what is sent now."
STALE = 5.0
"Seconds after which it is of the past: some say it with pictures only, and nothing while all are paused."
WEIGHTS = {Class.AUDIO: 1.0, Class.SCREEN: 8.0, Class.CAMERA: 1.0}
PINNED_WEIGHT = 8.0
FLOOR_WEIGHT = 4.0
"Of who has the floor."
LARGE_WEIGHT = 2.0
SIZES = 256
"Sizes that are remembered of a track: a client may ask for any."


def asked(conference: Conference, last: Conference) -> Mapping[TrackId, dict[Tile, Ask]]:
    """Where what is asked of each track is looked up by the size in which it is shown, and whether it is pinned.

    Those who show it alike share the value. What nothing has changed of since `last` is taken over.
    """
    roster, known = conference.roster, last.roster
    floor, before_it = holder(conference), holder(last)
    found = {}
    for name, track in conference.tracks.items():
        same = (
            track is last.tracks.get(name)
            and conference.rates.get(name) is last.rates.get(name)
            and conference.parts.get(name) is last.parts.get(name)
            and (roster is known or roster.ranked[name] == known.ranked.get(name))
            and (name in roster.screens) == (name in known.screens)
            and (track.peer == floor) == (track.peer == before_it)
        )
        before = last.asked.get(name) if same else None
        found[name] = before if before is not None and len(before) <= SIZES else {}
    return found


def holder(conference: Conference) -> PeerId | None:
    """Who has the floor."""
    return conference.tracks[conference.speakers[0]].peer if conference.speakers else None


def reordered(conference: Conference, last: Conference) -> frozenset[PeerId]:
    """Who wants more pictures than one peer gets, when others count most than did before."""
    most = conference.limits.pictures
    if conference.speakers == last.speakers or len(conference.roster.ranked) <= most:
        return frozenset()
    return frozenset(
        name for name, peer in conference.peers.items() if sum(slot.kind is Kind.VIDEO for slot in peer.slots) > most
    )


def takes(conference: Conference, peer: Peer, subscribed: Subscribed) -> tuple[Take, ...]:
    """What a peer gets of what it wants if its link carries it, in the order of its lines."""
    sent = conference.roster.sent
    found, pictures = [], 0
    for slot in peer.slots:
        use = slot.use
        if use is None or not slot.accepted or (use is not slot.agreed and use != slot.agreed):
            continue
        which = subscribed.get(use.track)
        if which is not None and decodes(slot, sent[use.track]):
            want = which[1]
            found.append(Take(use.route, use.track, want, _tile(want.width, want.height, want.pinned)))
            pictures += slot.kind is Kind.VIDEO
    return tuple(found) if pictures <= conference.limits.pictures else _first(conference, found)


def _first(conference: Conference, found: list[Take]) -> tuple[Take, ...]:
    """Sound, and of the pictures so many as one peer gets: those that count most."""
    tracks, screens = conference.tracks, conference.roster.screens
    turns = {tracks[name].peer: turn for turn, name in reversed([*enumerate(conference.speakers)])}

    def turn(take: Take) -> tuple[bool, bool, int, int]:
        name, want = take.track, take.want
        spoke = turns.get(tracks[name].peer, len(turns))
        return not want.pinned, name not in screens, spoke, -want.width * want.height

    pictures = sorted((take for take in found if tracks[take.track].kind is Kind.VIDEO), key=turn)
    left_out = {take.route for take in pictures[conference.limits.pictures :]}
    return tuple(take for take in found if take.route not in left_out)


def probed(conference: Conference, peer: Peer) -> bool:
    """Whether the engine finds out what a peer's link carries: it is told of single packets, and reads that."""
    if not conference.wide:
        return False
    return any(slot.line is not None and slot.line.extensions.transport_cc for slot in peer.slots)


def allot(conference: Conference, peer: Peer, now: float) -> Peer:
    """Share a peer's estimate among what it takes. The same peer where nothing moves."""
    if peer.estimate is None and not conference.wide:
        return peer
    found = asks(conference, peer)
    needed = _needed(conference, peer, found) if conference.wide else 0
    if abs(needed - peer.need) <= NEWS_OF_NEED * peer.need:
        needed = peer.need
    if peer.estimate is None:
        return peer if needed == peer.need else replace(peer, need=needed)
    estimate = float(peer.estimate)
    if probed(conference, peer):
        allotment = allocate(found, estimate, peer.allotment, now)
    else:
        budget = _tried(found, peer.allotment, _said(peer, now), now)
        allotment = allocate(found, budget, peer.allotment, now)
        if allotment.places != peer.allotment.places:
            # The step after this one is tried next, though nothing new may be heard.
            allotment = replace(allotment, again=min(allotment.again, now + LAG))
        elif any(place < len(found[key].options) - 1 for key, place in allotment.places.items()):
            # What is held back need not be for ever.
            allotment = replace(allotment, again=min(allotment.again, max(now + LAG, peer.estimated_at + STALE)))
    same = allotment is peer.allotment and needed == peer.need
    return peer if same else replace(peer, allotment=allotment, need=needed)


def _needed(conference: Conference, peer: Peer, found: Mapping[RouteId, Ask]) -> int:
    """What a peer could use. Who was told to take less for its link's sake is counted at its own rates: else no link
    would ever be found to be wide again."""
    whole, tuning = need(found.values()), conference.tuning
    for route, name, *_ in peer.takes if tuning.told else ():
        if name in tuning.told and route in found:
            ask, own = found[route], tuning.tracks[name].own
            whole += max(0.0, own.get(ask.options[-1].layer, 0.0) - ask.most) * HEADROOM
    return int(whole)


def _said(peer: Peer, now: float) -> float | None:
    """What a peer said of its link, None where that is of the past, or of less than is sent now."""
    if peer.estimate is None or now >= peer.estimated_at + STALE:
        return None
    rose = max((move.since for move in peer.allotment.moves.values() if move.rose), default=-math.inf)
    return float(peer.estimate) if peer.estimated_at >= rose + LAG else None


def _tried(found: Mapping[RouteId, Ask], allotment: Allotment[RouteId], said: float | None, now: float) -> float:
    """What may be shared out where nobody probes.

    A receiver's own estimate (REMB) follows what it gets, and would never rise to the next layer by itself. So it
    counts where it says that the link carries less than what is sent; else the next step is tried. `said`: None where
    nothing was said of late.
    """
    if not allotment.asks:
        return math.inf
    sent, next_step, fresh = 0.0, math.inf, 0.0
    for key, ask in found.items():
        option = allotment.option(key)
        has = option.bps if option is not None else 0.0
        sent += has
        fresh += ask.options[0].bps if key not in allotment.asks else 0.0
        next_step = min([next_step, *(option.bps - has for option in ask.options if option.bps > has)])
    # Who comes is seen at once, if there was room for those who are there.
    shown = (sent + fresh) * HEADROOM + 1 if fresh else sent
    if any(move.rose and now - move.since < LAG for move in allotment.moves.values()):
        # What was told is not of what is sent now.
        return max(said or 0.0, shown)
    if said is not None and (said < sent or next_step == math.inf):
        return said
    return max(said or 0.0, shown, (sent + next_step) * HEADROOM + 1)


@lru_cache(SIZES)
def _tile(width: int, height: int, pinned: bool) -> Tile:
    """One value for all tiles that are alike: it is looked up all the time."""
    return width, height, pinned


def asks(conference: Conference, peer: Peer) -> dict[RouteId, Ask]:
    """What a peer asks of its link, in the order of its lines. What does not flow is left out."""
    known, withheld = conference.asked, conference.withheld
    try:
        every = [known[name][tile] for _, name, _, tile in peer.takes]
    except KeyError:
        every = [_known(conference, take) for take in peer.takes]
    return {
        take[0]: ask for take, ask in zip(peer.takes, every, strict=True) if ask.options and take[1] not in withheld
    }  # fmt: skip


def _known(conference: Conference, take: Take) -> Ask:
    """What is asked of a track by those who show it alike."""
    tiles = conference.asked[take.track]
    if take.tile not in tiles:
        tiles[take.tile] = _ask(conference, conference.tracks[take.track], take.want)
    return tiles[take.tile]


def _ask(conference: Conference, track: Published, want: Want) -> Ask:
    options = _options(conference, track, want)
    shown = float(want.width * want.height) or (min(UNIT, options[0].pixels) if options else UNIT)
    if track.kind is Kind.AUDIO:
        kind = Class.AUDIO
    else:
        kind = Class.SCREEN if track.id in conference.roster.screens else Class.CAMERA
    weight = WEIGHTS[kind]
    if kind is Class.CAMERA:
        if want.pinned:
            weight = PINNED_WEIGHT
        elif track.peer == holder(conference):
            weight = FLOOR_WEIGHT
        elif shown >= LARGE:
            weight = LARGE_WEIGHT
    return _sorted(Ask(kind, options, shown, weight))


def _sorted(ask: Ask) -> Ask:
    """The same, its options cheapest first and each better than the one before."""
    best = -math.inf
    kept: list[Option] = []
    for option, worth in sorted(zip(ask.options, ask.worths, strict=False), key=lambda pair: (pair[0].bps, -pair[1])):
        if worth > best:
            kept.append(option)
            best = worth
    return ask if tuple(kept) == ask.options else Ask(ask.kind, tuple(kept), ask.shown, ask.weight)


def _options(conference: Conference, track: Published, want: Want) -> tuple[Option, ...]:
    """The layers that flow, up to the one that its size asks for, and what may be carried of each."""
    measured = conference.rates.get(track.id, {})
    if track.kind is Kind.AUDIO:
        return (Option(SINGLE, float(measured.get(SINGLE, VOICE))),) if SINGLE in track.layers else ()
    ranked = conference.roster.ranked[track.id]
    if not ranked:
        size = track.layers.get(SINGLE)
        if size is None:
            return ()
        width, height = size if size[0] else UNTOLD
        return tuple(_within(conference, track, SINGLE, float(width * height), want))
    top = chosen(ranked, track.layers, want)
    # Of layers that begin, the larger may come first: nobody is held back for what the smaller will not cost.
    begins = track.rising is not None and bool(track.layers)
    options: list[Option] = []
    for rid, (width, height) in ranked:
        if rid in track.layers or begins:
            options += _within(conference, track, rid, width * height, want)
        if rid == top:
            break
    return tuple(options)


def _within(conference: Conference, track: Published, rid: Rid, pixels: float, want: Want) -> list[Option]:
    """What may be carried of a layer, cheapest first, the whole last: fewer pictures a second, or smaller ones.

    Spatial ids halve width and height, temporal ids the rate, as encoders have them. Nobody gets larger pictures than
    it asked for where the next smaller ones do.
    """
    measured = conference.rates.get(track.id, {}).get(rid)
    whole = Option(rid, float(measured) if measured else BITS_A_PIXEL * pixels, pixels)
    known = conference.parts.get(track.id, {})
    ids = sorted((spatial, temporal) for layer, spatial, temporal in known if layer == rid)
    if not ids:
        return [whole]
    top, rate = ids[-1][0], max(temporal for _, temporal in ids)
    enough = float(want.width * want.height) * LARGE_ENOUGH or math.inf
    found: list[Option] = []
    for spatial, temporal in ids:
        smaller = pixels / 4.0 ** (top - spatial)
        if spatial and smaller / 4.0 >= enough:
            break
        found.append(Option(
            rid, float(known[rid, spatial, temporal]), smaller, FULL_RATE / 2.0 ** (rate - temporal),
            spatial if spatial < top else None, temporal if temporal < rate else None,
        ))  # fmt: skip
    if (found[-1].spatial, found[-1].temporal) == (None, None):
        found[-1] = whole
    return found


def touched(conference: Conference, last: Conference) -> frozenset[TrackId]:
    """Tracks of which something is asked at another price, or something else."""
    return frozenset(name for name, sizes in conference.asked.items() if sizes is not last.asked.get(name))


def concerned(conference: Conference, tracks: frozenset[TrackId]) -> list[PeerId]:
    """Peers that take one of these tracks."""
    return [name for name, peer in conference.peers.items() if any(take.track in tracks for take in peer.takes)]


def due(peer: Peer) -> float:
    """When to share out anew if nothing happens."""
    return peer.allotment.again if peer.estimate is not None else math.inf
