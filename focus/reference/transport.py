"""One peer's transport: path, DTLS, SRTP and the data channel, brought up in that order.

It turns datagrams into decrypted RTP, RTCP and text, and back. What they mean is
`session.py`'s business. aiortc's transports do the protocols; some private names of the
pinned version are used, since aiortc has no public way to forward without decoding.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, cast

import pylibsrtp
from aiortc import RTCCertificate, RTCDataChannel, RTCDtlsTransport, RTCIceTransport, RTCSctpTransport
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AEAD_AES_256_GCM,
    SRTP_AES128_CM_SHA1_80,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    State,
)
from aiortc.rtcsctptransport import RTCSctpCapabilities

from focus.commands import Candidate, Credentials, Drop, Loss, Open, Role
from focus.engine import Settings
from focus.reference.counters import Tally
from focus.reference.ice import Path
from focus.reference.rtp import LONGEST, is_rtcp

log = logging.getLogger(__name__)

BRING_UP = 30.0
"Seconds that a peer has to find a path, and again for its DTLS handshake."
LONGEST_MESSAGE = 262_144
"Bytes of one data channel message that we take and announce."
OVERRUN = 65_536
"Bytes of unfinished messages beyond the window of 1 MiB. Who keeps to it overruns it by a probe at most."
MOST_STREAMS = 64
"SCTP streams in use by one peer; a client has one."
QUEUED = 256
"Messages kept for a channel that is not open yet."
STRONG = {"sha-256", "sha-384", "sha-512"}
PROFILES = [SRTP_AEAD_AES_128_GCM, SRTP_AEAD_AES_256_GCM, SRTP_AES128_CM_SHA1_80]
"In our order of preference (media digest B.2): the DTLS server's order decides."


class Heard(Protocol):
    """Whom a transport reports to."""

    def reachable(self, candidates: tuple[Candidate, ...]) -> None: ...
    def connected(self) -> None: ...
    def opened(self) -> None: ...
    def message(self, text: str) -> None: ...
    def media(self, data: bytes, control: bool) -> None: ...
    def lost(self, loss: Loss) -> None: ...


class Transport:
    """A peer's transport, for its whole life."""

    def __init__(
        self, opened: Open, settings: Settings, certificate: RTCCertificate, tally: Tally, heard: Heard
    ) -> None:
        self._opened = opened
        self._tally = tally
        self._heard = heard
        self._ended = False
        self._path = Path(settings, opened.role, self._on_media, lambda: self._end(Loss.ICE), tally.drop)
        # Shaped as aiortc's ICE transport; it uses role, state, _recv and _send of it.
        self._dtls = RTCDtlsTransport(cast(RTCIceTransport, self._path), [certificate])
        self._dtls._srtp_profiles = PROFILES
        self._dtls._set_role("server" if opened.role is Role.ANSWERER else "client")
        self._dtls.on("statechange", self._dtls_changed)
        self._sctp: RTCSctpTransport | None = None
        self._channel: RTCDataChannel | None = None
        self._queue: deque[str] = deque()
        self._unprotect: pylibsrtp.Session | None = None
        self._protect: pylibsrtp.Session | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._spawn(self._bring_up())

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring_up(self) -> None:
        opened = self._opened
        prints = [RTCDtlsFingerprint(name, value) for name, value in opened.fingerprints if name in STRONG]
        if not prints:
            return self._end(Loss.DTLS)
        try:
            generation, candidates = await self._path.gather(opened.local, opened.remote)
            if not candidates:
                log.warning("no address could be bound for media")
                return self._end(Loss.ICE)
            self._heard.reachable(candidates)
            async with asyncio.timeout(BRING_UP):
                await self._path.connect(generation, opened.candidates)
        except (ConnectionError, TimeoutError, ValueError):
            return self._end(Loss.ICE)
        try:
            async with asyncio.timeout(BRING_UP):
                await self._dtls.start(RTCDtlsParameters(fingerprints=prints))
        except (TimeoutError, ConnectionError):
            return self._end(Loss.DTLS)
        if self._dtls._state is not State.CONNECTED:
            return self._end(Loss.DTLS)
        self._unprotect, self._protect = self._dtls._rx_srtp, self._dtls._tx_srtp
        self._heard.connected()
        if opened.sctp_port is not None:
            await self._start_sctp(opened.sctp_port, opened.max_message)
        return None

    async def _start_sctp(self, port: int, max_message: int) -> None:
        sctp = self._sctp = RTCSctpTransport(self._dtls)
        sctp.on("datachannel", self._accept)
        await sctp.start(RTCSctpCapabilities(maxMessageSize=max_message), port)
        # A hostile chunk must cost its association at most, never the task that reads DTLS.
        self._dtls._data_receiver = Guarded(sctp, self._tally, lambda: self._end(Loss.CLOSED))
        if self._opened.role is Role.CALLER:
            channel = RTCDataChannel(sctp, RTCDataChannelParameters(label="datachannel"))
            channel.on("open", lambda: self._accept(channel))

    def _accept(self, channel: RTCDataChannel) -> None:
        """The first channel is the one; others stay silent."""
        if self._channel is not None or self._ended:
            return
        self._channel = channel
        channel.on("message", self._on_message)
        self._heard.opened()
        while self._queue:
            self.say(self._queue.popleft())

    def _on_message(self, message: str | bytes) -> None:
        if not isinstance(message, str):
            self._tally.drop(Drop.MESSAGE_BINARY)
        elif len(message) > LONGEST_MESSAGE:
            self._tally.drop(Drop.MALFORMED)
        elif not self._ended:
            self._heard.message(message)

    def say(self, text: str) -> None:
        """Send a text on the data channel, now or once it opens."""
        if self._channel is None or self._channel.readyState != "open":
            if len(self._queue) >= QUEUED:
                return self._tally.drop(Drop.MESSAGE_QUEUE_FULL)
            return self._queue.append(text)
        if self._channel.bufferedAmount > 4 * LONGEST_MESSAGE:
            return self._tally.drop(Drop.MESSAGE_QUEUE_FULL)
        try:
            self._channel.send(text)
        except ValueError:
            # Longer than what the peer takes.
            self._tally.drop(Drop.MESSAGE_QUEUE_FULL)
        return None

    def _on_media(self, data: bytes) -> None:
        """Decrypt, authenticate and check for replay, in libsrtp; nothing is accounted before that."""
        tally = self._tally
        tally.packets_in += 1
        tally.bytes_in += len(data)
        session = self._unprotect
        if session is None:
            return tally.drop(Drop.AUTHENTICATION)
        if len(data) < 12 or len(data) > LONGEST:
            return tally.drop(Drop.TOO_SHORT if len(data) < 12 else Drop.MALFORMED)
        control = is_rtcp(data)
        try:
            plain = session.unprotect_rtcp(data) if control else session.unprotect(data)
        except pylibsrtp.Error as error:
            return tally.drop(Drop.REPLAYED if "replay" in str(error) else Drop.AUTHENTICATION)
        return self._heard.media(plain, control)

    def send_media(self, data: bytes) -> bool:
        """Protect and send one RTP or RTCP packet. False without a connection."""
        session = self._protect
        if session is None or self._ended:
            return False
        protected = session.protect_rtcp(data) if is_rtcp(data) else session.protect(data)
        if not self._path.send_now(protected):
            return False
        self._tally.packets_out += 1
        self._tally.bytes_out += len(protected)
        return True

    def restart(self, local: Credentials, remote: Credentials, candidates: tuple[Candidate, ...]) -> None:
        """Take new ICE credentials; DTLS and what it carries go on (RFC 8445 §9)."""
        self._spawn(self._restart(local, remote, candidates))

    async def _restart(self, local: Credentials, remote: Credentials, candidates: tuple[Candidate, ...]) -> None:
        generation, hosts = await self._path.gather(local, remote)
        self._heard.reachable(hosts)
        try:
            async with asyncio.timeout(BRING_UP):
                await self._path.connect(generation, candidates)
        except (ConnectionError, TimeoutError, ValueError):
            self._path.abandon(generation)
            await generation.close()

    def _dtls_changed(self) -> None:
        if self._dtls._state is State.CLOSED and not self._ended:
            self._end(Loss.CLOSED)

    def _end(self, loss: Loss) -> None:
        if not self._ended:
            self._ended = True
            self._heard.lost(loss)

    async def close(self) -> None:
        """Say goodbye by DTLS if that is up, and free everything. Idempotent."""
        self._ended = True
        for task in [t for t in self._tasks if t is not asyncio.current_task()]:
            task.cancel()
        if self._sctp is not None:
            with contextlib.suppress(ConnectionError):
                await self._sctp.stop()
        with contextlib.suppress(ConnectionError):
            await self._dtls.stop()
        await self._path.close()


class Guarded:
    """An SCTP association whose faults stay its own (security S1)."""

    def __init__(self, sctp: RTCSctpTransport, tally: Tally, end: Callable[[], None]) -> None:
        self._sctp = sctp
        self._tally = tally
        self._end = end

    async def _handle_data(self, data: bytes) -> None:
        sctp = self._sctp
        try:
            await sctp._handle_data(data)
        except ConnectionError:
            raise
        except Exception:
            # aiortc asserts on some illegal chunks and decodes text strictly: all of it is the peer's fault.
            self._tally.drop(Drop.MALFORMED)
        # aiortc tells its window and does not hold the peer to it.
        if sctp._advertised_rwnd < -OVERRUN or len(sctp._inbound_streams) > MOST_STREAMS:
            self._tally.drop(Drop.MESSAGE_OVERRUN)
            self._end()
