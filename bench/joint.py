"""The joint plan against the fixed ladder, in meetings of ten: `make bench NAME=joint`.

Twenty seeded meetings: ten people with links down from 0.3 to 8 Mbit/s (evenly in the logarithm) and links up of 0.8 to
5 Mbit/s; half of them watch all others in tiles of 426 x 240, half the speaker at 1280 x 720, the others at 320 x 180.
What a viewer has of a picture is the utility of `focus/allocate.py`, where a layer that is given less than its pixels
take shows the detail of a smaller one; both sides are valued by the same rule. Nothing is sent. Beside it, without a
bar, what a running conference comes to in a minute (`focus/tuning.py`): short searches, no layer left out, and nobody
with less than 0.98 of what it has of the ladder.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
import time

from focus.joint import PARTS, Meeting, Publisher, Shown, Viewer, fixed, joint, ladder, search, total
from focus.tuning import HEAT, KEPT, WORK

BAR_MEDIAN = 1.10
BAR_LEAST = 0.98
SEEDS = 20
PEOPLE = 10
DOWN = (0.3e6, 8e6)
UP = (0.8e6, 1.5e6, 3.2e6, 5e6)
SIZES = (320 * 180.0, 640 * 360.0, 1280 * 720.0)
TILE = 426 * 240.0
SPEAKER_WEIGHT = 4.0
LOOKS = 30
VIEWERS = WORK // (PEOPLE - 1)


def meeting(seed: int) -> Meeting[int]:
    """Ten people, drawn."""
    draw = random.Random(seed)
    people = range(PEOPLE)
    layers = ladder(SIZES)
    publishers = {number: Publisher(number, layers, draw.choice(UP)) for number in people}
    gallery = [draw.random() < 0.5 for _ in people]
    speaker = draw.randrange(PEOPLE)
    viewers = []
    for number in people:
        down = math.exp(draw.uniform(math.log(DOWN[0]), math.log(DOWN[1])))
        large = speaker if number != speaker else (speaker + 1) % PEOPLE
        pictures = []
        for other in people:
            if other == number:
                continue
            if gallery[number]:
                pictures.append(Shown(other, TILE))
            elif other == large:
                pictures.append(Shown(other, SIZES[2], SPEAKER_WEIGHT))
            else:
                pictures.append(Shown(other, SIZES[0]))
        viewers.append(Viewer(tuple(pictures), down))
    return Meeting(publishers, tuple(viewers))


def main() -> int:
    """Print one line a meeting, then JSON; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--work", type=int, default=40_000, help="how many times a viewer may be valued")
    args = parser.parse_args()
    shares: list[float] = []
    kept: list[float] = []
    seconds: list[float] = []
    for seed in range(args.seeds):
        people = meeting(seed)
        start = time.perf_counter()
        rates = joint(people, random.Random(seed), work=args.work)
        seconds.append(time.perf_counter() - start)
        alone, together = total(people, fixed(people)), total(people, rates)
        shares.append(together / alone)
        running = fixed(people)
        for look in range(LOOKS):
            running = dict(search(people, random.Random(look), running, VIEWERS, KEPT, PARTS, HEAT).rates)
        kept.append(total(people, running) / alone)
        sent = sorted(sum(rate or 0 for rate in of) / 1e3 for of in rates.values())
        print(
            f"meeting {seed:2}: fixed {alone:6.1f}, joint {together:6.1f}: x {shares[-1]:.3f}, running {kept[-1]:.3f};"
            f" publishers send {sent[0]:.0f} to {sent[-1]:.0f} kbit/s",
            flush=True,
        )
    median, least = statistics.median(shares), min(shares)
    held = median >= BAR_MEDIAN and least >= BAR_LEAST
    print(
        json.dumps(
            {
                "median": round(median, 3),
                "least": round(least, 3),
                "most": round(max(shares), 3),
                "running_median": round(statistics.median(kept), 3),
                "running_least": round(min(kept), 3),
                "seconds": round(statistics.median(seconds), 2),
                "seeds": args.seeds,
                "bar_median": BAR_MEDIAN,
                "bar_least": BAR_LEAST,
                "held": held,
            }
        )
    )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
