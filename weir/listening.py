"""Serving an HTTP application for as long as a block runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


@asynccontextmanager
async def listening(host: str, port: int, app: web.Application) -> AsyncIterator[int]:
    """Serve an application and yield the port it listens on."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        address: tuple[Any, ...] = runner.addresses[0]
        yield int(address[1])
    finally:
        await runner.cleanup()
