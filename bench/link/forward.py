"""The process that carries a link's packets: the seeded wires of `tests/wire.py`, driven by the real clock.

    python -m bench.link.forward NAMESPACE NEAR FAR SEED

Each line of its input is an object with `there` and `back`, the conditions from now on; it
answers each once they hold, with what went `there` before, and ends with its input. Before the
first nothing passes.
"""

from __future__ import annotations

import json
import os
import random
import select
import sys
import time
from typing import Any

from bench.link.namespace import Names, tunnels
from tests.wire import Bursts, Conditions, Wire

MOST = 2048
"Bytes of a packet."
AT_ONCE = 64
"Packets taken from one side before the clock is looked at again."


def conditions(told: dict[str, Any]) -> Conditions:
    """Conditions as `dataclasses.asdict` wrote them. `TypeError`: they are not."""
    bursts = told.get("bursts")
    return Conditions(**{**told, "pattern": tuple(told.get("pattern", ())), "bursts": bursts and Bursts(**bursts)})


class Side:
    """One direction: where its packets come from, where they go, and what becomes of them."""

    def __init__(self, source: int, sink: int, chance: random.Random) -> None:
        self.source, self.sink = source, sink
        self.wire = Wire[bytes](Conditions(), chance)
        self.sent = self.lost = 0

    def take(self, now: float) -> None:
        """Put what has come on the wire."""
        for _ in range(AT_ONCE):
            try:
                packet = os.read(self.source, MOST)
            except BlockingIOError:
                return
            # The kernel's own IPv6 packets would have a share in the pattern, at times of their own.
            if packet[0] >> 4 == 4:
                self.sent += 1
                self.lost += not self.wire.send(now, packet, len(packet))

    def give(self, now: float) -> None:
        """Hand over what has arrived. A device whose queue is full, or that is gone, loses it."""
        for packet in self.wire.due(now):
            try:
                os.write(self.sink, packet)
            except OSError:
                continue


def main() -> int:
    """Forward until the input ends."""
    space, near_name, far_name, seed = sys.argv[1:5]
    near, far = tunnels(Names(space, near_name, far_name))
    there, back = Side(near, far, random.Random(int(seed))), Side(far, near, random.Random(int(seed) + 1))
    left = b""
    readers: list[int] = [0]
    while True:
        now = time.monotonic()
        for side in (there, back):
            side.give(now)
        due = [at for side in (there, back) if (at := side.wire.next) is not None]
        ready, _, _ = select.select(readers, [], [], max(0.0, min(due) - time.monotonic()) if due else None)
        now = time.monotonic()
        for side in (there, back):
            if side.source in ready:
                side.take(now)
        if 0 in ready:
            read = os.read(0, 65536)
            if not read:
                return 0
            *whole, left = (left + read).split(b"\n")
            for line in whole:
                told = json.loads(line)
                there.wire.conditions, back.wire.conditions = conditions(told["there"]), conditions(told["back"])
                readers = [0, near, far]
                os.write(1, json.dumps({"sent": there.sent, "lost": there.lost}).encode() + b"\n")
                there.sent = there.lost = 0


if __name__ == "__main__":
    sys.exit(main())
