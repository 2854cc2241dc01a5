/** What is read from session descriptions, and the one thing that is written into them. */
import { describe, expect, test } from "vitest";
import { sections, withDtx } from "../src/core/sdp";

const LINES = [
  "v=0",
  "o=- 1 2 IN IP4 127.0.0.1",
  "s=-",
  "t=0 0",
  "a=msid-semantic: WMS",
  "m=audio 9 UDP/TLS/RTP/SAVPF 111 63",
  "a=mid:0",
  "a=sendrecv",
  "a=msid:stream audio-track",
  "a=rtpmap:111 opus/48000/2",
  "a=fmtp:111 minptime=10;useinbandfec=1",
  "a=rtpmap:63 red/48000/2",
  "a=fmtp:63 111/111",
  "m=video 9 UDP/TLS/RTP/SAVPF 96",
  "a=mid:1",
  "a=recvonly",
  "a=rtpmap:96 VP8/90000",
  "m=video 0 UDP/TLS/RTP/SAVPF 96",
  "a=mid:2",
  "a=msid:gone video-track",
  "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
  "a=mid:3",
];
const SDP = `${LINES.join("\r\n")}\r\n`;

describe("the sections of a description", () => {
  test("are read with their names, kinds, directions and tracks", () => {
    expect(sections(SDP)).toEqual([
      { mid: "0", kind: "audio", sends: true, streamId: "stream", trackId: "audio-track" },
      { mid: "1", kind: "video", sends: false, streamId: "", trackId: "" },
      { mid: "2", kind: "video", sends: false, streamId: "gone", trackId: "video-track" },
      { mid: "3", kind: "application", sends: true, streamId: "", trackId: "" },
    ]);
  });

  test("are the same with bare line ends", () => {
    expect(sections(LINES.join("\n"))).toEqual(sections(SDP));
  });

  test("are never more than are there, wherever the description is cut", () => {
    for (let end = 0; end <= SDP.length; end++) {
      expect(sections(SDP.slice(0, end)).length).toBeLessThanOrEqual(4);
    }
    expect(sections("")).toEqual([]);
    expect(sections("nonsense")).toEqual([]);
    expect(sections("m=")).toEqual([]);
  });

  test("have no mid where the line is corrupted", () => {
    expect(sections(SDP.replace("a=mid:1", "a=mix:1"))[1]).toMatchObject({ mid: "", kind: "video" });
  });
});

describe("asking for silence to send nothing", () => {
  test("adds it to Opus and to nothing else", () => {
    const munged = withDtx(SDP);
    expect(munged).toBe(SDP.replace("useinbandfec=1", "useinbandfec=1;usedtx=1"));
    expect(munged).toContain("a=fmtp:63 111/111\r\n");
  });

  test("does so once, however often it is asked", () => {
    expect(withDtx(withDtx(SDP))).toBe(withDtx(SDP));
  });

  test("leaves a refusal of it alone", () => {
    const refusing = SDP.replace("useinbandfec=1", "usedtx=0");
    expect(withDtx(refusing)).toBe(refusing);
  });

  test.each([
    ["a description without Opus", SDP.replace("opus", "PCMU")],
    ["one whose Opus has no parameters", SDP.replace("a=fmtp:111 minptime=10;useinbandfec=1\r\n", "")],
    ["nothing", ""],
  ])("leaves %s as it was", (_, sdp) => {
    expect(withDtx(sdp)).toBe(sdp);
  });

  test("does so for every Opus format, with bare line ends too", () => {
    const two = "m=audio 9 X 1 2\na=rtpmap:1 opus/48000/2\na=fmtp:1 a=1\na=rtpmap:2 OPUS/48000/2\na=fmtp:2 b=2\n";
    expect(withDtx(two)).toContain("a=fmtp:1 a=1;usedtx=1\n");
    expect(withDtx(two)).toContain("a=fmtp:2 b=2;usedtx=1\n");
  });
});
