"""Olm and the focus: current matrix-js-sdk (Rust crypto, in Node), a restart, and five ways to lie."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.participants import sdp
from signalling.account import MatrixLink
from signalling.devices import Device
from signalling.link import StateEvent, ToDevice
from signalling.matrix import Homeserver, Login
from signalling.store import Store
from tests.conftest import SignUp
from weir.children import Child
from weir.config import load
from weir.focus_account import focus_account
from weir.homeserver import LocalHomeserver, free_port
from weir.setup import CALL_STATE, Made

HERE = Path(__file__).parent
SDK = HERE.parent.parent / "widget" / "page" / "node_modules" / "matrix-js-sdk"
CALL, MEMBER = CALL_STATE
MEMBERSHIP = "m.room.member"
FINGERPRINT = "sha-256 " + ":".join(["A5"] * 32)

pytestmark = pytest.mark.timeout(90)


class Client:
    """matrix-js-sdk in a process of its own."""

    def __init__(self, process: Process, login: Login, server: Homeserver) -> None:
        self.login = login
        self.server = server
        "The same account over plain HTTP, for room state."
        self._process = process
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._results: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            (self._messages if "message" in said else self._results).put_nowait(said)
        self._results.put_nowait({"failed": "the client ended"})

    async def ready(self) -> None:
        async with asyncio.timeout(30):
            assert await self._results.get() == {"ready": True}

    async def do(self, deed: str, **fields: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"deed": deed, **fields}).encode() + b"\n")
        async with asyncio.timeout(30):
            result = await self._results.get()
        assert "failed" not in result, result["failed"]

    async def send(self, to: tuple[str, str], type: str, content: dict[str, Any]) -> None:
        await self.do("send", user=to[0], device=to[1], type=type, content=content)

    async def received(self, type: str) -> dict[str, Any]:
        """The next message of this type; what else came before it is passed over."""
        while True:
            async with asyncio.timeout(20):
                said = await self._messages.get()
            if said["message"]["type"] == type:
                return said

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
        await self._reading


@asynccontextmanager
async def client_of(server: Homeserver) -> AsyncIterator[Client]:
    assert SDK.exists(), "matrix-js-sdk is not installed: run `make setup`"
    login = await server.whoami()
    account = {
        "baseUrl": server.base_url, "userId": login.user_id, "deviceId": login.device_id,
        "accessToken": login.access_token,
    }  # fmt: skip
    command = ["node", str(HERE / "olm_client.mjs"), str(SDK), json.dumps(account)]
    client = Client(await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=2**20), login, server)
    try:
        await client.ready()
        yield client
    finally:
        await client.close()


@pytest.fixture
async def client(sign_up: SignUp) -> AsyncIterator[Client]:
    async with client_of(await sign_up("alice")) as found:
        yield found


async def joined(link: MatrixLink, room: str, user: str) -> None:
    """Wait until a user has joined a room that the link's account is in."""
    async with asyncio.timeout(20):
        async for batch in link.batches():
            for event in batch.rooms:
                if isinstance(event, StateEvent) and (event.room, event.type, event.key) == (room, MEMBERSHIP, user):
                    if event.content["membership"] == "join":
                        return


async def next_message(link: MatrixLink) -> ToDevice:
    async with asyncio.timeout(20):
        async for batch in link.batches():
            if batch.messages:
                return batch.messages[0]
    raise AssertionError("batches never end")


async def test_olm_works_both_ways_and_the_device_is_proved(
    client: Client, sign_up: SignUp, homeserver: LocalHomeserver, tmp_path: Path
) -> None:
    focus = await sign_up("focus")
    login = await focus.whoami()
    room = await encrypted_room(client.server, login.user_id)
    await focus.join(room)
    link = MatrixLink(homeserver.base_url, login.access_token, login.user_id, login.device_id, tmp_path / "store")
    await link.start()
    try:
        await client.do("say", room=room, user=login.user_id, body="hello")
        await client.send((login.user_id, login.device_id), "m.call.invite", {"call_id": "c"})
        got = await next_message(link)
        assert link.faults == {"room_key_dropped": 1}
        assert got == ToDevice(client.login.user_id, "m.call.invite", {"call_id": "c"}, client.login.device_id)
        await link.send(client.login.user_id, client.login.device_id, "m.call.answer", {"n": 1}, encrypted=True)
        said = await client.received("m.call.answer")
        assert said["message"]["content"] == {"n": 1}
        assert said["encrypted"]["sender"] == login.user_id
        assert said["encrypted"]["senderDevice"] == login.device_id
    finally:
        await link.close()


# The focus itself, as a process.


@pytest.fixture
async def made(homeserver: LocalHomeserver, http: aiohttp.ClientSession, tmp_path: Path) -> Made:
    more: dict[str, dict[str, Any]] = {
        "http": {"port": 0}, "metrics": {"port": free_port("127.0.0.1")}, "media": {"addresses": ["127.0.0.1"]},
    }  # fmt: skip
    return await focus_account(homeserver, tmp_path / "focus", http, more, lambda line: None)


