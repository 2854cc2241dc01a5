"""Which of our m-lines carries what: for each peer, the tracks that it gets, and lines that are ready for others.

Pure. A track needs a line, and a new line a negotiation, of which most is what was said before: a
call of fifty would spend a second on each who comes. So who takes spare lines is offered some at
whatever offer there is. They are agreed before anybody knows for what, are used once, since a
stream's numbers must not begin anew under its SSRC, and the peer is told by message what one carries.
"""

from __future__ import annotations

import itertools
import string
from collections import Counter
from collections.abc import Mapping
from operator import is_

from msgspec.structs import replace

from focus.snapshot import NOBODYS, Conference, Peer, Published, Slot, Use
from focus.subscribe import wanted
from focus.vocabulary import Kind, Names, RouteId, TrackId

DIGITS = string.digits + string.ascii_letters
"Of names: of equal length as long as one is enough."
LEAST, MOST = 2, 16
"Lines of a kind that are kept ready ..."
PART = 4
"... and of how many that are in use there is one."


def assign(conference: Conference, peer: Peer, names: Names) -> tuple[Conference, Peer]:
    """Give each wanted track a line: its own, a spare one, a free one of its kind, or a new one."""
    tracks = {track.id: track for track, _ in wanted(peer, conference)}
    slots = [
        slot if slot.use is None or slot.use.spare or slot.use.track in tracks else replace(slot, use=None)
        for slot in peer.slots
    ]
    placed = {slot.use.track for slot in slots if slot.use is not None and not slot.use.spare}
    if len(placed) == len(tracks):
        same = all(map(is_, slots, peer.slots))
        return conference, peer if same else replace(peer, slots=tuple(slots))
    places = Places(conference, peer, slots)
    routes = conference.routes
    for track in tracks.values():
        if track.id in placed:
            continue
        route = RouteId(routes + 1)
        number = spare(slots, track, conference.tracks)
        if number is not None:
            lent = slots[number].use
            assert lent is not None, "a spare line has its numbers"
            use = replace(lent, track=track.id, route=route)
            slots[number] = replace(slots[number], use=use, agreed=use)
            routes += 1
        else:
            routes += places.put(track.kind, _use(track, route, names))
    if tuple(slots) != peer.slots:
        peer = replace(peer, slots=tuple(slots))
    if routes != conference.routes:
        conference = replace(conference, routes=routes)
    return conference, peer


def spare(slots: list[Slot], track: Published, tracks: Mapping[TrackId, Published]) -> int | None:
    """The place of a line that was agreed and carries nothing yet: of the pair on which the stream's other track is, so
    that both play together, or of a pair that is nobody's."""
    whose = {
        slot.use.stream: tracks[slot.use.track].stream for slot in slots
        if slot.use is not None and slot.use.lent and slot.use.track in tracks
    }  # fmt: skip
    first = None
    for number, slot in enumerate(slots):
        use = slot.use
        if use is None or not use.spare or slot.kind is not track.kind or not slot.accepted or slot.agreed != use:
            continue
        owner = whose.get(use.stream)
        if owner == track.stream:
            return number
        if owner is None and first is None:
            first = number
    return first


def provide(conference: Conference, peer: Peer, names: Names) -> Peer:
    """Have some lines ready, now that an offer is made. Sound and picture of one pair name one stream."""
    slots = [*peer.slots]
    ready = Counter(slot.kind for slot in slots if slot.use is not None and slot.use.spare)
    used = Counter(slot.kind for slot in slots if slot.use is not None and not slot.use.spare)
    enough = min(MOST, max(LEAST, max(used.values(), default=0) // PART))
    missing = {kind: max(0, enough - ready[kind]) for kind in Kind}
    places = Places(conference, peer, slots)
    for number in range(max(missing.values())):
        pair = names.token(8)
        for kind in Kind:
            if number < missing[kind]:
                rtx = names.ssrc() if kind is Kind.VIDEO else None
                places.put(kind, Use(NOBODYS, RouteId(0), pair, names.token(8), names.ssrc(), rtx, lent=True))
    return peer if slots == [*peer.slots] else replace(peer, slots=tuple(slots))


class Places:
    """Where there is room among a peer's lines for another use."""

    def __init__(self, conference: Conference, peer: Peer, slots: list[Slot]) -> None:
        self._slots = slots
        self._most = conference.limits.m_lines
        self._taken = {*(line.mid for line in peer.lines), *(slot.mid for slot in slots)}
        self._stopped = {line.mid for line in peer.lines if line.refused}

    def put(self, kind: Kind, use: Use) -> bool:
        """Use a free line of the kind, or a new one. False: there are too many."""
        slots, taken = self._slots, self._taken
        free = next((n for n, slot in enumerate(slots) if slot.kind is kind and self._free(slot)), None)
        if free is not None:
            slots[free] = replace(slots[free], use=use)
        elif len(taken) < self._most:
            slots.append(Slot(_mid(taken, len(slots)), kind, use, None, accepted=False))
            taken.add(slots[-1].mid)
        else:
            return False
        return True

    def _free(self, slot: Slot) -> bool:
        """Whether it may carry another track. The client sees one only where none was, on a living line."""
        return slot.use is None and slot.agreed is None and slot.mid not in self._stopped


def _mid(taken: set[str], number: int) -> str:
    """A name for a new line of ours that no other line has."""
    return next(mid for n in itertools.count(number) if (mid := line_name(n)) not in taken)


def line_name(number: int) -> str:
    """The mid of a line of ours.

    It is in every packet, and only packets of equal size share a train: the first 62 are equally long.
    """
    number, last = divmod(number, len(DIGITS))
    return f"{line_name(number) if number else 'w'}{DIGITS[last]}"


def _use(track: Published, route: RouteId, names: Names) -> Use:
    rtx = names.ssrc() if track.kind is Kind.VIDEO else None
    return Use(track.id, route, track.stream, track.name, names.ssrc(), rtx)
