"""Which payload formats can be carried, and which of a peer's payload types is one of them (RFC 8866 §6.6, §6.15).

One variant of each format, the one that whoever has the format has: so what one peer sends in it,
every other peer with it decodes, and nothing is ever converted. It knows names and parameters; it
does not know m-lines (`description.py`), nor what an engine can carry (`Engine.codecs`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from focus.vocabulary import Kind


@dataclass(frozen=True, slots=True)
class Format:
    """One payload format."""

    name: str
    "Lower case, as in `a=rtpmap`."
    kind: Kind
    clock: int
    "RTP clock rate in Hz."
    encoding: str
    "As it is written in `a=rtpmap`."
    pt: int
    "The payload type that we propose to a peer which has none for it; the next one is for its retransmissions."
    parameters: str
    "The `a=fmtp` that we then propose, empty for none."


FORMATS = {
    each.name: each
    for each in (
        Format("opus", Kind.AUDIO, 48000, "opus/48000/2", 111, "minptime=10;useinbandfec=1"),
        Format("vp8", Kind.VIDEO, 90000, "VP8/90000", 96, ""),
        Format("vp9", Kind.VIDEO, 90000, "VP9/90000", 98, "profile-id=0"),
        Format(
            "h264", Kind.VIDEO, 90000, "H264/90000", 100,
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        ),
        Format("av1", Kind.VIDEO, 90000, "AV1/90000", 102, "level-idx=5;profile=0;tier=0"),
    )
}  # fmt: skip
"Every format that some engine can carry."

PREFERRED = ("vp8", "vp9", "h264", "av1")
"The pictures' formats in the order in which answers name them if the operator does not say otherwise."

CONSTRAINED_BASELINE = ((0x42, 0x4F, 0x40), (0x4D, 0x8F, 0x80), (0x58, 0xCF, 0xC0))
"profile_idc; the mask and the value of the constraint bits that make it constrained baseline (RFC 6184 §8.1, table 5)."


def carried(names: Iterable[str], order: Iterable[str]) -> tuple[str, ...]:
    """What is negotiated: of what an engine has, sound first, then pictures in the wanted order."""
    have = tuple(names)
    sound = tuple(name for name in have if FORMATS[name].kind is Kind.AUDIO)
    return sound + tuple(name for name in order if name in have)


def named(encoding: str) -> Format | None:
    """The format of an `a=rtpmap` without its payload type. Opus is always written with two channels (RFC 7587 §7)."""
    name, _, rest = encoding.lower().partition("/")
    found = FORMATS.get(name)
    return found if found is not None and rest.partition("/")[0] == str(found.clock) else None


def fits(found: Format, text: str) -> bool:
    """Whether a payload type with these `a=fmtp` parameters is the variant that we carry.

    Parameters that only limit a receiver (levels, sizes, tiers) do not tell variants apart.
    """
    pairs = (item.strip().lower().partition("=") for item in text.split(";"))
    said = {key: value for key, _, value in pairs}
    match found.name:
        case "vp9":
            # RFC 9628 §6: 8 bits and 4:2:0 is profile 0.
            return said.get("profile-id", "0") == "0"
        case "av1":
            # AV1 RTP payload format §7.2.1: the main profile.
            return said.get("profile", "0") == "0"
        case "h264":
            # Both are symmetric: taken as they are or not at all (RFC 6184 §8.2.2).
            return said.get("packetization-mode") == "1" and _constrained(said.get("profile-level-id", ""))
        case _:
            return True


def _constrained(text: str) -> bool:
    """Whether a profile-level-id is of the constrained baseline profile, which RFC 7742 §6.2 asks of everyone."""
    try:
        profile, constraints, _ = bytes.fromhex(text) if len(text) == 6 else b""
    except ValueError:
        return False
    return any(profile == wanted and constraints & mask == value for wanted, mask, value in CONSTRAINED_BASELINE)
