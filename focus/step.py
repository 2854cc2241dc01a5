"""How each event moves a conference: `step(conference, event, now, names) -> conference`.

Pure. It takes down what was said and what happened; what follows from it is decided once
per drain, in `settle.py`. A `PeerFault` says that the event's peer sent something illegal.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_
from types import MappingProxyType
from typing import assert_never

from msgspec.structs import replace

from focus import commands
from focus.commands import Credentials
from focus.description import NOTHING, Line, Remote, read
from focus.faults import PeerFault
from focus.mappings import put, without
from focus.rates import forgotten, measured
from focus.sdp import parse
from focus.snapshot import Conference, Peer, Published, Slot
from focus.vocabulary import (
    Alive,
    Answered,
    Asked,
    Described,
    Join,
    Kind,
    Left,
    Names,
    Obeys,
    Offered,
    PeerId,
    Reason,
    Selected,
    TakesSpares,
    Ticked,
    TrackId,
    Wanted,
)
from focus.voices import heard

NEWS_OF_LINK = 0.03
"Part by which an estimate must move to be looked at."
RENEWED = 1.0
"Seconds after which one that says the same is news of its own."
LOSSES = {
    commands.Loss.ICE: Reason.ICE_TIMEOUT,
    commands.Loss.DTLS: Reason.ICE_FAILED,
    commands.Loss.CLOSED: Reason.USER_HANGUP,
}


def step(conference: Conference, event: Asked | commands.Event, now: float, names: Names) -> Conference:
    """Move a conference by one event. Events of peers that are gone change nothing."""
    match event:
        case Join():
            return _join(conference, event, now, names)
        case Left():
            return remove(conference, event.peer)
        case Ticked():
            return conference
        case commands.Appeared() | commands.Vanished():
            return _layers(conference, event, now)
        case commands.Rates():
            return measured(conference, event, now)
        case commands.Levels():
            return heard(conference, event.track, event.recent, now)
        case commands.Switched():
            return conference
        case _:
            peer = conference.peers.get(event.peer)
            return conference if peer is None else _of_peer(conference, peer, event, now, names)


def _of_peer(
    conference: Conference,
    peer: Peer,
    event: Offered
    | Answered
    | Selected
    | Wanted
    | Described
    | Alive
    | Obeys
    | TakesSpares
    | commands.Reachable
    | commands.Connected
    | commands.Opened
    | commands.Lost
    | commands.Message
    | commands.Estimate,
    now: float,
    names: Names,
) -> Conference:
    match event:
        case Offered():
            return _offered(conference, peer, event, names)
        case Answered():
            return _answered(conference, peer, event)
        case Selected():
            moved = replace(peer, selected=True)
        case Wanted():
            moved = _wanted(conference, peer, event)
        case Described():
            moved = replace(peer, streams=event.streams)
        case Alive() | commands.Message():
            # Any message proves that the channel lives.
            moved = replace(peer, alive_at=now)
        case Obeys():
            moved = peer if peer.obeys else replace(peer, obeys=True)
        case TakesSpares():
            moved = peer if peer.spares else replace(peer, spares=True)
        case commands.Reachable():
            moved = replace(peer, candidates=event.candidates)
        case commands.Connected():
            moved = replace(peer, connected_at=now)
        case commands.Opened():
            moved = replace(peer, opened_at=now, alive_at=now, pinged_at=now)
        case commands.Lost():
            reason = LOSSES[event.loss] if peer.connected_at is not None else Reason.ICE_FAILED
            return end(conference, peer.id, reason)
        case commands.Estimate():
            same = peer.estimate is not None and abs(event.bps - peer.estimate) <= NEWS_OF_LINK * peer.estimate
            if same and now < peer.estimated_at + RENEWED:
                return conference
            moved = replace(peer, estimate=peer.estimate if same else event.bps, estimated_at=now)
        case _:
            assert_never(event)
    return replace(conference, peers=put(conference.peers, peer.id, moved))


def remove(conference: Conference, name: PeerId) -> Conference:
    """Take a peer and all that it published out."""
    gone = [track.id for track in conference.of(name)]
    if not gone:
        return replace(conference, peers=without(conference.peers, name))
    moved = forgotten(conference, gone)
    return replace(moved, peers=without(conference.peers, name), tracks=without(conference.tracks, *gone))


def end(conference: Conference, name: PeerId, reason: Reason) -> Conference:
    """Take a peer out and remember to tell its face why."""
    if name not in conference.peers:
        return conference
    return replace(remove(conference, name), ended=(*conference.ended, (name, reason)))


def _join(conference: Conference, event: Join, now: float, names: Names) -> Conference:
    if event.peer in conference.peers:
        return _offered(conference, conference.peers[event.peer], Offered(event.peer, event.sdp, event.streams), names)
    if len(conference.peers) >= conference.limits.participants:
        raise PeerFault("too_many_participants", Reason.BUSY)
    remote = _read(conference, event.sdp)
    _dialling(remote)
    peer = Peer(
        id=event.peer,
        owner=event.owner,
        session=names.ssrc(),
        local=Credentials(names.token(8), names.token(24)),
        remote=remote.credentials,
        fingerprints=remote.fingerprints,
        mixed=remote.mixed,
        joined=now,
        lines=remote.lines,
        streams=event.streams,
        known=remote.known,
    )
    return _publish(replace(conference, peers=put(conference.peers, peer.id, peer)), peer, names)


def _read(conference: Conference, sdp: str, known: Mapping[str, Line] = NOTHING) -> Remote:
    return read(parse(sdp, known), conference.limits.m_lines, conference.codecs, known)


def _dialling(remote: Remote) -> None:
    """We are the DTLS server, so an offer must let its peer be the client (RFC 8842 §5.2, §5.3)."""
    if remote.setup not in ("actpass", "active"):
        raise PeerFault("sdp_dtls_role")


def _in_order(peer: Peer, remote: Remote) -> None:
    """A later description keeps the m-lines of the earlier ones, in their places (RFC 8829 §5.2.2)."""
    for old, new in zip(peer.lines, remote.lines, strict=False):
        # A stopped line may be recycled under another mid.
        if old.mid != new.mid and not old.refused and old.direction != "inactive":
            raise PeerFault("sdp_m_line_order")
    if len(remote.lines) < len(peer.lines):
        raise PeerFault("sdp_m_line_gone")


def _offered(conference: Conference, peer: Peer, event: Offered, names: Names) -> Conference:
    """A live peer offers anew. If our own offer was under way, ours gives way: we are the polite side."""
    remote = _read(conference, event.sdp, peer.known)
    _dialling(remote)
    _in_order(peer, remote)
    if set(remote.fingerprints) != set(peer.fingerprints):
        raise PeerFault("sdp_fingerprint_changed")
    lines = {line.mid: line for line in remote.lines}
    moved = replace(
        peer,
        mixed=remote.mixed,
        lines=remote.lines,
        known=remote.known,
        streams=event.streams or peer.streams,
        owed=True,
        outstanding=None,
        slots=tuple(_seen(slot, lines.get(slot.mid)) for slot in peer.slots),
    )
    if remote.credentials != peer.remote:
        moved = replace(
            moved,
            remote=remote.credentials,
            local=Credentials(names.token(8), names.token(24)),
            candidates=None,
            restarts=peer.restarts + 1,
        )
    return _publish(replace(conference, peers=put(conference.peers, peer.id, moved)), moved, names)


def _seen(slot: Slot, line: Line | None) -> Slot:
    """Our m-line as the peer's newest description has it: the same value where that says nothing new."""
    if line is None:
        # Never negotiated, or stopped and recycled for another.
        return replace(slot, agreed=None, accepted=False)
    words = line if line.codecs else slot.line
    if words is slot.line and line.receives == slot.accepted:
        return slot
    return replace(slot, line=words, accepted=line.receives)


