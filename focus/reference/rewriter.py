"""One continuous stream out of several layers: sequence, timestamp, picture id, tl0 index.

The state of one route's numbering, pure: packets in, numbers out, `now` nowhere but in
the packets. Output is contiguous across switches, and a gap in the input leaves the same
gap, so that a late or repaired packet still fits (media digest B.3, B.4).
"""

from __future__ import annotations

from bisect import bisect_right
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
        self._from: list[int] = [0]
        self._offsets: list[int] = [0]
        self._picture_offset = 0
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
        self._from = [packet.index]
        self._offsets = [packet.index - (self.last + 1)]
        self.timestamp_offset = (packet.timestamp - expected) & 0xFFFFFFFF
        if packet.descriptor is not None:
            self._picture_offset = packet.picture - (self._last_picture + 1)
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

    def skip(self, index: int) -> None:
        """An in-order packet of the current layer carries nothing: close the gap that it would leave."""
        if index > self._newest:
            self._advance(index)
            self._change(index + 1, 1)

    def _advance(self, index: int) -> None:
        """Go on to an in-order packet."""
        if index - self._newest > RESTARTED:
            # The numbers of what was jumped over are taken: nothing older can be placed any more. Two packets
            # under one number would be one GCM nonce used twice (media digest B.2).
            self._start = index
            self._from, self._offsets = [index], [index - (self.last + 1)]
        self._newest = index

    def _change(self, since: int, by: int) -> None:
        self._from.append(since)
        self._offsets.append(self._offsets[-1] + by)
        if len(self._from) > FORGET:
            del self._from[0], self._offsets[0]

    def map(self, packet: Packet) -> Numbers | None:
        """Number a packet of the current layer; None when it is older than what can be placed."""
        index = packet.index
        if index < self._start:
            return None
        if index > self._newest:
            self._advance(index)
        at = bisect_right(self._from, index) - 1
        if at < 0:
            return None
        sequence = index - self._offsets[at]
        if sequence > self.last:
            self.last = sequence
            self._arrived = packet.arrived
        timestamp = (packet.timestamp - self.timestamp_offset) & 0xFFFFFFFF
        if _signed(timestamp - self.last_timestamp) > 0:
            self.last_timestamp = timestamp
        picture = tl0 = 0
        descriptor = packet.descriptor
        if descriptor is not None:
            extended = packet.picture - self._picture_offset
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
