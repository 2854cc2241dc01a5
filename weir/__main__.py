"""The `weir` command: one verb per file in `weir/commands`.

A verb is a module with `HELP`, `arguments(parser)` and `run(args) -> exit code`. Modules
are imported only for the verb that is called, so that `weir check-config` needs no
media library and a focus needs no browser driver.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from weir import __version__
from weir.keys import ConfigError

VERBS = {
    "run": "Run a focus",
    "setup": "Make the focus account and write its configuration",
    "check-config": "Read a configuration and say what is wrong with it",
    "demo": "A real call on this machine: homeserver, focus, page and participants",
    "check": "Run the demo headless with two browsers and judge it",
    "participants": "Send synthetic participants into a call",
}
"Each verb and what `weir --help` says of it; `weir/commands/` has one file for each."


def parser(verb: str | None) -> argparse.ArgumentParser:
    """The command line, with the options of `verb` filled in."""
    top = argparse.ArgumentParser(
        prog="weir",
        description="A decentralised conferencing focus for Matrix.",
        epilog="`weir VERB --help` says more.",
    )
    top.add_argument("--version", action="version", version=f"weir {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, text in VERBS.items():
        sub = verbs.add_parser(name, help=text, description=text + ".")
        if name == verb:
            importlib.import_module(f"weir.commands.{name.replace('-', '_')}").arguments(sub)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code: 0 well, 1 it failed, 2 it was asked wrongly."""
    words = list(sys.argv[1:] if argv is None else argv)
    verb = next((word for word in words if word in VERBS), None)
    args = parser(verb).parse_args(words)
    try:
        code: int = importlib.import_module(f"weir.commands.{args.verb.replace('-', '_')}").run(args)
        return code
    except ConfigError as error:
        for problem in error.problems:
            print(f"weir: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
