"""How loud a track has been: a level for each 20 ms of the last second, and when that is worth telling.

It counts steps, not seconds, and knows nothing of who speaks: that is decided above. Of a
track on which nobody can be heard nothing is told.
"""

from __future__ import annotations

STEPS = 50
"Steps that are remembered: one second."
AUDIBLE = 67
"Loudness from which on somebody may be heard: -60 dBov."
EVERY = 15
"Steps between two tellings of what can be heard: 300 ms."
STANDS = 3
"Steps that one level stands for, at most: packets of sound are up to 60 ms long."


class Loudness:
    """Loudness is 0, silent, to 127, loudest."""

    def __init__(self) -> None:
        self.recent = bytearray(STEPS)
        "Newest last."
        self._fresh: int | None = None
        "The loudest that came since the last step."
        self._age = STANDS
        self._quiet = STEPS
        "Steps since somebody could be heard."
        self._known = False

    @property
    def newest(self) -> int:
        """The level of the newest step."""
        return self.recent[-1]

    def hear(self, level: int) -> None:
        """A packet says how loud it is."""
        self._fresh = level if self._fresh is None else max(self._fresh, level)

    def step(self, beat: int) -> bool:
        """20 ms passed, the `beat`-th. Whether to tell now: see `focus.commands.Levels`."""
        if self._fresh is None and self._quiet >= STEPS and self._age >= STANDS:
            return False
        self._age = 0 if self._fresh is not None else self._age + 1
        held = self.newest if self._age < STANDS else 0
        level = self._fresh if self._fresh is not None else held
        self._fresh = None
        del self.recent[0]
        self.recent.append(level)
        begins = not self._known or (level >= AUDIBLE and self._quiet >= STEPS)
        self._known = True
        self._quiet = 0 if level >= AUDIBLE else min(self._quiet + 1, STEPS)
        return begins or (self._quiet < STEPS and beat % EVERY == 0)
