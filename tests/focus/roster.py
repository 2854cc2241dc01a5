"""Lines, tracks and names for the tests of the control plane: values that are whole and, by their text, told apart."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

from focus.commands import Codec
from focus.description import Line
from focus.snapshot import Published
from focus.vocabulary import PeerId, Rid, TrackId

VP8 = Codec("vp8", 90000, 96, 97)
F, H, Q = Rid("f"), Rid("h"), Rid("q")


class CountedNames:
    """`vocabulary.Names` without chance: one number after another."""

    def __init__(self) -> None:
        self.numbers = count(1)

    def token(self, size: int) -> str:
        return f"{next(self.numbers)}n".rjust(size, "0")[-size:]

    def ssrc(self) -> int:
        return next(self.numbers)


def camera_line(*rids: Rid, mid: str = "1") -> Line:
    """A camera's m-line."""
    formats, msid = ("96", "97"), ("stream", "track")
    return Line(mid, "video", "UDP/TLS/RTP/SAVPF", formats, False, "sendonly", msid, (VP8,), (), (), rids, ())


def camera(rids: tuple[Rid, ...] = (F, H, Q), layers: Mapping[Rid, tuple[int, int]] | None = None) -> Published:
    """A published camera with the layers that flow, in pixels; all of `rids` in an unknown size when left out."""
    flowing = layers if layers is not None else dict.fromkeys(rids, (0, 0))
    return Published(
        TrackId("p/1/x"), PeerId("p"), "1", "stream", "track", "stream", "track", camera_line(*rids), flowing
    )
