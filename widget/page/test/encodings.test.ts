/** Which codecs a line offers. */
import { expect, test } from "vitest";
import { carried } from "../src/media/encodings";

const codec = (mimeType: string, sdpFmtpLine?: string): RTCRtpCodec => ({
  mimeType,
  clockRate: 90000,
  ...(sdpFmtpLine === undefined ? {} : { sdpFmtpLine }),
});
const KEPT = [
  codec("video/VP8"),
  codec("video/rtx"),
  codec("video/VP9", "profile-id=0"),
  codec("video/H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
  codec("video/AV1", "level-idx=5;profile=0;tier=0"),
];
const LEFT_OUT = [
  codec("video/VP9", "profile-id=2"),
  codec("video/H264", "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"),
  codec("video/H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"),
  codec("video/AV1", "level-idx=5;profile=1;tier=0"),
  codec("video/red"),
  codec("video/ulpfec"),
];

test("one profile of each codec that a focus carries is offered, in the browser's order", () => {
  expect(carried([...LEFT_OUT, ...KEPT])).toEqual(KEPT);
});

test("a browser without the codec that everybody has keeps its own choice", () => {
  expect(carried(KEPT.slice(1))).toEqual([]);
  expect(carried([])).toEqual([]);
});
