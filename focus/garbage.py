"""How seldom Python looks for garbage in the process of a focus: called once, by whoever starts it.

What a conference is made of are frozen values without cycles: they go by reference counts as
soon as nobody holds them. The search for cycles finds next to nothing, and as it is set, each
join would begin dozens.
"""

from __future__ import annotations

import gc

YOUNG, OLD, OLDEST = 50_000, 10, 20
"More objects made than gone, until the young are looked at; looks at those until the older ones are."


def look_rarely() -> None:
    """Look seldom from now on, and never again at what is there by now: modules, classes, functions."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLD, OLDEST)
