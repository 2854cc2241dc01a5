"""`weir setup`: the focus account and its folder, a new device, or a look at a room."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import aiohttp

from signalling.matrix import Homeserver, MatrixError
from weir.config import load, read_token
from weir.setup import Made, SetupFailed, adopt, check_room, new_device, register


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "Make an account: --homeserver URL with --secret-file (a Synapse's registration_shared_secret) or --token-file."
        " After a lost store: --new-device. Is a room ready for calls: --check-room ID."
    )
    parser.add_argument("--folder", type=Path, default=Path("."), help="where weir.toml and the rest go (default: .)")
    parser.add_argument("--homeserver", metavar="URL", help="the homeserver's address")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--secret-file", type=Path, metavar="FILE", help="file with the registration secret")
    how.add_argument("--token-file", type=Path, metavar="FILE", help="file with an access token of the account")
    parser.add_argument("--user", default="weir", metavar="NAME", help="name of the new account (default: weir)")
    parser.add_argument("--new-device", action="store_true", help="give the account of weir.toml a new device")
    parser.add_argument("--check-room", metavar="ID", help="check a room that the focus is in")


def run(args: argparse.Namespace) -> int:
    """Do what was asked. Raises `ConfigError`."""
    try:
        return asyncio.run(work(args))
    except (SetupFailed, MatrixError, OSError) as error:
        print(f"weir: {error}", file=sys.stderr)
        return 1


async def work(args: argparse.Namespace) -> int:
    """One of the three."""
    config = args.folder / "weir.toml"
    async with aiohttp.ClientSession() as session:
        if args.check_room:
            return await look(config, args.check_room, session)
        if args.new_device:
            return done(await new_device(config, session))
        if args.homeserver is None or (args.secret_file is None and args.token_file is None):
            raise SetupFailed("give --homeserver with --secret-file or --token-file; `weir setup --help` says more")
        if config.exists():
            raise SetupFailed(f"{config} is there already: move it away, or choose another --folder")
        token = None if args.token_file is None else args.token_file.read_text().strip()
        server = Homeserver(args.homeserver, token, session)
        if token is not None:
            return done(await adopt(server, args.folder))
        print(f"making @{args.user} at {args.homeserver} ...")
        return done(await register(server, args.secret_file.read_text().strip(), args.user, args.folder))


def done(made: Made) -> int:
    """Say what there is now."""
    print(f"The focus is {made.user} on device {made.device}.")
    print(f"Configuration: {made.config}. Next: weir run --config {made.config}")
    return 0


async def look(config: Path, room: str, session: aiohttp.ClientSession) -> int:
    """Say whether a room is ready; 1 if it is not."""
    settings = load(config).matrix
    server = Homeserver(settings.homeserver, read_token(settings.access_token_file), session)
    found = await check_room(server, settings.user, room)
    for problem in found:
        print(f"not ready: {problem}")
    if not found:
        print("The room is ready for calls.")
    return 1 if found else 0
