"""Names from chance: the only place of the control plane that draws any."""

from __future__ import annotations

import secrets
import string

ALPHABET = string.ascii_letters + string.digits


class RandomNames:
    """`vocabulary.Names`, unguessable."""

    def token(self, size: int) -> str:
        """Return `size` characters; 22 of them carry 130 bits (security N7 wants 128 for an ICE password)."""
        return "".join(secrets.choice(ALPHABET) for _ in range(size))

    def ssrc(self) -> int:
        """Return an SSRC, never 0."""
        return secrets.randbelow(0xFFFFFFFF) + 1
