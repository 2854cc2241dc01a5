"""What a peer may subscribe to: everybody else's streams, as their owners describe them.

Pure. The ids are the frozen ones of `Published`; mutes, purposes and sizes are the
publisher's newest words; who owns a stream is never the publisher's to say.
"""

from __future__ import annotations

from collections.abc import Iterable

from focus.snapshot import Conference, Peer, Published, Roster
from focus.subscribe import ranked
from focus.vocabulary import Description, Kind, Owner, PeerId, Purpose, Stream


def described(peer: Peer, track: Published) -> tuple[Stream, Description | None] | None:
    """The publisher's words for a track: found by track id, else by stream id (digest §20.2).

    A peer that sent no metadata at all is taken to mean user media; a track that metadata
    leaves out is not for others.
    """
    if not peer.streams:
        return Stream(track.own_stream, peer.owner, Purpose.USERMEDIA, False, False, ()), None
    for stream in peer.streams:
        for words in stream.tracks:
            if words.name == track.own_name and words.kind is track.kind:
                return stream, words
    for stream in peer.streams:
        if stream.id == track.own_stream and not stream.tracks:
            return stream, None
    return None


def full_size(conference: Conference, track: Published) -> tuple[int, int]:
    """The publisher's capture size in pixels, (0, 0) if untold."""
    found = described(conference.peers[track.peer], track)
    words = found[1] if found else None
    return (words.width, words.height) if words is not None else (0, 0)


def look(conference: Conference) -> Roster:
    """See `Roster`."""
    tracks = conference.tracks.values()
    every: dict[PeerId, list[Published]] = {}
    for track in tracks:
        every.setdefault(track.peer, []).append(track)
    own = {name: every[name] for name in conference.peers if name in every}
    return Roster(
        {(track.stream, track.name): track for track in tracks},
        {name: tuple(found) for name, found in own.items()},
        {name: _streams(conference.peers[name], found) for name, found in own.items()},
        {track.id: ranked(track, full_size(conference, track)) for track in tracks},
        {track.id: frozenset(codec.name for codec in track.line.codecs) for track in tracks},
        frozenset(track.id for track in tracks if track.kind is Kind.VIDEO and _screen(conference, track)),
        _devices(conference, own),
        frozenset(track.id for track in tracks if _voice(conference, track)),
        len({track.peer for track in tracks if track.kind is Kind.AUDIO}),
    )


def _devices(conference: Conference, publishers: Iterable[PeerId]) -> dict[Owner, frozenset[PeerId]]:
    grouped: dict[Owner, list[PeerId]] = {}
    for name in publishers:
        grouped.setdefault(conference.peers[name].owner, []).append(name)
    return {owner: frozenset(names) for owner, names in grouped.items()}


def _screen(conference: Conference, track: Published) -> bool:
    found = described(conference.peers[track.peer], track)
    return found is not None and found[0].purpose is Purpose.SCREENSHARE


def _voice(conference: Conference, track: Published) -> bool:
    return track.kind is Kind.AUDIO and track.line.extensions.audio_level > 0 and not _screen(conference, track)


def _streams(peer: Peer, tracks: list[Published]) -> tuple[Stream, ...]:
    """What others are told of a peer's tracks."""
    grouped: dict[str, tuple[Stream, list[Description]]] = {}
    for track in tracks:
        found = described(peer, track)
        if found is None:
            continue
        stream, words = found
        width, height = (words.width, words.height) if words and track.kind is Kind.VIDEO else (0, 0)
        grouped.setdefault(track.stream, (stream, []))[1].append(Description(track.name, track.kind, width, height))
    return tuple(
        Stream(name, peer.owner, stream.purpose, stream.audio_muted, stream.video_muted, tuple(told))
        for name, (stream, told) in grouped.items()
    )


def view(conference: Conference, peer: Peer) -> tuple[Stream, ...]:
    """All streams of the others, in the order of their joining."""
    found: list[Stream] = []
    own = conference.roster.own_of(peer.owner)
    for name, streams in conference.roster.streams.items():
        if name not in own:
            found += streams
    return tuple(found)
