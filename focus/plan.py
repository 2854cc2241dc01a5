"""What should be, read off a conference; and the way from one plan to the next.

Pure. `plan` says what each peer's transport expects and forwards and what its face was
told; `changes` is the difference as engine commands and told effects. So the same call
brings up a peer, moves a layer and ends a conference, and restating costs nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from focus.ask import PAUSED
from focus.commands import (
    Close,
    Command,
    Expect,
    Extensions,
    Forget,
    Need,
    Open,
    Restart,
    Role,
    Route,
    SetLayer,
    Unroute,
)
from focus.snapshot import NONE_HELD, Conference, Held, Peer, Said, Slot
from focus.subscribe import chosen
from focus.view import look, view
from focus.vocabulary import (
    Answer,
    Assigned,
    Demand,
    Ended,
    Kind,
    Needed,
    Offer,
    Paused,
    PeerId,
    Ping,
    Reason,
    Rid,
    RouteId,
    Speakers,
    Stream,
    Told,
    TrackId,
    View,
)

Part = tuple[int | None, int | None]
WHOLE: Part = (None, None)


class Leg(Struct, frozen=True):
    """One peer's part of a plan."""

    open: Open
    restart: Restart | None
    expects: Mapping[TrackId, Expect]
    routes: Mapping[RouteId, Route]
    layers: Mapping[RouteId, Rid | None]
    parts: Mapping[RouteId, Part]
    "Highest spatial and temporal id within a layer, None for all, of routes that carry less than all of it."
    sounds: Mapping[TrackId, RouteId]
    "Routes of sound."
    lent: Mapping[str, tuple[str, str]]
    "What lines carry that were ready before, by the track id in their description: advertised stream and track id."
    streams: tuple[Stream, ...]
    held: Held
    needed: tuple[Needed, ...]
    opened: bool
    answer: Said | None
    offer: Said | None
    pings: int
    need: int


class Plan(Struct, frozen=True):
    """What should be."""

    legs: Mapping[PeerId, Leg] = field(default_factory=lambda: MappingProxyType({}))
    ended: tuple[tuple[PeerId, Reason], ...] = ()
    withheld: frozenset[TrackId] = frozenset()
    "Tracks whose routes are paused, whatever legs say."
    speakers: tuple[str, ...] = ()
    "Streams of who has the floor and who had it before."
    rising: bool = False
    "Layers of some picture begin."


NOTHING = Plan()


class Turn(NamedTuple):
    """What is other for all than in the plan before."""

    alike: bool
    "The same is published, and said of it."
    whole: bool
    "No track has gone."
    calm: bool
    "No layer begins, nor did."
    rising: Mapping[TrackId, Rid]
    "See `_rising`."


def plan(conference: Conference) -> Plan:
    """Read the plan off a conference, from nothing."""
    conference = replace(conference, roster=look(conference))
    return replan(conference, Conference(conference.id, conference.limits, conference.codecs, conference.wide), NOTHING)


def replan(conference: Conference, last: Conference, planned: Plan) -> Plan:
    """As `plan`. `planned` is the plan of `last`: legs that cannot have changed are taken over."""
    alike = conference.like(last)
    legs = {name: leg for name, leg in planned.legs.items() if name in conference.peers} if alike else {}
    ranked, known = conference.roster.ranked, last.roster.ranked
    others = frozenset(
        name for name, track in conference.tracks.items()
        if track is not last.tracks.get(name) or (ranked is not known and ranked[name] != known.get(name))
    )  # fmt: skip
    rising = _rising(conference)
    whole = alike or last.tracks.keys() <= conference.tracks.keys()
    turn = Turn(alike, whole, not rising and not planned.rising, rising)
    for name, peer in conference.peers.items():
        was = last.peers.get(name)
        touched = bool(others) and any(take.track in others for take in peer.takes)
        if name not in legs or peer is not was or touched:
            before = planned.legs.get(name) if was is not None else None
            legs[name] = _leg(conference, peer, was, before, turn, touched)
    speakers = tuple(dict.fromkeys(conference.tracks[track].stream for track in conference.speakers))
    return Plan(MappingProxyType(legs), conference.ended, conference.withheld, speakers, bool(rising))


def _rising(conference: Conference) -> Mapping[TrackId, Rid]:
    """Pictures in layers that begin, and their smallest layers.

    The first packets of a layer, often probes without a picture, say nothing of when its keyframe comes: who goes from
    one layer to the next as they appear misses the first keyframe of each.
    """
    ranked = conference.roster.ranked
    return {
        name: ranked[name][0][0] for name, track in conference.tracks.items()
        if track.rising is not None and ranked[name]
    }  # fmt: skip