def _answered(conference: Conference, peer: Peer, event: Answered) -> Conference:
    """The peer answered our offer: what the offer said is agreed now, where the peer takes it."""
    offer = peer.outstanding
    if offer is None:
        return conference
    remote = _read(conference, event.sdp, peer.known)
    if tuple(line.mid for line in remote.lines) != offer.order:
        raise PeerFault("sdp_answer_order")
    lines = {line.mid: line for line in remote.lines}
    slots = []
    for slot in peer.slots:
        if slot.mid in offer.uses:
            slot = _seen(slot, lines.get(slot.mid))
            if slot.agreed is not offer.uses[slot.mid]:
                slot = replace(slot, agreed=offer.uses[slot.mid])
        slots.append(slot)
    moved = replace(
        peer,
        known=remote.known,
        lines=_answer_lines(peer, remote),
        streams=event.streams or peer.streams,
        rested=offer.resting,
        outstanding=None,
        unanswered=0,
        selected=True,
        slots=tuple(slots),
    )
    return replace(conference, peers=put(conference.peers, peer.id, moved))


def _answer_lines(peer: Peer, remote: Remote) -> tuple[Line, ...]:
    """The peer's own lines as it offered them last, since an answer says less; ours as it answered them."""
    known = {line.mid: line for line in peer.lines}
    ours = {slot.mid for slot in peer.slots}
    return tuple(line if line.mid in ours else known.get(line.mid, line) for line in remote.lines)


