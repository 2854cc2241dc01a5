"""A network namespace and its way out: a tunnel device that the link forwards for.

It only lays and takes up; what the link does to packets is not its business. It needs root.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

HOME, AWAY = "198.18.0.1", "198.18.0.2"
"The two ends of the link (addresses for tests of networks, RFC 2544)."
NO_IPV6 = Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000


@dataclass(frozen=True, slots=True)
class Names:
    """What a link's parts are called; a device's name has at most 15 letters."""

    space: str
    near: str
    "The tunnel here."
    far: str
    "The tunnel in the namespace."

    @classmethod
    def fresh(cls) -> Names:
        """Names that no other process has."""
        own = f"{os.getpid() % 0xFFFFF:x}"
        return cls(f"weir-{own}", f"wn{own}", f"wf{own}")


def ip(*words: str) -> None:
    """Run `ip`. `RuntimeError`: it failed, with what it said."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def lay(names: Names) -> None:
    """Make the namespace."""
    ip("netns", "add", names.space)
    try:
        ip("-n", names.space, "link", "set", "lo", "up")
        without_ipv6(names.space)
    except BaseException:
        take_up(names)
        raise


def without_ipv6(space: str) -> None:
    """IPv4 alone: an address of IPv6 takes seconds to be confirmed, and each step of that is a change of network."""
    within(space, lambda: NO_IPV6.write_text("1"))


def take_up(names: Names) -> None:
    """Remove it; devices go with the namespace."""
    subprocess.run(["ip", "netns", "delete", names.space], capture_output=True, check=False)


def tunnels(names: Names) -> tuple[int, int]:
    """Make the tunnel's two devices. Returns a descriptor for each, here and in the namespace: a read is a packet."""
    near = tunnel(names.near)
    ip("address", "add", HOME, "peer", AWAY, "dev", names.near)
    ip("link", "set", names.near, "up")
    far = within(names.space, lambda: tunnel(names.far))
    ip("-n", names.space, "address", "add", AWAY, "peer", HOME, "dev", names.far)
    ip("-n", names.space, "link", "set", names.far, "up")
    # A browser takes what leads to anywhere for the network that it is in.
    ip("-n", names.space, "route", "add", "default", "dev", names.far)
    return near, far


def tunnel(name: str) -> int:
    """A device of packets without headers before them, in this thread's namespace."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TUN | IFF_NO_PI))
    except BaseException:
        os.close(fd)
        raise
    return fd


def within(space: str, call: Callable[[], T]) -> T:
    """Make a call in a namespace. What it opens stays there."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with open(f"/run/netns/{space}") as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "no way into the namespace")
            results.append(call())
        except BaseException as error:
            errors.append(error)

    # A thread's namespace is its own, and ends with it.
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def udp(address: str, space: str | None = None) -> socket.socket:
    """A UDP socket on a free port of an address, in a namespace if one is named."""

    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, 0))
        return made

    return make() if space is None else within(space, make)


def possible() -> bool:
    """Whether this process may lay a link."""
    return os.geteuid() == 0 and os.access("/dev/net/tun", os.R_OK | os.W_OK) and os.path.isdir("/proc/self/ns")