@asynccontextmanager
async def running(made: Made) -> AsyncIterator[None]:
    child = Child(
        "focus", [sys.executable, "-m", "weir", "run", "--config", str(made.config)], made.config.parent / "log"
    )
    await child.start()
    try:
        yield
    finally:
        await child.stop()


async def encrypted_room(server: Homeserver, guest: str) -> str:
    encryption = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    return await server.create_room(invite=[guest], initial_state=[encryption])


async def call_with(server: Homeserver, me: Login, made: Made) -> tuple[str, str]:
    """Start a call in an encrypted room, sit down in it, name the focus; returns the room and the conference."""
    room = await encrypted_room(server, made.user)
    conf = secrets.token_hex(8)
    await server.put_state(room, CALL, conf, {"m.intent": "m.room", "m.type": "m.video"})
    device = {
        "device_id": me.device_id, "session_id": "session", "feeds": [{"purpose": "m.usermedia"}],
        "expires_ts": int(time.time() * 1000) + 3_600_000,
        "org.matrix.msc3898.foci.active": [{"user_id": made.user, "device_id": made.device}],
    }  # fmt: skip
    await server.put_state(room, MEMBER, me.user_id, {"m.calls": [{"m.call_id": conf, "m.devices": [device]}]})
    return room, conf


def invite(me: Login, conf: str, call: str) -> dict[str, Any]:
    token = secrets.token_hex(8)
    local = sdp.Local(token[:8], token * 2, FINGERPRINT, "stream", "audio", "video", 4711, token)
    return {
        "version": "1", "call_id": call, "conf_id": conf, "party_id": me.device_id, "device_id": me.device_id,
        "sender_session_id": "session", "dest_session_id": "sfu", "seq": 0, "lifetime": 60000,
        "offer": {"type": "offer", "sdp": sdp.offer(local)},
    }  # fmt: skip


async def test_an_encrypted_invite_gets_an_encrypted_answer_also_after_a_restart(client: Client, made: Made) -> None:
    focus = (made.user, made.device)
    async with running(made):
        room, conf = await call_with(client.server, client.login, made)
        # A room key reaches the focus like every device of the room; it does not keep it.
        await client.do("say", room=room, user=made.user, body="hello")
        await client.send(focus, "m.call.invite", invite(client.login, conf, "first"))
        said = await client.received("m.call.answer")
        assert said["message"]["content"]["call_id"] == "first" and "sdp" in said["message"]["content"]["answer"]
        assert said["encrypted"]["senderDevice"] == made.device, "the answer came encrypted by the focus's device"
    await client.send(focus, "m.call.invite", invite(client.login, conf, "second"))  # while the focus is away
    async with running(made):
        said = await client.received("m.call.answer")
        assert said["message"]["content"]["call_id"] == "second"
        assert said["encrypted"]["senderDevice"] == made.device
    store = Store(made.config.parent / "store")
    tables = store.tables()
    store.close()
    assert tables == {"value", "olm_session"}, "there is no place for a Megolm session"
    assert b"session_key" not in b"".join(path.read_bytes() for path in (made.config.parent / "store").iterdir())


async def test_of_five_forgeries_none_is_answered(
    sign_up: SignUp,
    homeserver: LocalHomeserver,
    http: aiohttp.ClientSession,
    made: Made,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = await sign_up("mallory")
    me = await server.whoami()
    link = MatrixLink(homeserver.base_url, me.access_token, me.user_id, me.device_id, tmp_path / "mallory")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(link.close)
        await link.start()
        await stack.enter_async_context(running(made))
        room, conf = await call_with(server, me, made)
        await joined(link, room, made.user)
        to = await link._devices.by_id(made.user, made.device)
        assert to is not None
        olm = link._olm
        await link.send(made.user, made.device, "m.dummy", {}, encrypted=True)  # begins a session

        async def forge(call: str, to: Device = to) -> None:
            content = await link._sealed(to, "m.call.invite", invite(me, conf, call))
            await server.send_to_device("m.room.encrypted", {made.user: {made.device: content}})

        await forge("recipient", replace(to, user="@other:localhost"))
        await forge("recipient key", replace(to, ed25519=olm.curve25519))
        for name, lie in (("user", "@alice:localhost"), ("device", "ALICE")):
            with monkeypatch.context() as patch:
                patch.setattr(olm, name, lie)
                await forge(name)
        with monkeypatch.context() as patch:
            patch.setattr(type(olm), "ed25519", to.ed25519)
            await forge("ed25519 key")
        # Messages of one sender are handled in order: when the honest one is answered, the others have been seen.
        await forge("honest")
        answered = await next_message(link)
        port = load(made.config).metrics.port
        async with http.get(f"http://127.0.0.1:{port}/metrics") as response:
            figures = await response.text()
    assert (answered.type, answered.content["call_id"], answered.device) == ("m.call.answer", "honest", made.device)
    forged = re.compile(r'^weir_faults_total\{reason="(forged_\w+)",room="matrix"\} ([\d.]+)', re.MULTILINE)
    counted = dict(forged.findall(figures))
    assert counted == dict.fromkeys(
        ["forged_sender", "forged_recipient", "forged_recipient_key", "forged_sender_key", "forged_device"], "1.0"
    )
