"""The bare loop: seal and send, packet by packet, to the viewers' sockets. No ingress, no SFU, no event loop.

What the engine's figure is held against: both are paid in the same run, on the same
machine, for the same packets to the same sockets, so their ratio travels and the figures
themselves do not. Sealing is AES-128-GCM of `cryptography`, one key a viewer.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.forwarding.camera import CLOCK, Shape
from bench.forwarding.viewer import NUMBER, nonce
from bench.participants import sdp

HEADER = struct.Struct("!BBHII")


@dataclass(frozen=True, slots=True)
class Order:
    """What to send to whom."""

    shape: Shape
    seconds: float
    addresses: tuple[tuple[str, int], ...]
    keys: tuple[bytes, ...]
    "One of 16 bytes an address."
    ssrc: int
    first: int
    "Number of the first packet; with the others of this key and SSRC it names each packet once."

    @property
    def frames(self) -> int:
        """Bursts to send."""
        return round(self.seconds * self.shape.fps)


def pin(cpus: frozenset[int]) -> None:
    """Keep this process to some CPUs."""
    os.sched_setaffinity(0, cpus)


def run(order: Order) -> float:
    """Carry out an order in real time and return the seconds of CPU time that it took."""
    shape = order.shape
    sinks = [(AESGCM(key), address) for key, address in zip(order.keys, order.addresses, strict=True)]
    filler = bytes(shape.size - HEADER.size - NUMBER)
    number = order.first
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        start, used = time.monotonic(), time.process_time()
        for frame in range(order.frames):
            due = frame / shape.fps
            time.sleep(max(0.0, start + due - time.monotonic()))
            for piece in range(shape.burst):
                marker = 0x80 if piece == shape.burst - 1 else 0
                header = HEADER.pack(0x80, sdp.VP8 | marker, number & 0xFFFF, int(due * CLOCK), order.ssrc)
                body = filler + number.to_bytes(NUMBER, "big")
                once = nonce(order.ssrc, number)
                for cipher, address in sinks:
                    out.sendto(header + cipher.encrypt(once, body, header), address)
                number += 1
        return time.process_time() - used
