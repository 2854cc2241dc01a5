"""What a receiver tells a sender: reception reports, missing packets, transport-wide arrivals.

Pure bookkeeping: `now` is an argument, nothing is sent from here. One `Reception` per
incoming SSRC, one `Missing` per layer, one `Arrivals` per transport.
"""

from __future__ import annotations

from focus.reference.rtcp import ReportBlock, SenderReport, transport_feedback
from focus.reference.rtp import expand

NACK_AGAIN = 0.1
"Seconds before a missing packet is asked for again: a round trip until one is known (media digest B.7)."
NACK_TIMES = 10
MOST_MISSING = 500
"A jump beyond this is a restart of the stream, not loss; later than this is too late (security R8)."
OLDEST_MISSING = 3.0
"Seconds after which a missing packet is of no use to anyone."


class Reception:
    """Statistics of one SSRC for receiver reports (RFC 3550 §6.4, A.3, A.8)."""

    def __init__(self, ssrc: int, clock: int) -> None:
        self.ssrc = ssrc
        self.clock = clock
        self.first: int | None = None
        self.highest: int | None = None
        self.received = 0
        self.jitter = 0.0
        self.report: SenderReport | None = None
        self.report_at = 0.0
        self._transit: float | None = None
        self._expected_before = 0
        self._received_before = 0

    def count(self, sequence: int, timestamp: int, now: float) -> int | None:
        """Account one packet and return its extended sequence number; None when it comes far too late."""
        if self.highest is None:
            # Room below, so that a packet that overtook the first one still has a number.
            sequence += 1 << 16
            self.first = self.highest = sequence
        else:
            sequence = expand(sequence, self.highest)
            if sequence < self.highest - MOST_MISSING:
                return None
            if sequence > self.highest + MOST_MISSING:
                # The sender restarted its numbering. Going on from here keeps the loss figure honest.
                self.first = sequence
                self.received = self._expected_before = self._received_before = 0
                self.highest = sequence
            else:
                self.highest = max(self.highest, sequence)
        self.received += 1
        transit = now * self.clock - timestamp
        if self._transit is not None:
            difference = abs(transit - self._transit)
            if difference < 10 * self.clock:
                self.jitter += (difference - self.jitter) / 16
        self._transit = transit
        return sequence

    def reported(self, report: SenderReport, now: float) -> None:
        """Note the sender's newest report."""
        self.report, self.report_at = report, now

    def block(self, now: float) -> ReportBlock | None:
        """Make the block for the next receiver report; None before the first packet."""
        if self.first is None or self.highest is None:
            return None
        expected = self.highest - self.first + 1
        span, got = expected - self._expected_before, self.received - self._received_before
        self._expected_before, self._received_before = expected, self.received
        lost = span - got
        fraction = min(255, lost * 256 // span) if span > 0 and lost > 0 else 0
        last_sr = delay = 0
        if self.report is not None:
            last_sr = self.report.ntp >> 16 & 0xFFFFFFFF
            delay = min(0xFFFFFFFF, int((now - self.report_at) * 65536))
        total = expected - self.received
        return ReportBlock(self.ssrc, fraction, total, self.highest, int(self.jitter), last_sr, delay)


class Missing:
    """Which packets of a layer are missing, and which of them to ask for now (RFC 4585 §6.2.1)."""

    def __init__(self) -> None:
        self._wanted: dict[int, tuple[float, float, int]] = {}
        "By extended sequence number: first missed, last asked, times asked."
        self._highest: int | None = None

    def seen(self, index: int, now: float) -> None:
        """A packet arrived, by any way."""
        if self._highest is None or abs(index - self._highest) > MOST_MISSING:
            self._highest = index
            self._wanted.clear()
        elif index > self._highest:
            for lost in range(self._highest + 1, index):
                self._wanted[lost] = (now, -1.0, 0)
            self._highest = index
        else:
            self._wanted.pop(index, None)
        while len(self._wanted) > MOST_MISSING:
            self._wanted.pop(next(iter(self._wanted)))

    def due(self, now: float) -> list[int]:
        """Extended sequence numbers to ask for now, ascending; each is then held back for a while."""
        if not self._wanted:
            return []
        asking: list[int] = []
        for index, (since, asked, times) in list(self._wanted.items()):
            if times >= NACK_TIMES or now - since > OLDEST_MISSING:
                del self._wanted[index]
            elif now - asked >= NACK_AGAIN:
                self._wanted[index] = (since, now, times + 1)
                asking.append(index)
        asking.sort()
        return asking


class Arrivals:
    """Arrival times by transport-wide sequence number, until they are told (media digest B.9)."""

    def __init__(self) -> None:
        self._times: dict[int, int] = {}
        self._highest: int | None = None
        self._told: int | None = None
        self._count = 0
        self.media_ssrc = 0
        "One of the sender's own SSRCs: Chromium ignores feedback that names any other."

    def note(self, sequence: int, ssrc: int, now: float) -> None:
        """A packet with this transport-wide number arrived."""
        index = expand(sequence, self._highest)
        if self._highest is None or index > self._highest:
            self._highest = index
        if (self._told is None or index > self._told) and len(self._times) < 2000:
            self._times.setdefault(index, int(now * 1e6))
            self.media_ssrc = ssrc

    def feedback(self, sender: int) -> list[bytes]:
        """Write what has not been told yet. Gaps between told packets are told as lost."""
        packets: list[bytes] = []
        arrivals = sorted(self._times.items())
        self._times.clear()
        while arrivals:
            # What got lost between two packets of feedback must be told too: begin after the last one told.
            after = arrivals[0][0] if self._told is None else self._told + 1
            base = after if arrivals[0][0] - after <= MOST_MISSING else arrivals[0][0]
            made = transport_feedback(sender, self.media_ssrc, self._count, arrivals, base)
            if made is None:
                break
            packet, told = made
            packets.append(packet)
            self._count = (self._count + 1) & 0xFF
            self._told = arrivals[told - 1][0]
            arrivals = arrivals[told:]
        return packets
