"""One client of the engine: real ICE, DTLS and SRTP on aiortc's transports, over a socket that is cheap to drain.

Media is handed on undecrypted, with the kernel's time of arrival; everything else goes to
ICE and DTLS as usual, so that consent and keep-alives are real. No data channel is opened.
aiortc's private names are used; its version is pinned.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from aioice import Candidate as IceCandidate
from aioice import ice
from aioice.candidate import candidate_foundation, candidate_priority
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters
from aiortc.rtcicetransport import RTCIceCandidate, RTCIceParameters
from aiortc.rtp import is_rtcp

from bench.forwarding.apart import Apart
from focus.commands import Close, Connected, Credentials, Open, Reachable, Role
from focus.vocabulary import PeerId

SO_TIMESTAMPNS = 35
"asm-generic/socket.h; Python has no name for it. The control message has the same number and holds a timespec."
TIMESPEC = struct.Struct("@qq")
RECEIVE_BUFFER = 4 << 20
"Bytes asked for; the kernel grants net.core.rmem_max at most."


class Wire(asyncio.DatagramTransport):
    """A UDP socket on loopback, read until it is empty each time. Sorts datagrams by their first byte (RFC 7983)."""

    def __init__(self, protocol: ice.StunProtocol) -> None:
        super().__init__()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.address: tuple[str, int] = self.socket.getsockname()
        self.on_media: Callable[[bytes, float], None] = lambda data, at: None
        "Called with a sealed RTP or RTCP packet and the seconds since the epoch at which the kernel got it."
        self._protocol = protocol
        asyncio.get_running_loop().add_reader(self.socket, self._drain)

    def _drain(self) -> None:
        receive = self.socket.recvmsg
        while self.socket.fileno() >= 0:
            try:
                data, ancillary, _, source = receive(2048, 64)
            except BlockingIOError:
                return
            if data and 127 < data[0] < 192:
                self.on_media(data, stamp(ancillary))
            else:
                self._protocol.datagram_received(data, source)

    def sendto(self, data: Any, addr: Any = None) -> None:
        self.socket.sendto(data, addr)

    def is_closing(self) -> bool:
        return self.socket.fileno() < 0

    def close(self) -> None:
        if not self.is_closing():
            loop = asyncio.get_running_loop()
            loop.remove_reader(self.socket)
            self.socket.close()
            loop.call_soon(self._protocol.connection_lost, None)

    abort = close


def stamp(ancillary: list[tuple[int, int, bytes]]) -> float:
    """The kernel's time of arrival, in seconds since the epoch."""
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = TIMESPEC.unpack(value[: TIMESPEC.size])
            return float(seconds) + 1e-9 * float(nanoseconds)
    return time.time()


class Client:
    """`connect` brings it up; `send` seals what it is given."""

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer
        self.near, self.far = (Credentials(secrets.token_hex(4), secrets.token_hex(12)) for _ in range(2))
        gatherer = RTCIceGatherer([], local_username=self.far.ufrag, local_password=self.far.pwd)
        self._connection = gatherer._connection
        self._connection.get_component_candidates = self._bind  # type: ignore[method-assign]
        self._gatherer = gatherer
        self._certificate = RTCCertificate.generateCertificate()
        self.ice = RTCIceTransport(gatherer)
        self._connection.ice_controlling = True
        self.dtls = RTCDtlsTransport(self.ice, [self._certificate])
        self.wire: Wire | None = None
        self._towards: tuple[str, int] | None = None

    async def _bind(
        self,
        component: int,
        addresses: list[str],
        timeout: int = 5,  # noqa: ASYNC109 (the signature is the library's)
    ) -> list[IceCandidate]:
        protocol = ice.StunProtocol(self._connection)
        wire = self.wire = Wire(protocol)
        protocol.connection_made(wire)
        host, port = wire.address
        protocol.local_candidate = IceCandidate(
            foundation=candidate_foundation("host", "udp", host), component=component, transport="udp",
            priority=candidate_priority(component, "host"), host=host, port=port, type="host",
        )  # fmt: skip
        self._connection._protocols.append(protocol)
        return [protocol.local_candidate]

    async def connect(self, engine: Apart) -> None:
        """Be let in, dial, and wait until both ends are connected. Raises `ConnectionError`, `TimeoutError`."""
        print_ = next(f for f in self._certificate.getFingerprints() if f.algorithm == "sha-256")
        prints = ((print_.algorithm, print_.value),)
        engine.submit(Open(self.peer, Role.ANSWERER, self.near, self.far, prints, None))
        reachable = await engine.saw(Reachable, peer=self.peer)
        await self._gatherer.gather()
        for number, candidate in enumerate(reachable.candidates):
            await self.ice.addRemoteCandidate(
                RTCIceCandidate(1, str(number), candidate.host, candidate.port, 1000, "udp", "host")
            )
        await self.ice.addRemoteCandidate(None)
        await self.ice.start(RTCIceParameters(self.near.ufrag, self.near.pwd))
        if self.ice.state != "completed":
            raise ConnectionError(f"{self.peer}: ICE found no path")
        self.dtls._set_role("client")
        await self.dtls.start(RTCDtlsParameters([RTCDtlsFingerprint(*engine.fingerprint)]))
        if self.dtls.state != "connected":
            raise ConnectionError(f"{self.peer}: no DTLS")
        self._towards = self._connection._nominated[1].remote_addr
        await engine.saw(Connected, peer=self.peer)

    @property
    def profile(self) -> str:
        """The SRTP profile agreed on, as RFC 7714 and RFC 5764 name it."""
        assert self.dtls._ssl is not None, "asked of a connected client"
        return str(self.dtls._ssl.get_selected_srtp_profile().decode())

    def send(self, data: bytes) -> None:
        """Protect and send one RTP or RTCP packet."""
        assert self.wire is not None and self._towards is not None, "asked of a connected client"
        session = self.dtls._tx_srtp
        sealed = session.protect_rtcp(data) if is_rtcp(data) else session.protect(data)
        self.wire.socket.sendto(sealed, self._towards)

    async def close(self, engine: Apart) -> None:
        """Be gone from the engine and free the socket."""
        engine.submit(Close(self.peer))
        await self.dtls.stop()
        await self.ice.stop()
        await self._connection.close()
