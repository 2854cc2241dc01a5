"""Offers as text: a real browser's, and ones put together from parts."""

from __future__ import annotations

from pathlib import Path

CHROMIUM = (Path(__file__).parent.parent / "vectors" / "chromium-offer.sdp").read_bytes().decode()
"A Chromium's offer of a microphone and a camera with three simulcast layers, unedited."

FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)
MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"


def microphone(mid: str = "0", direction: str = "sendrecv", *more: str) -> list[str]:
    """An audio section, first line first."""
    return [
        "m=audio 9 UDP/TLS/RTP/SAVPF 111", f"a=mid:{mid}", f"a={direction}", "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2", f"a=extmap:4 {MID_URI}", *more,
    ]  # fmt: skip


def picture(mid: str = "1", direction: str = "sendrecv", *more: str) -> list[str]:
    """A video section."""
    return [
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97", f"a=mid:{mid}", f"a={direction}", "a=rtcp-mux",
        "a=rtpmap:96 VP8/90000", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96", f"a=extmap:4 {MID_URI}", *more,
    ]  # fmt: skip


def channel(mid: str = "2", *more: str) -> list[str]:
    """A data channel's section."""
    return [
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", f"a=mid:{mid}", "a=sctp-port:5000",
        "a=max-message-size:262144", *more,
    ]  # fmt: skip


def offer(
    *sections: list[str], ufrag: str = "abcd", fingerprint: str = FINGERPRINT, setup: str = "actpass", head: str = ""
) -> str:
    """A whole description, everything in one bundle. `head`: one more session line."""
    mids = [line[6:] for section in sections for line in section if line.startswith("a=mid:")]
    lines = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}"]
    lines += [f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{'p' * 24}", f"a=fingerprint:{fingerprint}", f"a=setup:{setup}"]
    lines += [head] if head else []
    return "\r\n".join([*lines, *(line for section in sections for line in section)]) + "\r\n"
