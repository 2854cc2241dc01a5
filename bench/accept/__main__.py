"""Runs the acceptance table: one command after the other, a printed row for each, and a tally on the last line.

    python -m bench.accept [--issue N] [--row NAME] [--list]

Everything a command prints is kept in `.weir/accept/ISSUE-NAME.log`. Exit code 0 only
when nothing is short and nothing is pending.
"""

from __future__ import annotations

import argparse
import ast
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from bench.accept.row import Row, last_line
from bench.accept.rows import ROWS

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / ".weir" / "accept"

PASS, SHORT, PENDING = "pass", "short", "pending"


def judge(row: Row) -> tuple[str, str]:
    """Run a row's command and return its state and figure."""
    if row.command is None:
        return PENDING, ""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{row.issue}-{row.name}.log"
    start = time.monotonic()
    late = False
    with log.open("wb") as out:
        # A session of its own, so that all that the command started can be ended with it.
        process = subprocess.Popen(
            ["bash", "-c", row.command], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            process.wait(row.minutes * 60)
        except subprocess.TimeoutExpired:
            late = True
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        if late:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    output = log.read_text(errors="replace")
    if late:
        return SHORT, f"not done after {row.minutes:g} min"
    figure = (row.figure or last_line)(output)
    took = f"{time.monotonic() - start:.0f} s"
    if process.returncode != 0:
        return SHORT, f"{figure or 'no figure'} (exit code {process.returncode}, {took})"
    return (PASS, f"{figure} ({took})") if figure is not None else (SHORT, f"no figure in the output ({took})")


def show(row: Row, state: str, figure: str) -> None:
    """Print one row: state, issue, name, figure, line, command."""
    print(f"{state:7} | {row.issue} {row.name} | {figure or '-'} | {row.line} | {row.command or '-'}", flush=True)
    if state == SHORT and row.beyond:
        print(f"        | beyond reach here: {row.beyond}", flush=True)


def benches() -> None:
    """Print the measurements there are, each with the first line of its docstring."""
    for path in sorted((ROOT / "bench").glob("*.py")):
        text = path.read_text()
        if '__name__ == "__main__"' in text:
            about = (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
            print(f"  make bench NAME={path.stem:12} {about}")


def main() -> int:
    """Run the rows that were asked for."""
    parser = argparse.ArgumentParser(prog="make accept", description="Run the acceptance table.")
    parser.add_argument("--issue", type=int, help="only the rows of this issue")
    parser.add_argument("--row", help="only the row of this name")
    parser.add_argument("--list", action="store_true", help="print the rows and run nothing")
    parser.add_argument("--benches", action="store_true", help="print the measurements there are")
    args = parser.parse_args()
    if args.benches:
        benches()
        return 0
    chosen = [row for row in ROWS if args.issue in (None, row.issue) and args.row in (None, row.name)]
    if not chosen:
        print(f"no such row; there are {', '.join(f'{row.issue} {row.name}' for row in ROWS)}", file=sys.stderr)
        return 2
    tally: Counter[str] = Counter()
    for row in chosen:
        state, figure = (PENDING if row.command is None else "", "") if args.list else judge(row)
        tally[state] += 1
        show(row, state, figure)
    if not args.list:
        print(f"{tally[PASS]} passed, {tally[SHORT]} short, {tally[PENDING]} pending")
    return 0 if args.list or not (tally[SHORT] or tally[PENDING]) else 1


if __name__ == "__main__":
    sys.exit(main())
