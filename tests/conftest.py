"""What all tests share: one real homeserver for the whole run, and fresh people on it for each test."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from signalling.matrix import Homeserver
from weir.homeserver import LocalHomeserver, install

TESTS = Path(__file__).parent
SYNAPSE_TIMEOUT = 60
"Seconds for a test on the homeserver that names no other: the first of a run also waits for its start."

REAL_TIME = ("attacks", "bench", "conformance", "contract", "hostile", "interop", "matrix", "page", "weir")
"Folders of tests that wait for real sockets and processes."

numbers = itertools.count(1)

SignUp = Callable[[str], Awaitable[Homeserver]]
"Makes a fresh account whose localpart begins with the name, and returns it logged in; `whoami` says the rest."


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and "homeserver" in item.fixturenames:
            item.add_marker(pytest.mark.synapse)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(SYNAPSE_TIMEOUT))
        if item.get_closest_marker("browser") or item.path.relative_to(TESTS).parts[0] in REAL_TIME:
            item.add_marker(pytest.mark.real_time)


def pytest_collection_finish(session: pytest.Session) -> None:
    # Installing takes longer than any test may, so it is done before the first.
    if session.config.option.collectonly:
        return
    if any(item.get_closest_marker("synapse") for item in session.items):
        install(lambda line: session.config.get_terminal_writer().line(line))


@pytest.fixture(scope="session")
def homeserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHomeserver]:
    server = LocalHomeserver(tmp_path_factory.mktemp("synapse"))
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def sign_up(homeserver: LocalHomeserver, http: aiohttp.ClientSession) -> SignUp:
    async def make(name: str) -> Homeserver:
        login = await homeserver.register(f"{name}{next(numbers)}", "password")
        return Homeserver(homeserver.base_url, login.access_token, http)

    return make
