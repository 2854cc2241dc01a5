"""What follows from what happened: deadlines, pings, answers owed, slots and offers.

Called once per drain, after every event was stepped. Pure: the same conference and `now`
give the same result, but for the ids and SSRCs that `names` supplies for new routes.
"""

from __future__ import annotations

import math
from types import MappingProxyType

from msgspec.structs import replace

from focus import budget, compose, held, lines
from focus.demand import demand
from focus.snapshot import Conference, Outstanding, Peer, Said
from focus.step import end
from focus.subscribe import Subscribed, wanted
from focus.tuning import tune
from focus.view import look
from focus.vocabulary import Names, PeerId, Reason
from focus.voices import listen

PORTION = 40
"Peers that are shared out anew in one turn because rates moved."
LATER = 0.1
"Seconds until the next portion."


def settle(
    conference: Conference, last: Conference, ours: tuple[str, str], now: float, names: Names
) -> Conference:
    """Bring every peer of a conference up to date. `ours` is our certificate's fingerprint.

    `last` was settled before: whom nothing has happened to since has its lines already.
    """
    stirred = [
        name for name, peer in conference.peers.items()
        if peer is not last.peers.get(name) or now >= last.due.get(name, 0.0)
    ]  # fmt: skip
    for name in stirred:
        reason = overdue(conference, conference.peers[name], now)
        if reason is not None:
            conference = end(conference, name, reason)
    alike = conference.like(last)
    flowing = alike and conference.tracks is last.tracks
    conference = replace(conference, roster=last.roster if flowing else look(conference))
    conference = demand(conference, last, now)
    conference = listen(conference, last, now)
    conference = replace(conference, asked=budget.asked(conference, last))
    reordered = budget.reordered(conference, last)
    moved: dict[PeerId, Peer] = {}
    due = {name: last.due.get(name, 0.0) for name in conference.peers}
    rated = budget.touched(conference, last)
    seen = dict.fromkeys(name for name in stirred if name in due)
    asked = (name for name in conference.roster.own if conference.peers[name] is not last.peers.get(name))
    retold = frozenset() if alike else _retold(conference, last)
    seen.update(dict.fromkeys((*asked, *reordered, *retold)))
    for number, name in enumerate(budget.concerned(conference, rated) if rated else ()):
        if flowing and number >= PORTION:
            # What only costs more or less than it did can wait, so that a large call blocks nobody.
            due[name] = min(due[name], now + LATER * (number // PORTION))
        else:
            seen[name] = None
    for name in seen:
        peer = _pinged(conference, conference.peers[name], now)
        if peer.owed and peer.candidates is not None:
            peer = _answer(peer, ours, now, conference.wide)
        found: Subscribed | None = None
        if not peer.owed and peer.outstanding is None:
            if name in retold or peer is not last.peers.get(name):
                found = wanted(peer, conference)
                conference, peer = lines.assign(conference, peer, found, names)
            if _unsaid(peer) and may_offer(conference, peer, now):
                peer = lines.provide(conference, peer, names) if peer.spares else peer
                peer = _offer(conference, peer, ours, now)
        was = last.peers.get(name)
        same = was is not None and peer.slots is was.slots and peer.wants is was.wants
        if name in retold or not same or name in reordered:
            takes = budget.takes(conference, peer, wanted(peer, conference) if found is None else found)
            peer = peer if takes == peer.takes else replace(peer, takes=takes)
        peer = held.hold(budget.allot(conference, peer, now), now)
        if peer is not conference.peers[name]:
            moved[name] = peer
        due[name] = _due(conference, peer)
    peers = MappingProxyType({**conference.peers, **moved}) if moved else conference.peers
    return tune(replace(conference, peers=peers, due=MappingProxyType(due)), now)


def _retold(conference: Conference, last: Conference) -> frozenset[PeerId]:
    """Who wants something that is published now and was not, or the other way round, or of which other is said."""
    keys = {(track.stream, track.name) for name, track in last.tracks.items() if name not in conference.tracks}
    for name, track in conference.tracks.items():
        before = last.tracks.get(name)
        if before is None or not track.like(before) or not conference.peers[track.peer].says(last.peers[track.peer]):
            keys.add((track.stream, track.name))
    return frozenset(name for name, peer in conference.peers.items() if any(key in peer.wants for key in keys))


def _unsaid(peer: Peer) -> bool:
    """Whether a line should be something else than was agreed."""
    if peer.resting != peer.rested:
        return True
    moved = [slot for slot in peer.slots if slot.use is not slot.agreed and slot.use != slot.agreed]
    if not moved or not peer.spares or any(slot.use is not None for slot in moved):
        return bool(moved)
    # Lines that carry nothing any more wait, if others are ready.
    return not lines.pairs(peer.slots)


def _due(conference: Conference, peer: Peer) -> float:
    """When to look at a peer again if nothing happens to it: no later than time alone changes what is decided here."""
    limits = conference.limits
    if peer.connected_at is None:
        return (peer.answered_at if peer.answer is not None else peer.joined) + limits.connect_timeout
    times = [peer.connected_at + limits.channel_timeout] if peer.channel is not None and peer.opened_at is None else []
    if peer.opened_at is not None:
        times += [peer.alive_at + limits.ping_timeout, peer.pinged_at + limits.ping_every]
    if peer.outstanding is not None:
        times.append(peer.outstanding.deadline)
    elif not peer.selected and _unsaid(peer):
        times.append(max(peer.connected_at, peer.opened_at or 0.0) + limits.first_offer_hold)
    return min([*times, budget.due(peer), held.due(peer)], default=math.inf)


def overdue(conference: Conference, peer: Peer, now: float) -> Reason | None:
    """Why a peer is given up now, if it is."""
    limits = conference.limits
    if peer.connected_at is None:
        since = peer.answered_at if peer.answer is not None else peer.joined
        return Reason.ICE_FAILED if now - since > limits.connect_timeout else None
    if peer.channel is not None and peer.opened_at is None:
        return Reason.KEEP_ALIVE if now - peer.connected_at > limits.channel_timeout else None
    if peer.opened_at is not None and now - peer.alive_at > limits.ping_timeout:
        return Reason.KEEP_ALIVE
    last = peer.outstanding is not None and now > peer.outstanding.deadline
    return Reason.KEEP_ALIVE if last and peer.unanswered + 1 >= limits.offer_tries else None


def may_offer(conference: Conference, peer: Peer, now: float) -> bool:
    """Whether an offer would arrive: too early and the client drops it for ever (digest §20.1)."""
    since = peer.opened_at if peer.channel is not None else peer.connected_at
    return since is not None and (peer.selected or now - since > conference.limits.first_offer_hold)


def _pinged(conference: Conference, peer: Peer, now: float) -> Peer:
    """Ping when due, and stop waiting for an answer that does not come."""
    if peer.outstanding is not None and now > peer.outstanding.deadline:
        peer = replace(peer, outstanding=None, unanswered=peer.unanswered + 1)
    if peer.opened_at is not None and now - peer.pinged_at >= conference.limits.ping_every:
        peer = replace(peer, pinged_at=now, pings=peer.pings + 1)
    return peer


def _answer(peer: Peer, ours: tuple[str, str], now: float, wide: bool) -> Peer:
    """Answer the peer's newest offer; its lines of ours stand as far as they still hold."""
    version = peer.version + 1
    sdp = compose.answer(peer, ours, version, wide)
    known = {line.mid for line in peer.lines}
    slots = tuple(
        replace(slot, agreed=compose.standing(slot)) if slot.mid in known else slot for slot in peer.slots
    )
    return replace(
        peer,
        owed=False,
        rested=peer.resting,
        version=version,
        answer=Said(version, sdp),
        answered_at=peer.answered_at if peer.answer is not None else now,
        slots=slots,
    )


def _offer(conference: Conference, peer: Peer, ours: tuple[str, str], now: float) -> Peer:
    version = peer.version + 1
    uses = MappingProxyType({slot.mid: slot.use for slot in peer.slots})
    sdp, written = compose.offer(peer, ours, version, conference.codecs, conference.wide)
    return replace(
        peer,
        version=version,
        offer=Said(version, sdp),
        written=written,
        outstanding=Outstanding(now + conference.limits.offer_timeout, compose.order(peer), uses, peer.resting),
    )
