"""`sdp_stream_metadata` to streams and back (MSC3077, MSC3291, MSC3898).

Pure. Whatever a client claims, a stream belongs to the authenticated sender: ownership is
written here and read from nowhere. What cannot be understood is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from focus.vocabulary import SINGLE, Description, Kind, Needed, Owner, Purpose, Stream
from signalling.events import size
from signalling.link import Content

MOST_STREAMS = 16
MOST_TRACKS = 32


def read(metadata: Content | None, owner: Owner) -> tuple[Stream, ...]:
    """A client's own streams; of unknown purposes none (digest §5)."""
    streams = []
    for name, words in list((metadata or {}).items())[:MOST_STREAMS]:
        if not isinstance(name, str) or not 0 < len(name) <= 255 or not isinstance(words, Mapping):
            continue
        try:
            purpose = Purpose(words.get("purpose", Purpose.USERMEDIA))
        except ValueError:
            continue
        streams.append(
            Stream(
                name,
                owner,
                purpose,
                words.get("audio_muted") is True,
                words.get("video_muted") is True,
                _tracks(words.get("tracks")),
            )
        )
    return tuple(streams)


def _tracks(tracks: object) -> tuple[Description, ...]:
    found = []
    if isinstance(tracks, Mapping):
        for name, words in list(tracks.items())[:MOST_TRACKS]:
            kind = words.get("kind") if isinstance(words, Mapping) else None
            if isinstance(name, str) and 0 < len(name) <= 255 and kind in ("audio", "video"):
                found.append(Description(name, Kind(kind), size(words.get("width")), size(words.get("height"))))
    return tuple(found)


def dump(streams: tuple[Stream, ...]) -> dict[str, Any]:
    """The full set of streams, as a client reads them."""
    return {
        stream.id: {
            "user_id": stream.owner.user,
            "device_id": stream.owner.device,
            "purpose": stream.purpose.value,
            "audio_muted": stream.audio_muted,
            "video_muted": stream.video_muted,
            "tracks": {track.name: _track(track) for track in stream.tracks},
        }
        for stream in streams
    }


def dump_demand(pictures: tuple[Needed, ...]) -> dict[str, Any]:
    """What of a client's own pictures is needed. `rids` only with simulcast; the rest of its layers may rest.

    `rates`: bits a second that layers are to take at most, by rid; without them the client's own stand."""
    return {
        "tracks": [
            {
                "stream_id": picture.stream,
                "track_id": picture.track,
                "active": bool(picture.layers),
                "rids": [rid for rid in picture.layers if rid != SINGLE],
                **({"rates": dict(picture.rates)} if picture.rates else {}),
            }
            for picture in pictures
        ]
    }


def _track(track: Description) -> dict[str, Any]:
    words: dict[str, Any] = {"kind": track.kind.value}
    if track.width and track.height:
        words |= {"width": track.width, "height": track.height}
    return words
