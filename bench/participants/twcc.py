"""Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1): written for what arrived.

Pure. Only status vectors of two bits are written: simple, and every reader must take them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import pack

EVERY = 0.1
"Seconds between two feedback packets: as Chromium's receiver."
UNIT = 0.00025
"Seconds of one arrival delta."
MOST = 14 * 60
"Packets told of in one feedback."


@dataclass(slots=True)
class Arrivals:
    """Packets since the last feedback."""

    seen: dict[int, float] = field(default_factory=dict)
    "Widened transport sequence number to arrival time."
    newest: int | None = None
    media: int = 0
    "Some SSRC of the other side: Chromium ignores feedback about a stranger's."
    count: int = 0
    next: float = 0.0

    def note(self, number: int, ssrc: int, now: float) -> None:
        """Take one packet's number."""
        if self.newest is None:
            self.newest = number + 0x10000
        wide = self.newest + ((number - self.newest + 0x8000) & 0xFFFF) - 0x8000
        self.newest = max(self.newest, wide)
        self.seen[wide] = now
        self.media = ssrc

    def feedback(self, ssrc: int, now: float) -> bytes | None:
        """Return the RTCP packet that is due, None if none is."""
        if not self.seen or now < self.next:
            return None
        self.next = now + EVERY
        base = min(self.seen)
        end = min(max(self.seen) + 1, base + MOST)
        reference = int(self.seen[base] / 0.064)
        clock = reference * 0.064
        symbols: list[int] = []
        deltas = b""
        for number in range(base, end):
            at = self.seen.pop(number, None)
            if at is None:
                symbols.append(0)
                continue
            steps = max(-32768, min(32767, round((at - clock) / UNIT)))
            clock += steps * UNIT
            small = 0 <= steps <= 255
            symbols.append(1 if small else 2)
            deltas += pack("!B", steps) if small else pack("!h", steps)
        chunks = b""
        for first in range(0, len(symbols), 7):
            seven = symbols[first : first + 7] + [0] * 7
            chunks += pack("!H", 0xC000 | sum(symbol << 2 * (6 - i) for i, symbol in enumerate(seven[:7])))
        fci = pack("!HHI", base & 0xFFFF, len(symbols), (reference & 0xFFFFFF) << 8 | self.count & 0xFF)
        self.count += 1
        body = pack("!II", ssrc, self.media) + fci + chunks + deltas
        body += b"\0" * (-len(body) % 4)
        return pack("!BBH", 0x8F, 205, len(body) // 4) + body
