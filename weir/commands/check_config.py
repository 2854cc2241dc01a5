"""`weir check-config`: read a configuration as `weir run` would, and start nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from weir.config import load, read_token


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--config", type=Path, default=Path("weir.toml"), help="the file (default: weir.toml)")


def run(args: argparse.Namespace) -> int:
    """Check the file and the access token's file. Raises `ConfigError`."""
    config = load(args.config)
    read_token(config.matrix.access_token_file)
    print(f"{args.config}: good. {config.matrix.user} on {config.matrix.homeserver}.")
    return 0
