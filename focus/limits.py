"""What one conference, one peer and one description may cost. On by default (security §4)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit and every patience of the control plane."""

    conferences: int = 500
    "Conferences at once on this focus."
    participants: int = 100
    "Peers in one conference."
    tracks_each_kind: int = 10
    "Audio tracks, and video tracks, that one peer may publish."
    subscriptions: int = 300
    "Tracks that one peer may want, known or not."
    m_lines: int = 240
    "Media sections in one peer's session. A browser's answer to more is longer than any SDP may be here."
    pictures: int = 64
    "Pictures that one peer gets at once: of more, those that count most."
    small_call: int = 8
    "Peers that send sound up to whom everybody is forwarded; with more only the loudest are."
    voices: int = 3
    "Voices forwarded at once then, beside who has the floor and who was just heard."
    messages_per_second: float = 20.0
    "Data channel messages of one peer, on average."
    messages_burst: int = 100
    "Data channel messages of one peer at once."
    ping_every: float = 5.0
    "Seconds between pings to a peer."
    ping_timeout: float = 20.0
    "Seconds without an answer to a ping after which a peer is gone."
    connect_timeout: float = 30.0
    "Seconds from the answer until a peer's transport must be up."
    channel_timeout: float = 30.0
    "Seconds from then until its data channel must be open."
    offer_timeout: float = 5.0
    "Seconds until an unanswered offer is made anew."
    offer_tries: int = 6
    "Unanswered offers in a row after which a peer is given up."
    first_offer_hold: float = 3.0
    "Seconds that the first offer waits for the peer to say that it applied our answer."
    idle_hold: float = 1.0
    "Seconds that a publisher goes on to be asked for a picture that nobody wants any more."
    rest_hold: float = 10.0
    "Seconds without anybody who watches after which the line of a client that does not know what we ask is stopped."
    layer_hold: float = 5.0
    "Seconds that it goes on to be asked for a layer that is larger than anybody needs."
    rise_hold: float = 0.5
    "Seconds after a picture begins to flow before anybody gets more than its smallest layer."
    silent_patience: float = 2.0
    "Seconds without any layer of a picture that is asked for after which all its layers are."
