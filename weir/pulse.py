"""The process's own pulse: how late the event loop runs, and how many bits flow.

It sleeps a tenth of a second at a time and looks at the clock. Nothing else here
depends on how fast the machine is.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from focus.commands import Counters

BEAT = 0.1
"Seconds between looks."

WINDOW = 50
"Looks that are kept: five seconds, so that a figure read once a second is steady."


class Pulse:
    """Measures while `run` runs. `counters` are the engine's totals, `lag` takes each delay in seconds."""

    def __init__(self, counters: Callable[[], Counters], lag: Callable[[float], None]) -> None:
        self.counters = counters
        self.lag = lag
        self.looks: deque[tuple[float, int, int]] = deque(maxlen=WINDOW)
        "Time, bytes in, bytes out."
        self.delays: deque[float] = deque(maxlen=WINDOW)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            before = time.monotonic()  # not the loop's own time: uvloop rounds it to milliseconds
            await asyncio.sleep(BEAT)
            now = time.monotonic()
            delay = max(0.0, now - before - BEAT)
            self.delays.append(delay)
            self.lag(delay)
            totals = self.counters()
            self.looks.append((now, totals.bytes_in, totals.bytes_out))

    def bitrates(self) -> tuple[float, float]:
        """Bits a second received and sent, over the looks that are kept."""
        if len(self.looks) < 2:
            return 0.0, 0.0
        (start, first_in, first_out), (end, last_in, last_out) = self.looks[0], self.looks[-1]
        return 8 * (last_in - first_in) / (end - start), 8 * (last_out - first_out) / (end - start)

    def worst(self) -> float:
        """The longest delay of the loop in the last seconds, in seconds."""
        return max(self.delays, default=0.0)
