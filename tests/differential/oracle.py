"""One seed from beginning to end: its scenario, the law's doing, another table's doing, and the comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actions import Step, Table, Timed, play, record
from compare import Verdict, compare
from reference_table import ReferenceTable
from scenario import scenario

Make = Callable[[], Table]


def law(seed: int) -> tuple[list[Timed], list[Step]]:
    """A scenario with its NACKs as bytes, and what the reference engine does."""
    return record(scenario(seed), ReferenceTable())


def judge(seed: int, actions: Sequence[Timed], steps: Sequence[Step], make: Make) -> Verdict:
    """Compare another table with the law."""
    return compare(seed, actions, steps, play(actions, make()))
