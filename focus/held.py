"""Which pictures a peer's link does not carry, and when the peer is told.

Pure. It reads off what was allotted; it allots nothing. A change is told at once and again a
little later: the moment that a link gets thin is the moment that messages get lost.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from focus.ask import PAUSED
from focus.snapshot import Held, Peer

AGAIN = (0.0, 0.03, 0.07, 0.15, 0.3, 0.5)
"Seconds after a change."


def hold(peer: Peer, now: float) -> Peer:
    """Bring what a peer is told of up to date. The same peer where nothing is to be told."""
    if peer.opened_at is None:
        return peer
    places, before = peer.allotment.places, peer.held
    mids: tuple[str, ...] = ()
    if PAUSED in places.values():
        # By line, since a short message has the better chance.
        mids = tuple(slot.mid for slot in peer.slots if slot.use is not None and places.get(slot.use.route) == PAUSED)
    if mids != before.mids:
        return replace(peer, held=Held(mids, before.number + 1, 1, now))
    if before.number and now >= due(peer):
        return replace(peer, held=replace(before, told=before.told + 1))
    return peer


def due(peer: Peer) -> float:
    """When a peer is told again."""
    held = peer.held
    return held.since + AGAIN[held.told] if 0 < held.told < len(AGAIN) else math.inf