def _leg(
    conference: Conference,
    peer: Peer,
    was: Peer | None,
    before: Leg | None,
    turn: Turn,
    touched: bool,
) -> Leg:
    """A peer's part. `before`: that of `was`, the same peer earlier; what has not changed since is taken over.

    `touched`: something of what it takes is other than it was.
    """
    roster = conference.roster
    channel = peer.channel
    opening = Open(
        peer.id,
        Role.ANSWERER,
        peer.local,
        peer.remote,
        peer.fingerprints,
        channel.sctp_port if channel else None,
        channel.max_message if channel else 0,
    )
    expects: Mapping[TrackId, Expect] = MappingProxyType({
        track.id: Expect(
            track.id, peer.id, track.mid, track.kind, track.line.codecs, track.line.extensions, track.line.rids,
            track.line.ssrcs if not track.line.rids else (),
        )
        for track in roster.own.get(peer.id, ())
    })  # fmt: skip
    if turn.whole and before is not None and was is not None and peer.slots is was.slots:
        routes = before.routes
    else:
        routes = _routes(conference, peer, was, before)
    shared = peer.allotment
    if (
        turn.calm and before is not None and was is not None and routes is before.routes and peer.takes is was.takes
        and shared.carried is was.allotment.carried
        and len(shared.places) == len(was.allotment.places)
        and (not touched and shared is was.allotment or len(shared.places) == len(peer.takes))
    ):  # fmt: skip
        layers, parts = before.layers, before.parts
    else:
        layers, parts = _layers(conference, peer, routes, turn.rising)
    if before is not None and routes is before.routes:
        sounds = before.sounds
    else:
        heard = (route for route in routes.values() if conference.tracks[route.track].kind is Kind.AUDIO)
        sounds = MappingProxyType({route.track: route.route for route in heard})
    same_lines = before is not None and was is not None and (not peer.spares or turn.whole and peer.slots is was.slots)
    lent = before.lent if before is not None and same_lines else _lent(conference, peer)
    restart = Restart(peer.id, peer.local, peer.remote) if peer.restarts else None
    streams = before.streams if turn.alike and before is not None else view(conference, peer)
    needed = tuple(
        Needed(
            track.own_stream, track.own_name, peer.duties[track.id].layers, tuple(peer.rates.get(track.id, {}).items())
        )
        for track in roster.own.get(peer.id, ()) if track.id in peer.duties
    )  # fmt: skip
    leg = Leg(
        opening, restart, expects, routes, layers, parts, sounds, lent, streams, peer.held, needed,
        peer.opened_at is not None, peer.answer, peer.offer, peer.pings, peer.need,
    )  # fmt: skip
    return before if before is not None and leg == before else leg


def _layers(
    conference: Conference, peer: Peer, routes: Mapping[RouteId, Route], rising: Mapping[TrackId, Rid]
) -> tuple[Mapping[RouteId, Rid | None], Mapping[RouteId, Part]]:
    """What each route carries, and how much of it.

    What the link was found to carry, or, while nobody knows the link, what the size asks for.
    """
    layers: dict[RouteId, Rid | None] = dict.fromkeys(routes)
    parts: dict[RouteId, Part] = {}
    places, shared = peer.allotment.places, peer.allotment.carried
    for route, name, want, _ in peer.takes:
        place = places.get(route)
        if place == PAUSED or route not in routes:
            continue
        if rising and name in rising:
            layers[route] = rising[name]
        elif place is not None:
            layers[route], *part = shared[route]
            if part != [None, None]:
                parts[route] = (part[0], part[1])
        else:
            layers[route] = chosen(conference.roster.ranked[name], conference.tracks[name].layers, want)
    return MappingProxyType(layers), MappingProxyType(parts)


def _routes(conference: Conference, peer: Peer, was: Peer | None, before: Leg | None) -> Mapping[RouteId, Route]:
    routes: dict[RouteId, Route] = {}
    known = before.routes if before is not None else {}
    slots = {slot.mid: slot for slot in was.slots} if was is not None else {}
    for slot in peer.slots:
        if slot.use is None or slot.use.track not in conference.tracks:
            continue
        made = known.get(slot.use.route) if slots.get(slot.mid) is slot else None
        made = made or _route(peer, slot, conference.wide)
        if made is not None:
            routes[made.route] = made
    return MappingProxyType(routes)


def _route(peer: Peer, slot: Slot, wide: bool) -> Route | None:
    """The route of a slot, once its numbers are known.

    It stays as long as the slot's use, paused while the peer does not take, want or decode it: a route that was taken
    down and made again would begin its SSRC's numbers anew, and one number sealed twice is one GCM nonce used twice.
    """
    use, line = slot.use, slot.line
    if use is None or line is None:
        return None
    ids = _of_sink(line.extensions, wide)
    return Route(use.route, use.track, peer.id, slot.mid, line.codecs, ids, use.ssrc, use.rtx_ssrc)


def _lent(conference: Conference, peer: Peer) -> Mapping[str, tuple[str, str]]:
    # Once it is agreed: where offers collide, a line that was named before it was described would be named for nobody.
    uses = (slot.use for slot in peer.slots if slot.use is not None and slot.use.lent and slot.use == slot.agreed)
    tracks = conference.tracks
    return {use.name: (tracks[use.track].stream, tracks[use.track].name) for use in uses if use.track in tracks}


