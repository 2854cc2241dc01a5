"""A peer's path: ICE over aioice, bound to our addresses, silent to strangers.

It finds the address at which the peer may be sent to, and only an authenticated check of
the peer's, answered by one of ours, makes an address good (security N1 to N3, N8). As an
answerer it dials nothing that a client merely names. It knows datagrams, not media.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

from aioice import Candidate as IceCandidate
from aioice import ice, stun
from aioice.candidate import candidate_foundation, candidate_priority

from focus.commands import Candidate, Credentials, Drop, Role
from focus.engine import Settings

MOST_REMOTE = 30
"Remote addresses learnt per generation (security N5)."
CHECK_EVERY = 2.5
"Seconds between consent checks, times 0.8 to 1.2 (RFC 7675 §5.1 allows less than its 5)."
CONSENT_LASTS = 12.0
"Seconds without an answered check after which we stop sending (security N4)."
QUESTIONS = 2
"Bytes of our checks that may go to an address that proved nothing, per byte of its own; our answers are one more (N3)."
RECEIVE_BUFFER = 1 << 20


class Socket(ice.StunProtocol):
    """One UDP socket. Sorts datagrams by their first byte (RFC 7983)."""

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        generation = cast(Generation, self.receiver)
        data = cast(bytes, data)
        first = data[0] if data else 255
        if 127 < first < 192:
            generation.path.on_media(data, (addr[0], addr[1]), generation)
        elif 19 < first < 64:
            generation.path.on_dtls(data, (addr[0], addr[1]), generation)
        elif first < 4:
            try:
                super().datagram_received(data, addr)
            except (ValueError, KeyError, IndexError, struct.error, UnicodeDecodeError):
                generation.path.drop(Drop.MALFORMED)
        else:
            generation.path.drop(Drop.NOT_DEMUXED)

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        """Send a check or an answer; a check may have to wait until its address has sent more."""
        if message.message_class is not stun.Class.REQUEST or cast(Generation, self.receiver).may_ask(message, addr):
            super().send_stun(message, addr)

    def error_received(self, exc: Exception) -> None:
        """ICMP errors are hints that anyone can forge: consent decides, not they."""


class Generation(ice.Connection):
    """One set of credentials, from a start or restart to the next."""

    def __init__(self, path: Path, role: Role, local: Credentials, remote: Credentials) -> None:
        super().__init__(
            ice_controlling=role is Role.CALLER, local_username=local.ufrag, local_password=local.pwd
        )
        self.path = path
        self.remote_username = remote.ufrag
        self.remote_password = remote.pwd
        self.valid: set[tuple[str, int]] = set()
        "Addresses that answered one of our checks."
        self._allowed: dict[tuple[str, int], int] = {}
        "Bytes of checks that may still go to an address that was learnt from the peer's own."

    def may_ask(self, check: stun.Message, addr: tuple[str, int]) -> bool:
        """Whether a check may be sent there now; the peer may have written a victim's address (security N3)."""
        if addr in self.valid or addr not in self._allowed:
            return True
        self._allowed[addr] -= len(bytes(check))
        return self._allowed[addr] >= 0

    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = 5,  # noqa: ASYNC109 (the signature is the library's)
    ) -> list[IceCandidate]:
        """Bind our configured addresses instead of what the machine happens to have."""
        loop = asyncio.get_running_loop()
        found: list[IceCandidate] = []
        for address in self.path.settings.addresses or tuple(addresses):
            bound = self.path.bind(address)
            if bound is None:
                continue
            transport, protocol = await loop.create_datagram_endpoint(lambda: Socket(self), sock=bound)
            host, port = transport.get_extra_info("sockname")[:2]
            protocol.local_candidate = IceCandidate(
                foundation=candidate_foundation("host", "udp", host),
                component=component,
                transport="udp",
                priority=candidate_priority(component, "host"),
                host=host,
                port=port,
                type="host",
            )
            self._protocols.append(protocol)
            found.append(protocol.local_candidate)
        return found

    def data_received(self, data: bytes, component: int) -> None:
        """What looked like STUN and was not."""
        self.path.drop(Drop.MALFORMED)

    def respond_error(
        self, request: stun.Message, addr: tuple[str, int], protocol: ice.StunProtocol, error_code: tuple[int, str]
    ) -> None:
        """Stay silent to whoever cannot authenticate (security N2). A role conflict is authenticated."""
        if error_code[0] == 487:
            super().respond_error(request, addr, protocol, error_code)
        else:
            self.path.drop(Drop.AUTHENTICATION)

    def check_incoming(self, message: stun.Message, addr: tuple[str, int], protocol: ice.StunProtocol) -> None:
        known = any(c.host == addr[0] and c.port == addr[1] for c in self._remote_candidates)
        if not known and len(self._remote_candidates) >= MOST_REMOTE:
            self.path.drop(Drop.AUTHENTICATION)
            return
        if "PRIORITY" not in message.attributes:
            self.path.drop(Drop.MALFORMED)
            return
        if not known or addr in self._allowed:
            self._allowed[addr] = max(0, self._allowed.get(addr, 0)) + QUESTIONS * len(bytes(message))
        super().check_incoming(message, addr, protocol)

    def check_complete(self, pair: ice.CandidatePair) -> None:
        if pair.state is ice.CandidatePair.State.SUCCEEDED:
            self.valid.add(pair.remote_addr)
        super().check_complete(pair)

    async def query_consent(self) -> None:
        """Ask for consent until it ends (RFC 7675 §5.1), whatever media flows."""
        loop = asyncio.get_running_loop()
        answered = loop.time()
        while (left := answered + CONSENT_LASTS - loop.time()) > 0:
            # Not past the end: the last question may take a while too.
            await asyncio.sleep(min(left, CHECK_EVERY * (0.8 + 0.4 * random.random())))
            pair = self._nominated.get(1)
            if pair is None:
                break
            assert self.remote_password is not None, "a generation is made with its remote credentials"
            try:
                await pair.protocol.request(
                    self.build_request(pair, nominate=False),
                    pair.remote_addr,
                    integrity_key=self.remote_password.encode(),
                    retransmissions=1,
                )
                answered = loop.time()
            except stun.TransactionError:
                continue
        self._query_consent_task = None
        self.path.consent_ended(self)

    def send_now(self, data: bytes) -> bool:
        """Send on the nominated pair."""
        pair = self._nominated.get(1)
        if pair is None:
            return False
        pair.protocol.transport.sendto(data, pair.remote_addr)
        return True


