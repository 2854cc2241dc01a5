"""Bad RTP, RTCP and datagrams, each with the drop that it earns, and how to make their twins."""

from __future__ import annotations

import random
import struct

from cameras import ROUTE_SSRC
from focus.commands import Drop
from media_bytes import nack, pli, receiver_report, rtcp, rtp

OWN, FOREIGN = 0x2000, 0xDEAD
"SSRCs: of the hostile publisher's track, and of nobody."


def video(payload: bytes = b"\x10\x31\x00\x00picture", *, ssrc: int = OWN, pt: int = 96, number: int = 7) -> bytes:
    return rtp(ssrc, number, 3000, pt, payload)


def padded(packet: bytes, padding: int) -> bytes:
    """The packet with the padding flag and a last byte that says how much padding there is."""
    return bytes((packet[0] | 0x20,)) + packet[1:-1] + bytes((padding,))


RTP: tuple[tuple[Drop, bytes], ...] = (
    (Drop.UNKNOWN_SSRC, video(ssrc=FOREIGN, pt=99)),
    (Drop.UNKNOWN_PAYLOAD_TYPE, video(pt=99, number=15)),
    (Drop.MALFORMED, padded(video(number=13), 0)),
    (Drop.MALFORMED, padded(video(number=14), 255)),
    (Drop.MALFORMED, video(b"\x80", number=8)),
    (Drop.MALFORMED, video(b"\x90\x80", number=9)),
    (Drop.MALFORMED, video(b"\x90\xf0\x80", number=10)),
    (Drop.PADDING, video(b"", number=11)),
    (Drop.AWAITING_KEYFRAME, video(b"\x10\x31\x00\x00", number=12)),
)
"Plain packets that libsrtp is willing to protect."
RTCP: tuple[tuple[Drop, bytes], ...] = (
    (Drop.MALFORMED_RTCP, receiver_report(FOREIGN) + b"\x40" + receiver_report(FOREIGN)[1:]),
    (Drop.MALFORMED_RTCP, receiver_report(FOREIGN) + b"\x81"),
    (Drop.MALFORMED_RTCP, b"\x80\xc9\xff\xff" + bytes(4)),
    (Drop.MALFORMED_RTCP, rtcp(31, 201, bytes(28))),
    (Drop.MALFORMED_RTCP, rtcp(0, 200, bytes(8))),
    (Drop.MALFORMED_RTCP, rtcp(3, 203, bytes(4))),
    (Drop.MALFORMED_RTCP, rtcp(1, 205, bytes(4))),
    (Drop.MALFORMED_RTCP, rtcp(1, 206, bytes(4))),
    (Drop.MALFORMED_RTCP, rtcp(4, 206, bytes(12))),
    (Drop.MALFORMED_RTCP, rtcp(15, 206, bytes(8) + b"REMB")),
    (Drop.MALFORMED_RTCP, b"\xa0\xc9\x00\x01" + b"\x00\x00\x00\x09"),
    (Drop.FOREIGN_RTCP, receiver_report(OWN) + pli(OWN, ROUTE_SSRC)),
    (Drop.FOREIGN_RTCP, receiver_report(OWN) + nack(OWN, ROUTE_SSRC, 1, 2, 3)),
    (Drop.FOREIGN_RTCP, rtcp(1, 203, struct.pack("!I", 0x1000))),
    (Drop.FOREIGN_RTCP, rtcp(0, 200, struct.pack("!IQIII", 0x1000, 0, 0, 0, 0))),
)
STRANGE: tuple[tuple[Drop, bytes], ...] = (
    (Drop.NOT_DEMUXED, b""),
    (Drop.NOT_DEMUXED, b"\x04" * 40),
    (Drop.NOT_DEMUXED, b"\x40" * 40),
    (Drop.NOT_DEMUXED, b"\xff" * 1400),
    (Drop.MALFORMED, b"\x00" * 20),
    (Drop.MALFORMED, b"\x00\x01\x00\x00" + b"\x21\x12\xa4\x42" + bytes(11)),
    (Drop.AUTHENTICATION, b"\x00\x01\x00\x00" + b"\x21\x12\xa4\x42" + bytes(12)),
    (Drop.AUTHENTICATION, b"\x16\xfe\xfd" + bytes(40)),
    (Drop.AUTHENTICATION, video()),
    (Drop.AUTHENTICATION, b"\x80" * 8),
    (Drop.AUTHENTICATION, receiver_report(FOREIGN) + bytes(14)),
)
"Datagrams of somebody who has no keys and no address that was checked."


def cut(data: bytes, chance: random.Random) -> bytes:
    """A datagram without its end."""
    return data[: chance.randrange(len(data))] if data else data


def flipped(data: bytes, chance: random.Random) -> bytes:
    """A datagram with one bit turned over."""
    if not data:
        return data
    at = chance.randrange(len(data))
    return data[:at] + bytes((data[at] ^ 1 << chance.randrange(8),)) + data[at + 1 :]
