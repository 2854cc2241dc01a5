"""RTCP: the packets that the engine reads and writes (RFC 3550 §6, 4585, 5104, 8888's elder TWCC).

This file knows bytes. Parsers take bounded slices; what is malformed ends the compound
packet and is counted by the caller. Nothing here raises for any input.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SENDER_REPORT, RECEIVER_REPORT, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
NTP_EPOCH = 2_208_988_800
"Seconds from 1900 to 1970."
MOST_NACKS = 256
"Sequence numbers read from one NACK (security K2)."


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """One block of a sender or receiver report (RFC 3550 §6.4.1)."""

    ssrc: int
    fraction: int
    "Loss since the last report, in 256ths."
    lost: int
    highest: int
    "Extended highest sequence number received."
    jitter: int
    last_sr: int
    delay: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    ssrc: int
    ntp: int
    "64-bit NTP timestamp."
    rtp: int
    blocks: tuple[ReportBlock, ...]


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    ssrc: int
    blocks: tuple[ReportBlock, ...]


@dataclass(frozen=True, slots=True)
class Nack:
    media_ssrc: int
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PictureLoss:
    """PLI or FIR: the two mean the same to a forwarder (security K1)."""

    media_ssrc: int


@dataclass(frozen=True, slots=True)
class Remb:
    """Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb)."""

    bps: int
    ssrcs: tuple[int, ...]
    "The streams that it is of."


@dataclass(frozen=True, slots=True)
class Bye:
    ssrcs: tuple[int, ...]


Report = SenderReport | ReceiverReport | Nack | PictureLoss | Remb | Bye


def parse(data: bytes) -> Iterator[Report | None]:
    """Yield what a compound packet holds; a None says that its rest was malformed. Others are skipped."""
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            yield None
            return
        first, kind, words = struct.unpack_from("!BBH", data, at)
        end = at + 4 * (words + 1)
        if first >> 6 != 2 or end > len(data):
            yield None
            return
        body = data[at + 4 : end]
        if first & 0x20:
            padding = body[-1] if body else 0
            if padding == 0 or padding > len(body):
                yield None
                return
            body = body[:-padding]
        try:
            yield from _parse_one(first & 0x1F, kind, body)
        except (struct.error, IndexError):
            yield None
            return
        at = end


def _parse_one(count: int, kind: int, body: bytes) -> Iterator[Report]:
    if kind == SENDER_REPORT:
        ssrc, ntp, rtp, _, _ = struct.unpack_from("!IQIII", body)
        yield SenderReport(ssrc, ntp, rtp, _blocks(body[24:], count))
    elif kind == RECEIVER_REPORT:
        (ssrc,) = struct.unpack_from("!I", body)
        yield ReceiverReport(ssrc, _blocks(body[4:], count))
    elif kind == BYE:
        yield Bye(struct.unpack_from(f"!{count}I", body))
    elif kind == RTPFB and count == 1:
        _, media = struct.unpack_from("!II", body)
        sequences: list[int] = []
        for at in range(8, len(body) - 3, 4):
            base, mask = struct.unpack_from("!HH", body, at)
            sequences.append(base)
            sequences.extend((base + bit + 1) & 0xFFFF for bit in range(16) if mask >> bit & 1)
            if len(sequences) >= MOST_NACKS:
                break
        yield Nack(media, tuple(sequences[:MOST_NACKS]))
    elif kind == PSFB and count == 1:
        _, media = struct.unpack_from("!II", body)
        yield PictureLoss(media)
    elif kind == PSFB and count == 4:
        if len(body) < 16 or len(body) % 8:
            raise struct.error("a full intra request names whole entries, and at least one (RFC 5104 §4.3.1.1)")
        for at in range(8, len(body) - 7, 8):
            (media,) = struct.unpack_from("!I", body, at)
            yield PictureLoss(media)
    elif kind == PSFB and count == 15 and body[8:12] == b"REMB":
        (word,) = struct.unpack_from("!I", body, 12)
        named = min(word >> 24, len(body[16:]) // 4)
        yield Remb((word & 0x3FFFF) << (word >> 18 & 0x3F), struct.unpack_from(f"!{named}I", body, 16))


def _blocks(data: bytes, count: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for at in range(0, 24 * count, 24):
        ssrc, loss, highest, jitter, last_sr, delay = struct.unpack_from("!IIIIII", data, at)
        lost = loss & 0xFFFFFF
        blocks.append(
            ReportBlock(ssrc, loss >> 24, lost - (1 << 24) if lost >> 23 else lost, highest, jitter, last_sr, delay)
        )
    return tuple(blocks)


def _packet(count: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def _block(block: ReportBlock) -> bytes:
    lost = max(-(1 << 23), min((1 << 23) - 1, block.lost)) & 0xFFFFFF
    return struct.pack(
        "!IIIIII", block.ssrc, block.fraction << 24 | lost, block.highest & 0xFFFFFFFF, block.jitter & 0xFFFFFFFF,
        block.last_sr, block.delay,
    )


def sender_report(ssrc: int, ntp: int, rtp: int, packets: int, octets: int) -> bytes:
    """Write a sender report without blocks."""
    return _packet(0, SENDER_REPORT, struct.pack("!IQIII", ssrc, ntp, rtp, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF))


def receiver_report(ssrc: int, blocks: Sequence[ReportBlock]) -> bytes:
    """Write a receiver report of at most 31 blocks."""
    body = struct.pack("!I", ssrc) + b"".join(_block(block) for block in blocks[:31])
    return _packet(len(blocks[:31]), RECEIVER_REPORT, body)


def source_description(ssrc: int, cname: str) -> bytes:
    """Write an SDES packet with a CNAME (RFC 3550 §6.5.1)."""
    text = cname.encode()[:255]
    item = bytes((1, len(text))) + text + b"\0"
    body = struct.pack("!I", ssrc) + item
    return _packet(1, SDES, body + bytes(-len(body) % 4))


def picture_loss(sender: int, media: int) -> bytes:
    """Write a PLI (RFC 4585 §6.3.1)."""
    return _packet(1, PSFB, struct.pack("!II", sender, media))


def nack(sender: int, media: int, sequences: Sequence[int]) -> bytes:
    """Write a generic NACK (RFC 4585 §6.2.1) for ascending 16-bit sequence numbers."""
    pairs: list[tuple[int, int]] = []
    for sequence in sequences:
        if pairs and 0 < (sequence - pairs[-1][0]) & 0xFFFF <= 16:
            base, mask = pairs[-1]
            pairs[-1] = (base, mask | 1 << ((sequence - base - 1) & 0xFFFF))
        else:
            pairs.append((sequence, 0))
    return _packet(1, RTPFB, struct.pack("!II", sender, media) + b"".join(struct.pack("!HH", *p) for p in pairs))


def transport_feedback(
    sender: int, media: int, count: int, arrivals: Sequence[tuple[int, int]], base: int
) -> tuple[bytes, int] | None:
    """Write transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).

    `arrivals` are (extended sequence number, arrival in microseconds), ascending by sequence
    number, no two alike, none before `base`, from which on numbers are told. Returns the packet
    and how many arrivals it tells; the rest wants another packet. None when there
    are none. A delta that does not fit ends the packet.
    """
    if not arrivals:
        return None
    reference = arrivals[0][1] // 64000
    last = reference * 256
    symbols: list[int] = []
    deltas = bytearray()
    told = 0
    for sequence, micros in arrivals:
        missing = sequence - base - len(symbols)
        quarter = micros // 250
        delta = quarter - last
        if len(symbols) + missing > 1000 or not -32768 <= delta <= 32767:
            break
        symbols.extend([0] * missing)
        if 0 <= delta <= 255:
            symbols.append(1)
            deltas.append(delta)
        else:
            symbols.append(2)
            deltas += struct.pack("!h", delta)
        last = quarter
        told += 1
    chunks = bytearray()
    for at in range(0, len(symbols), 7):
        word = 0
        group = symbols[at : at + 7]
        for symbol in group + [0] * (7 - len(group)):
            word = word << 2 | symbol
        chunks += struct.pack("!H", 0xC000 | word)
    head = struct.pack("!IIHHI", sender, media, base & 0xFFFF, len(symbols), (reference & 0xFFFFFF) << 8 | count & 0xFF)
    body = head + bytes(chunks) + bytes(deltas)
    padding = -len(body) % 4
    if not padding:
        return _packet(15, RTPFB, body), told
    body += bytes(padding - 1) + bytes((padding,))
    return struct.pack("!BBH", 0xA0 | 15, RTPFB, len(body) // 4) + body, told
