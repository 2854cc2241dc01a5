"""Whose voice goes out: in a large call only the loudest, and who has the floor.

Pure. It reads off a conference what `speaker.py`, which knows no tracks, decides on. What
has no levels is forwarded in any case, and so is the sound of a screen: nobody speaks on it.
"""

from __future__ import annotations

from msgspec.structs import replace

from focus.snapshot import Conference
from focus.speaker import decide, forget, hear
from focus.vocabulary import TrackId

NOBODY: frozenset[TrackId] = frozenset()


def heard(conference: Conference, track: TrackId, recent: bytes, now: float) -> Conference:
    """Take down how loud a track is."""
    if track not in conference.roster.voices:
        return conference
    return replace(conference, speech=hear(conference.speech, track, recent, now))


def listen(conference: Conference, last: Conference, now: float) -> Conference:
    """Decide who has the floor and which voices are withheld. The roster must be of now."""
    roster, limits, speech = conference.roster, conference.limits, conference.speech
    if roster is not last.roster:
        speech = forget(speech, [track for track in speech.voices if track not in roster.voices])
    speech = decide(speech, limits.voices, now)
    if speech is last.speech and roster is last.roster:
        return conference
    withheld = NOBODY
    if roster.sounding > limits.small_call:
        # Of whom no level ever came, it is not known whether any will.
        withheld = frozenset(
            track for track in roster.voices
            if track in speech.voices and track not in speech.through and track not in speech.order[:1]
        )  # fmt: skip
    if withheld == conference.withheld:
        withheld = conference.withheld
    return replace(conference, speech=speech, speakers=speech.order, withheld=withheld)
