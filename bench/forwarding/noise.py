"""Garbage of every kind: datagrams that no engine may answer or act on, and who sends them at a pace.

Some are chance alone, some look like STUN, DTLS, RTP or RTCP, some are what the call really
sent, cut short, with a bit turned over, or repeated. A whole check is never repeated: it
proves who wrote it, so it would be answered wherever it comes from.
"""

from __future__ import annotations

import ipaddress
import os
import random
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aioice import stun

FEW = 8
"Sockets that a flood keeps; every second batch comes from a fresh one."
BATCH = 10
"Datagrams that one socket sends in a row."
LISTENED = 1.0
"Seconds for which a fresh socket is kept open for answers."
POOL = 20_000
"Different datagrams, sent again and again."
LARGEST = 1500
"Bytes."
FINGERPRINT = 8
"Bytes of that attribute, the last of a check and not under its signature (RFC 8489 §14.7)."
RECORD = struct.Struct("!BHHHIH")
"Content type, version, epoch, sequence number in two parts, length (RFC 6347 §4.1)."
DTLS_1_2 = 0xFEFD


@dataclass(frozen=True, slots=True)
class Heard:
    """What somebody on the path would know of a call."""

    packets: tuple[bytes, ...]
    "Sealed RTP and RTCP of its clients."
    checks: tuple[bytes, ...]
    records: tuple[bytes, ...]
    "DTLS of its clients."
    names: tuple[str, ...]
    "USERNAME of each client's checks."


def noise(chance: random.Random, _: Heard) -> bytes:
    """Bytes of chance, of any length."""
    return chance.randbytes(chance.randint(0, LARGEST))


def anything(chance: random.Random, _: Heard) -> bytes:
    """Any first byte: each class of RFC 7983 and what lies between."""
    return bytes([chance.randrange(256)]) + chance.randbytes(chance.randint(0, 200))


