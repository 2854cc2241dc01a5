"""What a participant demands of every track it receives. Pure: packets in order go in, counts of faults come out.

A clean track has no fault of any kind: numbers contiguous, time never backwards, picture
ids and TL0PICIDX one up a frame across every layer switch, a keyframe first, and each
frame the successor of the one before (`known.py`).
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from bench.participants.known import Known, Place
from bench.participants.vp8 import Part, read

RECENT = 4.0
"Seconds over which the pace of a picture is told."
MOST_RECENT = 256
"Frames; more than any camera makes in that time."


@dataclass(slots=True)
class Check:
    """The book of one received track."""

    kind: str
    known: Known
    faults: Counter[str] = field(default_factory=Counter)
    packets: int = 0
    octets: int = 0
    frames: int = 0
    keyframes: int = 0
    size: tuple[int, int] = (0, 0)
    first_frame: float | None = None
    "When the first keyframe began to arrive; the call's clock."
    longest_gap: float = 0.0
    "Seconds between two frames of a camera."
    wanted: tuple[int, int] | None = None
    wanted_at: float = 0.0
    switches: list[float] = field(default_factory=list)
    "Seconds from each asked size to the first keyframe of it."
    frame: bytearray = field(default_factory=bytearray)
    whole: bool = False
    "`frame` is all of it so far."
    _timestamp: int | None = None
    _part: Part | None = None
    _marker: bool = True
    _places: list[Place] = field(default_factory=list)
    _frame_at: float | None = None
    newest_frame: float = -1e9
    "When the newest frame began to arrive."
    _arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_RECENT))

    def want(self, width: int, height: int, now: float) -> None:
        """Note that a new size was asked for."""
        if (width, height) != self.wanted:
            self.wanted, self.wanted_at = (width, height), now
            self._settle(now)

    def take(self, timestamp: int, marker: bool, payload: bytes, lost: int, now: float) -> bytes | None:
        """Take the next packet in order, `lost` numbers having been given up before it.

        Returns the whole encoded frame when the packet completes one of video, else None.
        """
        self.packets += 1
        self.octets += len(payload)
        self.faults["lost"] += lost
        if self._timestamp is not None and (timestamp - self._timestamp) & 0xFFFFFFFF >= 0x80000000:
            self.faults["time_backwards"] += 1
        done = self._video(timestamp, marker, payload, lost, now) if self.kind == "video" else None
        self._timestamp = timestamp
        return done

    def idle(self) -> None:
        """Forget when the last frame came: the track pauses by agreement, and that gap is no fault."""
        self._frame_at = None

    def _video(self, timestamp: int, marker: bool, payload: bytes, lost: int, now: float) -> bytes | None:
        try:
            part = read(payload)
        except ValueError:
            self.faults["malformed"] += 1
            return None
        if part.first:
            self._begin(part, timestamp, lost, now)
        else:
            if self._marker and not lost:
                self.faults["headless_frame"] += 1
            if self._timestamp not in (None, timestamp) and not lost:
                self.faults["time_within_frame"] += 1
            self.whole = self.whole and not lost
        self.frame += part.body
        self._marker = marker
        return bytes(self.frame) if marker and self.whole else None

    def _begin(self, part: Part, timestamp: int, lost: int, now: float) -> None:
        self.frames += 1
        before, self._part = self._part, part
        self.frame.clear()
        self.whole = True
        if part.size is not None:
            self.keyframes += 1
            self.size = part.size
            self.first_frame = now if self.first_frame is None else self.first_frame
            self._settle(now)
        elif before is None:
            self.faults["first_not_keyframe"] += 1
        if before is not None and not lost:
            if not self._marker:
                self.faults["unfinished_frame"] += 1
            if timestamp == self._timestamp:
                self.faults["time_stands"] += 1
            if before.picture is not None and part.picture != (before.picture + 1) & 0x7FFF:
                self.faults["picture_id"] += 1
            if before.tl0 is not None and part.tl0 != (before.tl0 + (part.tid == 0)) & 0xFF:
                self.faults["tl0picidx"] += 1
        places = self.known.find(part.body)
        if part.size is None and places and self._places and not lost and not self.known.follows(self._places, places):
            self.faults["wrong_splice"] += 1
        self._places = places
        if self._frame_at is not None:
            self.longest_gap = max(self.longest_gap, now - self._frame_at)
        self._frame_at = self.newest_frame = now
        self._arrivals.append(now)

    def _settle(self, now: float) -> None:
        """Note how long a wanted size took, once a keyframe of it is here."""
        if self.wanted_at and self.wanted is not None and self.size[0] and fits(self.size, self.wanted):
            self.switches.append(now - self.wanted_at)
            self.wanted_at = 0.0

    def pace(self, now: float) -> float:
        """Frames a second, over the last few."""
        return sum(1 for at in self._arrivals if now - RECENT < at <= now) / RECENT

    def summary(self, now: float) -> dict[str, object]:
        """The book as JSON."""
        return {
            "kind": self.kind, "pace": round(self.pace(now), 1),
            "packets": self.packets, "frames": self.frames, "keyframes": self.keyframes,
            "width": self.size[0], "height": self.size[1], "wanted": list(self.wanted or ()),
            "longest_gap": round(self.longest_gap, 3), "switches": [round(s, 3) for s in self.switches],
            "unsettled": bool(self.wanted_at), "faults": {name: n for name, n in self.faults.items() if n},
        }  # fmt: skip


def fits(size: tuple[int, int], wanted: tuple[int, int]) -> bool:
    """Say whether a layer of `size` is the right one for `wanted`: not smaller (within 10 %), and no half would do."""
    enough = size[0] >= 0.9 * wanted[0] and size[1] >= 0.9 * wanted[1]
    half_enough = size[0] / 2 >= 0.9 * wanted[0] and size[1] / 2 >= 0.9 * wanted[1]
    return enough and (not half_enough or size[0] <= 320)
