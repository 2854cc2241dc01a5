"""`weir check`: the demo, two headless browsers, and a verdict."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from bench.participants.stacks import STACKS
from signalling.matrix import MatrixError
from weir.commands.demo import tell
from weir.config import ENGINES
from weir.demo import Demo, DemoFailed, Options
from weir.homeserver import HomeserverFailed


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--people", type=int, default=10, help="synthetic participants (default: 10)")
    parser.add_argument("--port", type=int, default=0, help="of the page; 0 for any free one (default: 0)")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="that carries the media (default: auto)")
    parser.add_argument("--stack", choices=STACKS, default="auto", help="of the participants (default: auto)")
    parser.add_argument("--data", type=Path, default=Path(".weir/check"), help="where all is kept")


def run(args: argparse.Namespace) -> int:
    """Exit with 0 only when everybody gets everybody."""
    where = args.data.absolute()
    return asyncio.run(judge(Options(where, args.people, args.port, engine=args.engine, stack=args.stack)))


async def judge(options: Options) -> int:
    """Start a demo, judge it, end it."""
    # Imported here: a browser driver is no part of a focus.
    from weir.check import check

    print("Weir demo, checked by two browsers", flush=True)
    demo = Demo(options, tell)
    try:
        await demo.start()
        return 0 if await check(demo) else 1
    except (DemoFailed, HomeserverFailed, MatrixError, OSError, TimeoutError) as error:
        print(f"weir: {error}", file=sys.stderr)
        return 1
    finally:
        await demo.stop()
