"""What a viewer sees and hears over time: a page's tiles and voices, read twenty times a second.

`watch` and `seen` act on a page; the rest is pure and reads what they found. It does not know what should be seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.browser import Window

RESUMED = 0.5
"Seconds from when a picture is not paused any more until it must move."
USUAL = 1 / 15
"Seconds from frame to frame, before it is known."
MEMORY = 30
"Frames over which what is usual is the mean."

WATCH = """
() => {
  window.__seen = [];
  setInterval(async () => {
    const pc = window.__connections.at(-1);
    const pictures = {}, voices = {};
    (await pc.getStats()).forEach((s) => {
      if (s.type !== 'inbound-rtp') return;
      if (s.kind === 'audio') {
        const heard = (s.concealedSamples || 0) - (s.silentConcealedSamples || 0);
        voices[s.trackIdentifier] = [s.packetsReceived || 0, heard, s.totalSamplesReceived || 0];
      } else {
        const waits = [s.totalInterFrameDelay || 0, s.totalSquaredInterFrameDelay || 0];
        pictures[s.trackIdentifier] = [s.frameWidth || 0, s.frameHeight || 0, s.framesDecoded || 0, ...waits];
      }
    });
    const tiles = {};
    for (const tile of document.querySelectorAll('[data-user]')) {
      const track = tile.querySelector('video')?.srcObject?.getVideoTracks()[0]?.id;
      const found = pictures[track];
      if (tile.dataset.self !== 'true' && found) {
        tiles[tile.dataset.stream] = [...found, tile.dataset.paused === 'true'];
      }
    }
    window.__seen.push([performance.timeOrigin / 1000 + performance.now() / 1000, tiles, voices]);
  }, 50);
}
"""


@dataclass(frozen=True, slots=True)
class Tile:
    """Somebody's picture at one moment."""

    width: int
    height: int
    frames: int
    "Decoded so far."
    waited: float
    "Seconds from each of them to the next, and their squares (W3C webrtc-stats, `totalInterFrameDelay`)."
    squared: float
    paused: bool
    "Said to be held back for the link."


@dataclass(frozen=True, slots=True)
class Look:
    """All that is seen and heard at one moment."""

    at: float
    "Unix seconds."
    tiles: Mapping[str, Tile]
    "By stream."
    voices: Mapping[str, tuple[int, int, int]]
    "Packets, concealed samples that were not silence, and samples, so far, by track."


async def watch(page: Window) -> None:
    """Begin to look."""
    await page.page.evaluate(WATCH)


async def seen(page: Window) -> list[Look]:
    """What was seen since."""
    rows: list[tuple[float, dict[str, list[Any]], dict[str, list[int]]]] = await page.page.evaluate(
        "window.__seen.splice(0)"
    )
    return [
        Look(
            at,
            {stream: Tile(*found) for stream, found in tiles.items()},
            {track: (heard[0], heard[1], heard[2]) for track, heard in voices.items()},
        )
        for at, tiles, voices in rows
    ]


def pixels(look: Look) -> int:
    """Of all pictures that move."""
    return sum(tile.width * tile.height for tile in look.tiles.values() if not tile.paused)


def frozen(looks: Sequence[Look]) -> dict[str, float]:
    """Seconds that each picture stood still though nothing said so, by stream.

    A picture stands still when its next frame takes more than three times as long as one usually did, and 0.15 s more
    than that (W3C webrtc-stats, `freezeCount`). Browsers leave out what takes long, as a pause: here it counts, but for
    the time from when it was said to be paused to `RESUMED` after that was over.
    """
    found: dict[str, float] = {}
    for stream in dict.fromkeys(stream for look in looks for stream in look.tiles):
        rows = [(look.at, look.tiles[stream]) for look in looks if stream in look.tiles]
        pauses = paused(rows)
        moved, usual = rows[0][0], USUAL
        total = 0.0
        for (at, tile), (looked, before) in zip(rows[1:], rows, strict=False):
            frames = tile.frames - before.frames
            if not frames and at != rows[-1][0]:
                continue
            longest = longest_wait(before, tile) if frames else at - moved
            # From looks alone it is known to the time from look to look; browsers leave out what takes long.
            gap = outside(at - max(longest, at - moved - (at - looked)), at, pauses)
            if gap > max(3 * usual, usual + 0.15):
                total += gap
            elif frames:
                usual += (outside(moved, at, pauses) / frames - usual) / MEMORY
            moved = at
        if total > 0:
            found[stream] = round(total, 3)
    return found


def longest_wait(before: Tile, after: Tile) -> float:
    """Seconds of the longest wait for a frame between two looks: of one or two exactly, of more at most (Samuelson)."""
    frames = after.frames - before.frames
    mean = (after.waited - before.waited) / frames
    variance = max(0.0, (after.squared - before.squared) / frames - mean * mean)
    return mean + math.sqrt((frames - 1) * variance)


def paused(rows: Sequence[tuple[float, Tile]]) -> list[tuple[float, float]]:
    """From when to when a picture was said to be paused, with `RESUMED` after it."""
    spans: list[tuple[float, float]] = []
    running = False
    for at, tile in rows:
        if tile.paused and running:
            spans[-1] = (spans[-1][0], at + RESUMED)
        elif tile.paused:
            # One that comes before the last is over goes on with it.
            begin = max(at, spans[-1][1]) if spans else at
            spans.append((begin, at + RESUMED))
        running = tile.paused
    return spans


def outside(start: float, end: float, spans: Sequence[tuple[float, float]]) -> float:
    """Seconds of an interval that lie in none of some spans, which do not overlap."""
    return end - start - sum(max(0.0, min(end, stop) - max(start, begin)) for begin, stop in spans)


def concealed(looks: Sequence[Look], loudest: int) -> list[float]:
    """Of each of the voices that most packets came of: the share of what was heard of it that was made up."""
    first, last = looks[0].voices, looks[-1].voices
    came = {track: last[track][0] - first[track][0] for track in last if track in first}
    chosen = sorted(came, key=came.__getitem__, reverse=True)[:loudest]
    return [
        round((last[t][1] - first[t][1]) / max(1, last[t][2] - first[t][2]), 5) for t in chosen
    ]
