"""What a stranger sends: checks, hellos and fragments of a handshake; and the socket that it sends from."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from aioice import stun

from focus.commands import Credentials


class Stranger:
    """A socket on loopback, and how much came to it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._to = ("127.0.0.1", port)
        self.sent = 0
        "Bytes."

    async def send(self, *datagrams: bytes) -> None:
        """Send, and let the engine read now and then."""
        for number, datagram in enumerate(datagrams):
            try:
                self._socket.sendto(datagram, self._to)
            except BlockingIOError:
                await asyncio.sleep(0)
            self.sent += len(datagram)
            if number % 20 == 19:
                await asyncio.sleep(0)

    def heard(self) -> list[bytes]:
        """All that came."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(2000))
            except BlockingIOError:
                return found

    def close(self) -> None:
        """Be gone."""
        self._socket.close()


@contextmanager
def stranger(port: int) -> Iterator[Stranger]:
    """A stranger who sends to a port of the engine's."""
    made = Stranger(port)
    try:
        yield made
    finally:
        made.close()


def check(near: Credentials, far: Credentials, *, key: str | None = None, nominate: bool = False) -> bytes:
    """A check of whoever knows the credentials; with another key, of whoever does not."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{near.ufrag}:{far.ufrag}"
    message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = 1
    if nominate:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity((near.pwd if key is None else key).encode())
    message.add_fingerprint()
    return bytes(message)


def handshake(
    kind: int, body: bytes, *, number: int = 0, total: int | None = None, at: int = 0, record: int = 0
) -> bytes:
    """One fragment of a handshake message in a plaintext record of DTLS 1.2 (RFC 6347 §4.1, §4.2.2)."""
    length = len(body) if total is None else total
    message = struct.pack("!BBHHBHBH", kind, length >> 16, length & 0xFFFF, number, at >> 16, at & 0xFFFF, 0, len(body))
    return struct.pack("!BHHHIH", 22, 0xFEFD, 0, 0, record, len(message) + len(body)) + message + body


HELLO = (
    b"\xfe\xfd" + bytes(32) + b"\x00\x00" + b"\x00\x02\x00\x00" + b"\x01\x00"
    b"\x00\x0b\x00\x0e\x00\x07\x00\x04\x00\x07\x00\x08\x00"
)
"A client hello that offers no encryption at all, and SRTP (CVE-2023-49786)."
ALERT = b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28"
"A fatal alert, in plaintext."
