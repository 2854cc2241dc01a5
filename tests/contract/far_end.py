"""A client of an engine: ICE controlling, DTLS client, SRTP, a data channel. Made of aiortc's transports.

It knows no codec and no signalling, sends the very bytes that a test hands it, and keeps
what it is sent. It is the independent end against which every engine is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport, RTCSctpTransport
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters
from aiortc.rtcicetransport import RTCIceCandidate, RTCIceParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities

from engines import Bell, Side, credentials
from focus.commands import Candidate, Connected, Credentials, Open, Opened, Reachable, Role
from focus.vocabulary import PeerId
from media_bytes import Rtcp, Rtp, read, read_rtcp


class FarEnd:
    """One client. `call` connects it; what arrives is kept in order."""

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer
        self.certificate = RTCCertificate.generateCertificate()
        self.fingerprint = next(
            (f.algorithm, f.value) for f in self.certificate.getFingerprints() if f.algorithm == "sha-256"
        )
        self.near, self.far = credentials(f"n{peer}"), credentials(f"f{peer}")
        self.rtp: list[Rtp] = []
        self.raw: list[bytes] = []
        "The datagrams of `rtp`, decrypted."
        self.rtcp: list[Rtcp] = []
        self.texts: list[str] = []
        self.count = 0
        "Packets sent."
        self.bell = Bell()
        self.dtls: RTCDtlsTransport | None = None
        self.sctp: RTCSctpTransport | None = None
        self.channel: RTCDataChannel | None = None
        self.ice: RTCIceTransport | None = None

    def open(self, **changes: Any) -> Open:
        """The command that lets this client in."""
        fields: dict[str, Any] = {"fingerprints": (self.fingerprint,), "sctp_port": 5000} | changes
        return Open(self.peer, Role.ANSWERER, self.near, self.far, **fields)

    async def gather(self, local: Credentials) -> RTCIceTransport:
        """An ICE transport on loopback only, that asks no server."""
        gatherer = RTCIceGatherer([], local_username=local.ufrag, local_password=local.pwd)
        connection = gatherer._connection
        bind = connection.get_component_candidates
        connection.get_component_candidates = (  # type: ignore[method-assign]
            lambda component, addresses, timeout=5: bind(component, ["127.0.0.1"], timeout)
        )
        await gatherer.gather()
        ice = RTCIceTransport(gatherer)
        connection.ice_controlling = True
        return ice

    async def dial(
        self, candidates: tuple[Candidate, ...], fingerprint: tuple[str, str], profiles: list[Any] | None = None
    ) -> None:
        """Connect to an engine that was told to `open`."""
        ice = self.ice = await self.gather(self.far)
        for number, candidate in enumerate(candidates):
            await ice.addRemoteCandidate(
                RTCIceCandidate(1, str(number), candidate.host, candidate.port, 1000, "udp", "host")
            )
        await ice.addRemoteCandidate(None)
        await ice.start(RTCIceParameters(self.near.ufrag, self.near.pwd))
        assert ice.state == "completed", "no valid pair was found"
        dtls = self.dtls = RTCDtlsTransport(ice, [self.certificate])
        if profiles is not None:
            dtls._srtp_profiles = profiles
        dtls._set_role("client")
        dtls._handle_rtp_data = self._on_rtp  # type: ignore[method-assign]
        dtls._handle_rtcp_data = self._on_rtcp  # type: ignore[method-assign]
        await dtls.start(RTCDtlsParameters([RTCDtlsFingerprint(*fingerprint)]))

    async def open_channel(self, label: str = "datachannel", **options: Any) -> RTCDataChannel:
        """Open a data channel, starting SCTP if need be; returns at once."""
        assert self.dtls is not None
        if self.sctp is None:
            self.sctp = RTCSctpTransport(self.dtls, 5000)
            channel = RTCDataChannel(self.sctp, RTCDataChannelParameters(label=label, **options))
            await self.sctp.start(RTCSctpCapabilities(maxMessageSize=262144), 5000)
        else:
            channel = RTCDataChannel(self.sctp, RTCDataChannelParameters(label=label, **options))
        channel.on("message", self._on_text)
        channel.on("open", self.bell.ring)
        self.channel = self.channel or channel
        return channel

    async def call(self, side: Side, channel: bool = False) -> None:
        """Be let in, dial, and wait until both ends are connected."""
        side.submit(self.open())
        reachable = await side.saw(Reachable, peer=self.peer)
        await self.dial(reachable.candidates, side.engine.fingerprint)
        await side.saw(Connected, peer=self.peer)
        if channel:
            opened = await self.open_channel()
            await side.saw(Opened, peer=self.peer)
            await self.bell.until(lambda: opened.readyState == "open", 5, "the data channel opens")

    async def _on_rtp(self, data: bytes, arrival_time_ms: int) -> None:
        self.raw.append(data)
        self.rtp.append(read(data))
        self.bell.ring()

    async def _on_rtcp(self, data: bytes) -> None:
        self.rtcp += read_rtcp(data)
        self.bell.ring()

    def _on_text(self, text: str | bytes) -> None:
        self.texts.append(text if isinstance(text, str) else text.decode())
        self.bell.ring()

    async def send(self, *packets: bytes) -> None:
        """Protect and send RTP or RTCP."""
        assert self.dtls is not None
        for packet in packets:
            await self.dtls._send_rtp(packet)
            self.count += 1

    def of(self, ssrc: int) -> list[Rtp]:
        """What arrived on one SSRC."""
        return [packet for packet in self.rtp if packet.ssrc == ssrc]

    async def heard(self, ssrc: int, count: int = 1, seconds: float = 3.0) -> list[Rtp]:
        """Wait until so many packets came on an SSRC."""
        await self.bell.until(
            lambda: len(self.of(ssrc)) >= count, seconds, f"{count} packets on {ssrc:#x}, {len(self.of(ssrc))} came"
        )
        return self.of(ssrc)

    async def told(self, match: Callable[[Rtcp], bool], what: str, seconds: float = 3.0) -> Rtcp:
        """Wait for an RTCP packet."""
        found = await self.bell.until(lambda: [p for p in self.rtcp if match(p)], seconds, what)
        return found[0]

    async def close(self) -> None:
        """Stop what was started, in order."""
        if self.sctp is not None:
            await self.sctp.stop()
        if self.dtls is not None:
            await self.dtls.stop()
        if self.ice is not None:
            await self.ice.stop()

    async def vanish(self) -> None:
        """Be gone without a word, as when a machine is switched off."""
        assert self.ice is not None
        for protocol in self.ice._connection._protocols:
            protocol.transport.sendto = lambda data, addr=None: None  # type: ignore[method-assign]
            protocol.datagram_received = lambda data, addr: None  # type: ignore[method-assign]


async def landed(side: Side, *ends: FarEnd) -> None:
    """Wait until the engine has taken in all that these clients sent; they must be its only ones."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 3
    while side.engine.counters().packets_in < sum(end.count for end in ends):
        assert loop.time() < deadline, "packets were lost on loopback"
        await asyncio.sleep(0)


@asynccontextmanager
async def far_ends(*names: str) -> AsyncIterator[list[FarEnd]]:
    """Clients that are closed at the end."""
    ends = [FarEnd(PeerId(name)) for name in names]
    try:
        yield ends
    finally:
        for end in ends:
            await end.close()
