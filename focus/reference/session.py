"""One peer's media: packets in from its transport, packets out to it.

The column of a received packet, top to bottom: parse, bind to a layer, repair, account,
remember, forward to every sink. It touches no socket and no clock: bytes come in and go
out through `send`, and `now` is an argument, so that it runs in virtual time.
"""

from __future__ import annotations

from collections.abc import Callable

from focus.commands import Appeared, Codec, Drop, Estimate, Event, Extensions, Levels, Rates, Switched, Vanished
from focus.reference import rtcp, rtp
from focus.reference.counters import Tally
from focus.reference.feedback import Arrivals
from focus.reference.route import Forward
from focus.reference.rtp import AROUND, Packet
from focus.reference.source import LAGGING, SILENT, Layer, Track
from focus.vocabulary import Kind, PeerId, Rid

MOST_SSRCS = 32
"Streams per transport (security R5)."
MOST_PACKETS = 3000
"RTP packets taken from one peer in a second (security §4): five times what a busy camera sends."
OUR_SSRC = 1
"The sender of our RTCP towards publishers. It sends no media, so any value serves."


class Session:
    """What a peer publishes to us and what we forward to it."""

    def __init__(
        self, peer: PeerId, tally: Tally, emit: Callable[[Event], None], send: Callable[[bytes], bool]
    ) -> None:
        self.peer = peer
        self.tally = tally
        self.emit = emit
        self.send = send
        "Protects and sends one RTP or RTCP packet; False when the peer is not connected."
        self.tracks: dict[str, Track] = {}
        "By mid."
        self.sinks: dict[int, Forward] = {}
        "Routes that end here, by their SSRC."
        self.connected = False
        "Whether what is sent to this peer can arrive."
        self.neighbours: Callable[[PeerId], Session | None] = lambda _: None
        self._streams: dict[int, tuple[Track, Rid, bool]] = {}
        "By incoming SSRC: track, layer, and whether it is a retransmission stream."
        self._arrivals = Arrivals()
        self._left = MOST_PACKETS
        "Packets that may still come in this second."

    # Ingress.

    def media(self, data: bytes, now: float) -> None:
        """A decrypted RTP packet arrived."""
        self._left -= 1
        if self._left < 0:
            return self.tally.drop(Drop.TOO_FAST)
        packet = rtp.parse(data, now)
        if packet is None:
            return self.tally.drop(Drop.MALFORMED)
        stream = self._streams.get(packet.ssrc) or self._bind(packet)
        if stream is None:
            return None
        track, rid, repairing = stream
        ids = track.extensions
        if ids.transport_cc and len(number := packet.extensions.get(ids.transport_cc, b"")) == 2:
            self._arrivals.note(int.from_bytes(number, "big"), packet.ssrc, now)
        codec: Codec | None
        if repairing:
            codec = self._repair(track, rid, packet)
        else:
            codec = track.codecs.get(packet.payload_type)
            if codec is None:
                return self.tally.drop(Drop.UNKNOWN_PAYLOAD_TYPE)
        if codec is None:
            return None
        packet.codec = codec.name
        layer = track.layer(rid, packet.ssrc, codec)
        self._receive(track, layer, packet, repairing, now)
        return None

    def _receive(self, track: Track, layer: Layer, packet: Packet, repaired: bool, now: float) -> None:
        """Account a layer's packet and forward it."""
        layer.last = now
        layer.bytes += packet.size + AROUND
        index = layer.number(packet, repaired, now)
        if index is None:
            return self.tally.drop(Drop.TOO_OLD)
        packet.index = index
        if not layer.keep(packet):
            return self.tally.drop(Drop.DUPLICATE)
        if not packet.payload:
            return self._skip(track, layer, packet, Drop.PADDING)
        resized = track.read(layer, packet)
        if packet.codec == "vp8" and packet.descriptor is None:
            # No decoder could use it, and its numbers could not be rewritten.
            return self._skip(track, layer, packet, Drop.MALFORMED)
        if resized or not layer.live:
            layer.live = True
            self.emit(Appeared(track.expect.track, layer.rid, layer.width, layer.height))
        if not track.routes:
            return self.tally.drop(Drop.NO_ROUTE)
        for route in track.routes:
            sink = self.neighbours(route.route.peer)
            if sink is None or not sink.connected:
                self.tally.drop(Drop.SINK_NOT_CONNECTED)
                continue
            before = route.layer
            out = route.forward(layer, packet, now)
            if isinstance(out, Drop):
                self.tally.drop(out)
                continue
            if route.layer is not before:
                self.emit(Switched(route.route.route, layer.rid))
            if not sink.send(out):
                self.tally.drop(Drop.SINK_NOT_CONNECTED)
        return None

    def _skip(self, track: Track, layer: Layer, packet: Packet, why: Drop) -> None:
        """A packet that no sink gets, and none shall miss."""
        for route in track.routes:
            route.skip(layer, packet.index)
        self.tally.drop(why)

    def _bind(self, packet: Packet) -> tuple[Track, Rid, bool] | None:
        """Find whose an unknown SSRC is: signalled, else by mid and rid, else by payload type (RFC 8843 §9.2)."""
        found = self._signalled(packet) or self._named(packet) or self._only(packet)
        if found is None:
            self.tally.drop(Drop.UNKNOWN_SSRC)
            return None
        if len(self._streams) >= MOST_SSRCS:
            self.tally.drop(Drop.TOO_MANY_SSRCS)
            return None
        # A layer that comes back on a new SSRC frees the place of its old one.
        for ssrc, stream in list(self._streams.items()):
            if stream[0] is found[0] and stream[1:] == found[1:]:
                del self._streams[ssrc]
        self._streams[packet.ssrc] = found
        return found

    def _signalled(self, packet: Packet) -> tuple[Track, Rid, bool] | None:
        for track in self.tracks.values():
            if packet.ssrc in track.expect.ssrcs:
                return track, Rid(""), packet.ssrc != track.expect.ssrcs[0]
        return None

    def _named(self, packet: Packet) -> tuple[Track, Rid, bool] | None:
        for track in self.tracks.values():
            ids: Extensions = track.extensions
            mid = packet.extensions.get(ids.mid) if ids.mid else None
            if mid is None or mid.decode("ascii", "replace") != track.expect.mid:
                continue
            rid = packet.extensions.get(ids.rid) if ids.rid else None
            repaired = packet.extensions.get(ids.repaired_rid) if ids.repaired_rid else None
            repairing = packet.payload_type in track.rtx
            if not track.expect.rids:
                return track, Rid(""), repairing
            name = Rid((repaired or rid or b"").decode("ascii", "replace"))
            return (track, name, repaired is not None or repairing) if name in track.expect.rids else None
        return None

    def _only(self, packet: Packet) -> tuple[Track, Rid, bool] | None:
        fitting = [t for t in self.tracks.values() if packet.payload_type in t.codecs and not t.expect.rids]
        return (fitting[0], Rid(""), False) if len(fitting) == 1 and not fitting[0].expect.ssrcs else None

    def _repair(self, track: Track, rid: Rid, packet: Packet) -> Codec | None:
        """Turn an RTX packet back into the one that it repeats (RFC 4588 §4)."""
        codec = track.rtx.get(packet.payload_type)
        layer = track.layers.get(rid)
        if codec is None:
            self.tally.drop(Drop.UNKNOWN_PAYLOAD_TYPE)
            return None
        if len(packet.payload) < 2 or layer is None:
            self.tally.drop(Drop.PADDING)
            return None
        packet.ssrc = layer.ssrc
        packet.sequence = int.from_bytes(packet.payload[:2], "big")
        packet.payload = packet.payload[2:]
        packet.payload_type = codec.pt
        return codec

    # RTCP.

    def control(self, data: bytes, now: float) -> None:
        """A decrypted compound RTCP packet arrived."""
        for report in rtcp.parse(data):
            match report:
                case None:
                    self.tally.drop(Drop.MALFORMED_RTCP)
                case rtcp.SenderReport():
                    layer = self._layer(report.ssrc)
                    if layer is None:
                        self.tally.drop(Drop.FOREIGN_RTCP)
                    else:
                        layer.reception.reported(report, now)
                        self._pass_on(layer, now)
                case rtcp.Nack():
                    self._resend(report, now)
                case rtcp.PictureLoss():
                    self._picture_lost(report)
                case rtcp.Remb():
                    self._said(report)
                case rtcp.Bye():
                    for ssrc in report.ssrcs:
                        if self._streams.pop(ssrc, None) is None:
                            self.tally.drop(Drop.FOREIGN_RTCP)
                case rtcp.ReceiverReport():
                    pass

    def _said(self, report: rtcp.Remb) -> None:
        """The peer's own estimate counts if it is of every picture that is sent: some tell of each stream apart."""
        sinks = self.sinks.values()
        sent = {one.route.ssrc for one in sinks if one.layer is not None and one.route.rtx_ssrc is not None}
        if not report.ssrcs or sent and sent.issubset(report.ssrcs):
            self.emit(Estimate(self.peer, report.bps))

    def _layer(self, ssrc: int) -> Layer | None:
        stream = self._streams.get(ssrc)
        layer = stream[0].layers.get(stream[1]) if stream and not stream[2] else None
        return layer if layer is not None and layer.ssrc == ssrc else None

    def _pass_on(self, layer: Layer, now: float) -> None:
        """A layer's first report lets its sinks line up sound and picture: tell them at once."""
        for track in self.tracks.values():
            for route in track.routes:
                if route.layer is layer:
                    self._report(route, now, due=False)

    def _resend(self, nack: rtcp.Nack, now: float) -> None:
        route = self.sinks.get(nack.media_ssrc)
        if route is None:
            return self.tally.drop(Drop.FOREIGN_RTCP)
        for sequence in nack.sequences:
            out = route.resend(sequence, now)
            if isinstance(out, Drop):
                self.tally.drop(out)
            elif self.send(out):
                self.tally.rtx_out += 1
        return None

    def _picture_lost(self, loss: rtcp.PictureLoss) -> None:
        route = self.sinks.get(loss.media_ssrc)
        if route is None:
            self.tally.drop(Drop.FOREIGN_RTCP)
        elif route.layer is not None and route.takes(route.layer):
            route.layer.ask()

    # Timers.

    def tick(self, now: float) -> None:
        """Every 20 ms: ask for what is missing, and for keyframes that somebody waits for."""
        for track in self.tracks.values():
            for route in track.routes:
                awaited = route.waiting_for(track.layers)
                if awaited is not None:
                    awaited.ask()
            newest = max((layer.last for layer in track.layers.values()), default=now)
            for layer in track.layers.values():
                missing = layer.missing.due(now)
                if missing:
                    self.send(rtcp.nack(OUR_SSRC, layer.ssrc, [index & 0xFFFF for index in missing]))
                if layer.live and (now - layer.last > SILENT or newest - layer.last > LAGGING):
                    layer.live = False
                    self.emit(Vanished(track.expect.track, layer.rid))
        self.request_keyframes(now)

    def request_keyframes(self, now: float) -> None:
        """Ask the publisher for the keyframes that are wanted and that the throttle lets through."""
        for track in self.tracks.values():
            if track.expect.kind is Kind.AUDIO:
                continue  # Every packet of sound is a beginning.
            for layer in track.layers.values():
                if layer.keyframe_due(now) and self.send(rtcp.picture_loss(OUR_SSRC, layer.ssrc)):
                    self.tally.keyframe_requests += 1

    def feedback(self) -> None:
        """Every 60 ms: tell the publisher when its packets arrived."""
        for packet in self._arrivals.feedback(OUR_SSRC):
            self.send(packet)

    def levels(self, beat: int) -> None:
        """Every 20 ms: tell who is how loud, where that is worth it."""
        for track in self.tracks.values():
            if track.loudness.step(beat):
                self.emit(Levels(track.expect.track, track.loudness.newest, bytes(track.loudness.recent)))

    def second(self, now: float) -> None:
        """Every second: measured rates, and the report to who sends."""
        self._left = MOST_PACKETS
        blocks = []
        for track in self.tracks.values():
            rates = []
            parts: list[tuple[Rid, int, int, int]] = []
            for layer in track.layers.values():
                parts += layer.measure()
                rates.append((layer.rid, layer.rate))
                block = layer.reception.block(now)
                if block is not None and layer.live:
                    blocks.append(block)
            if rates:
                self.emit(Rates(track.expect.track, tuple(rates), tuple(parts)))
        if blocks:
            self.send(rtcp.receiver_report(OUR_SSRC, blocks))

    def report_all(self, now: float) -> None:
        """Once a second, the peers in turn: all at once would make everything that flows wait."""
        for route in self.sinks.values():
            route.second()
            self._report(route, now, due=True)

    def _report(self, route: Forward, now: float, *, due: bool) -> None:
        sink = self.neighbours(route.route.peer)
        report = route.report(now, due=due)
        if sink is not None and report is not None:
            sink.send(report)

    # The control plane's table.

    def forget(self, track: Track) -> None:
        """A track is no longer expected."""
        self.tracks.pop(track.expect.mid, None)
        for ssrc, stream in list(self._streams.items()):
            if stream[0] is track:
                del self._streams[ssrc]
