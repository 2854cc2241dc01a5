"""What a viewer sees and hears over time: a page's tiles and voices, read ten times a second.

`watch` and `seen` act on a page; the rest is pure and reads what they found. It does not know what should be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.browser import Window

RESUMED = 0.5
"Seconds from when a picture is not paused any more until it must move."

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
        pictures[s.trackIdentifier] = [s.frameWidth || 0, s.frameHeight || 0, s.framesDecoded || 0,
          s.totalFreezesDuration || 0];
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
  }, 100);
}
"""


@dataclass(frozen=True, slots=True)
class Tile:
    """Somebody's picture at one moment."""

    width: int
    height: int
    frames: int
    "Decoded so far."
    frozen: float
    "Seconds in freezes so far, as W3C webrtc-stats defines them."
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

    A freeze is known when it ends. What of it lies before a pause or `RESUMED` after its end counts.
    """
    found: dict[str, float] = {}
    pauses: dict[str, list[tuple[float, float]]] = {}
    last: dict[str, Tile] = {}
    moved: dict[str, float] = {}
    for look in looks:
        for stream, tile in look.tiles.items():
            before = last.get(stream)
            spans = pauses.setdefault(stream, [])
            if tile.paused:
                if before is not None and before.paused and spans:
                    spans[-1] = (spans[-1][0], look.at + RESUMED)
                else:
                    spans.append((look.at, look.at + RESUMED))
            if before is not None and tile.frozen > before.frozen:
                start = look.at - (tile.frozen - before.frozen)
                found[stream] = found.get(stream, 0.0) + outside(start, look.at, spans)
            if before is None or tile.frames != before.frames:
                moved[stream] = look.at
            last[stream] = tile
    for stream, tile in last.items():
        if not tile.paused and looks[-1].at - moved[stream] > 1.0:
            still = outside(moved[stream], looks[-1].at, pauses[stream])
            found[stream] = found.get(stream, 0.0) + still
    return {stream: round(seconds, 3) for stream, seconds in found.items() if seconds > 0}


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
