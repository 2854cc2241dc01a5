"""Making the focus account, and its folder: configuration, access token, password, store.

By a Synapse's registration secret (the account is made) or by an access token that the
operator has (any homeserver). It speaks to the homeserver and writes files; `weir run`
needs nothing else. What a room must allow is checked here too.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from signalling.matrix import Homeserver, Login, MatrixError, endpoint
from weir.config import load

CALL_STATE = ("org.matrix.msc3401.call", "org.matrix.msc3401.call.member")
"Who starts a call writes the first; everybody in it writes the second."


class SetupFailed(Exception):
    """Setting up cannot go on; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Made:
    """A focus account that is ready to run."""

    user: str
    device: str
    config: Path


async def register(server: Homeserver, secret: str, localpart: str, folder: Path) -> Made:
    """Make the account with the homeserver's registration secret, and fill the folder.

    Raises `SetupFailed` when the name is taken, `MatrixError` for other refusals.
    """
    password = secrets.token_urlsafe(32)
    try:
        login = await server.register(secret, localpart, password, device_name="Weir focus")
    except MatrixError as error:
        if error.errcode == "M_USER_IN_USE":
            raise SetupFailed(
                f"there is a user {localpart} already: choose another name with --user, or give its access token"
                " with --token-file"
            ) from None
        if error.status == 403:
            raise SetupFailed("the homeserver does not take this registration secret") from None
        raise
    await server.request("PUT", endpoint("profile", login.user_id, "displayname"), {"displayname": "Weir"})
    made = write(folder, server.base_url, login)
    write_secret(folder / "password", password)
    return made


async def adopt(server: Homeserver, folder: Path) -> Made:
    """Use the account of the server's access token, and fill the folder. Raises `MatrixError`."""
    return write(folder, server.base_url, await server.whoami())


async def new_device(config: Path, session: aiohttp.ClientSession) -> Made:
    """Give the account of a configuration a new device, sign the old one out, and set the old store aside.

    For a lost or copied store: a device never gets new keys. Raises `SetupFailed` or `MatrixError`.
    """
    matrix = load(config).matrix
    folder = config.resolve().parent
    try:
        password = (folder / "password").read_text().strip()
    except OSError:
        raise SetupFailed(
            f"{folder} holds no password of the account: make a new device with your client, and give its access token"
            " with --token-file"
        ) from None
    server = Homeserver(matrix.homeserver, None, session)
    login = await server.login(matrix.user, password, None, "Weir focus")
    auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": matrix.user}, "password": password}
    try:
        # Two steps by the specification (user-interactive authentication); the first answer names the session.
        await server.request("POST", endpoint("delete_devices"), {"devices": [matrix.device]}, tries=1)
    except MatrixError as error:
        if error.status != 401:
            raise
        await server.request("POST", endpoint("delete_devices"), {"devices": [matrix.device], "auth": auth})
    if matrix.store.exists():
        aside = matrix.store.with_name(f"{matrix.store.name}.{matrix.device}")
        shutil.rmtree(aside, ignore_errors=True)
        matrix.store.rename(aside)
    write_secret(matrix.access_token_file, login.access_token)
    text = config.read_text()
    config.write_text(text.replace(json.dumps(matrix.device), json.dumps(login.device_id)))
    return Made(login.user_id, login.device_id, config)


def write(folder: Path, homeserver: str, login: Login, more: Mapping[str, Mapping[str, Any]] | None = None) -> Made:
    """Write `weir.toml` and `access-token` into a folder. `more` has further sections: name -> key -> value."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sections: dict[str, Mapping[str, Any]] = {
        "matrix": {
            "homeserver": homeserver,
            "user": login.user_id,
            "device": login.device_id,
            "access_token_file": "access-token",
            "store": "store",
        },
        **(more or {}),
    }
    lines = ["# Written by Weir. deploy/weir.toml has every key, with its meaning and default."]
    for name, table in sections.items():
        # JSON's texts, numbers and lists of texts are TOML's too.
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    write_secret(folder / "access-token", login.access_token)
    config = folder / "weir.toml"
    config.write_text("\n".join(lines) + "\n")
    return Made(login.user_id, login.device_id, config)


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whatever was there before."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    unfinished.replace(path)


async def check_room(server: Homeserver, focus: str, room: str) -> list[str]:
    """What stands in the way of calls in a room that `server`'s user is in; empty when nothing does.

    Raises `MatrixError` when the room's state cannot be read.
    """
    events = await server.state(room)
    state = {(event.get("type"), event.get("state_key")): event.get("content", {}) for event in events}
    found = []
    membership = state.get(("m.room.member", focus), {}).get("membership", "leave")
    if membership not in ("join", "invite"):
        found.append(f"{focus} is not in the room: invite it")
    levels = state.get(("m.room.power_levels", ""), {})
    default, special = number(levels.get("users_default"), 0), levels.get("events", {})
    otherwise = number(levels.get("state_default"), 50)
    for type in CALL_STATE:
        needed = number(special.get(type) if isinstance(special, dict) else None, otherwise)
        if needed > default:
            found.append(
                f"members (power level {default}) may not write {type} (needs {needed}): an admin sets its level in"
                f" m.room.power_levels to {default}"
            )
    return found


def number(value: object, otherwise: int) -> int:
    """A power level, or what holds when none is set."""
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise
