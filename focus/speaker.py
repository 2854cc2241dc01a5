"""Who has the floor, and whose voices are the loudest, from levels of sound.

Pure, and the time is an argument; it knows nothing of peers or tracks but their keys. The
floor follows Volfin and Cohen, "Dominant speaker identification for multipoint
videoconferencing" (2013): how much somebody spoke in the last instant, tenth of a second and
second, each as the likelihood that this is speech and not noise. So a cough does not take
the floor, and who goes on speaking keeps it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

STEP = 0.02
"Seconds that one level stands for."
AUDIBLE = 67
"Loudness (0 to 127) from which on somebody may be heard: -60 dBov."
EVERY = 0.3
"Seconds from one decision on the floor to the next."
FRESH = 0.4
"Seconds for which levels are the newest: they are told each 300 ms while somebody is heard."
RECENT = 8
"Newest levels of which one must be audible for somebody to count as heard now."
HOLD = 2.0
"Seconds for which a voice is let through after it was among the loudest: longer than a pause between words."
CROWD = 3
"Voices that are held may be so many times those that are let through anew."
LEAD = 6.0
"Loudness by which another voice must exceed one that is let through to take its place."
FLOORS = 15.0
"Seconds after which the quietest level is looked for anew."
ABOVE = 10
"What is not so much louder than the quietest level is noise."
REMEMBERED = 10
"Speakers that are told, at most."

FLAT = 10
"Loudness in one step of likelihood, so that there are 13."
LOUD = 7
"Steps above which an instant counts as speech."
GROUP, GROUPS = 5, 10
"Instants in a tenth of a second, and tenths in a second."
TAKES = 3.0, 2.0, 0.0
"By how much, in logarithms, somebody must exceed who has the floor: in the instant, the tenth and the second."
LEAST = 1e-10


@dataclass(frozen=True, slots=True)
class Voice:
    """How one track sounded."""

    recent: bytes
    "Loudness in steps of 20 ms, newest last."
    told: float
    "When."
    quietest: float = 0.0
    "The noise: the lowest level that is not nothing, 0 before any was heard."
    lately: float = math.inf
    "The lowest since `since`."
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Speech(Generic[K]):
    """What is known of a conference's voices."""

    voices: Mapping[K, Voice] = field(default_factory=lambda: MappingProxyType({}))
    "Those of which any level was told."
    order: tuple[K, ...] = ()
    "In the order in which they had the floor, who has it now first."
    through: Mapping[K, float] = field(default_factory=lambda: MappingProxyType({}))
    "The loudest, and until when each is let through."
    decided: float = -math.inf
    "When it was last decided who has the floor."


def hear(speech: Speech[K], key: K, recent: bytes, now: float) -> Speech[K]:
    """Take what was told of a track."""
    voice = _noise(speech.voices.get(key), recent, now)
    return replace(speech, voices=MappingProxyType({**speech.voices, key: voice}))


def forget(speech: Speech[K], gone: Collection[K]) -> Speech[K]:
    """Tracks are there no more. The same value where none of them was known."""
    if not any(key in speech.voices for key in gone):
        return speech
    return replace(
        speech,
        voices=MappingProxyType({key: voice for key, voice in speech.voices.items() if key not in gone}),
        order=tuple(key for key in speech.order if key not in gone),
        through=MappingProxyType({key: until for key, until in speech.through.items() if key not in gone}),
    )


def decide(speech: Speech[K], most: int, now: float) -> Speech[K]:
    """Who has the floor, each 300 ms, and which voices are let through. The same value where nothing changes.

    `most`: voices at once, beside who has the floor and those that were among the loudest just now.
    """
    levels = {key: aged(voice, now) for key, voice in speech.voices.items() if now - voice.told < FRESH}
    heard = {key: recent for key, recent in levels.items() if max(recent[-RECENT:], default=0) >= AUDIBLE}
    if not heard and not speech.through:
        return speech
    if heard and now - speech.decided >= EVERY - STEP / 2:
        speech = replace(speech, order=_floor(speech, heard, now), decided=now)
    through = _through(speech, heard, most, now)
    return speech if through == speech.through else replace(speech, through=MappingProxyType(through))


