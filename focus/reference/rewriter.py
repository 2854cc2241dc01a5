"""One continuous stream out of several layers: sequence, timestamp, picture id, tl0 index.

The state of one route's numbering, pure: packets in, numbers out, `now` nowhere but in
the packets. Output is contiguous across switches, and a gap in the input leaves the same
gap, so that a late or repaired packet still fits (media digest B.3, B.4).
"""

from __future__ import annotations

from dataclasses import dataclass

from focus.reference.rtcp import SenderReport
from focus.reference.rtp import Packet

FORGET = 64
"Offset changes remembered within one layer, for late packets."
RESTARTED = 500
"A jump in the input beyond this many packets is a restart, not loss (security R8)."


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a packet is called on its way out."""

    sequence: int
    "16 bits."
    timestamp: int
    picture: int
    tl0: int


@dataclass(slots=True)
class Since:
    """Packets, or pictures, from one on are called by so much less."""

    start: int
    offset: int
    out: int = 0
    "So many before the first were left out: they have no number."


class Offsets:
    """What was left out of a row of numbers, newest last."""

    def __init__(self, start: int, offset: int) -> None:
        self._row = [Since(start, offset)]

    def of(self, number: int) -> int | None:
        """What to take off a number; None when it was left out, or is older than what is remembered."""
        for since in reversed(self._row):
            if since.start - since.out <= number:
                return since.offset if number >= since.start else None
        return None

    def ends_at(self, number: int) -> bool:
        """Whether the one before this was left out."""
        return self._row[-1].start == number and self._row[-1].out > 0

    def leave_out(self, first: int, last: int) -> None:
        """Close the gap that these would leave. Nothing from the first of them on may have been named yet."""
        newest, gap = self._row[-1], last + 1 - first
        if newest.start == first:
            newest.start, newest.offset, newest.out = last + 1, newest.offset + gap, newest.out + gap
            return
        if len(self._row) >= FORGET:
            del self._row[0]
        self._row.append(Since(last + 1, newest.offset + gap, gap))


class Rewriter:
    """Maps the packets of whichever layer is current into one stream."""

    def __init__(self, first_sequence: int, first_timestamp: int, clock: int) -> None:
        self.clock = clock
        self.last = first_sequence - 1
        "Extended sequence number of the newest packet out. The first stays below 2^15 (security R7)."
        self.last_timestamp = first_timestamp
        self.timestamp_offset = 0
        self._lead = 0
        "How far switches had to push the clock ahead of where it should be: given back at the next ones."
        self.started = False
        self._start = 0
        self._newest = 0
        self._offsets = Offsets(0, 0)
        self._left_out = 0
        "Timestamp of what was left out last."
        self._picture_offset = 0
        self._pictures: Offsets | None = None
        "Instead of that, once a picture was left out: receivers take a gap in VP8's numbers for loss."
        self._newest_picture = 0
        self._tl0_offset = 0
        self._last_picture = -1
        self._last_tl0 = -1
        self._report: SenderReport | None = None
        self._arrived = 0.0

    def switch(self, packet: Packet, report: SenderReport | None, old_report: SenderReport | None) -> None:
        """Begin a layer at this packet, its keyframe's first. `report`s: of the new and the old layer."""
        self._begin(packet, self._continued(packet, report, old_report))

    def resume(self, packet: Packet) -> None:
        """Go on after a pause with the layer that was carried before it: its own clock says how long that was."""
        passed = _signed(packet.timestamp - self.timestamp_offset - self.last_timestamp)
        waited = self._waited(packet)
        # A sender may have begun its clock anew meanwhile.
        self._begin(packet, self._ahead(passed if abs(passed - waited) <= self.clock else waited))

    def _begin(self, packet: Packet, expected: int) -> None:
        self._start = self._newest = packet.index
        self._offsets = Offsets(packet.index, packet.index - (self.last + 1))
        self._pictures = None
        self.timestamp_offset = (packet.timestamp - expected) & 0xFFFFFFFF
        if packet.descriptor is not None:
            self._picture_offset = packet.picture - (self._last_picture + 1)
            self._newest_picture = packet.picture
            self._tl0_offset = (packet.descriptor.tl0 or 0) - (self._last_tl0 + 1)
        self.started = True

    def _continued(self, packet: Packet, report: SenderReport | None, old: SenderReport | None) -> int:
        """The timestamp that the stream should have at this packet."""
        if not self.started:
            return self.last_timestamp
        ahead: float | None = None
        if report is not None and old is not None:
            # Both layers of one encoder share the sender's wall clock: go through it.
            ntp = report.ntp / 2**32 + _signed(packet.timestamp - report.rtp) / self.clock
            there = old.rtp + (ntp - old.ntp / 2**32) * self.clock
            reference = round(there) - self.timestamp_offset
            ahead = _signed(reference - self.last_timestamp)
            if abs(ahead) > 10 * self.clock:
                ahead = None
        if ahead is None:
            ahead = self._waited(packet)
        return self._ahead(int(ahead))

    def _waited(self, packet: Packet) -> int:
        """Ticks of the clock since the newest packet came."""
        return int((packet.arrived - self._arrived) * self.clock)

    def _ahead(self, ahead: int) -> int:
        """The timestamp so far ahead of the newest one; less by what earlier switches pushed it."""
        wanted = ahead - self._lead
        taken = max(1 if self._lead > 0 else self.clock // 60, wanted)
        # A false report has no hold on us for longer.
        self._lead = min(taken - wanted, self.clock)
        return (self.last_timestamp + taken) & 0xFFFFFFFF

    def picture(self) -> int:
        """Timestamp of the newest picture that left, as its sender has it."""
        return (self.last_timestamp + self.timestamp_offset) & 0xFFFFFFFF

    def in_order(self, index: int) -> bool:
        """Whether a packet comes after all others of the current layer."""
        return index > self._newest

    def skip(self, index: int) -> None:
        """An in-order packet of the current layer carries nothing: close the gap that it would leave."""
        if index > self._newest:
            self._advance(index)
            self._offsets.leave_out(index, index)

    def leave_out(self, packet: Packet) -> None:
        """An in-order packet of the current layer is not carried: close the gap that it would leave.

        So is that of packets of its picture that did not come.
        """
        index, before = packet.index, self._newest + 1
        together = (
            self._left_out == packet.timestamp and self._offsets.ends_at(before) and index - before < RESTARTED
        )
        self._advance(index)
        self._offsets.leave_out(before if together else index, index)
        self._left_out = packet.timestamp
        counted = packet.descriptor is not None and packet.descriptor.picture is not None
        if counted and packet.picture > self._newest_picture:
            if self._pictures is None:
                self._pictures = Offsets(-(1 << 62), self._picture_offset)
            self._newest_picture = packet.picture
            self._pictures.leave_out(packet.picture, packet.picture)

    def _advance(self, index: int) -> None:
        """Go on to an in-order packet."""
        if index - self._newest > RESTARTED:
            # The numbers of what was jumped over are taken: nothing older can be placed any more. Two packets
            # under one number would be one GCM nonce used twice (media digest B.2).
            self._start = index
            self._offsets = Offsets(index, index - (self.last + 1))
        self._newest = index

    def map(self, packet: Packet) -> Numbers | None:
        """Number a packet of the current layer; None when it is older than what can be placed."""
        index = packet.index
        if index < self._start:
            return None
        descriptor = packet.descriptor
        picture_offset: int | None = self._picture_offset
        if self._pictures is not None and descriptor is not None:
            picture_offset = self._pictures.of(packet.picture)
        if picture_offset is None:
            # Its picture was left out, and has no number.
            self.skip(index)
            return None
        if index > self._newest:
            self._advance(index)
        offset = self._offsets.of(index)
        if offset is None:
            return None
        sequence = index - offset
        if sequence > self.last:
            self.last = sequence
            self._arrived = packet.arrived
        timestamp = (packet.timestamp - self.timestamp_offset) & 0xFFFFFFFF
        if _signed(timestamp - self.last_timestamp) > 0:
            self.last_timestamp = timestamp
        picture = tl0 = 0
        if descriptor is not None:
            self._newest_picture = max(self._newest_picture, packet.picture)
            extended = packet.picture - picture_offset
            if extended > self._last_picture:
                self._last_picture = extended
                if descriptor.tl0 is not None:
                    self._last_tl0 = (descriptor.tl0 - self._tl0_offset) & 0xFF
            picture = extended & 0x7FFF
            tl0 = ((descriptor.tl0 or 0) - self._tl0_offset) & 0xFF
        return Numbers(sequence & 0xFFFF, timestamp, picture, tl0)


def _signed(difference: int) -> int:
    """A 32-bit difference as a signed number."""
    difference &= 0xFFFFFFFF
    return difference - (1 << 32) if difference >> 31 else difference
