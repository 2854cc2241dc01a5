"""Whose fault it is: the two errors of the control plane.

A `PeerFault` in the offer that a peer dials with costs the peer its call; later, only what
carried it. Anything else that is raised below the switchboard is our bug and costs at most
one conference.
"""

from __future__ import annotations

from focus.vocabulary import Reason


class PeerFault(Exception):
    """The other side sent something illegal."""

    def __init__(self, what: str, earns: Reason = Reason.BAD_DESCRIPTION) -> None:
        super().__init__(what)
        self.what = what
        "A metric label: a few words, underscored, from our own text and never from the peer's."
        self.earns = earns
        "What a peer is told when the fault is in the offer that it dials with."
