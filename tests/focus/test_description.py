"""What is read out of a peer's description, and what is refused in it by name."""

from __future__ import annotations

import pytest
from offers import CHROMIUM, FINGERPRINT, MID_URI, TRANSPORT_CC_URI, channel, microphone, offer, picture
from roster import F, H, Q

from focus.commands import Codec, Credentials
from focus.description import Line, Remote, read
from focus.faults import PeerFault
from focus.sdp import parse

SIMULCAST = ["a=rid:f send", "a=rid:h send", "a=rid:q send", "a=simulcast:send f;h;q"]


def said(text: str) -> Remote:
    return read(parse(text), 240, ("opus", "vp8"))


def line(section: list[str]) -> Line:
    """One section, read beside a data channel."""
    return said(offer(section, channel("dc"))).lines[0]


def test_a_real_offer_is_understood() -> None:
    remote = said(CHROMIUM)
    audio, video = remote.lines
    assert remote.credentials == Credentials("5J9W", "Kh7zuRAkwkw1LqtiBk5RvAuq")
    assert [name for name, _ in remote.fingerprints] == ["sha-256"]
    assert remote.mixed and remote.setup == "actpass"
    assert (audio.mid, video.mid) == ("0", "1")
    assert audio.codecs == (Codec("opus", 48000, 111, None),) and audio.fmtp == ("111 minptime=10;useinbandfec=1",)
    assert video.codecs == (Codec("vp8", 90000, 96, 97),) and video.fmtp == ()
    assert video.rids == (Q, H, F) and video.ssrcs == ()
    assert audio.ssrcs == (3155845116,)
    stream = "729cd758-1fe6-4b51-9708-af3618d19bcb"
    assert audio.msid == (stream, "363ad8b2-95d0-4adb-b61e-c64149a2d113")
    assert video.msid == (stream, "ea698f35-80c1-4294-b400-37e992d9f13d")
    assert audio.sends and video.sends and not audio.receives and not video.receives
    assert (audio.extensions.audio_level, audio.extensions.mid, audio.extensions.rid) == (1, 4, 0)
    assert (video.extensions.rid, video.extensions.repaired_rid, video.extensions.dependency_descriptor) == (10, 11, 12)
    assert audio.feedback == ("transport-cc",)
    assert video.feedback == ("transport-cc", "goog-remb", "ccm fir", "nack", "nack pli")
    assert audio.reduced and video.reduced


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (offer(microphone()).replace("a=mid:0\r\n", ""), "sdp_mid"),
        (offer(microphone("seventeen-letters")), "sdp_mid"),
        (offer(microphone("0 1")), "sdp_mid"),
        (offer(microphone(), picture("0")), "sdp_mid_twice"),
        (offer(microphone()).replace("a=rtcp-mux\r\n", ""), "sdp_no_rtcp_mux"),
        (offer(microphone()).replace("BUNDLE 0", "BUNDLE 1"), "sdp_not_bundled"),
        (offer(microphone()).replace("a=group:BUNDLE 0\r\n", ""), "sdp_not_bundled"),
        (offer(microphone(), picture()).replace("BUNDLE 0 1", "BUNDLE 0\r\na=group:BUNDLE 1"), "sdp_not_bundled"),
        (offer(microphone()).replace("opus", "pcmu"), "sdp_nothing_to_carry"),
        (offer(microphone()).replace("m=audio 9", "m=audio 0"), "sdp_nothing_to_carry"),
        (offer(microphone()).replace("a=fingerprint", "a=print"), "sdp_no_fingerprint"),
        (offer(microphone(), fingerprint="sha-1 " + ":".join(["AB"] * 20)), "sdp_no_fingerprint"),
        (offer(microphone(), fingerprint="sha-256 " + ":".join(["AB"] * 31)), "sdp_no_fingerprint"),
        (offer(microphone(), fingerprint=FINGERPRINT.replace("AB", "XY")), "sdp_no_fingerprint"),
        (offer(microphone(), ufrag="abc"), "sdp_ice_credentials"),
        (offer(microphone(), ufrag="x" * 257), "sdp_ice_credentials"),
        (offer(microphone(), ufrag="ab:d"), "sdp_ice_credentials"),
        (offer(microphone()).replace("p" * 24, "p" * 21), "sdp_ice_credentials"),
        (offer(microphone()).replace("RTP/SAVPF 111", "RTP/SAVPF 128"), "sdp_number"),
        (offer(microphone("0", "sendrecv", "a=rtpmap:200 opus/48000/2")), "sdp_number"),
        (offer(microphone("0", "sendrecv", "a=fmtp:x y")), "sdp_number"),
        (offer(picture("1", "sendrecv", "a=ssrc-group:FID 0 1")), "sdp_number"),
        (offer(picture("1", "sendrecv", "a=ssrc:4294967296 cname:x")), "sdp_number"),
        (offer(picture("1", "sendrecv", f"a=extmap:0 {TRANSPORT_CC_URI}")), "sdp_number"),
        (offer(picture("1", "sendrecv", f"a=extmap:4 {TRANSPORT_CC_URI}")), "sdp_extension_id_twice"),
        (offer(picture("1", "sendrecv", "a=msid:one two three")), "sdp_msid"),
        (offer(picture("1", "sendrecv", "a=msid: track")), "sdp_msid"),
        (offer(picture("1", "sendrecv", "a=msid:s " + "t" * 256)), "sdp_msid"),
        (offer(picture("1", "sendrecv", "a=msid:s é")), "sdp_msid"),
        (offer(picture("1", "sendrecv", "a=rid:f send", "a=simulcast:send f;h")), "sdp_rid"),
        (offer(picture("1", "sendrecv", "a=rid:f send", "a=simulcast:send f;f")), "sdp_rid"),
        (
            offer(picture("1", "sendrecv", *[f"a=rid:{n} send" for n in range(5)], "a=simulcast:send 0;1;2;3;4")),
            "sdp_rid",
        ),
        (offer(microphone(), channel("2")).replace("sctp-port:5000", "sctp-port:0"), "sdp_number"),
        (offer(microphone(), channel("2")).replace("size:262144", "size:-1"), "sdp_number"),
    ],
)
def test_what_cannot_be_carried_safely_is_refused_by_name(text: str, name: str) -> None:
    with pytest.raises(PeerFault) as caught:
        said(text)
    assert caught.value.what == name