@lru_cache(1024)
def _of_sink(extensions: Extensions, wide: bool) -> Extensions:
    """Layer ids mean nothing here: a sink gets one stream. A peer's own offer may name more than our answer does."""
    return dataclasses.replace(extensions, rid=0, repaired_rid=0, transport_cc=extensions.transport_cc if wide else 0)


def changes(old: Plan, new: Plan) -> tuple[Command | Told, ...]:
    """The way from one plan to another: take down, bring up, then tell. Nothing for two alike."""
    down: list[Command] = []
    up: list[Command] = []
    told: list[Told] = []
    closed: list[Command] = []
    for name, leg in old.legs.items():
        after = new.legs.get(name)
        if after is leg:
            continue
        down.extend(Unroute(route) for route in leg.routes if after is None or route not in after.routes)
        closed.extend(Forget(track) for track in leg.expects if after is None or track not in after.expects)
        if after is None:
            closed.append(Close(name))
    moved = [(name, leg) for name, leg in new.legs.items() if old.legs.get(name) is not leg]
    for name, leg in moved:
        before = old.legs.get(name)
        if before is None:
            up.append(leg.open)
        if leg.restart is not None and leg.restart != (before.restart if before else None):
            up.append(leg.restart)
        up.extend(
            expect for track, expect in leg.expects.items() if before is None or before.expects.get(track) != expect
        )
    for name, leg in moved:
        before = old.legs.get(name)
        up.extend(_routed(old, before, new, leg))
        if leg.need != (before.need if before else 0):
            up.append(Need(name, leg.need))
        told.extend(_told(name, before, leg))
    if new.withheld is not old.withheld:
        up.extend(_hushed(old, new))
    told.extend(_speakers(old, new))
    told.extend(Ended(name, reason) for name, reason in new.ended if (name, reason) not in old.ended)
    return (*down, *closed, *up, *told)


def _routed(old: Plan, before: Leg | None, new: Plan, leg: Leg) -> Iterator[Command]:
    """Routes that were not or were others, and what each carries now where that has moved."""
    if before is not None and leg.routes is before.routes and old.withheld == new.withheld:
        if leg.layers == before.layers and leg.parts == before.parts:
            return
    known = before.routes if before is not None else {}
    for number, route in leg.routes.items():
        was = known.get(number)
        if was is not route and was != route:
            yield route
        carried = _carried(new, leg, number)
        if before is None or was is None or _carried(old, before, number) != carried:
            yield SetLayer(number, *carried)


def _carried(plan: Plan, leg: Leg, number: RouteId) -> tuple[Rid | None, int | None, int | None]:
    layer = None if leg.routes[number].track in plan.withheld else leg.layers[number]
    return (layer, *leg.parts.get(number, WHOLE)) if leg.parts else (layer, None, None)


def _hushed(old: Plan, new: Plan) -> list[Command]:
    """Voices that are withheld now, and that are not any more, to those to whom nothing else happens."""
    moved = old.withheld ^ new.withheld
    alike = [leg for name, leg in new.legs.items() if old.legs.get(name) is leg]
    routes = [(leg, leg.sounds[track]) for leg in alike for track in moved if track in leg.sounds]
    return [
        SetLayer(number, *_carried(new, leg, number)) for leg, number in routes if leg.layers[number] is not None
    ]


def _speakers(old: Plan, new: Plan) -> list[Told]:
    """Who speaks, to all whose channel is open, and to whose it is just now."""
    told: list[Told] = []
    for name, leg in new.legs.items():
        before = old.legs.get(name)
        known = old.speakers if before is not None and before.opened else ()
        if leg.opened and new.speakers != known:
            told.append(Speakers(name, new.speakers))
    return told


def _told(name: PeerId, before: Leg | None, leg: Leg) -> list[Told]:
    """What a peer's face has to hear. A description carries the view along."""
    told: list[Told] = []
    opened_now = leg.opened and (before is None or not before.opened)
    if opened_now:
        told.append(View(name, leg.streams))
    if leg.answer is not None and (before is None or leg.answer != before.answer):
        told.append(Answer(name, leg.answer.sdp, leg.streams))
    if leg.offer is not None and (before is None or leg.offer != before.offer):
        told.append(Offer(name, leg.offer.sdp, leg.streams))
    if leg.opened and not told and before is not None and leg.streams != before.streams:
        told.append(View(name, leg.streams))
    if leg.lent and (before is None or leg.lent is not before.lent):
        known = before.lent if before is not None else {}
        new = tuple((line, *track) for line, track in leg.lent.items() if known.get(line) != track)
        told += [Assigned(name, new)] if new else []
    if leg.opened and leg.needed != (before.needed if before is not None and not opened_now else ()):
        told.append(Demand(name, leg.needed))
    if leg.opened and leg.held != (before.held if before is not None else NONE_HELD):
        told.append(Paused(name, leg.held.number, leg.held.mids))
    if before is not None and leg.pings != before.pings:
        told.append(Ping(name))
    return told
