"""What was seen of one received track: the figures that a report is made of, whoever checked it. It judges nothing."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import KW_ONLY, dataclass, field

RECENT = 4.0
"Seconds over which the pace of a picture is told."
MOST_RECENT = 256
"Frames; more than any camera makes in that time."


@dataclass(slots=True)
class Found:
    """Times are in seconds of the call's clock."""

    kind: str
    _: KW_ONLY
    faults: Counter[str] = field(default_factory=Counter)
    packets: int = 0
    octets: int = 0
    frames: int = 0
    keyframes: int = 0
    size: tuple[int, int] = (0, 0)
    "Of the newest keyframe."
    first_frame: float | None = None
    "When the first keyframe began to arrive."
    newest_frame: float = -1e9
    "When the newest frame began to arrive."
    longest_gap: float = 0.0
    "Seconds between two frames of a camera."
    wanted: tuple[int, int] | None = None
    wanted_at: float = 0.0
    "Since when `wanted` is waited for; 0 when it is there."
    switches: list[float] = field(default_factory=list)
    "Seconds from each asked size to the first keyframe of it."
    arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_RECENT))
    "Beginnings of the last frames."

    def pace(self, now: float) -> float:
        """Frames a second, over the last few."""
        return sum(1 for at in self.arrivals if now - RECENT < at <= now) / RECENT

    def summary(self, now: float) -> dict[str, object]:
        """The figures as JSON."""
        return {
            "kind": self.kind, "pace": round(self.pace(now), 1),
            "packets": self.packets, "frames": self.frames, "keyframes": self.keyframes,
            "width": self.size[0], "height": self.size[1], "wanted": list(self.wanted or ()),
            "longest_gap": round(self.longest_gap, 3), "switches": [round(s, 3) for s in self.switches],
            "unsettled": bool(self.wanted_at), "faults": {name: n for name, n in self.faults.items() if n},
        }  # fmt: skip
