"""Which stack carries the media of participants: chosen once for all who sit in one process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from focus.native import Unavailable, available

if TYPE_CHECKING:
    from bench.participants import media
    from bench.participants.line import Stack

STACKS = ("auto", "native", "aiortc")


def choose(name: str, people: Sequence[media.Person]) -> Stack:
    """Return the stack of that name; `auto` is native where it is built. `people`: whose loops will be sent.

    To be called inside a running event loop. Raises `ValueError` when `native` is asked for and not built.
    """
    # Imported here: whoever only names a stack, as the demo does, needs none of their libraries.
    if name == "aiortc" or (name == "auto" and not available()):
        from bench.participants.aiortc_line import AiortcStack

        return AiortcStack()
    from bench.participants.native_line import NativeStack

    try:
        return NativeStack(people)
    except Unavailable as wrong:
        raise ValueError(f"no native participants: {wrong}") from None
