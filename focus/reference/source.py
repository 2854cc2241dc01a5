"""What is received: a published track and its layers, each with its statistics and its cache.

A layer knows its packets; a track knows its layers and the routes that it feeds. Neither
knows transports: the session that owns them sends what they ask for. `now` is an argument.
"""

from __future__ import annotations

from collections import Counter, deque
from itertools import accumulate
from typing import TYPE_CHECKING

from focus.commands import Codec, Expect, Extensions
from focus.reference import vp8
from focus.reference.feedback import MOST_MISSING, Missing, Reception
from focus.reference.loudness import Loudness
from focus.reference.rtp import AROUND, Packet, expand
from focus.vocabulary import SINGLE, Kind, Rid

if TYPE_CHECKING:
    from focus.reference.route import Forward

CACHED = 512
"Packets kept per layer: over a second of the top layer, for retransmission."
KEYFRAME_EVERY = 0.5
"Seconds between keyframe requests to one layer, whoever asks (security K1)."
RETIRED = 4
"Layers of a track, replaced by others on a new SSRC, whose packets can still be asked for again (security R5)."
SILENT = 2.0
"Seconds without a packet after which a layer has vanished."
LAGGING = 0.75
"The same while another layer of the track flows: browsers give up their upper layers first, and nobody should wait."
COPIED = (
    "audio_level", "video_orientation", "playout_delay", "dependency_descriptor", "abs_capture_time",
)
"Header extensions that are the same for every sink, up to their ids."


class Layer:
    """One incoming stream of a track: one SSRC, from its first packet to its last."""

    def __init__(self, rid: Rid, ssrc: int, codec: Codec) -> None:
        self.rid = rid
        self.ssrc = ssrc
        self.codec = codec
        "Of the newest packet."
        self.reception = Reception(ssrc, codec.clock)
        self.missing = Missing()
        self.repairable = codec.rtx_pt is not None or codec.name == "vp8"
        "Whether it is worth asking for what is missing: sound is concealed sooner than it is repaired."
        self.width = self.height = 0
        self.bytes = 0
        "Received since the last full second."
        self.rate = 0
        "Bits received in the last full second."
        self.parts: Counter[int] = Counter()
        "Bytes received since the last full second, by temporal id."
        self.last = -1.0
        self.live = False
        self.picture: int | None = None
        "Extended VP8 picture id of the newest packet."
        self.keyframe_at = -1.0
        self.requested_at = -1.0
        self.requested = False
        self._ring: list[Packet | None] = [None] * CACHED

    def number(self, packet: Packet, repaired: bool, now: float) -> int | None:
        """The extended sequence number of a packet; None when it is too far from the newest one."""
        if repaired:
            # A repaired packet was not received on this SSRC: reports to the sender leave it out.
            newest = self.reception.highest
            index = expand(packet.sequence, newest)
            if newest is None or abs(index - newest) > MOST_MISSING:
                return None
        else:
            counted = self.reception.count(packet.sequence, packet.timestamp, now)
            if counted is None:
                return None
            index = counted
        if self.repairable:
            self.missing.seen(index, now)
        return index

    def keep(self, packet: Packet) -> bool:
        """Store a packet for retransmission; False when it came before, or too late to know whether it did.

        So no packet is ever taken twice, by whatever way it comes: sinks number it by its index, and one
        number sealed twice is one GCM nonce used twice (media digest B.2).
        """
        place = packet.index % CACHED
        held = self._ring[place]
        if held is not None and held.index >= packet.index:
            return False
        self._ring[place] = packet
        return True

    def cached(self, index: int) -> Packet | None:
        """A packet by its extended sequence number, while it is kept."""
        held = self._ring[index % CACHED]
        return held if held is not None and held.index == index else None

    def free(self) -> None:
        """Keep nothing any more; what routes still know of it leads nowhere."""
        self._ring = [None] * CACHED
        self.reception.report = None
        self.rate = 0

    def measure(self) -> tuple[tuple[Rid, int, int, int], ...]:
        """A second passed: what came in it is its rate. Returns those of its parts, where it has several."""
        self.rate, self.bytes = self.bytes * 8, 0
        bits = [(temporal, 8 * size) for temporal, size in sorted(self.parts.items())]
        self.parts.clear()
        if len(bits) < 2:
            return ()
        sums = accumulate(size for _, size in bits)
        return tuple((self.rid, 0, temporal, total) for (temporal, _), total in zip(bits, sums, strict=True))

    def ask(self) -> None:
        """Want a keyframe; the request leaves as soon as the throttle allows."""
        self.requested = True

    def keyframe_due(self, now: float) -> bool:
        """Whether to ask the publisher for a keyframe now; it then counts as asked."""
        if not self.requested:
            return False
        if now - self.requested_at < KEYFRAME_EVERY:
            return False
        self.requested_at = now
        self.requested = False
        return True


class Track:
    """A track as the control plane told to expect it."""

    def __init__(self, expect: Expect) -> None:
        self.expect = expect
        self.codecs: dict[int, Codec] = {}
        self.rtx: dict[int, Codec] = {}
        self.layers: dict[Rid, Layer] = {}
        self._retired: deque[Layer] = deque()
        self.routes: list[Forward] = []
        self.loudness = Loudness()
        self.configure(expect)

    def configure(self, expect: Expect) -> None:
        """Take a renewed description; layers that flow go on."""
        self.expect = expect
        self.codecs = {codec.pt: codec for codec in expect.codecs}
        self.rtx = {codec.rtx_pt: codec for codec in expect.codecs if codec.rtx_pt is not None}

    @property
    def extensions(self) -> Extensions:
        """The publisher's extension ids."""
        return self.expect.extensions

    def layer(self, rid: Rid, ssrc: int, codec: Codec) -> Layer:
        """The layer for an SSRC; a new SSRC under a known rid starts the layer anew."""
        rid = rid if self.expect.rids else SINGLE
        layer = self.layers.get(rid)
        if layer is None or layer.ssrc != ssrc:
            if layer is not None:
                self._retired.append(layer)
                if len(self._retired) > RETIRED:
                    self._retired.popleft().free()
            layer = self.layers[rid] = Layer(rid, ssrc, codec)
        layer.codec = codec
        return layer

    def read(self, layer: Layer, packet: Packet) -> bool:
        """Understand a packet's codec and extensions once, for all sinks. True if the picture size is new."""
        ids = self.extensions
        for name in COPIED:
            number = getattr(ids, name)
            if number and number in packet.extensions:
                packet.copied.append((name, packet.extensions[number]))
        if self.expect.kind is Kind.AUDIO:
            packet.keyframe = True
            level = packet.extensions.get(ids.audio_level) if ids.audio_level else None
            if level:
                self.loudness.hear(127 - (level[0] & 0x7F))
            return False
        if packet.codec != "vp8" or not packet.payload:
            return False
        descriptor = packet.descriptor = vp8.parse(packet.payload)
        if descriptor is None:
            return False
        layer.parts[descriptor.temporal] += packet.size + AROUND
        if descriptor.picture is not None:
            packet.picture = expand(descriptor.picture, layer.picture, 15 if descriptor.wide else 7)
            if layer.picture is None or packet.picture > layer.picture:
                layer.picture = packet.picture
        packet.keyframe = descriptor.keyframe
        if descriptor.keyframe:
            layer.keyframe_at = packet.arrived
            # Whoever asked before now has it. Who lost it asks again.
            layer.requested = False
            if descriptor.width and (descriptor.width, descriptor.height) != (layer.width, layer.height):
                layer.width, layer.height = descriptor.width, descriptor.height
                return True
        return False