def check(chance: random.Random, name: str) -> bytes:
    """A check that is well formed and signed with a wrong key."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, chance.randbytes(12))
    message.attributes["USERNAME"] = name
    message.attributes["PRIORITY"] = chance.getrandbits(32)
    message.attributes["ICE-CONTROLLING"] = chance.getrandbits(64)
    message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(chance.randbytes(24))
    message.add_fingerprint()
    return bytes(message)


def check_of_nobody(chance: random.Random, _: Heard) -> bytes:
    """A check for somebody who is not there."""
    return check(chance, f"{chance.getrandbits(32):08x}:{chance.getrandbits(32):08x}")


def check_of_a_peer(chance: random.Random, heard: Heard) -> bytes:
    """A check with the name of somebody who is."""
    return check(chance, chance.choice(heard.names))


def record(chance: random.Random, _: Heard) -> bytes:
    """A DTLS record of any type and epoch, well framed: hellos, alerts, data."""
    kind, epoch = chance.choice((20, 21, 22, 23, 25, 63)), chance.choice((0, 0, 1, 2))
    bodies = (b"\x02\x28", b"\x01\x00", chance.randbytes(chance.randint(1, 1200)), hello(chance))
    body = chance.choice(bodies)
    return RECORD.pack(kind, DTLS_1_2, epoch, 0, chance.getrandbits(16), len(body)) + body


def hello(chance: random.Random) -> bytes:
    """A client hello with one cipher suite and SRTP (RFC 6347 §4.2.2, RFC 5764 §4.1.2)."""
    suites = b"\x00\x02\xc0\x2b\x01\x00"
    extensions = b"\x00\x09\x00\x0e\x00\x05\x00\x02\x00\x07\x00"
    body = b"\xfe\xfd" + chance.randbytes(32) + b"\x00\x00" + suites + extensions
    return b"\x01" + len(body).to_bytes(3, "big") + bytes(5) + len(body).to_bytes(3, "big") + body


def packet(chance: random.Random, _: Heard) -> bytes:
    """What looks like sealed RTP."""
    return b"\x90" + chance.randbytes(chance.randint(11, 1200))


def control(chance: random.Random, _: Heard) -> bytes:
    """What looks like sealed RTCP."""
    return bytes([0x80 | chance.randrange(32), chance.randint(200, 207)]) + chance.randbytes(chance.randint(6, 200))


def cut(chance: random.Random, heard: Heard) -> bytes:
    """A piece of what was really sent."""
    whole = chance.choice(chance.choice([each for each in (heard.packets, heard.checks, heard.records) if each]))
    return whole[: chance.randrange(len(whole))]


def turned(chance: random.Random, heard: Heard) -> bytes:
    """What was really sent, with one bit turned over."""
    kinds = [each for each in (heard.packets, heard.checks, heard.records) if each]
    chosen = chance.choice(kinds)
    copy = bytearray(chance.choice(chosen))
    signed = len(copy) - FINGERPRINT if chosen is heard.checks else len(copy)
    copy[chance.randrange(signed)] ^= 1 << chance.randrange(8)
    return bytes(copy)


def again(chance: random.Random, heard: Heard) -> bytes:
    """What was really sent, once more."""
    return chance.choice(chance.choice([each for each in (heard.packets, heard.records) if each]))


Kind = Callable[[random.Random, Heard], bytes]

KINDS: tuple[Kind, ...] = (
    noise, anything, check_of_nobody, check_of_a_peer, record, packet, control, cut, turned, again,
)  # fmt: skip


def pool(seed: int, heard: Heard, kinds: Sequence[Kind], size: int) -> list[bytes]:
    """So many datagrams, of each kind as many, mixed."""
    chance = random.Random(seed)
    made = [kinds[number % len(kinds)](chance, heard) for number in range(size)]
    chance.shuffle(made)
    return made


@dataclass(frozen=True, slots=True)
class Order:
    """What strangers send, and where."""

    seed: int
    heard: Heard
    rate: int
    "Datagrams a second."
    seconds: float
    to: tuple[str, int]


@dataclass(frozen=True, slots=True)
class Flood:
    """What became of an order."""

    sent: int
    sources: int
    "Addresses and ports that it came from."
    replies: int
    "Bytes that came back."


def fresh() -> socket.socket:
    """A socket with a port of its own on an address of its own, one of the millions on loopback."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.bind((str(ipaddress.ip_address("127.0.0.2") + random.getrandbits(23)), 0))
    return made


def answers(sock: socket.socket) -> int:
    """Bytes that wait at a socket, taken."""
    found = 0
    while True:
        try:
            found += max(1, len(sock.recv(2048)))
        except BlockingIOError:
            return found


def flood(order: Order) -> Flood:
    """Carry out an order in real time."""
    made = pool(order.seed, order.heard, KINDS, POOL)
    few = [fresh() for _ in range(FEW)]
    young: deque[tuple[float, socket.socket]] = deque()
    sent, sources, replies = 0, FEW, 0
    start = time.monotonic()
    for batch in range(round(order.rate * order.seconds / BATCH)):
        now = time.monotonic()
        due = start + batch * BATCH / order.rate
        if now < due:
            time.sleep(due - now)
        if batch % 2:
            source = few[batch // 2 % FEW]
        else:
            source, sources = fresh(), sources + 1
            young.append((now, source))
        for _ in range(BATCH):
            source.sendto(made[sent % POOL], order.to)
            sent += 1
        while young and young[0][0] < now - LISTENED:
            _, old = young.popleft()
            replies += answers(old)
            old.close()
    time.sleep(LISTENED)
    for sock in (*few, *(sock for _, sock in young)):
        replies += answers(sock)
        sock.close()
    return Flood(sent, sources, replies)


def pin(cpus: frozenset[int]) -> None:
    """Keep this process to some CPUs."""
    os.sched_setaffinity(0, cpus)
