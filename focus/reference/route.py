"""One track forwarded to one peer: which packets pass, and as what.

The column from a layer's packet to the sink's bytes: layer? keyframe? number, header,
descriptor. It decides when a switch happens (at a keyframe) and answers the sink's NACKs.
It knows no socket: the caller sends the bytes. `now` is an argument.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from focus.commands import Drop, Route
from focus.reference import rtcp, vp8
from focus.reference.rewriter import Numbers, Rewriter
from focus.reference.rtp import HEADER, Packet, dump_extensions
from focus.reference.source import Layer
from focus.reference.within import Within
from focus.vocabulary import PeerId, Rid

REMEMBERED = 1024
"Sent packets that can still be asked for again; a power of two."
RESEND_AFTER = 0.1
"Seconds before the same packet is sent again (security K2)."
RESEND_TIMES = 3
LEAST_RTX = 64_000 // 8
"Bytes a second of retransmission that a route always has (security K2)."


class Forward:
    """A route at work."""

    def __init__(self, route: Route, publisher: PeerId) -> None:
        self.route = route
        self.publisher = publisher
        "Its name, a random token, is the CNAME too: what comes from one peer has one clock (RFC 3550 §6.5.1)."
        self.target: Rid | None = None
        self._within = Within()
        "How much of it."
        self.layer: Layer | None = None
        "The layer that is forwarded now."
        self._rested: Layer | None = None
        "The one that was when this was paused."
        self.packets = 0
        self.octets = 0
        # Derived from the SSRC that Python drew, so that the engine needs no chance of its own.
        self._rewriter = Rewriter(route.ssrc & 0x7FFF, route.ssrc * 2654435761 & 0xFFFFFFFF, route.codecs[0].clock)
        self._sent: list[tuple[int, Layer, int, Numbers] | None] = [None] * REMEMBERED
        self._resent: dict[int, tuple[float, int]] = {}
        self._rtx_sequence = route.ssrc >> 16 & 0x7FFF
        self._rtx_budget = float(LEAST_RTX)
        self._report_due = True
        self._mid: list[tuple[int, bytes]] = []
        self.configure(route)

    def configure(self, route: Route) -> None:
        """Take renegotiated numbers; the stream, its SSRC and its numbering go on."""
        self.route = replace(self.route, mid=route.mid, codecs=route.codecs, extensions=route.extensions)
        self._codecs = {codec.name: codec for codec in reversed(route.codecs)}
        ids = route.extensions
        self._mid = [(ids.mid, route.mid.encode())] if ids.mid else []

    def aim(self, target: Rid | None, spatial: int | None = None, temporal: int | None = None) -> bool:
        """Set the wanted layer, and how much of it. True if that stops the stream at once."""
        self.target = target
        if self._within.whole:
            self._within.begun(self._rewriter.picture())
        self._within.want(spatial, temporal)
        if target is None and self.layer is not None:
            self._rested, self.layer = self.layer, None
            return True
        return False

    def waiting_for(self, layers: dict[Rid, Layer]) -> Layer | None:
        """The layer whose keyframe this route waits for, None when it has what it wants."""
        if self.target is None:
            return None
        wanted = layers.get(self.target)
        return wanted if wanted is not None and wanted is not self.layer and self.takes(wanted) else None

    def takes(self, layer: Layer) -> bool:
        """Whether the sink could use a keyframe of a layer, as it is sent now."""
        return layer.codec.name in self._codecs

    def forward(self, layer: Layer, packet: Packet, now: float) -> bytes | Drop:
        """Turn a layer's packet into the sink's, or say why not. May switch to `layer`: compare `layer` after."""
        if layer is not self.layer:
            # Layer first: most packets of a simulcast sender stop here.
            if layer.rid != self.target:
                return Drop.OTHER_LAYER
            if packet.codec not in self._codecs:
                return Drop.OTHER_CODEC
            if not packet.keyframe:
                return Drop.AWAITING_KEYFRAME
            if self.layer is None and layer is self._rested:
                self._rewriter.resume(packet)
            else:
                old = self.layer.reception.report if self.layer is not None else None
                self._rewriter.switch(packet, layer.reception.report, old)
            self.layer = layer
            self._within.begin()
            self._report_due = True
        elif packet.codec not in self._codecs:
            return Drop.OTHER_CODEC
        elif (
            not self._within.whole
            and self._rewriter.in_order(packet.index)
            and not self._within.takes(packet, settled=layer.rid == self.target)
        ):
            # A late one takes the number that was kept for it, if any was: a picture more does no harm.
            self._rewriter.leave_out(packet)
            return Drop.OTHER_LAYER
        numbers = self._rewriter.map(packet)
        if numbers is None:
            return Drop.TOO_OLD
        self._sent[numbers.sequence & REMEMBERED - 1] = (numbers.sequence, layer, packet.index, numbers)
        route = self.route
        payload = packet.payload
        if packet.descriptor is not None:
            payload = vp8.rewrite(payload, packet.descriptor, numbers.picture, numbers.tl0)
        self.packets += 1
        self.octets += len(payload)
        pt = self._codecs[packet.codec].pt
        return self._dump(packet, pt, numbers.sequence, numbers.timestamp, route.ssrc, payload, now)

    def skip(self, layer: Layer, index: int) -> None:
        """An in-order packet of a layer was only padding."""
        if layer is self.layer:
            self._rewriter.skip(index)

    def _dump(
        self, packet: Packet, pt: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, now: float
    ) -> bytes:
        ids = self.route.extensions
        elements = self._mid
        if packet.copied or ids.abs_send_time:
            elements = elements.copy()
            for name, value in packet.copied:
                number = getattr(ids, name)
                if number:
                    elements.append((number, value))
            if ids.abs_send_time:
                elements.append((ids.abs_send_time, (int(now * 262144) & 0xFFFFFF).to_bytes(3, "big")))
        extensions = dump_extensions(elements)
        first = 0x90 if extensions else 0x80
        return HEADER.pack(first, packet.marker << 7 | pt, sequence, timestamp, ssrc) + extensions + payload

    def resend(self, sequence: int, now: float) -> bytes | Drop:
        """Answer the sink's NACK for one of our sequence numbers with an RTX packet (RFC 4588)."""
        route = self.route
        if route.rtx_ssrc is None or all(codec.rtx_pt is None for codec in route.codecs):
            # Without RTX the same number would have to carry the same bytes: not kept, so not sent.
            return Drop.CACHE_MISS
        entry = self._sent[sequence & REMEMBERED - 1]
        if entry is None or entry[0] != sequence:
            return Drop.CACHE_MISS
        _, layer, index, numbers = entry
        packet = layer.cached(index)
        codec = self._codecs.get(packet.codec) if packet is not None else None
        if packet is None or codec is None or codec.rtx_pt is None:
            return Drop.CACHE_MISS
        at, times = self._resent.get(sequence, (-1.0, 0))
        if times >= RESEND_TIMES or now - at < RESEND_AFTER or self._rtx_budget < packet.size:
            return Drop.RTX_LIMIT
        if len(self._resent) >= REMEMBERED:
            self._resent.clear()
        self._resent[sequence] = (now, times + 1)
        self._rtx_budget -= packet.size
        payload = packet.payload
        if packet.descriptor is not None:
            payload = vp8.rewrite(payload, packet.descriptor, numbers.picture, numbers.tl0)
        self._rtx_sequence = self._rtx_sequence + 1 & 0xFFFF
        return self._dump(
            packet,
            codec.rtx_pt,
            self._rtx_sequence,
            numbers.timestamp,
            route.rtx_ssrc,
            struct.pack("!H", sequence) + payload,
            now,
        )

    def report(self, now: float, *, due: bool) -> bytes | None:
        """A sender report for the sink, on the publisher's clock, so that sound and picture stay together.

        Each second (`due`), and once as soon as a layer was switched to and its own report is known.
        """
        layer = self.layer
        if layer is None or not (due or self._report_due) or layer.reception.report is None:
            return None
        self._report_due = False
        base, since = layer.reception.report, now - layer.reception.report_at
        ntp = base.ntp + int(since * 2**32) & 0xFFFFFFFFFFFFFFFF
        rtp = base.rtp + int(since * self.route.codecs[0].clock) - self._rewriter.timestamp_offset & 0xFFFFFFFF
        ssrc = self.route.ssrc
        described = rtcp.source_description(ssrc, self.publisher)
        return rtcp.sender_report(ssrc, ntp, rtp, self.packets, self.octets) + described

    def second(self) -> None:
        """A second passed: refill what may be retransmitted, half of what the layer sends."""
        rate = self.layer.rate if self.layer is not None else 0
        self._rtx_budget = float(max(LEAST_RTX, rate // 16))
        self._resent.clear()