@pytest.mark.parametrize(
    "section",
    [
        picture()[:5] + ["a=rtpmap:96 H264/90000", f"a=extmap:4 {MID_URI}"],
        ["m=text 9 UDP/TLS/RTP/SAVPF 98", "a=mid:1"],
        ["m=application 9 DTLS/SCTP 5000", "a=mid:1"],
        ["m=video 0 UDP/TLS/RTP/SAVPF 96", "a=mid:1", "a=inactive"],
    ],
    ids=["another codec", "another medium", "another channel protocol", "stopped"],
)
def test_a_line_that_we_do_not_carry_is_declined_and_the_rest_goes_on(section: list[str]) -> None:
    remote = said(offer(microphone(), section))
    assert [line.refused for line in remote.lines] == [False, True]
    assert not remote.lines[1].sends and not remote.lines[1].receives


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (picture("1", "sendonly", *SIMULCAST), (F, H, Q)),
        (picture("1", "sendonly", *SIMULCAST[:3], "a=simulcast:send q;f;h"), (Q, F, H)),
        (picture("1", "sendonly", *SIMULCAST[:3], "a=simulcast:send f;~h;q recv x"), (F, H, Q)),
        (picture("1", "sendonly", *SIMULCAST[:3], "a=simulcast:recv x send f,x;h"), (F, H)),
        (picture("1", "sendonly", "a=rid:f send", "a=simulcast:send f"), ()),
        (picture("1", "sendonly", "a=rid:f send"), ()),
        (picture("1", "recvonly", "a=rid:f recv", "a=rid:h recv", "a=simulcast:recv f;h"), ()),
    ],
)
def test_simulcast_layers_keep_their_order(section: list[str], expected: tuple[str, ...]) -> None:
    assert line(section).rids == expected


