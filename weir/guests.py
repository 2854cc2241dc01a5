"""Accounts and a room for the demo, on a homeserver that registers whoever asks with its secret.

The room is public, and everybody in it may write call state. Guests are made when the
page asks; each visit is a new person, so two browsers are two people.
"""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from signalling.matrix import Homeserver, Login, endpoint
from weir.homeserver import LocalHomeserver
from weir.setup import CALL_STATE

ANIMALS = ("Otter", "Heron", "Trout", "Beaver", "Kingfisher", "Dipper", "Salmon", "Newt", "Swan", "Dragonfly")
"Who lives at a weir. The eleventh guest is Otter 2."


@dataclass(slots=True)
class Guests:
    """Makes accounts; the first of them, the host, makes the room."""

    homeserver: LocalHomeserver
    session: aiohttp.ClientSession
    count: itertools.count[int] = field(default_factory=itertools.count)

    async def signed_up(self, localpart: str, name: str, password: str) -> tuple[Homeserver, Login]:
        """A new account with a display name. Raises `MatrixError`."""
        server = Homeserver(self.homeserver.base_url, None, self.session)
        secret = self.homeserver.registration_secret
        login = await server.register(
            secret, f"{localpart}-{secrets.token_hex(4)}", password, device_name="Weir demo"
        )
        await server.request("PUT", endpoint("profile", login.user_id, "displayname"), {"displayname": name})
        return server, login

    async def room(self, focus: str) -> str:
        """Make the demo's room with the focus invited, and return its id. Raises `MatrixError`."""
        host, _ = await self.signed_up("host", "Host", secrets.token_urlsafe(24))
        return await host.create_room(
            name="Weir demo",
            preset="public_chat",
            invite=[focus],
            power_level_content_override={"events": dict.fromkeys(CALL_STATE, 0)},
        )

    async def visitor(self, room: str) -> dict[str, Any]:
        """A new guest who is in the room, as the page wants to know it. Raises `MatrixError`."""
        again, which = divmod(next(self.count), len(ANIMALS))
        name, password = ANIMALS[which] + (f" {again + 1}" if again else ""), secrets.token_urlsafe(24)
        server, login = await self.signed_up("guest", name, password)
        await server.join(room)
        return {
            "homeserver": self.homeserver.base_url,
            "user_id": login.user_id,
            "device_id": login.device_id,
            "access_token": login.access_token,
            "password": password,
            "display_name": name,
            "room_id": room,
        }
