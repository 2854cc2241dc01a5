"""Words to a service manager (sd_notify(3)), when there is one to listen."""

from __future__ import annotations

import os
import socket


def notify(words: str) -> bool:
    """Send `READY=1`, `STOPPING=1`, `WATCHDOG=1` or the like; return whether anybody was there to hear it."""
    to = os.environ.get("NOTIFY_SOCKET", "")
    if not to.startswith(("/", "@")):
        return False
    address = "\0" + to[1:] if to.startswith("@") else to
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        try:
            line.connect(address)
            line.sendall(words.encode())
        except OSError:
            return False
    return True


def watchdog_period() -> float | None:
    """Half of the time within which the manager wants a sign of life, in seconds; None if it wants none."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2e6 if microseconds.isdigit() and int(microseconds) else None