def test_one_layer_is_no_simulcast_and_signalled_ssrcs_stand_as_media_then_repair() -> None:
    assert line(picture("1", "sendonly", "a=ssrc:8 cname:x", "a=ssrc-group:FID 7 8")).ssrcs == (7, 8)
    assert line(picture("1", "sendonly", "a=ssrc:9 cname:x")).ssrcs == (9,)


@pytest.mark.parametrize(
    ("msid", "expected"),
    [
        ("a=msid:stream track", ("stream", "track")),
        ("a=msid:stream", ("stream", "")),
        ("a=msid:- track", ("", "track")),
        ("a=x-other", None),
    ],
)
def test_streams_and_tracks_may_be_unnamed(msid: str, expected: tuple[str, str] | None) -> None:
    assert line(picture("1", "sendonly", msid)).msid == expected


def test_feedback_is_what_both_sides_understand_for_the_payload_type_in_use() -> None:
    found = line(
        picture("1", "sendonly", "a=rtcp-fb:* nack", "a=rtcp-fb:96 nack pli", "a=rtcp-fb:98 ccm fir", "a=rtcp-fb:96 x")
    )
    assert found.feedback == ("nack", "nack pli")
    assert not found.reduced and line(picture("1", "sendonly", "a=rtcp-rsize")).reduced


@pytest.mark.parametrize("direction", ["sendrecv", "sendonly", "recvonly", "inactive"])
def test_a_direction_may_stand_in_the_section_or_above_all(direction: str) -> None:
    section = [text for text in microphone() if text != "a=sendrecv"]
    assert line([*section, f"a={direction}"]).direction == direction
    above = said(offer(section, head=f"a={direction}")).lines[0]
    assert above.direction == direction
    assert (above.sends, above.receives) == (direction.startswith("send"), direction in ("sendrecv", "recvonly"))


def test_a_bundled_line_with_port_zero_is_alive() -> None:
    section = picture("1", "sendrecv", "a=bundle-only")
    found = said(offer(microphone(), [section[0].replace(" 9 ", " 0 "), *section[1:]])).lines[1]
    assert not found.refused and found.sends


@pytest.mark.parametrize(
    ("attributes", "port", "largest"),
    [
        (["a=sctp-port:5001", "a=max-message-size:1000"], 5001, 1000),
        (["a=sctp-port:5000"], 5000, 65536),
        (["a=max-message-size:0"], 5000, 262144),
        (["a=max-message-size:99999999"], 5000, 262144),
    ],
)
def test_a_data_channel_says_where_and_how_large(attributes: list[str], port: int, largest: int) -> None:
    found = said(offer(["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:0", *attributes])).lines[0]
    assert (found.sctp_port, found.max_message) == (port, largest)


def test_the_peers_candidates_are_not_even_read() -> None:
    without = "".join(text for text in CHROMIUM.splitlines(keepends=True) if not text.startswith("a=candidate"))
    assert said(without) == said(CHROMIUM)


def test_several_fingerprints_are_kept_and_weak_ones_left_out() -> None:
    weak, long = "sha-1 " + ":".join(["AB"] * 20), "SHA-512 " + ":".join(["cd"] * 64)
    remote = said(offer(microphone(), fingerprint=f"{weak}\r\na=fingerprint:{FINGERPRINT}\r\na=fingerprint:{long}"))
    assert remote.fingerprints == (
        ("sha-256", ":".join(["AB"] * 32)),
        ("sha-512", ":".join(["CD"] * 64)),
    )


def test_who_opens_dtls_is_kept_in_the_peers_words() -> None:
    assert said(offer(microphone(), setup="active")).setup == "active"
    assert said(offer(microphone()).replace("a=setup:actpass\r\n", "")).setup == "actpass"
