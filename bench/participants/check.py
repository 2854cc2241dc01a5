"""What a participant demands of every track it receives. Pure: packets in order go in, counts of faults come out.

A clean track has no fault of any kind: numbers contiguous, time never backwards, picture
ids and TL0PICIDX one up a frame across every layer switch, a keyframe first, and each
frame the successor of the one before (`known.py`).
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field

from bench.participants.found import Found
from bench.participants.known import Known, Place
from bench.participants.vp8 import Part, read


@dataclass(slots=True)
class Check(Found):
    """The book of one received track."""

    known: Known
    _: KW_ONLY
    frame: bytearray = field(default_factory=bytearray)
    whole: bool = False
    "`frame` is all of it so far."
    _timestamp: int | None = None
    _part: Part | None = None
    _marker: bool = True
    _places: list[Place] = field(default_factory=list)

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
        if before is not None:
            self.longest_gap = max(self.longest_gap, now - self.newest_frame)
        self.newest_frame = now
        self.arrivals.append(now)

    def _settle(self, now: float) -> None:
        """Note how long a wanted size took, once a keyframe of it is here."""
        if self.wanted_at and self.wanted is not None and self.size[0] and fits(self.size, self.wanted):
            self.switches.append(now - self.wanted_at)
            self.wanted_at = 0.0


def fits(size: tuple[int, int], wanted: tuple[int, int]) -> bool:
    """Say whether a layer of `size` is the right one for `wanted`: not smaller (within 10 %), and no half would do."""
    enough = size[0] >= 0.9 * wanted[0] and size[1] >= 0.9 * wanted[1]
    half_enough = size[0] / 2 >= 0.9 * wanted[0] and size[1] / 2 >= 0.9 * wanted[1]
    return enough and (not half_enough or size[0] <= 320)
