"""What publishers are asked to send: of each picture the layers up to the largest that somebody needs.

Pure. Up at once, down after a hold, since what was stopped takes a moment to come back. Layers below the largest
are kept: a link that becomes thin falls back on them at once. It does not know budgets: what a thin link holds back
is wanted still. A client that does not obey is stopped by what it cannot but honour: the direction of its line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from msgspec.structs import replace

from focus.limits import Limits
from focus.snapshot import Conference, Duty, Peer, Published
from focus.subscribe import chosen
from focus.vocabulary import SINGLE, Kind, PeerId, Rid, TrackId, Want

ONLY = (SINGLE,)
Ranked = Sequence[tuple[Rid, tuple[float, float]]]


def demand(conference: Conference, last: Conference, now: float) -> Conference:
    """Bring what each publisher is asked for up to date. `last` went through here before."""
    conference, risen = _risen(conference, now)
    sought = seek(conference, last)
    due_now = now >= last.review
    moved: dict[PeerId, Peer] = {}
    review = risen if due_now else min(risen, last.review)
    for name, own in conference.roster.own.items():
        peer, was = conference.peers[name], last.peers.get(name)
        pictures = [track.id for track in own if track.kind is Kind.VIDEO]
        if not due_now and was is not None and peer.obeys == was.obeys and len(pictures) == len(peer.duties):
            if all(sought[t] is last.sought.get(t) and conference.tracks[t] is last.tracks.get(t) for t in pictures):
                continue
        peer, again = _asked(conference, peer, pictures, sought, now)
        review = min(review, again)
        if peer is not conference.peers[name]:
            moved[name] = peer
    peers = MappingProxyType({**conference.peers, **moved}) if moved else conference.peers
    return replace(conference, peers=peers, sought=sought, review=review)


def _asked(
    conference: Conference,
    peer: Peer,
    pictures: Iterable[TrackId],
    sought: Mapping[TrackId, Mapping[PeerId, int]],
    now: float,
) -> tuple[Peer, float]:
    """What one publisher is asked for now; also when that changes if nothing happens."""
    limits, review = conference.limits, math.inf
    duties: dict[TrackId, Duty] = {}
    resting: set[str] = set()
    for name in pictures:
        track = conference.tracks[name]
        ranks = tuple(rid for rid, _ in conference.roster.ranked[name]) or ONLY
        need = max(sought[name].values(), default=None)
        made = duties[name] = duty(peer.duties.get(name), ranks, need, bool(track.layers), limits, now)
        review = min(review, due(made, limits, need is None, now))
        if made.bare is not None and not peer.obeys:
            rest = made.bare + limits.rest_hold
            if now >= rest:
                resting.add(track.mid)
            else:
                review = min(review, rest)
    if duties == peer.duties and resting == peer.resting:
        return peer, review
    return replace(peer, duties=MappingProxyType(duties), resting=frozenset(resting)), review


def _risen(conference: Conference, now: float) -> tuple[Conference, float]:
    """Let pictures that have had their time come up; also when the next ones will have."""
    hold, next_one = conference.limits.rise_hold, math.inf
    tracks = dict(conference.tracks)
    for name, track in conference.tracks.items():
        if track.rising is not None and now >= track.rising + hold:
            tracks[name] = replace(track, rising=None)
        elif track.rising is not None:
            next_one = min(next_one, track.rising + hold)
    same = all(conference.tracks[name] is track for name, track in tracks.items())
    return (conference if same else replace(conference, tracks=MappingProxyType(tracks))), next_one


def seek(conference: Conference, last: Conference) -> Mapping[TrackId, Mapping[PeerId, int]]:
    """Who needs each picture up to which of its layers, counted from the smallest. `last`: see `demand`."""
    roster, known = conference.roster, last.roster
    moved = [peer for name, peer in conference.peers.items() if _wants_anew(peer, last.peers.get(name))]
    gone = last.peers.keys() - conference.peers.keys()
    if roster is known and not moved and not gone:
        return last.sought
    named = frozenset(key for peer in moved for key in _moved(peer, last.peers.get(peer.id)))
    found: dict[TrackId, Mapping[PeerId, int]] = {}
    for track in conference.tracks.values():
        if track.kind is Kind.AUDIO:
            continue
        ranked, before = roster.ranked[track.id], last.sought.get(track.id)
        same = last.tracks.get(track.id) is track and (roster is known or known.ranked.get(track.id) == ranked)
        if before is None or not same:
            found[track.id] = _needs(conference, track, ranked, conference.peers.values())
            continue
        if not gone and (track.stream, track.name) not in named:
            found[track.id] = before
            continue
        needs = _needs(conference, track, ranked, moved)
        if not gone and all(before.get(peer.id) == needs.get(peer.id) for peer in moved):
            found[track.id] = before
            continue
        after = {name: rank for name, rank in before.items() if name not in gone} if gone else dict(before)
        for peer in moved:
            after.pop(peer.id, None)
        after |= needs
        found[track.id] = before if after == before else after
    same = found.keys() == last.sought.keys() and all(found[name] is last.sought[name] for name in found)
    return last.sought if same else MappingProxyType(found)


def _wants_anew(peer: Peer, before: Peer | None) -> bool:
    return before is None or before.wants is not peer.wants


def _moved(peer: Peer, before: Peer | None) -> list[tuple[str, str]]:
    """What a peer wants otherwise than before, or no more."""
    now, was = peer.wants, before.wants if before is not None else {}
    return [key for key in now.keys() | was.keys() if now.get(key) is not was.get(key)]


def _needs(conference: Conference, track: Published, ranked: Ranked, peers: Iterable[Peer]) -> dict[PeerId, int]:
    """Those of some peers who want a track, and up to which of its layers."""
    owner = conference.peers[track.peer].owner
    found = {}
    for peer in peers:
        want = peer.wants.get((track.stream, track.name))
        if want is not None and peer.owner != owner:
            found[peer.id] = top(ranked, track.layers, want)
    return found


def top(ranked: Ranked, layers: Mapping[Rid, tuple[int, int]], want: Want) -> int:
    """The place of the largest layer that a want needs: the right one, or a larger one that stands in for it."""
    if not ranked:
        return 0
    rids = [rid for rid, _ in ranked]
    return max(rids.index(chosen(ranked, rids, want)), rids.index(chosen(ranked, layers, want)))


def duty(
    before: Duty | None, ranks: tuple[Rid, ...], need: int | None, flows: bool, limits: Limits, now: float
) -> Duty:
    """What to ask of a picture now.

    `ranks`: its layers, smallest first. `need`: the place of the largest that is needed, None if nobody watches.
    `flows`: whether any of them does. A publisher that nothing was said to yet (`before` is None) sends all.
    """
    asked, spare = (before.layers, before.spare) if before is not None else (ranks, ())
    silent = None
    if need is not None and not flows:
        silent = before.silent if before is not None and before.silent is not None else now
        # A browser leaves out layers that a small capture has no pixels for, and need not say which.
        if now >= silent + limits.silent_patience:
            need = len(ranks) - 1
    needed = ranks[: need + 1] if need is not None else ()
    since = dict(spare)
    hold = limits.idle_hold if need is None else limits.layer_hold
    held = {rid: since.get(rid, now) for rid in asked if rid in ranks and rid not in needed}
    kept = tuple((rid, at) for rid, at in held.items() if now < at + hold)
    names = {rid for rid, _ in kept}
    layers = tuple(rid for rid in ranks if rid in needed or rid in names)
    bare = None if layers else before.bare if before is not None and before.bare is not None else now
    return Duty(layers, kept, silent, bare)


def due(made: Duty, limits: Limits, idle: bool, now: float) -> float:
    """When a duty changes next if nothing happens."""
    hold = limits.idle_hold if idle else limits.layer_hold
    times = [at + hold for _, at in made.spare]
    if made.silent is not None and now < made.silent + limits.silent_patience:
        times.append(made.silent + limits.silent_patience)
    return min(times, default=math.inf)
