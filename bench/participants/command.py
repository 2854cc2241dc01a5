"""`weir participants`: the command line of synthetic participants."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import TextIO

import aiohttp

from bench.participants import accounts, report
from bench.participants.media import LOOPS
from bench.participants.run import Crowd, run_participants
from bench.participants.stacks import STACKS
from signalling.matrix import MatrixError

EVERY = 5.0
"Seconds between two tables."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--count", type=int, default=10, help="how many participants (default: 10)")
    parser.add_argument("--homeserver", required=True, metavar="URL", help="the homeserver's base URL")
    parser.add_argument("--room", required=True, metavar="ID", help="the room whose call they join")
    parser.add_argument("--focus", required=True, metavar="USER/DEVICE", help="the focus they dial")
    parser.add_argument("--call", metavar="ID", help="the call's id (default: the room's live call, or a new one)")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--secret-file", type=Path, metavar="FILE", help="file with the registration shared secret")
    who.add_argument("--accounts", type=Path, metavar="FILE", help="JSON list of user_id, device_id, access_token")
    parser.add_argument(
        "--stack", choices=STACKS, default="auto",
        help="what carries their media: the crowd in Rust, for thousands, or aiortc, for a dozen"
        " (default: auto, native where it is built)",
    )  # fmt: skip
    parser.add_argument("--directory", type=Path, default=Path(".weir"), help="where accounts are kept")
    parser.add_argument("--loops", type=Path, default=LOOPS, help=f"where pictures and voices are (default: {LOOPS})")
    parser.add_argument("--seconds", type=float, help="how long they stay (default: until interrupted)")
    parser.add_argument("--quiet", action="store_true", help="no table, only the report")


async def run(args: argparse.Namespace) -> int:
    """Run them; print a table to stderr and the report to stdout. Returns 0 when nothing was wrong."""
    user, slash, device = args.focus.partition("/")
    if not slash:
        return complain("--focus must be USER/DEVICE, as in @focus:example.org/FOCUS1")
    crowd = Crowd()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, crowd.leaving.set)
    try:
        people = await who(args)
        if len(people) < args.count:
            return complain(f"{args.accounts} holds {len(people)} accounts, fewer than --count {args.count}")
        result = await run_participants(
            args.homeserver, people, args.room, (user, device), args.count,
            loops=args.loops, crowd=crowd, stack=args.stack, conf=args.call,
            seconds=args.seconds, progress=Progress(sys.stderr).tell, watch=None if args.quiet else show,
        )  # fmt: skip
    except (MatrixError, ValueError, OSError) as wrong:
        return complain(str(wrong))
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    print(json.dumps(result))
    return 0 if result["clean"] else 1


async def who(args: argparse.Namespace) -> list[accounts.Account]:
    """Return the accounts that the options name. Raises `ValueError`, `OSError` or `MatrixError`."""
    if args.accounts is not None:
        return accounts.load(args.accounts)
    secret = args.secret_file.read_text().strip()
    async with aiohttp.ClientSession() as session:
        kept = args.directory / "participants" / "accounts.json"
        return await accounts.register(args.homeserver, secret, args.count, kept, session)


def complain(text: str) -> int:
    print(f"weir participants: {text}", file=sys.stderr)
    return 2


class Progress:
    """A bar on a terminal, a line at each tenth elsewhere."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.told = -1

    def tell(self, step: str, done: float) -> None:
        """Show how far `step` is."""
        tenths = int(done * (50 if self.out.isatty() else 10))
        if tenths == self.told:
            return
        self.told = tenths
        if self.out.isatty():
            end = "\n" if done >= 1 else ""
            self.out.write(f"\r{step} [{'#' * tenths}{'.' * (50 - tenths)}] {done:4.0%}{end}")
        elif done < 1 or tenths:
            self.out.write(f"{step}: {done:.0%}\n")
        self.out.flush()


async def show(crowd: Crowd) -> None:
    """Print the table every few seconds, in place on a terminal."""
    before: dict[int, tuple[int, int]] = {}
    lines = 0
    while not crowd.leaving.is_set():
        await asyncio.sleep(EVERY)
        text = report.table(crowd.participants, before, EVERY)
        if sys.stderr.isatty() and lines:
            sys.stderr.write(f"\x1b[{lines}A\x1b[J")
        lines = text.count("\n") + 1
        print(text, file=sys.stderr)
