"""Selection within a stream: up to which temporal id a route carries it.

VP8, which is all that is understood here, has no spatial ids. Pure: packets in order in, yes or no
out. Less comes at once, from the next picture on; more at a frame that needs lower ids only (VP8's
Y bit, RFC 7741 §4.2), or at a keyframe. All packets of a picture share one decision.
"""

from __future__ import annotations

from focus.reference.rtp import Packet

ALL = 255
"Whatever the stream has."


class Within:
    """What is carried of one route's stream."""

    def __init__(self) -> None:
        self._wanted = self._carried = (ALL, ALL)
        "Spatial and temporal id."
        self._picture: int | None = None
        "Timestamp of the newest picture."

    def want(self, spatial: int | None, temporal: int | None) -> None:
        """Up to which ids to carry the stream from now on; None for all."""
        self._wanted = (ALL if spatial is None else spatial, ALL if temporal is None else temporal)

    @property
    def whole(self) -> bool:
        """Nothing is left out, and nothing is to be."""
        return self._wanted == (ALL, ALL) == self._carried

    def begun(self, picture: int) -> None:
        """A picture with this timestamp has begun, all of which is carried."""
        self._picture = picture

    def begin(self) -> None:
        """A stream begins, at its keyframe."""
        self._carried = self._wanted

    def takes(self, packet: Packet, *, settled: bool) -> bool:
        """Whether a packet in order is carried. `settled`: it is of the stream that is wanted, which may rise."""
        descriptor = packet.descriptor
        temporal, sync = (descriptor.temporal, descriptor.sync) if descriptor is not None else (0, False)
        if settled and packet.keyframe:
            self._carried = self._wanted
        elif packet.timestamp != self._picture:
            spatial, carried = (min(pair) for pair in zip(self._carried, self._wanted, strict=True))
            # The frame needs lower ids only: those that follow in its own id may need it.
            if settled and sync and carried + 1 == temporal:
                carried = min(temporal, self._wanted[1])
            self._carried = (spatial, carried)
        self._picture = packet.timestamp
        return temporal <= self._carried[1]