def aged(voice: Voice, now: float) -> bytes:
    """The levels of a voice now: what was not told since was silence."""
    late = int((now - voice.told) / STEP) if now - voice.told >= FRESH else 0
    return (voice.recent + bytes(min(late, GROUP * GROUPS)))[-GROUP * GROUPS :].rjust(GROUP * GROUPS, b"\0")


def _noise(before: Voice | None, recent: bytes, now: float) -> Voice:
    """Follow the noise: down at once, up slowly, when nothing so quiet came for a while."""
    lowest = float(min((level for level in recent if level), default=0))
    quietest, lately, since = (before.quietest, before.lately, before.since) if before else (0.0, math.inf, now)
    if lowest:
        if not quietest or lowest < quietest:
            quietest, lately, since = lowest, math.inf, now
        else:
            lately = min(lately, lowest)
        if now - since >= FLOORS:
            quietest, lately, since = math.sqrt(quietest * lately), math.inf, now
    return Voice(recent, now, quietest, lately, since)


def scores(recent: bytes, quietest: float) -> tuple[float, float, float]:
    """Likelihood of speech in the newest instant, tenth of a second and second."""
    # Without noise that is known, what is heard is speech.
    least = max(quietest, 1.0) + ABOVE
    instants = [level // FLAT if level >= least else 0 for level in reversed(recent)]
    tenths = [sum(n > LOUD for n in instants[at : at + GROUP]) for at in range(0, GROUP * GROUPS, GROUP)]
    second = sum(n > GROUP - 1 for n in tenths)
    return _score(instants[0], 13, 0.78), _score(tenths[0], GROUP, 24.0), _score(second, GROUPS, 47.0)


@lru_cache(256)
def _score(successes: int, of: int, rate: float) -> float:
    """Logarithm of how much more likely so many are under speech (exponential) than by chance (binomial)."""
    chance = math.log(math.comb(of, successes)) - of * math.log(2.0)
    return max(LEAST, chance - math.log(rate) + rate * successes)


def _floor(speech: Speech[K], heard: Mapping[K, bytes], now: float) -> tuple[K, ...]:
    """Who has the floor goes on to have it, unless another exceeds by far."""
    order = speech.order
    holder = speech.voices.get(order[0]) if order else None
    held = scores(aged(holder, now), holder.quietest) if holder is not None else (LEAST, LEAST, LEAST)
    best: tuple[float, K] | None = None
    for key, recent in heard.items():
        if order and key == order[0]:
            continue
        theirs = scores(recent, speech.voices[key].quietest)
        by = [math.log(new / old) for new, old in zip(theirs, held, strict=True)]
        if all(more > least for more, least in zip(by, TAKES, strict=True)) and (best is None or by[1] > best[0]):
            best = by[1], key
    if best is None:
        return order
    return (best[1], *(key for key in order if key != best[1]))[:REMEMBERED]


def _through(speech: Speech[K], heard: Mapping[K, bytes], most: int, now: float) -> dict[K, float]:
    """Until when each is let through: the loudest from now on for a while, and those that were just now."""
    ranked = sorted(heard, key=lambda key: _loudness(speech, key, heard[key]), reverse=True)
    kept = sorted((key for key in speech.through if speech.through[key] > now), key=lambda key: -speech.through[key])
    through = dict.fromkeys(ranked[:most], now + HOLD)
    for key in kept:
        if key not in through and len(through) < CROWD * most:
            through[key] = speech.through[key]
    return through


def _loudness(speech: Speech[K], key: K, recent: bytes) -> tuple[float, int]:
    """Smoothed, without noise; where all is alike noise, the louder."""
    least = speech.voices[key].quietest + ABOVE
    energy = 0.0
    for level in recent[-2 * RECENT :]:
        energy = (energy + (level if level >= least else 0)) / 2
    return energy + (LEAD if key in speech.through else 0.0), max(recent[-RECENT:])
