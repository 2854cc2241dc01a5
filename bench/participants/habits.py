"""What a person at a call looks at: all voices, one picture large, the others as thumbnails.

After a while another picture becomes the large one; a shared screen always is. Pure;
the clock and chance are arguments.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LARGE = (1280, 720)
THUMBNAIL = (320, 180)
STAY = (10.0, 20.0)
"Seconds, least and most, that one picture stays large."

Track = tuple[str, str]
"Stream id and track id."
Wish = dict[Track, tuple[int, int] | None]
"What to receive, and how large it is shown; None for a voice."


@dataclass(slots=True)
class Habits:
    """One person's attention."""

    chance: random.Random
    large: Track | None = None
    until: float = 0.0

    def wish(self, streams: Mapping[str, Any], now: float) -> Wish:
        """Return what the person wants of the streams that the focus told of (MSC3077 metadata by stream id)."""
        voices: list[Track] = []
        pictures: list[Track] = []
        for stream, told in sorted(streams.items()):
            for track, described in sorted(told.get("tracks", {}).items()):
                (voices if described.get("kind") == "audio" else pictures).append((stream, track))
        shared = [(s, t) for s, t in pictures if streams[s].get("purpose") == "m.screenshare"]
        if shared:
            # Somebody shows something: everybody looks.
            self.large, self.until = shared[0], now
        elif self.large not in pictures or now >= self.until:
            others = [track for track in pictures if track != self.large]
            self.large = self.chance.choice(others or pictures) if pictures else None
            self.until = now + self.chance.uniform(*STAY)
        wish: Wish = dict.fromkeys(voices)
        wish.update({track: LARGE if track == self.large else THUMBNAIL for track in pictures})
        return wish


def difference(before: Wish, after: Wish) -> dict[str, Any]:
    """Return the content of an MSC3898 `m.call.track_subscription` that leads from one wish to another."""
    subscribe: list[dict[str, Any]] = []
    for (stream, track), size in after.items():
        if (stream, track) in before and before[stream, track] == size:
            continue
        entry: dict[str, Any] = {"stream_id": stream, "track_id": track}
        if size is not None:
            entry["width"], entry["height"] = size
        subscribe.append(entry)
    gone = [{"stream_id": stream, "track_id": track} for stream, track in before if (stream, track) not in after]
    return {"subscribe": subscribe, "unsubscribe": gone}
