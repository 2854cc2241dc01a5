"""Matrix accounts for participants: registered by the homeserver's shared secret, or read from a file.

A file of accounts is a JSON list of objects with `user_id`, `device_id`, `access_token`.
Accounts made here are kept in such a file, so that a second run sits down as the same
people. The file holds access tokens: it is written for its owner only.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import aiohttp
import msgspec

from bench.participants.picture import name_of
from signalling.matrix import Homeserver, MatrixError, endpoint


class Account(msgspec.Struct, frozen=True):
    """One user on one device."""

    user_id: str
    device_id: str
    access_token: str


def load(path: Path) -> list[Account]:
    """Read a file of accounts. Raises `ValueError` saying what is wrong with it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Account])
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except msgspec.DecodeError as wrong:
        raise ValueError(f"{path}: not a list of accounts: {wrong}") from None


def earlier(path: Path) -> list[Account]:
    """Read the accounts of an earlier run, none if there was no run or its file is broken."""
    try:
        return load(path)
    except ValueError:
        return []


def save(path: Path, accounts: list[Account]) -> None:
    """Write a file of accounts, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(accounts)))
    unfinished.replace(path)


async def register(base_url: str, secret: str, count: int, kept: Path, session: aiohttp.ClientSession) -> list[Account]:
    """Return `count` accounts: those of the file `kept` that still work, then new ones; the file is brought up to date.

    Raises `MatrixError` when the homeserver refuses the secret.
    """
    accounts: list[Account] = []
    for account in earlier(kept)[:count]:
        try:
            await Homeserver(base_url, account.access_token, session).whoami()
        except MatrixError:
            break  # another homeserver, or made anew: so are all that follow
        accounts.append(account)
    for number in range(len(accounts), count):
        accounts.append(await register_one(Homeserver(base_url, None, session), secret, number))
        save(kept, accounts)
    return accounts


async def register_one(server: Homeserver, secret: str, number: int) -> Account:
    """Register person number `number` under a name that no earlier run took; `server` is signed in then."""
    name = name_of(number)
    user, password = f"{name.split()[0].lower()}-{secrets.token_hex(4)}", secrets.token_urlsafe(24)
    made = await server.register(secret, user, password, device_name="Weir participant")
    await server.request("PUT", endpoint("profile", made.user_id, "displayname"), {"displayname": name})
    return Account(made.user_id, made.device_id, made.access_token)
