"""`weir participants`: synthetic people in a real call."""

from __future__ import annotations

import argparse

import uvloop

from bench.participants import command


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    command.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run them until they are done or interrupted."""
    return uvloop.run(command.run(args))
