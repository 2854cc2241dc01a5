"""The book of one viewer: every packet counted and put in order by its clear header, one in 64 opened and checked.

It takes sealed packets and times; it knows no socket. A packet carries its number in its
last eight bytes, so that opening one ties the stream's sequence to what was sent, and a
later one proves that numbers, keys and bytes are still right.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Sequence

import pylibsrtp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

OPENED = 64
"One packet in so many is decrypted; the first of a stretch always."

NUMBER = 8
"Bytes of a packet's number, at the end of its payload."

Opener = Callable[[bytes], int]
"Takes a sealed packet and returns its number. Raises `pylibsrtp.Error` or `InvalidTag`."


def number_of(plain: bytes) -> int:
    """The number in a packet that is not sealed; padding may stand behind it (RFC 3550 §5.1)."""
    end = len(plain) - (plain[-1] if plain[0] & 0x20 else 0)
    return int.from_bytes(plain[end - NUMBER : end], "big")


def srtp(session: pylibsrtp.Session) -> Opener:
    """Open what the engine sealed."""
    return lambda data: number_of(session.unprotect(data))


def nonce(ssrc: int, number: int) -> bytes:
    """A nonce for one packet of the bare loop: shaped as RFC 7714 §8.1 has it, the salt all zero."""
    return struct.pack("!HIHI", 0, ssrc, number >> 32, number & 0xFFFFFFFF)


def bare(key: bytes, ssrc: int, first: int) -> Opener:
    """Open what the bare loop sealed, in order from `first` on; it starts sequence numbers at that."""
    cipher = AESGCM(key)

    def opened(data: bytes) -> int:
        number = first + ((int.from_bytes(data[2:4], "big") - first) & 0xFFFF)
        return int.from_bytes(cipher.decrypt(nonce(ssrc, number), data[12:], data[:12])[-NUMBER:], "big")

    return opened


class Viewer:
    """Counts between `begin` and the next `begin`."""

    def __init__(self) -> None:
        self.begin(0, None, ())

    def begin(self, ssrc: int, opened: Opener | None, sent: Sequence[float]) -> None:
        """Start afresh, with one stream. `sent`: when each number left, seconds since the epoch; empty if unknown."""
        self.ssrc = ssrc
        self._word = ssrc.to_bytes(4, "big")
        self._open = opened
        self._sent = sent
        self._number: int | None = None
        self.sequence = 0
        self.received = 0
        self.latencies: list[float] = []
        "Seconds from leaving the publisher to the arrival here."
        self.faults: Counter[str] = Counter()

    def take(self, data: bytes, at: float) -> None:
        """A sealed packet arrived."""
        if 192 <= data[1] <= 223 or self._open is None:
            return
        if data[8:12] != self._word:
            self.faults["other stream"] += 1
            return
        sequence = int.from_bytes(data[2:4], "big")
        if self._number is None:
            number = self._look(data)
            if number is None:
                return
        else:
            step = ((sequence - self.sequence + 0x8000) & 0xFFFF) - 0x8000
            number = self._number + step
            if step != 1:
                self.faults["out of order"] += 1
            if self.received % OPENED == 0 and self._look(data) not in (None, number):
                self.faults["wrong packet"] += 1
        self._number, self.sequence = number, sequence
        self.received += 1
        if number < len(self._sent):
            self.latencies.append(at - self._sent[number])

    def _look(self, data: bytes) -> int | None:
        assert self._open is not None, "looked at only while a stream is expected"
        try:
            return self._open(data)
        except (pylibsrtp.Error, InvalidTag):
            self.faults["sealed wrong"] += 1
            return None
