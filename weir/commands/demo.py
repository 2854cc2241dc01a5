"""`weir demo`: a real call on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from bench.participants.stacks import STACKS
from signalling.matrix import MatrixError
from weir.config import ENGINES
from weir.demo import Demo, DemoFailed, Options
from weir.homeserver import HomeserverFailed


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--people", type=int, default=10, help="synthetic participants (default: 10)")
    parser.add_argument("--port", type=int, default=8900, help="of the page; 0 for any free one (default: 8900)")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="that carries the media (default: auto)")
    parser.add_argument("--address", help="of this machine for media, beside loopback: for clients on other hosts")
    parser.add_argument("--no-page", action="store_true", help="serve no page")
    parser.add_argument("--stack", choices=STACKS, default="auto", help="of the participants (default: auto)")
    parser.add_argument("--data", type=Path, default=Path(".weir/demo"), help="where all is kept (default: .weir/demo)")
    parser.add_argument("--ready-file", type=Path, help="write what runs where into this file (JSON)")


def run(args: argparse.Namespace) -> int:
    """Run the demo until SIGINT or SIGTERM, or until a part of it breaks."""
    options = Options(
        data=args.data.absolute(),
        people=args.people,
        port=args.port,
        page=not args.no_page,
        engine=args.engine,
        stack=args.stack,
        address=args.address,
        ready_file=args.ready_file,
    )
    return asyncio.run(live(options))


def tell(line: str) -> None:
    """One line of progress."""
    print(f"  {line}", flush=True)


async def live(options: Options) -> int:
    """Start, wait for the end, stop."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    print("Weir demo", flush=True)
    demo = Demo(options, tell)
    ended = asyncio.ensure_future(over.wait())
    started = asyncio.ensure_future(demo.start())
    try:
        await asyncio.wait((ended, started), return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            return 130
        await started
        print(box(demo), flush=True)
        broken = asyncio.ensure_future(demo.broken())
        await asyncio.wait((ended, broken), return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            print(f"weir: {broken.result()}", file=sys.stderr)
            return 1
        broken.cancel()
        return 0
    except (DemoFailed, HomeserverFailed, MatrixError, OSError) as error:
        print(f"weir: {error}", file=sys.stderr)
        return 1
    finally:
        started.cancel()
        await asyncio.gather(started, return_exceptions=True)
        tell("ending what was started")
        await demo.stop()


def box(demo: Demo) -> str:
    """What the person at the terminal needs to know, where it cannot be missed."""
    people = demo.options.people
    lines = [f"The call runs, with {people} synthetic participants."] if people else ["The room waits for callers."]
    if demo.page:
        lines += ["", f"  Open   {demo.page}", "", "Open it in two browsers: each is a person."]
    lines += ["Ctrl-C ends everything."]
    width = max(map(len, lines)) + 4
    middle = [f"│  {line.ljust(width - 4)}  │" for line in lines]
    return "\n".join(["", "┌" + "─" * width + "┐", *middle, "└" + "─" * width + "┘", ""])
