"""The demo's focus account and its configuration file.

The account is kept from one run to the next as long as the homeserver knows it. When it
does not, or when the store is gone, a new account is made: an old device never gets new keys.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from signalling.matrix import Homeserver, Login, MatrixError
from weir.config import load, read_token
from weir.homeserver import LocalHomeserver
from weir.keys import ConfigError


@dataclass(frozen=True, slots=True)
class FocusAccount:
    """Who the focus is, and where its configuration lies."""

    user: str
    device: str
    config: Path


async def focus_account(
    homeserver: LocalHomeserver,
    folder: Path,
    session: aiohttp.ClientSession,
    http: int,
    metrics: int,
    tell: Callable[[str], None],
) -> FocusAccount:
    """Reuse or make the account, write its configuration with these ports. Raises `MatrixError`."""
    config = folder / "weir.toml"
    login = await kept(config, homeserver.base_url, session)
    if login is None:
        tell("making an account for the focus")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        server = Homeserver(homeserver.base_url, None, session)
        name = f"weir-{secrets.token_hex(3)}"
        login = await server.register(
            homeserver.registration_secret, name, secrets.token_urlsafe(24), device_name="Weir focus"
        )
        with os.fdopen(os.open(folder / "access-token", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(login.access_token)
    config.write_text(
        "# Written by `weir demo`; deploy/weir.toml is the reference.\n"
        f"[matrix]\nhomeserver = {json.dumps(homeserver.base_url)}\nuser = {json.dumps(login.user_id)}\n"
        f"device = {json.dumps(login.device_id)}\naccess_token_file = \"access-token\"\nstore = \"store\"\n\n"
        f"[media]\naddresses = [\"127.0.0.1\"]\n\n[http]\nport = {http}\n\n[metrics]\nport = {metrics}\n"
    )
    return FocusAccount(login.user_id, login.device_id, config)


async def kept(config: Path, base_url: str, session: aiohttp.ClientSession) -> Login | None:
    """The account of an earlier run, if its token still works and its store is there."""
    try:
        matrix = load(config).matrix
        token = read_token(matrix.access_token_file)
        login = await Homeserver(base_url, token, session).whoami()
    except (ConfigError, MatrixError):
        return None
    known = (login.user_id, login.device_id) == (matrix.user, matrix.device)
    return login if known and matrix.store.exists() else None
