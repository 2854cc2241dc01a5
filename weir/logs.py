"""Logs as JSON lines on standard error, without people in them.

A record of level info or higher says no user, room, address or token: whatever slips
into one is replaced by a word in angle brackets, in its text, its fields and its
traceback alike. Debug records are whole, and are written only when the level is debug.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

TOKEN = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*|\b(?:syt|syr|mat|mct|mcr)_[\w-]{8,}|\bMDAx[\w-]{20,}|(?<=Bearer )\S+")
USER = re.compile(r"@[!-9;-~]+?:[A-Za-z0-9.\-]+(?::\d+)?")
ROOM = re.compile(r"[!#][A-Za-z0-9._=/+\-]{3,}:[A-Za-z0-9.\-]+(?::\d+)?|![A-Za-z0-9_\-]{18,}")
V4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\w)")
V6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:[0-9]{1,3}(?:\.\d{1,3}){3})?(?![\w:])")

STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"Attributes of every record; what else a record has was given as `extra`."

CHATTY = ("aioice", "aiortc", "aiohttp.access", "asyncio")
"Libraries that log per connection, with addresses: warnings only, unless we are debugging."


def without_people(text: str) -> str:
    """Replace users, rooms, network addresses and tokens in a text by `<user>`, `<room>`, `<address>`, `<token>`."""
    text = TOKEN.sub("<token>", text)
    text = USER.sub("<user>", text)
    text = ROOM.sub("<room>", text)
    text = V4.sub("<address>", text)
    return V6.sub(_address, text)


def _address(found: re.Match[str]) -> str:
    # A time of day and an SDP fingerprint have colons too.
    try:
        ipaddress.ip_address(found[0])
    except ValueError:
        return found[0]
    return "<address>"


def scrubbed(value: Any) -> Any:
    """The same for anything JSON can hold; whatever else comes is turned into text first."""
    match value:
        case None | bool() | int() | float():
            return value
        case dict():
            return {without_people(str(name)): scrubbed(each) for name, each in value.items()}
        case list() | tuple():
            return [scrubbed(each) for each in value]
    return without_people(str(value))


class Lines(logging.Formatter):
    """One JSON object per record: time, level, logger, message, the fields given as `extra`, the traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in STANDARD},
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        if record.levelno >= logging.INFO:
            fields = scrubbed(fields)
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": when, "level": record.levelname.lower(), "logger": record.name, **fields}
        return json.dumps(line, ensure_ascii=False, default=str)


def start(level: str, stream: TextIO | None = None) -> None:
    """Send every log record of the process as JSON lines to `stream` (standard error)."""
    to = logging.StreamHandler(stream or sys.stderr)
    to.setFormatter(Lines())
    root = logging.getLogger()
    root.handlers[:] = [to]
    root.setLevel(level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
