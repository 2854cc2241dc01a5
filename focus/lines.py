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
from collections.abc import Iterable, Set

from msgspec.structs import replace

from focus.snapshot import NOBODYS, Conference, Peer, Published, Slot, Use
from focus.subscribe import Subscribed
from focus.vocabulary import Kind, Names, RouteId, TrackId

DIGITS = string.digits + string.ascii_letters
"Of names: of equal length as long as one is enough."
LEAST, MOST = 2, 16
"Pairs of lines that are kept ready ..."
PART = 4
"... and of how many lines of a kind that are in use there is one."


def assign(conference: Conference, peer: Peer, subscribed: Subscribed, names: Names) -> tuple[Conference, Peer]:
    """Give each wanted track a line: its own, a spare one, a free one of its kind, or a new one."""
    slots = [*peer.slots]
    placed: dict[TrackId, Use] = {}
    freed = False
    for number, slot in enumerate(slots):
        use = slot.use
        if use is None:
            continue
        if use.track in subscribed:
            placed[use.track] = use
        elif use.track != NOBODYS:
            slots[number] = replace(slot, use=None)
            freed = True
    if freed and peer.spares:
        slots = _whole(slots)
    if len(placed) == len(subscribed):
        return conference, replace(peer, slots=tuple(slots)) if freed else peer
    beside = {subscribed[name][0].stream: use for name, use in placed.items()}
    taken = {use.stream for use in placed.values()}
    places = Places(conference, peer, slots)
    routes = conference.routes
    for name, (track, _) in subscribed.items():
        if name in placed:
            continue
        route = RouteId(routes + 1)
        sibling = beside.get(track.stream)
        stream = sibling.stream if sibling is not None else None
        number = _spare(slots, track.kind, stream, taken) if peer.spares else -1
        if number >= 0:
            lent = slots[number].use
            assert lent is not None, "a spare line has its numbers"
            use = replace(lent, track=name, route=route)
            slots[number] = replace(slots[number], use=use, agreed=use)
        else:
            use = _use(track, route, names, sibling)
            if not places.put(track.kind, use):
                continue
        routes += 1
        beside.setdefault(track.stream, use)
        taken.add(use.stream)
    if routes != conference.routes:
        conference = replace(conference, routes=routes)
    elif not freed:
        return conference, peer
    return conference, replace(peer, slots=tuple(slots))


def _spare(slots: list[Slot], kind: Kind, stream: str | None, taken: Set[str]) -> int:
    """The place of a line that was agreed and carries nothing yet, -1 if there is none: of the stream on which its
    sibling is, so that both play together, else of a pair that is nobody's, so that its stream is not `taken`."""
    for number, slot in enumerate(slots):
        use = slot.use
        if use is None or use.track != NOBODYS or slot.kind is not kind or not slot.accepted or slot.agreed != use:
            continue
        if use.stream == stream if stream is not None else use.stream not in taken:
            return number
    return -1


def pairs(slots: Iterable[Slot]) -> int:
    """How many pairs are ready that are nobody's, or will be with the next answer."""
    uses = [slot.use for slot in slots if slot.use is not None]
    taken = {use.stream for use in uses if not use.spare}
    return len({use.stream for use in uses if use.spare} - taken)


def provide(conference: Conference, peer: Peer, names: Names) -> Peer:
    """Have some lines ready, now that an offer is made. Sound and picture of one pair name one stream."""
    slots = [*peer.slots]
    used = Counter(slot.kind for slot in slots if slot.use is not None and not slot.use.spare)
    enough = min(MOST, max(LEAST, max(used.values(), default=0) // PART))
    places = Places(conference, peer, slots)
    for _ in range(enough - pairs(slots)):
        if not places.both():
            break
        pair = names.token(8)
        for kind in Kind:
            rtx = names.ssrc() if kind is Kind.VIDEO else None
            places.put(kind, Use(NOBODYS, RouteId(0), pair, names.token(8), names.ssrc(), rtx, lent=True))
    return peer if slots == [*peer.slots] else replace(peer, slots=tuple(slots))


def _whole(slots: list[Slot]) -> list[Slot]:
    """Without what is left of a pair whose other line carries nothing any more: who came on it would be out of step."""
    uses = [slot.use for slot in slots if slot.use is not None]
    taken = {use.stream for use in uses if not use.spare}
    left = Counter(use.stream for use in uses if use.spare)
    odd = {stream for stream, count in left.items() if count < len(Kind)} - taken
    return [replace(slot, use=None) if slot.use is not None and slot.use.stream in odd else slot for slot in slots]


class Places:
    """Where there is room among a peer's lines for another use."""

    def __init__(self, conference: Conference, peer: Peer, slots: list[Slot]) -> None:
        self._slots = slots
        self._most = conference.limits.m_lines
        self._taken = {*(line.mid for line in peer.lines), *(slot.mid for slot in slots)}
        self._stopped = {line.mid for line in peer.lines if line.refused}

    def both(self) -> bool:
        """Whether there is room for a pair."""
        new = sum(not any(slot.kind is kind and self._free(slot) for slot in self._slots) for kind in Kind)
        return len(self._taken) + new <= self._most

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


def _use(track: Published, route: RouteId, names: Names, sibling: Use | None) -> Use:
    """A line of the track's own stream, or of its sibling's, where that is one that was ready."""
    rtx = names.ssrc() if track.kind is Kind.VIDEO else None
    if sibling is not None and sibling.lent:
        return Use(track.id, route, sibling.stream, names.token(8), names.ssrc(), rtx, lent=True)
    return Use(track.id, route, track.stream, track.name, names.ssrc(), rtx)
