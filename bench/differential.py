"""Both engines through ten thousand seeded scenarios, packet by packet: where do they differ?

    make bench NAME=differential [ARGS="--seeds 10000 --first 0 --workers 2"]

Each scenario (tests/differential) is played on the reference engine's table, which is the law,
and on the native engine's, in virtual time. A difference is printed with its seed; one that
focus/native/README.md explains as a chosen improvement is counted by its name. Exit code 0
only when there is no other. `--first N --seeds 1` looks at seed N alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "differential"), str(TESTS / "contract")]

from native_table import NativeTable  # noqa: E402
from oracle import judge, law  # noqa: E402

BATCH = 50
SHOWN = 20
"Differences printed; the rest is only counted."


def compared(seeds: range) -> tuple[list[str], Counter[str]]:
    """The differences of a batch of scenarios in words, and how often each chosen one showed."""
    differences: list[str] = []
    chosen: Counter[str] = Counter()
    for seed in seeds:
        verdict = judge(seed, *law(seed), NativeTable)
        differences += map(str, verdict.differences)
        chosen.update({str(name): count for name, count in verdict.chosen.items()})
    return differences, chosen


def batches(seeds: range) -> Iterator[range]:
    """Parts of about a second each."""
    for at in range(seeds.start, seeds.stop, BATCH):
        yield range(at, min(at + BATCH, seeds.stop))


def main() -> int:
    """Compare, print what differs, and the figures as the last line."""
    parser = argparse.ArgumentParser(prog="bench.differential", description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many scenarios")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--workers", type=int, default=2, help="processes that share the work")
    args = parser.parse_args()
    start = time.monotonic()
    different = 0
    chosen: Counter[str] = Counter()
    with ProcessPoolExecutor(args.workers) as pool:
        for differences, explained in pool.map(compared, batches(range(args.first, args.first + args.seeds))):
            for difference in differences[: max(0, SHOWN - different)]:
                print(difference, flush=True)
            different += len(differences)
            chosen += explained
    print(
        json.dumps(
            {
                "scenarios": args.seeds,
                "differences": different,
                "explained": dict(sorted(chosen.items())),
                "seconds": round(time.monotonic() - start, 1),
            }
        )
    )
    return 0 if different == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
