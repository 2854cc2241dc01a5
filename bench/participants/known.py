"""Which frame of which loop a received payload is: what lets a participant see a wrong splice without decoding.

The senders are ours, so the first piece of every frame is known beforehand. A frame that
follows another must be the next one of the same layer of the same person, or a keyframe;
anything else would break a decoder. Pictures of browsers are unknown and not judged.
"""

from __future__ import annotations

from collections.abc import Iterable

from bench.participants import media, vp8

Place = tuple[int, str, int]
"Person, rid, frame number."


class Known:
    """An index over people's loops."""

    def __init__(self, people: Iterable[media.Person]) -> None:
        self.places: dict[bytes, list[Place]] = {}
        self.lengths: dict[tuple[int, str], int] = {}
        for number, person in enumerate(people):
            for layer in person.layers:
                self.lengths[number, layer.rid] = len(layer.frames)
                for at, frame in enumerate(layer.frames):
                    self.places.setdefault(vp8.cut(frame)[0], []).append((number, layer.rid, at))

    def find(self, body: bytes) -> list[Place]:
        """Return every place where a frame starts with these bytes; empty for a stranger's."""
        return self.places.get(body, [])

    def follows(self, before: list[Place], after: list[Place]) -> bool:
        """Say whether some place of `after` is right behind some place of `before`."""
        return any((p, rid, (at - 1) % self.lengths[p, rid]) in before for p, rid, at in after)
