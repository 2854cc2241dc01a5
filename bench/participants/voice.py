"""What a synthetic participant's microphone hears, and who of them speaks when.

A voice is a row of syllables: pulses at the person's own pitch, shaped by two moving
formants, with short pauses. `speaking` decides whose turn it is; both are pure. Silence
is not encoded: a sender with DTX sends almost nothing, and so does `publisher.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
FRAME = 960
"Samples of 20 ms, the Opus frame of every WebRTC client."
SECONDS = 8
TURN = 5.0
"Seconds of one turn of the conversation."

VOWELS = ((730, 1090), (530, 1840), (270, 2290), (570, 840), (300, 870), (660, 1720), (490, 1350))
"First and second formant in Hz of seven vowels (Peterson and Barney 1952, men)."


def speech(person: int) -> NDArray[np.int16]:
    """Return `SECONDS` of the person's talk, 48 kHz mono."""
    chance = np.random.default_rng(1000 + person)
    pitch = 95.0 * 2 ** ((person * 5 % 12) / 10)
    out = np.zeros(RATE * SECONDS)
    at = 0
    while at < len(out) - RATE // 4:
        length = int(RATE * chance.uniform(0.12, 0.26))
        length = min(length, len(out) - at)
        vowel = VOWELS[chance.integers(len(VOWELS))]
        out[at : at + length] = syllable(pitch * chance.uniform(0.92, 1.12), vowel, length)
        pause = chance.uniform(0.15, 0.3) if chance.random() < 0.15 else chance.uniform(0.01, 0.05)
        at += length + int(RATE * pause)
    loud: NDArray[np.int16] = (out / np.abs(out).max() * 9000).astype(np.int16)
    return loud


def syllable(pitch: float, formants: tuple[int, int], length: int) -> NDArray[np.float64]:
    """Return one vowel of `length` samples: harmonics of a falling pitch, weighted by the formants."""
    time = np.arange(length) / RATE
    phase = 2 * math.pi * pitch * (time - 0.25 * time**2)
    wave = np.zeros(length)
    for harmonic in range(1, int(3400 / pitch)):
        frequency = harmonic * pitch
        weight = sum(1.0 / (1.0 + ((frequency - formant) / 90.0) ** 2) for formant in formants) + 0.02
        wave += weight / math.sqrt(harmonic) * np.sin(harmonic * phase)
    rise = np.minimum(1.0, np.minimum(time, time[::-1]) / 0.03)
    return wave * rise


def loudness(samples: NDArray[np.int16]) -> int:
    """Return the RFC 6464 level of one frame: 0 is full scale, 127 is silence (-dBov)."""
    power = float(np.mean(samples.astype(np.float64) ** 2))
    if power <= 0:
        return 127
    return min(127, max(0, round(-10 * math.log10(power / 32768**2))))


Turns = Callable[[int, int, float], bool]
"Whether a person of so many talks at a moment of the call, as `speaking`."


def speaking(person: int, count: int, now: float) -> bool:
    """Say whether `person` of `count` talks at `now` seconds of the call: one at a time, sometimes two."""
    turn, within = divmod(now, TURN)
    order = (int(turn) * 7919 + 11) % 104729
    if within > TURN - 0.6:  # a breath between turns
        return False
    if person == order % count:
        return True
    return order % 5 == 0 and person == (order // 5) % count and 1.5 < within < 3.0
