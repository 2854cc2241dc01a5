"""Programs in a network namespace: how they are started there, and reach pages and homeservers of this machine.

Their TCP is carried around whatever links the namespace has: only media goes over a link. It knows no link.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.link.namespace import within


@dataclass(slots=True)
class Space:
    """A namespace that exists."""

    name: str

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
