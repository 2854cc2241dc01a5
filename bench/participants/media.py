"""The loops that participants send: encoded once with PyAV, kept in files, shared by all.

One file a person in one folder for every call of this machine, named with `VERSION`: change what is
drawn or how it is encoded, and change the version. The loop starts with a keyframe and has one
in its middle, so that a keyframe request is answered by a jump (`publisher.py`): cameras send
hardly any unless asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import msgspec
import numpy as np

from bench.participants import picture, voice

VERSION = 2
LOOPS = Path(".weir/loops")
"The folder, if no other is asked for."
STEP = "encoding pictures and voices"
GOP = picture.FRAMES // 2
"Frames from one keyframe to the next."


class Layer(msgspec.Struct, frozen=True):
    """One simulcast layer of one person's camera."""

    rid: str
    width: int
    height: int
    bps: int
    frames: list[bytes]
    "Encoded VP8 frames; every `GOP`th is a keyframe."


class Person(msgspec.Struct, frozen=True):
    """All that one person sends."""

    name: str
    layers: list[Layer]
    "f, h, q: full size first, as Chromium's page orders them."
    voice: list[bytes]
    "Opus packets of 20 ms."
    levels: list[int]
    "RFC 6464 level of each of them."


SIZES = (("f", 1, 600_000), ("h", 2, 250_000), ("q", 4, 80_000))
"rid, what the full size is divided by, bits a second."

Progress = Callable[[str, float], None]
"Told the step's name and how much of all is done, 0 to 1."


def silent(step: str, done: float) -> None:
    """Tell nobody."""


def people(count: int, directory: Path = LOOPS, progress: Progress = silent) -> list[Person]:
    """Return `count` people's media, encoding and keeping those that no file holds yet.

    A file that cannot be read is made anew. Blocks for about three seconds a person that is new.
    """
    directory.mkdir(parents=True, exist_ok=True)
    found: list[Person] = []
    for number in range(count):
        path = directory / f"person-{number + 1:02d}-v{VERSION}.msgpack"
        person = kept(path)
        if person is None:
            person = encode(number, partial(_tell, progress, number, count))
            unfinished = path.with_suffix(f".{os.getpid()}")
            unfinished.write_bytes(msgspec.msgpack.encode(person))
            unfinished.replace(path)
        found.append(person)
    progress(STEP, 1.0)
    return found


def _tell(progress: Progress, number: int, count: int, part: float) -> None:
    progress(STEP, (number + part) / count)


def kept(path: Path) -> Person | None:
    """Return what `path` holds, None if it is absent or broken."""
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Person)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def encode(number: int, progress: Callable[[float], None]) -> Person:
    """Draw and encode one person."""
    coders = [coder(picture.WIDTH // part, picture.HEIGHT // part, bps) for _, part, bps in SIZES]
    frames: list[list[bytes]] = [[] for _ in SIZES]
    still = picture.room(number)
    for index in range(picture.FRAMES):
        planes = picture.draw(still, number, index)
        full = av.VideoFrame(picture.WIDTH, picture.HEIGHT, "yuv420p")
        for plane, pixels in zip(full.planes, (planes.y, planes.u, planes.v), strict=True):
            padded = np.zeros((pixels.shape[0], plane.line_size), dtype=np.uint8)
            padded[:, : pixels.shape[1]] = pixels
            plane.update(padded.tobytes())
        for at, (_, part, _) in enumerate(SIZES):
            scaled = full if part == 1 else full.reformat(picture.WIDTH // part, picture.HEIGHT // part)
            scaled.pts = index
            scaled.time_base = Fraction(1, picture.FPS)
            frames[at] += [bytes(packet) for packet in coders[at].encode(scaled)]
        progress((index + 1) / picture.FRAMES)
    for at, layer in enumerate(frames):
        layer += [bytes(packet) for packet in coders[at].encode(None)]
        assert len(layer) == picture.FRAMES, "a realtime encoder holds no frame back"
    packets, levels = talk(number)
    layers = [
        Layer(rid, picture.WIDTH // part, picture.HEIGHT // part, bps, layer)
        for (rid, part, bps), layer in zip(SIZES, frames, strict=True)
    ]
    return Person(picture.name_of(number), layers, packets, levels)


def coder(width: int, height: int, bps: int) -> av.VideoCodecContext:
    """Return a VP8 encoder set up like a live one: no lag, no hidden frames, a keyframe every `GOP`."""
    context = av.VideoCodecContext.create("libvpx", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, picture.FPS), Fraction(picture.FPS)
    context.bit_rate, context.gop_size, context.thread_count = bps, GOP, 1
    context.options = {
        "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0",
        "keyint_min": str(GOP), "static-thresh": "100", "max-intra-rate": "450", "undershoot-pct": "95",
    }  # fmt: skip
    return context


def talk(number: int) -> tuple[list[bytes], list[int]]:
    """Return the person's voice as Opus packets and their levels."""
    context = av.AudioCodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = voice.RATE, "mono", "s16"
    context.time_base = Fraction(1, voice.RATE)
    context.bit_rate = 24_000
    context.options = {"application": "voip", "frame_duration": "20"}
    samples = voice.speech(number)
    packets: list[bytes] = []
    levels: list[int] = []
    for at in range(0, len(samples), voice.FRAME):
        piece = samples[at : at + voice.FRAME]
        frame = av.AudioFrame.from_ndarray(piece[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts = voice.RATE, at
        packets += [bytes(packet) for packet in context.encode(frame)]
        levels.append(voice.loudness(piece))
    packets += [bytes(packet) for packet in context.encode(None)]
    return packets[: len(levels)], levels
