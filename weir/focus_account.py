"""The demo's focus account, kept from one run to the next.

It is kept as long as the homeserver knows its token and its store is there; otherwise a
new account is made, since an old device never gets new keys.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from signalling.matrix import Homeserver, Login, MatrixError
from weir.config import load, read_token
from weir.homeserver import LocalHomeserver
from weir.keys import ConfigError
from weir.setup import Made, register, write


async def focus_account(
    homeserver: LocalHomeserver,
    folder: Path,
    session: aiohttp.ClientSession,
    more: dict[str, dict[str, Any]],
    tell: Callable[[str], None],
) -> Made:
    """Reuse or make the account, and write its configuration with these further sections. Raises `MatrixError`."""
    login = await kept(folder / "weir.toml", homeserver.base_url, session)
    if login is None:
        tell("making an account for the focus")
        shutil.rmtree(folder, ignore_errors=True)
        server = Homeserver(homeserver.base_url, None, session)
        await register(server, homeserver.registration_secret, f"weir-{secrets.token_hex(3)}", folder)
        login = await server.whoami()
    return write(folder, homeserver.base_url, login, more)


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
