"""A running focus: every room made, wired together, watched, and closed in order.

The only file that knows all the parts. It decides nothing about calls: if a part that
must run ends, the process ends with an error and whoever supervises it starts it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from focus.codecs import FORMATS, carried
from focus.engine import Engine, choose
from focus.names import RandomNames
from focus.native import Unavailable
from focus.switchboard import Switchboard
from focus.vocabulary import Kind
from signalling.account import LinkFailed, MatrixLink
from signalling.agent import Agent
from weir import health
from weir.config import Config, Media
from weir.keys import ConfigError
from weir.listening import listening
from weir.metrics import Figures, Page
from weir.notify import notify, watchdog_period
from weir.pulse import Pulse
from widget import web as page

log = logging.getLogger(__name__)

FAREWELL = 5.0
"Seconds for hangups to reach the homeserver before we close without them."


class Focus:
    """Every part of a running focus."""

    def __init__(self, config: Config, token: str) -> None:
        self.config = config
        self.engine = engine(config.media)
        names = RandomNames()
        codecs = carried(self.engine.codecs, config.media.codecs)
        self.switchboard = Switchboard(self.engine, None, config.limits, codecs, names, time.monotonic)
        matrix = config.matrix
        self.link = MatrixLink(matrix.homeserver, token, matrix.user, matrix.device, matrix.store)
        self.agent = Agent(
            self.link,
            self.switchboard,
            names,
            time.monotonic,
            time.time,
            config.signalling,
            inviting=matrix.inviters,
            memory=self.link.memory,
        )
        self.switchboard.face = self.agent
        self.page = Page(
            Figures(
                counters=self.engine.counters,
                engine=self.engine.name,
                peers=self.switchboard.peers,
                conferences=self.switchboard.conferences,
                undecodable=self.switchboard.undecodable,
                faults=lambda: {
                    "switchboard": self.switchboard.faults,
                    "signalling": self.agent.faults,
                    "matrix": self.link.faults,
                },
                sync_age=self.sync_age,
                bitrates=lambda: self.pulse.bitrates(),
            )
        )
        self.pulse = Pulse(self.engine.counters, self.page.lag.observe)
        self.stopping = False

    async def speak_matrix(self) -> None:
        """Log in, and follow the homeserver for ever."""
        await self.link.start()
        await self.agent.run()

    def sync_age(self) -> float | None:
        """Seconds since the homeserver last answered a sync."""
        synced = self.link.synced
        return None if synced is None else time.monotonic() - synced

    def health(self) -> health.State:
        """What readiness is judged by."""
        return health.State(self.sync_age(), self.pulse.worst(), self.stopping)


def engine(media: Media) -> Engine:
    """The engine that the configuration names. Raises `ConfigError`."""
    try:
        made = choose(media.engine, media.settings())
    except Unavailable as error:
        raise ConfigError((f"media.engine: {error}.",)) from None
    except OSError as error:
        raise ConfigError((f"media.addresses: {error.strerror or error}.",)) from None
    if not set(media.codecs) & set(made.codecs):
        has = ", ".join(f'"{name}"' for name in made.codecs if FORMATS[name].kind is Kind.VIDEO)
        raise ConfigError((f"media.codecs: the {made.name} engine has none of them; add one of {has}.",))
    return made


async def serve(config: Config, token: str) -> int:
    """Run a focus until SIGTERM or SIGINT; then hang up, close, and return 0. Return 1 if a part failed."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    async with AsyncExitStack() as stack:
        focus = Focus(config, token)
        stack.push_async_callback(focus.engine.close)
        ports = {}
        for name, door, app in (("http", config.http, front(focus)), ("metrics", config.metrics, back(focus))):
            ports[name] = await stack.enter_async_context(listening(door.host, door.port, app))
        log.info("listening", extra={"ports": ports})
        stack.push_async_callback(focus.link.close)
        parts: list[asyncio.Task[Any]] = [
            part("the switchboard", focus.switchboard.run()),
            part("the agent", focus.speak_matrix()),
            part("the pulse", focus.pulse.run()),
            part("the watchdog", watchdog()),
        ]
        ended: asyncio.Task[Any] = asyncio.create_task(over.wait())
        notify("READY=1")
        await asyncio.wait({ended, *parts}, return_when=asyncio.FIRST_COMPLETED)
        focus.stopping = True
        notify("STOPPING=1")
        failed = [task for task in parts if task.done()]
        for task in failed:
            error = task.exception()
            trace = None if isinstance(error, LinkFailed) else error
            log.error("a part ended", extra={"part": task.get_name(), "why": str(error)}, exc_info=trace)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await focus.agent.farewell()
        for task in (ended, *parts):
            task.cancel()
        await asyncio.gather(ended, *parts, return_exceptions=True)
        log.info("ended")
    return 1 if failed else 0


def part(name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start something that must never end by itself."""
    return asyncio.create_task(work, name=name)


async def watchdog() -> None:
    """Tell the service manager that the event loop turns, as often as it wants to hear it."""
    period = watchdog_period()
    while True:
        await asyncio.sleep(period or 3600)
        if period is not None:
            notify("WATCHDOG=1")


def front(focus: Focus) -> web.Application:
    """What [http] serves: health, and the page."""
    config = focus.config
    told = {
        "homeserver": config.http.homeserver or config.matrix.homeserver,
        "focus": {"user_id": config.matrix.user, "device_id": config.matrix.device},
    }
    app = web.Application()
    app.add_routes([*health.routes(focus.health), *page.routes(lambda: told)])
    return app


def back(focus: Focus) -> web.Application:
    """What [metrics] serves."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=focus.page.text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), *health.routes(focus.health)])
    return app
