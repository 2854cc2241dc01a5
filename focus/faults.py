"""Whose fault it is: the two errors of the control plane.

A `PeerFault` costs at most the peer that made it; anything else that is raised below the
switchboard is our bug and costs at most one conference.
"""

from __future__ import annotations

from focus.vocabulary import Reason


class PeerFault(Exception):
    """The other side sent something illegal."""

    def __init__(self, what: str, earns: Reason | None = Reason.BAD_DESCRIPTION) -> None:
        super().__init__(what)
        self.what = what
        "A metric label: a few words, underscored, from our own text and never from the peer's."
        self.earns = earns
        "Why the peer's call ends for it; None when only the event is refused and the call goes on."
