"""What a case of congestion control must reach. Pure.

Where TCP competes, all that came through counts as used; what is left for the pictures is told,
and not judged: who keeps queues short gets little beside who fills them.
"""

from __future__ import annotations

from tests.congestion.figures import Figures

USED = 0.85
QUEUE = 0.08
UP = 4.0
DOWN = 1.5
JAIN = 0.95
COLLAPSE = 0.5
"A harder case may use less, but not below this."


def missed(name: str, found: Figures) -> list[str]:
    """What a case of the table falls short of, in words."""
    wrong = []
    if name == "5.1":
        if found.used < USED:
            wrong.append(f"uses {found.used:.2f} of the capacity, not {USED}")
        if found.queue_p95 > QUEUE:
            wrong.append(f"queues for {1000 * found.queue_p95:.0f} ms, not {1000 * QUEUE:.0f}")
        wrong += [f"takes {took:.1f} s up, not {UP}" for took in found.up if took > UP + 1e-9]
        wrong += [f"takes {took:.1f} s down, not {DOWN}" for took in found.down if took > DOWN + 1e-9]
    if name == "5.4" and found.jain is not None and found.jain < JAIN:
        wrong.append(f"is fair by {found.jain:.2f}, not {JAIN}")
    return wrong + collapsed(found)


def collapsed(found: Figures) -> list[str]:
    """What a harder case falls short of."""
    return [f"uses only {found.used:.2f} of the capacity"] if found.used < COLLAPSE else []
