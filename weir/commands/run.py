"""`weir run`: a focus, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
from pathlib import Path

from weir.config import load, read_token


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--config", type=Path, default=Path("weir.toml"), help="the file (default: weir.toml)")


def run(args: argparse.Namespace) -> int:
    """Read the configuration, then serve. Raises `ConfigError`."""
    config = load(args.config)
    token = read_token(config.matrix.access_token_file)
    # Imported once the file is known to be good: aiortc takes most of a second to load.
    import uvloop

    from focus import garbage
    from weir.logs import start
    from weir.service import serve

    start(config.log.level)
    garbage.look_rarely()
    return uvloop.run(serve(config, token))
