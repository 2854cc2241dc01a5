"""`weir run` as a process, on a real homeserver: ready, measured, discreet, and ended politely."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from signalling.matrix import Homeserver
from tests.conftest import SignUp
from weir.children import Child
from weir.focus_account import focus_account
from weir.homeserver import LocalHomeserver, free_port
from weir.logs import ROOM, TOKEN, USER, V4
from weir.setup import CALL_STATE, Made


@dataclass
class Running:
    """A focus process and the way to its answers."""

    child: Child
    made: Made
    http: int
    metrics: int
    session: aiohttp.ClientSession

    async def get(self, port: int, path: str) -> tuple[int, str]:
        try:
            async with self.session.get(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientError:
            return 0, ""

    async def ready(self) -> bool:
        return (await self.get(self.http, "/readyz"))[0] == 200

    async def figure(self, name: str, **labels: str) -> float:
        """One figure, 0 if it is not there."""
        _, text = await self.get(self.metrics, "/metrics")
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return 0.0


async def until(true: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for another process's doing."""
    try:
        async with asyncio.timeout(20):
            while not await true():  # noqa: ASYNC110  # another process: there is no event to wait for
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"still not: {what}") from None


@pytest.fixture
async def focus(homeserver: LocalHomeserver, http: aiohttp.ClientSession, tmp_path: Path) -> AsyncIterator[Running]:
    ports = free_port("127.0.0.1"), free_port("127.0.0.1")
    more: dict[str, dict[str, Any]] = {
        "http": {"port": ports[0]},
        "metrics": {"port": ports[1]},
        "media": {"addresses": ["127.0.0.1"]},
    }
    made = await focus_account(homeserver, tmp_path / "focus", http, more, lambda line: None)
    command = [sys.executable, "-m", "weir", "run", "--config", str(made.config)]
    child = Child("focus", command, tmp_path / "focus.log")
    await child.start()
    running = Running(child, made, *ports, http)
    yield running
    await child.stop()


async def test_it_becomes_ready_answers_and_ends_well(focus: Running) -> None:
    await until(focus.ready, "ready")
    assert (await focus.get(focus.http, "/healthz"))[0] == 200
    assert await focus.figure("weir_sync_age_seconds") < 60
    assert await focus.figure("weir_peers") == 0
    assert focus.child.process is not None
    focus.child.process.send_signal(signal.SIGTERM)
    assert await focus.child.ended() == 0


async def test_bad_input_is_counted_and_shown_and_the_focus_stays(focus: Running, sign_up: SignUp) -> None:
    await until(focus.ready, "ready")
    mallory = await sign_up("mallory")
    good = {
        "version": "1", "call_id": "c", "conf_id": "x", "party_id": "M", "device_id": "M", "sender_session_id": "s",
        "dest_session_id": "sfu", "seq": 0,
    }  # fmt: skip
    for type, content in (
        ("m.call.invite", {}),
        ("m.call.invite", {**good, "offer": 5}),
        ("m.call.invite", {**good, "seq": "first"}),
        ("m.call.hangup", {**good, "call_id": ["c"]}),
        ("m.room.encrypted", {"sender_key": "A" * 43}),
    ):
        await mallory.send_to_device(type, {focus.made.user: {focus.made.device: content}})

    async def counted() -> bool:
        _, text = await focus.get(focus.metrics, "/metrics")
        values = re.findall(r'^weir_faults_total\{reason="(\w+)",room="(\w+)"\} (\d+)', text, re.MULTILINE)
        signalling = sum(int(float(count)) for _, room, count in values if room == "signalling")
        matrix = sum(int(float(count)) for _, room, count in values if room == "matrix")
        return signalling >= 3 and matrix >= 1

    await until(counted, "faults of signalling and of the Matrix link in the metrics")
    assert await focus.figure("weir_faults_total", room="signalling", reason="bug") == 0
    assert await focus.ready()


async def test_an_invited_focus_joins_and_its_log_names_nobody(focus: Running, sign_up: SignUp) -> None:
    await until(focus.ready, "ready")
    alice = await sign_up("alice")
    levels = {"events": dict.fromkeys(CALL_STATE, 0)}
    room = await alice.create_room(invite=[focus.made.user], power_level_content_override=levels)

    async def inside() -> bool:
        return (await membership(alice, room, focus.made.user)) == "join"

    await until(inside, "the focus in the room")
    await alice.kick(room, focus.made.user)
    await alice.send_to_device("m.call.invite", {focus.made.user: {focus.made.device: {"offer": {}}}})
    await focus.child.stop()
    lines = focus.child.log.read_text().splitlines()
    assert lines, "it says at least that it listens and that it ended"
    for line in lines:
        told = json.loads(line)
        del told["time"]
        for secret in (USER, ROOM, TOKEN, V4):
            assert secret.search(json.dumps(told)) is None, line


async def membership(server: Homeserver, room: str, user: str) -> object:
    return (await server.get_state(room, "m.room.member", user)).get("membership")


async def test_a_token_that_is_no_good_is_said_plainly(
    homeserver: LocalHomeserver, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    more = {"http": {"port": 0}, "metrics": {"port": 0}}
    made = await focus_account(homeserver, tmp_path / "focus", http, more, lambda line: None)
    (tmp_path / "focus" / "access-token").write_text("syt_wrong")
    child = Child("focus", [sys.executable, "-m", "weir", "run", "--config", str(made.config)], tmp_path / "focus.log")
    await child.start()
    assert await child.ended() == 1
    said = [json.loads(line) for line in child.log.read_text().splitlines()]
    assert any("weir setup" in line.get("why", "") for line in said), said
    assert "traceback" not in child.log.read_text()


async def test_a_homeserver_that_is_away_makes_it_live_but_not_ready(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    port, nothing = free_port("127.0.0.1"), free_port("127.0.0.1")
    (tmp_path / "access-token").write_text("syt_any")
    (tmp_path / "access-token").chmod(0o600)
    config = tmp_path / "weir.toml"
    config.write_text(
        f'[matrix]\nhomeserver = "http://127.0.0.1:{nothing}"\nuser = "@f:localhost"\ndevice = "F"\n'
        f'access_token_file = "access-token"\nstore = "store"\n[http]\nport = {port}\n[metrics]\nport = 0\n'
    )
    child = Child("focus", [sys.executable, "-m", "weir", "run", "--config", str(config)], tmp_path / "focus.log")
    await child.start()
    running = Running(child, Made("@f:localhost", "F", config), port, 0, http)

    async def live() -> bool:
        return (await running.get(port, "/healthz"))[0] == 200

    await until(live, "live")
    status, text = await running.get(port, "/readyz")
    assert (status, json.loads(text)["reasons"]) == (503, ["no answer from the homeserver yet"])
    await child.stop()
