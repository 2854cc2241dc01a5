"""One participant's ICE, DTLS and SCTP, on aiortc's transports: the calling side.

It carries bytes and texts and knows no call. It controls ICE and dials what the focus
announces; its own addresses are never told, the focus learns one from the first check.
No STUN server is asked. aiortc's private names are used; its version is pinned.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from aioice import Candidate
from aiortc import (
    RTCCertificate,
    RTCDataChannel,
    RTCDataChannelParameters,
    RTCIceGatherer,
    RTCIceParameters,
    RTCSctpTransport,
)
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtcsctptransport import RTCSctpCapabilities
from aiortc.rtp import is_rtcp

from bench.participants.line import Unconnected
from bench.participants.sdp import Remote

RECEIVE_BUFFER = 1 << 20
"Bytes."


class Transport:
    """A transport for one call. Used once: dial again with a new one."""

    def __init__(self) -> None:
        self.gatherer = RTCIceGatherer(iceServers=[])
        self.ice = RTCIceTransport(self.gatherer)
        self.ice._connection.ice_controlling = True
        certificate = RTCCertificate.generateCertificate()
        self.dtls = RTCDtlsTransport(self.ice, [certificate])
        self.sctp = RTCSctpTransport(self.dtls)
        self.channel: RTCDataChannel | None = None
        self.closed = asyncio.Event()
        "Set when the transport is gone, whoever ended it."
        self.opened = asyncio.Event()
        "Set when the data channel is open."
        self.on_rtp: Callable[[bytes], None] = lambda data: None
        self.on_rtcp: Callable[[bytes], None] = lambda data: None
        self.on_text: Callable[[str], None] = lambda text: None
        self.packets_out = 0
        self.packets_in = 0
        print_ = next(f for f in certificate.getFingerprints() if f.algorithm == "sha-256")
        self.fingerprint = f"sha-256 {print_.value}"

    @property
    def credentials(self) -> tuple[str, str]:
        """Our ICE user fragment and password."""
        own = self.gatherer.getLocalParameters()
        assert own.usernameFragment is not None and own.password is not None, "a gatherer makes both"
        return own.usernameFragment, own.password

    async def gather(self, towards: str) -> list[str]:
        """Open the socket that faces the address `towards`; return our candidates as attribute values."""
        connection = self.gatherer._connection
        connection._local_candidates_start = True
        connection._local_candidates += await connection.get_component_candidates(1, [facing(towards)])
        connection._local_candidates_end = True
        for protocol in connection._protocols:
            # Frames come in bursts from everybody at once, and all participants share one thread.
            own: socket.socket = protocol.transport.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        return [candidate.to_sdp() for candidate in connection.local_candidates]

    async def connect(self, remote: Remote) -> None:
        """Bring everything up towards the focus's answer. Raises `Unconnected`."""
        connection = self.gatherer._connection
        for value in remote.candidates:
            await connection.add_remote_candidate(Candidate.from_sdp(value))
        await connection.add_remote_candidate(None)
        await self.ice.start(RTCIceParameters(usernameFragment=remote.ufrag, password=remote.pwd, iceLite=remote.lite))
        if self.ice.state != "completed":
            raise Unconnected("ice")
        self.dtls._set_role("server" if remote.setup == "active" else "client")
        self.dtls._handle_rtp_data = self._rtp  # type: ignore[method-assign]
        self.dtls._handle_rtcp_data = self._rtcp  # type: ignore[method-assign]
        self.dtls.on("statechange", self._look)
        self.ice.on("statechange", self._look)
        prints = [RTCDtlsFingerprint(algorithm, value) for algorithm, value in remote.fingerprints]
        await self.dtls.start(RTCDtlsParameters(prints))
        if self.dtls.state != "connected":
            raise Unconnected("dtls")
        self.channel = RTCDataChannel(self.sctp, RTCDataChannelParameters(label="datachannel"))
        self.channel.on("open", self.opened.set)
        self.channel.on("message", lambda text: self.on_text(text) if isinstance(text, str) else None)
        self.channel.on("close", self.closed.set)
        await self.sctp.start(RTCSctpCapabilities(maxMessageSize=262144), remote.sctp_port)

    @property
    def active(self) -> bool:
        """Whether we are the DTLS client."""
        return self.dtls._role == "client"

    def send(self, data: bytes) -> None:
        """Protect and send one RTP or RTCP packet; dropped while not connected."""
        session, pair = self.dtls._tx_srtp, self.ice._connection._nominated.get(1)
        if session is None or pair is None or self.dtls.state != "connected":
            return
        sealed = session.protect_rtcp(data) if is_rtcp(data) else session.protect(data)
        # aiortc's own way is three coroutines deep and ends in this call.
        pair.protocol.transport.sendto(sealed, pair.remote_addr)
        self.packets_out += 1

    def say(self, text: str) -> None:
        """Send one text on the data channel; dropped when it is not open."""
        if self.channel is not None and self.channel.readyState == "open":
            self.channel.send(text)

    async def close(self) -> None:
        """End the transport and free its socket."""
        self.on_rtp = self.on_rtcp = lambda data: None
        self.on_text = lambda text: None
        await quietly(self.sctp.stop())
        await quietly(self.dtls.stop())
        await quietly(self.ice.stop())
        # `ice.stop` does nothing to a connection that was only gathered.
        await quietly(self.gatherer._connection.close())
        self.closed.set()

    async def _rtp(self, data: bytes, arrival_time_ms: int) -> None:
        self.packets_in += 1
        self.on_rtp(data)

    async def _rtcp(self, data: bytes) -> None:
        self.packets_in += 1
        self.on_rtcp(data)

    def _look(self) -> None:
        if self.dtls.state in ("closed", "failed") or self.ice.state in ("closed", "failed"):
            self.closed.set()


async def quietly(step: Coroutine[Any, Any, None]) -> None:
    """Await one step of an ending; the other side may be gone already."""
    try:
        await step
    except (ConnectionError, OSError):
        pass


def facing(address: str) -> str:
    """Return our own address on the way to `address`. Sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        host: str = probe.getsockname()[0]
        return host
