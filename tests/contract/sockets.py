"""Sockets of nobody in a call: a stranger's, and ports that are free."""

from __future__ import annotations

import socket

from focus.commands import Candidate


class Quiet:
    """A socket of a stranger, non-blocking."""

    def __init__(self, candidate: Candidate) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.connect((candidate.host, candidate.port))
        self.socket.setblocking(False)

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        try:
            self.socket.send(data)
        except ConnectionRefusedError:
            pass

    def heard(self) -> bytes | None:
        try:
            return self.socket.recv(2000)
        except (BlockingIOError, ConnectionRefusedError):
            return None


def free_range(count: int) -> int:
    """A port such that it and the next ones are free now."""
    for low in range(42000, 60000, 16):
        held = []
        try:
            for port in range(low, low + count):
                bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                held.append(bound)
                bound.bind(("127.0.0.1", port))
            return low
        except OSError:
            continue
        finally:
            for bound in held:
                bound.close()
    raise AssertionError("no free ports")
