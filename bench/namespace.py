"""A network namespace for one client, with two links to this machine that can be swapped: its address changes.

It makes the namespace and its links (root is needed), runs programs in it, and carries their TCP around the links, so
that pages and homeservers stay where they are: only media goes over a link. It measures nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.link.namespace import ip, within

FOCUS = "10.77.{link}.1"
CLIENT = "10.77.{link}.2"
LINKS = (1, 2)
NO_IPV6 = Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")


@dataclass(slots=True)
class Namespace:
    """A namespace that exists."""

    name: str
    link: int
    "The link that is up."

    @property
    def focus(self) -> str:
        """Where a focus on this machine is reached from inside, over either link."""
        return FOCUS.format(link=LINKS[0])

    def inside(self, *words: str) -> None:
        """Run `ip` on the client's side."""
        ip("-n", self.name, *words)

    def use(self, link: int) -> None:
        """Take the client's link down and bring another up: it has another address from then on."""
        if self.link != link:
            self.inside("link", "set", f"link{self.link}", "down")
        self.inside("link", "set", f"link{link}", "up")
        gate = FOCUS.format(link=link)
        self.inside("route", "replace", "default", "via", gate, "dev", f"link{link}")
        self.link = link

    def wrapper(self, program: str, folder: Path) -> Path:
        """A script in `folder` that starts a program in the namespace."""
        script = folder / f"{Path(program).name}-in-{self.name}"
        script.write_text(f'#!/bin/sh\nexec ip netns exec {self.name} {program} "$@"\n')
        script.chmod(0o755)
        return script

    def listen(self, port: int) -> list[socket.socket]:
        """Sockets that listen on the namespace's loopback."""
        made: list[socket.socket] = []

        def listen() -> None:
            for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                with contextlib.suppress(OSError):
                    made.append(socket.create_server((host, port), family=family))

        within(self.name, listen)
        if not made:
            raise RuntimeError(f"nothing listens in the namespace on port {port}")
        return made

    @asynccontextmanager
    async def around(self, port: int) -> AsyncIterator[None]:
        """Connections to a port of the namespace's loopback come out on ours while the block runs."""
        servers = [await asyncio.start_server(Around(port).carry, sock=one) for one in self.listen(port)]
        try:
            yield
        finally:
            for server in servers:
                server.close()


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Make a namespace while the block runs. Raises `RuntimeError`."""
    name = f"weir{secrets.token_hex(3)}"
    with ExitStack() as stack:
        ip("netns", "add", name)
        stack.callback(ip, "netns", "delete", name)
        made = Namespace(name, LINKS[0])
        made.inside("link", "set", "lo", "up")
        # IPv4 alone: an address of IPv6 takes seconds to be confirmed, and each step of that is a change of network.
        within(name, lambda: NO_IPV6.write_text("1"))
        for link in LINKS:
            ours = f"{name}{link}"
            ip("link", "add", ours, "type", "veth", "peer", "name", f"link{link}", "netns", name)
            ip("address", "add", FOCUS.format(link=link) + "/24", "dev", ours)
            ip("link", "set", ours, "up")
            made.inside("address", "add", CLIENT.format(link=link) + "/24", "dev", f"link{link}")
        made.use(LINKS[0])
        yield made


@dataclass(frozen=True, slots=True)
class Around:
    """Carries connections from inside to a port of ours."""

    port: int

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        try:
            there = await asyncio.open_connection("localhost", self.port)
        except OSError:
            return writer.close()
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one direction."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
