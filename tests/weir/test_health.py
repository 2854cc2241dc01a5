"""Live while the loop turns; ready while a new call would go well."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from weir.health import LOOP_LATE, SYNC_FRESH, State, reasons, routes


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (State(0.0, 0.0, False), None),
        (State(SYNC_FRESH, LOOP_LATE, False), None),
        (State(SYNC_FRESH + 1, 0.0, False), "for 76 s"),
        (State(None, 0.0, False), "yet"),
        (State(0.0, LOOP_LATE + 0.1, False), "late"),
        (State(0.0, 0.0, True), "stopping"),
    ],
)
def test_readiness_has_a_reason(state: State, word: str | None) -> None:
    found = reasons(state)
    assert (found == []) if word is None else word in found[0]


async def test_the_answers_say_it_with_their_status() -> None:
    state = State(None, 0.0, False)
    app = web.Application()
    app.add_routes(routes(lambda: state))
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/healthz")).status == 200
        refused = await client.get("/readyz")
        assert refused.status == 503
        assert (await refused.json())["reasons"] == ["no answer from the homeserver yet"]
        state = State(1.0, 0.0, False)
        assert (await client.get("/readyz")).status == 200
