"""`Homeserver.request` against a server that misbehaves: what is asked again, and what is an error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from signalling import matrix
from signalling.matrix import UNREACHED, Homeserver, MatrixError, endpoint, refusal

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Script:
    """A homeserver that gives these replies in turn, the last for ever, and keeps what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.asked: list[tuple[str, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.raw_path))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return await reply(request)


def told(status: int, text: str | None = None, headers: dict[str, str] | None = None, **fields: object) -> Reply:
    async def reply(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=json.dumps(fields) if text is None else text, headers=headers)

    return reply


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    yield Script()


@pytest.fixture
async def server(
    script: Script, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Homeserver]:
    monkeypatch.setattr(matrix, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(matrix, "LONGEST_WAIT", 0.002)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield Homeserver(f"http://{host}:{port}/", "token", http, chance=lambda: 0.5)
    await runner.cleanup()


async def cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize(
    "trouble",
    [
        told(429, errcode="M_LIMIT_EXCEEDED", retry_after_ms=1),
        told(429, headers={"Retry-After": "0"}),
        told(500, errcode="M_UNKNOWN"),
        told(502, "<html>bad gateway</html>"),
        told(503),
        cut,
    ],
    ids=["limit", "limit header", "500", "502 html", "503", "cut"],
)
async def test_what_passes_is_asked_again(server: Homeserver, script: Script, trouble: Reply) -> None:
    script.replies = [trouble, told(200, ok=1)]
    assert await server.request("POST", endpoint("x")) == {"ok": 1}
    assert len(script.asked) == 2


@pytest.mark.parametrize(("trouble", "asked"), [(told(500), 1), (told(503), 2), (told(429, retry_after_ms=1), 2)])
async def test_what_may_have_been_done_is_not_asked_twice(
    server: Homeserver, script: Script, trouble: Reply, asked: int
) -> None:
    script.replies = [trouble, told(200, room_id="!r")]
    if asked == 1:
        with pytest.raises(MatrixError):
            await server.create_room()
    else:
        assert await server.create_room() == "!r"
    assert len(script.asked) == asked


async def test_tries_are_bounded_and_a_retried_put_keeps_its_transaction(server: Homeserver, script: Script) -> None:
    script.replies = [told(503, errcode="M_BUSY")]
    with pytest.raises(MatrixError) as caught:
        await server.send_to_device("m.x", {})
    assert (caught.value.status, caught.value.errcode) == (503, "M_BUSY")
    assert len(script.asked) == matrix.TRIES and len(set(script.asked)) == 1
    script.asked.clear()
    script.replies = [told(200)]
    await server.send_to_device("m.x", {})
    await server.send_to_device("m.x", {})
    assert len(set(script.asked)) == 2, "each message has a transaction of its own"


async def test_a_limit_of_minutes_is_an_error_at_once(server: Homeserver, script: Script) -> None:
    script.replies = [told(429, errcode="M_LIMIT_EXCEEDED", retry_after_ms=333_000)]
    with pytest.raises(MatrixError) as caught:
        await server.login("a", "b", None, "c")
    assert caught.value.retry_after == 333.0 and len(script.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_refusal_is_final(server: Homeserver, script: Script, status: int) -> None:
    script.replies = [told(status, errcode="M_X", error="no")]
    with pytest.raises(MatrixError) as caught:
        await server.whoami()
    assert (caught.value.status, caught.value.errcode, caught.value.error) == (status, "M_X", "no")
    assert len(script.asked) == 1 and not caught.value.passing


@pytest.mark.parametrize("text", ["", "<html>", "[1]", "[" * 100_000])
async def test_an_answer_that_is_no_json_object_is_an_error(server: Homeserver, script: Script, text: str) -> None:
    script.replies = [told(200, text)]
    with pytest.raises(MatrixError, match="M_NOT_JSON"):
        await server.whoami()


async def test_an_endless_answer_is_cut_off(
    server: Homeserver, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 10_000)
        except ConnectionError:
            return response

    monkeypatch.setattr(matrix, "LARGEST_RESPONSE", 100_000)
    script.replies = [endless]
    with pytest.raises(MatrixError, match="WEIR_TOO_LARGE"):
        await server.whoami()


async def test_silence_ends_in_an_error(server: Homeserver, script: Script) -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    script.replies = [silent]
    with pytest.raises(MatrixError, match=UNREACHED):
        await server.request("GET", endpoint("x"), within=0.05, tries=2)


async def test_nobody_there_is_an_error(http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "FIRST_WAIT", 0.001)
    with pytest.raises(MatrixError) as caught:
        await Homeserver("http://127.0.0.1:9", None, http).whoami()
    assert (caught.value.status, caught.value.errcode, caught.value.unheard) == (0, UNREACHED, True)


async def test_ids_are_escaped_whatever_they_hold(server: Homeserver, script: Script) -> None:
    script.replies = [told(200)]
    await server.get_state("!a/b:x", "m.call?x#y", "@ü \ud800")
    path = "/_matrix/client/v3/rooms/%21a%2Fb%3Ax/state/m.call%3Fx%23y/%40%C3%BC%20%3F"
    assert script.asked == [("GET", path)]


@pytest.mark.parametrize(
    ("fields", "header", "wait"),
    [
        ({"retry_after_ms": 1500}, None, 1.5),
        ({"retry_after_ms": 1500}, "9", 1.5),
        ({}, "7", 7.0),
        ({"retry_after_ms": -1}, None, None),
        ({"retry_after_ms": "5"}, "soon", None),
        (None, "٣", None),
    ],
)
def test_the_wait_that_was_asked_for(fields: object, header: str | None, wait: float | None) -> None:
    assert refusal(429, fields, header).retry_after == wait