def _publish(conference: Conference, peer: Peer, names: Names) -> Conference:
    """Compare what the peer's lines send with what it published before."""
    ours = {slot.mid for slot in peer.slots}
    before = {track.mid: track for track in conference.of(peer.id)}
    sending = {line.mid: line for line in peer.lines if line.sends and line.mid not in ours}
    for kind in Kind:
        if sum(line.kind is kind for line in sending.values()) > conference.limits.tracks_each_kind:
            raise PeerFault("too_many_tracks", Reason.BUSY)
    tracks = dict(conference.tracks)
    for mid, track in before.items():
        if mid not in sending:
            del tracks[track.id]
    for mid, line in sending.items():
        own_stream, own_name = line.msid or ("", "")
        known = before.get(mid)
        # Ids stay as first advertised: a camera that comes back names another stream for a moment (digest §20.2).
        own_stream = own_stream or (known.own_stream if known else f"{peer.id}-media")
        own_name = own_name or (known.own_name if known else f"{peer.id}-{mid}")
        if known is not None:
            if (line, own_stream, own_name) != (known.line, known.own_stream, known.own_name):
                tracks[known.id] = replace(known, line=line, own_stream=own_stream, own_name=own_name)
            continue
        stream, name = _unique(tracks, peer, own_stream, own_name, names)
        new = TrackId(f"{peer.id}/{mid}/{names.token(4)}")
        tracks[new] = Published(new, peer.id, mid, stream, name, own_stream, own_name, line)
    # Where nothing is new, the same value says so.
    same = len(tracks) == len(conference.tracks) and all(conference.tracks.get(n) is t for n, t in tracks.items())
    if same:
        return conference
    gone = [name for name in conference.tracks if name not in tracks]
    return replace(forgotten(conference, gone), tracks=MappingProxyType(tracks))


def _unique(tracks: Mapping[TrackId, Published], peer: Peer, stream: str, name: str, names: Names) -> tuple[str, str]:
    """Advertised ids: the publisher's own, unless somebody else has them already."""
    advertised = next((t.stream for t in tracks.values() if t.peer == peer.id and t.own_stream == stream), None)
    if advertised is not None:
        stream = advertised
    elif any(track.peer != peer.id and track.stream == stream for track in tracks.values()):
        stream = f"{stream[:200]}-{names.token(8)}"
    if any(track.stream == stream and track.name == name for track in tracks.values()):
        name = f"{name[:200]}-{names.token(8)}"
    return stream, name


def _wanted(conference: Conference, peer: Peer, event: Wanted) -> Peer:
    wants = dict(peer.wants)
    for key in event.unwanted:
        wants.pop(key, None)
    for want in event.wants:
        # Clients say all that they want each time. What says nothing new stays the same value, known by identity.
        if wants.get((want.stream, want.track)) != want:
            wants[want.stream, want.track] = want
    if len(wants) > conference.limits.subscriptions:
        raise PeerFault("too_many_subscriptions", Reason.BUSY)
    same = len(wants) == len(peer.wants) and all(map(is_, wants.values(), peer.wants.values()))
    return peer if same else replace(peer, wants=MappingProxyType(wants))


def _layers(conference: Conference, event: commands.Appeared | commands.Vanished, now: float) -> Conference:
    track = conference.tracks.get(event.track)
    if track is None:
        return conference
    if isinstance(event, commands.Appeared):
        layers = put(track.layers, event.layer, (event.width, event.height))
        rising = track.rising if track.layers else now if track.line.rids else None
    else:
        layers, rising = without(track.layers, event.layer), track.rising
    moved = replace(track, layers=layers, rising=rising)
    return replace(conference, tracks=put(conference.tracks, track.id, moved))
