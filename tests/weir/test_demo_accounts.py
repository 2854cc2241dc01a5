"""The demo's accounts on a real homeserver: the focus is kept, guests are new, and may write call state."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import aiohttp

from signalling.matrix import Homeserver
from weir.config import load, read_token
from weir.focus_account import focus_account
from weir.guests import Guests
from weir.homeserver import LocalHomeserver
from weir.setup import CALL_STATE


def ports(first: int) -> dict[str, dict[str, Any]]:
    return {"http": {"port": first}, "metrics": {"port": first + 1}}


async def test_the_focus_account_is_kept_with_its_store_and_new_without(
    homeserver: LocalHomeserver, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    folder, told = tmp_path / "focus", list[str]()
    first = await focus_account(homeserver, folder, http, ports(1234), told.append)
    config = load(first.config)
    assert (config.http.port, config.metrics.port, config.matrix.user) == (1234, 1235, first.user)
    assert read_token(config.matrix.access_token_file)
    config.matrix.store.mkdir()
    again = await focus_account(homeserver, folder, http, ports(2234), told.append)
    assert again == first
    assert load(again.config).http.port == 2234
    shutil.rmtree(config.matrix.store)
    assert await focus_account(homeserver, folder, http, ports(1234), told.append) != first
    assert told == ["making an account for the focus"] * 2


async def test_guests_are_in_the_room_and_may_write_call_state(
    homeserver: LocalHomeserver, http: aiohttp.ClientSession
) -> None:
    focus = await homeserver.register("focus-of-guests", "password")
    guests = Guests(homeserver, http)
    room = await guests.room(focus.user_id)
    one, two = await guests.visitor(room), await guests.visitor(room)
    assert one["user_id"] != two["user_id"]
    server = Homeserver(homeserver.base_url, one["access_token"], http)
    for type in CALL_STATE:
        await server.put_state(room, type, one["user_id"], {})
    members = {e["state_key"]: e["content"] for e in await server.state(room) if e["type"] == "m.room.member"}
    assert members[focus.user_id]["membership"] == "invite"
    assert members[one["user_id"]]["displayname"] == one["display_name"] != two["display_name"]
