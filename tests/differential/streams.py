"""What a publisher's encoders send in a scenario: RTP with every counter near its wrap, and the reports about it.

Bytes are written here, not by the code under test. Chance is a seeded source.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from focus.commands import Codec, Expect
from focus.vocabulary import Kind, Rid
from media_bytes import sender_report, vp8

GROUPS = (
    ((0, True),), ((0, True), (1, True)), ((0, False), (1, False)),
    ((0, True), (2, True), (1, True), (2, False)), ((0, False), (2, False), (1, True), (2, True)),
)  # fmt: skip
"Temporal ids of pictures, and whether each needs lower ids only: orders of encoders, and a strange one."
SIZES = ((1280, 720), (640, 360), (320, 180), (640, 480), (16383, 1))
Element = tuple[int, bytes]
"A header extension: the sender's id, and its value."


def near_wrap(chance: random.Random, width: int, within: int = 40) -> int:
    """Where a counter begins: just before its wrap, just after it, or anywhere."""
    span = 1 << width
    within = min(within, span)
    return chance.choice((span - 1 - chance.randrange(within), chance.randrange(within), chance.randrange(span)))


def packet(
    ssrc: int,
    sequence: int,
    timestamp: int,
    pt: int,
    payload: bytes,
    elements: Sequence[Element],
    *,
    marker: bool = False,
    padding: int = 0,
    csrcs: int = 0,
    wide: bool = False,
) -> bytes:
    """Write an RTP packet, its extensions in the one-byte form where they fit and `wide` is not asked for."""
    first = 0x80 | (0x10 if elements else 0) | (0x20 if padding else 0) | csrcs
    head = struct.pack("!BBHII", first, pt | marker << 7, sequence, timestamp, ssrc) + bytes(4 * csrcs)
    if elements:
        if wide or any(name > 14 or not 0 < len(value) <= 16 for name, value in elements):
            profile, block = 0x1000, b"".join(bytes((name, len(value))) + value for name, value in elements)
        else:
            profile, block = 0xBEDE, b"".join(bytes((name << 4 | len(value) - 1,)) + value for name, value in elements)
        block += bytes(-len(block) % 4)
        head += struct.pack("!HH", profile, len(block) // 4) + block
    return head + payload + (bytes(padding - 1) + bytes((padding,)) if padding else b"")


@dataclass(frozen=True, slots=True)
class Sent:
    """What a packet carries, for its first sending and for its repairs."""

    sequence: int
    timestamp: int
    marker: bool
    payload: bytes
    elements: tuple[Element, ...]
    padding: int = 0
    pt: int | None = None
    "Another than the stream's own."


@dataclass(slots=True)
class Stream:
    """One layer of a track, as its encoder numbers it."""

    expect: Expect
    rid: Rid
    codec: Codec
    ssrc: int
    rtx_ssrc: int
    chance: random.Random
    named: int
    "How many packets still say their mid and rid."
    picture_bits: int = 15
    "Width of the picture id, 0 for none."
    temporal: bool = True
    "Whether there is a tl0 index."
    group: Sequence[tuple[int, bool]] = GROUPS[1]
    leap: float = 0.0
    "Chance that a frame's first number is some hundred further on. 1: so is every packet's, and its numbers soon wrap."
    sequence: int = field(init=False)
    timestamp: int = field(init=False)
    picture: int = field(init=False)
    tl0: int = field(init=False)
    rtx_sequence: int = field(init=False)
    wall: float = field(init=False)
    "The sender's wall clock at the scenario's beginning, in seconds since 1900."
    size: tuple[int, int] = SIZES[0]
    frames: int = 0

    def __post_init__(self) -> None:
        self.wall = 3_900_000_000 + self.chance.random() * 1000
        self.begin()

    def begin(self) -> None:
        """Draw every counter anew, as a new encoder does."""
        chance = self.chance
        self.sequence, self.rtx_sequence = near_wrap(chance, 16), near_wrap(chance, 16)
        self.timestamp = near_wrap(chance, 32, 3 * self.codec.clock)
        self.picture, self.tl0 = near_wrap(chance, self.picture_bits or 15), near_wrap(chance, 8, 8)

    def elements(self, repairing: bool = False) -> tuple[Element, ...]:
        """The header extensions of the next packet, transport-wide numbers aside."""
        ids, chance, found = self.expect.extensions, self.chance, list[Element]()
        if self.named > 0 or chance.random() < (0.9 if repairing else 0.05):
            found.append((ids.mid, self.expect.mid.encode()))
            if self.rid:
                found.append((ids.repaired_rid if repairing else ids.rid, self.rid.encode()))
        found.append((ids.abs_send_time, chance.randbytes(3)))
        if self.expect.kind is Kind.AUDIO:
            found.append((ids.audio_level, chance.randbytes(1)))
        else:
            if chance.random() < 0.1:
                found += [(ids.video_orientation, chance.randbytes(1)), (ids.playout_delay, chance.randbytes(3))]
            if ids.dependency_descriptor:
                size = chance.choice((3, 3, 3, 9, 16, 17, 40))
                found.append((ids.dependency_descriptor, chance.randbytes(size)))
        if chance.random() < 0.1:
            found.append((ids.abs_capture_time, chance.randbytes(chance.choice((8, 16)))))
        return tuple(element for element in found if element[0])

    def _next(self, payload: bytes, marker: bool, padding: int = 0, pt: int | None = None) -> Sent:
        sent = Sent(self.sequence, self.timestamp, marker, payload, self.elements(), padding, pt)
        self.sequence = self.sequence + (1 if self.leap < 1 else 240) & 0xFFFF
        self.named -= 1
        return sent

    def frame(self, interval: float, keyframe: bool, packets: int) -> list[Sent]:
        """The packets of the next frame, or of the next stretch of sound, `interval` seconds after the one before."""
        chance = self.chance
        if self.leap < 1 and chance.random() < self.leap:
            self.sequence = self.sequence + chance.choice((chance.randrange(2, 20), 499, 500, 501)) & 0xFFFF
            self.picture += chance.choice((0, 60, 3000))
            self.timestamp = self.timestamp + self.codec.clock * chance.randrange(3) & 0xFFFFFFFF
        if chance.random() < 0.05:
            self.size = chance.choice(SIZES)
        made = []
        temporal, sync = self.group[self.frames % len(self.group)]
        for number in range(packets):
            body = chance.randbytes(chance.choice((0, 1, 20, 60, 200, 1000)))
            if self.expect.kind is Kind.AUDIO or self.codec.name != "vp8":
                payload = body
            else:
                payload = vp8(
                    self.picture & (1 << self.picture_bits) - 1 if self.picture_bits else None,
                    self.tl0 if self.temporal else None,
                    keyframe, self.size,
                    start=number == 0, body=body, wide=self.picture_bits == 15, temporal=temporal, sync=sync,
                )  # fmt: skip
            padding = chance.choice((0, 0, 0, 0, 0, 1, 40))
            made.append(self._next(payload, number == packets - 1, padding))
        self.timestamp = self.timestamp + round(interval * self.codec.clock) & 0xFFFFFFFF
        self.picture += 1
        if temporal == 0:
            self.tl0 = self.tl0 + 1 & 0xFF
        self.frames += 1
        return made

    def padding(self) -> Sent:
        """A packet that is only padding, as a bandwidth probe is."""
        return self._next(b"", False, self.chance.randrange(1, 256))

    def strange(self) -> Sent:
        """A packet that no encoder should send: a cut descriptor, or another payload type."""
        cut = self.chance.choice((b"\x80", b"\x90\x80", b"\x90\x80\x81", b"\x90\xf0\x80", b"\x90\xf0\x80\x01"))
        return self._next(cut, False, pt=self.chance.choice((None, 77)))

    def dump(self, sent: Sent, transport_number: int | None) -> bytes:
        """A packet on its own stream."""
        elements = self._stamped(sent.elements, transport_number)
        return packet(
            self.ssrc, sent.sequence, sent.timestamp, self.codec.pt if sent.pt is None else sent.pt, sent.payload,
            elements, marker=sent.marker, padding=sent.padding,
            csrcs=self.chance.choice((0,) * 20 + (1, 15)), wide=self.chance.random() < 0.05,
        )  # fmt: skip

    def repair(self, sent: Sent, transport_number: int | None) -> bytes:
        """A packet as RFC 4588 repeats it."""
        assert self.codec.rtx_pt is not None
        self.rtx_sequence = self.rtx_sequence + 1 & 0xFFFF
        left_out = (self.expect.extensions.mid, self.expect.extensions.rid)
        elements = {name: value for name, value in sent.elements if name not in left_out}
        elements |= dict(self.elements(repairing=True))
        payload = struct.pack("!H", sent.sequence) + sent.payload
        return packet(
            self.rtx_ssrc, self.rtx_sequence, sent.timestamp, self.codec.rtx_pt, payload,
            self._stamped(tuple(elements.items()), transport_number), marker=sent.marker, padding=sent.padding,
        )  # fmt: skip

    def _stamped(self, elements: tuple[Element, ...], transport_number: int | None) -> tuple[Element, ...]:
        ids = self.expect.extensions
        if not ids.transport_cc or transport_number is None:
            return elements
        return (*elements, (ids.transport_cc, struct.pack("!H", transport_number)))

    def report(self, now: float) -> bytes:
        """A sender report, as if the newest frame had just been captured."""
        return sender_report(self.ssrc, self.wall + now, self.timestamp)
