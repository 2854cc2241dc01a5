"""What a row of the acceptance table is, and how its figure is read from a command's output. No command runs here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Reader = Callable[[str], str | None]
"Takes all that a command printed and returns the figure in words, or None when it is not there."


@dataclass(frozen=True, slots=True)
class Row:
    """One promise."""

    issue: int
    name: str
    "Short and unique within its issue: `make accept ISSUE=3 ROW=name` runs this row alone."
    line: str
    "The promise in a few words."
    command: str | None = None
    "A shell command, run in the root of the project; it exits with 0 only when the promise holds. None: not built yet."
    figure: Reader | None = None
    "None: the last line of the output."
    minutes: float = 10.0
    "A command that takes longer falls short."
    beyond: str = ""
    "Evidence that the promise cannot be kept on this kind of machine, shown where the row is short: it stays short."


def last_line(output: str) -> str | None:
    """The last line that is not empty."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:100] if lines else None


def matched(pattern: str) -> Reader:
    """What `pattern` finds last in the output: its groups joined by a blank, or all of it."""
    compiled = re.compile(pattern, re.MULTILINE)

    def read(output: str) -> str | None:
        every = list(compiled.finditer(output))
        if not every:
            return None
        return " ".join(every[-1].groups()) if every[-1].groups() else every[-1][0]

    return read


def from_json(**wanted: str) -> Reader:
    """Figures from the last line that is a JSON object: label=dotted path. A list is entered by its index.

    More may follow that line: make's own word when the command fell short, or a test run.
    """

    def read(output: str) -> str | None:
        try:
            found: Any = json.loads(([""] + [line for line in output.splitlines() if line.startswith("{")])[-1])
        except ValueError:
            return None
        parts = []
        for label, path in wanted.items():
            value = found
            for step in path.split("."):
                try:
                    value = value[int(step)] if isinstance(value, list) else value[step]
                except (KeyError, IndexError, TypeError, ValueError):
                    return None
            parts.append(f"{label} {value:.4g}" if isinstance(value, float) else f"{label} {value}")
        return ", ".join(parts)

    return read


TESTS = matched(r"^=*\s?((?:\d+ \w+,? ?)+)in ")
"The tally of a pytest run."