class Path:
    """A peer's path across restarts, shaped as aiortc's DTLS transport wants its ICE transport."""

    def __init__(
        self,
        settings: Settings,
        role: Role,
        on_media: Callable[[bytes], None],
        on_lost: Callable[[], None],
        drop: Callable[[Drop], None],
    ) -> None:
        self.settings = settings
        self._role = role
        self._media = on_media
        self._on_lost = on_lost
        self.drop = drop
        self._inbox: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=256)
        self._current: Generation | None = None
        self._coming: list[Generation] = []
        self._dead = False
        self.state = "new"

    @property
    def role(self) -> str:
        """ICE's word for our end."""
        return "controlling" if self._role is Role.CALLER else "controlled"

    async def gather(self, local: Credentials, remote: Credentials) -> tuple[Generation, tuple[Candidate, ...]]:
        """Bind sockets for new credentials; the addresses to tell are returned."""
        generation = Generation(self, self._role, local, remote)
        self._coming.append(generation)
        await generation.gather_candidates()
        announced = dict(zip(self.settings.addresses, self.settings.announce, strict=False))
        hosts = tuple(Candidate(announced.get(c.host, c.host), c.port) for c in generation.local_candidates)
        return generation, hosts

    async def connect(self, generation: Generation, candidates: tuple[Candidate, ...]) -> None:
        """Wait until this generation has a path, then use it and end the one before. Raises ConnectionError."""
        if self._role is Role.CALLER:
            for number, candidate in enumerate(candidates[:MOST_REMOTE]):
                await generation.add_remote_candidate(
                    IceCandidate(
                        foundation=str(number),
                        component=1,
                        transport="udp",
                        priority=candidate_priority(1, "host"),
                        host=candidate.host,
                        port=candidate.port,
                        type="host",
                    )
                )
        await generation.connect()
        old, self._current = self._current, generation
        self._coming.remove(generation)
        self._dead = False
        self.state = "completed"
        if old is not None:
            await old.close()

    def on_media(self, data: bytes, source: tuple[str, int], generation: Generation) -> None:
        """RTP or RTCP came in; only from an address that has proved itself."""
        if source in generation.valid:
            self._media(data)
        else:
            self.drop(Drop.AUTHENTICATION)

    def on_dtls(self, data: bytes, source: tuple[str, int], generation: Generation) -> None:
        """DTLS came in; only from an address that has proved itself (security D1, D2)."""
        if source not in generation.valid or self._inbox.full():
            self.drop(Drop.AUTHENTICATION)
        else:
            self._inbox.put_nowait(data)

    def consent_ended(self, generation: Generation) -> None:
        """A path died. With another one coming up, wait for that instead."""
        if generation is self._current:
            self._dead = True
            if not self._coming:
                self._on_lost()

    def send_now(self, data: bytes) -> bool:
        """Send a datagram to the peer, if there is a path."""
        return self._current is not None and self._current.send_now(data)

    async def _send(self, data: bytes) -> None:
        if not self.send_now(data):
            raise ConnectionError("no path to the peer")

    async def _recv(self) -> bytes:
        data = await self._inbox.get()
        if data is None:
            raise ConnectionError("the path is closed")
        return data

    def abandon(self, generation: Generation) -> None:
        """A generation that never found a path is given up; so is the peer if its old path is dead too."""
        if generation in self._coming:
            self._coming.remove(generation)
        if self._dead and not self._coming:
            self._on_lost()

    async def close(self) -> None:
        """Free every socket."""
        self.state = "closed"
        while not self._inbox.empty():
            self._inbox.get_nowait()
        self._inbox.put_nowait(None)
        generations = [*self._coming, *([self._current] if self._current else [])]
        self._coming.clear()
        self._current = None
        for generation in generations:
            await generation.close()

    def bind(self, address: str) -> socket.socket | None:
        """Bind a UDP socket in the configured port range; None when the address or the range is not to be had."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        low, high = self.settings.port_low, self.settings.port_high
        ports = random.sample(range(low, high + 1), min(64, high + 1 - low)) if low else [0]
        for port in ports:
            made = socket.socket(family, socket.SOCK_DGRAM)
            try:
                made.bind((address, port))
            except OSError:
                made.close()
                continue
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            made.setblocking(False)
            return made
        return None
