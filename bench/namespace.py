"""A network namespace for one client, with two links to this machine that can be swapped: its address changes.

It makes the namespace and its links; root is needed. It measures nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.link.namespace import ip, without_ipv6
from bench.link.space import Space

FOCUS = "10.77.{link}.1"
CLIENT = "10.77.{link}.2"
LINKS = (1, 2)


@dataclass(slots=True)
class Namespace(Space):
    """A namespace with its links."""

    link: int
    "The link that is up."

    @property
    def focus(self) -> str:
        """Where a focus on this machine is reached from inside, over either link."""
        return FOCUS.format(link=LINKS[0])

    def inside(self, *words: str) -> None:
        """Run `ip` on the client's side."""
        ip("-n", self.name, *words)

    def use(self, link: int) -> None:
        """Take the client's link down and bring another up: it has another address from then on."""
        if self.link != link:
            self.inside("link", "set", f"link{self.link}", "down")
        self.inside("link", "set", f"link{link}", "up")
        gate = FOCUS.format(link=link)
        self.inside("route", "replace", "default", "via", gate, "dev", f"link{link}")
        self.link = link


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Make a namespace while the block runs. Raises `RuntimeError`."""
    name = f"weir{secrets.token_hex(3)}"
    with ExitStack() as stack:
        ip("netns", "add", name)
        stack.callback(ip, "netns", "delete", name)
        made = Namespace(name, LINKS[0])
        made.inside("link", "set", "lo", "up")
        without_ipv6(name)
        for link in LINKS:
            ours = f"{name}{link}"
            ip("link", "add", ours, "type", "veth", "peer", "name", f"link{link}", "netns", name)
            ip("address", "add", FOCUS.format(link=link) + "/24", "dev", ours)
            ip("link", "set", ours, "up")
            made.inside("address", "add", CLIENT.format(link=link) + "/24", "dev", f"link{link}")
        made.use(LINKS[0])
        yield made
