/** Stream metadata: read strictly, replaced whole, with what stays in its place. */
import { describe, expect, test } from "vitest";
import type { Json } from "../src/core/json";
import { readMetadata, replaceStreams, trackOf, writeMetadata } from "../src/core/metadata";
import { ODD } from "./chance";

const SELF = { userId: "@me:x", deviceId: "ME" };

const ENTRY: Json = {
  user_id: "@ann:x",
  device_id: "ANN",
  purpose: "m.screenshare",
  audio_muted: true,
  video_muted: false,
  tracks: { v: { kind: "video", width: 1280, height: 720 }, a: { kind: "audio" } },
};

describe("reading", () => {
  test("takes owner, purpose, mutes and tracks", () => {
    expect(readMetadata({ s: ENTRY }, SELF)).toEqual([
      {
        id: "s",
        owner: { userId: "@ann:x", deviceId: "ANN" },
        purpose: "m.screenshare",
        audioMuted: true,
        videoMuted: false,
        tracks: [
          { id: "v", kind: "video", width: 1280, height: 720 },
          { id: "a", kind: "audio", width: 0, height: 0 },
        ],
      },
    ]);
  });

  test("takes a stream without purpose for a camera, and without mutes for open", () => {
    const { purpose: _, audio_muted: __, ...bare } = ENTRY;
    expect(readMetadata({ s: bare }, SELF)).toMatchObject([{ purpose: "m.usermedia", audioMuted: false, videoMuted: false }]);
  });

  test.each([
    ["our own", { user_id: "@me:x", device_id: "ME" }],
    ["without a user", { user_id: undefined }],
    ["without a device", { device_id: "" }],
    ["of unknown purpose", { purpose: "m.hologram" }],
    ["of a purpose that is no text", { purpose: 7 }],
  ])("leaves out a stream %s", (_, change) => {
    expect(readMetadata({ s: { ...ENTRY, ...change } }, SELF)).toEqual([]);
  });

  test("does not take another device of ours for ourselves", () => {
    expect(readMetadata({ s: { ...ENTRY, user_id: "@me:x", device_id: "PHONE" } }, SELF)).toHaveLength(1);
  });

  test("bears any nonsense in any place", () => {
    for (const odd of ODD) {
      expect(readMetadata(odd, SELF)).toEqual([]);
      expect(readMetadata({ s: odd }, SELF)).toEqual([]);
      expect(readMetadata({ s: { ...ENTRY, tracks: odd } }, SELF)[0]?.tracks).toEqual([]);
      expect(readMetadata({ s: { ...ENTRY, tracks: { t: odd } } }, SELF)[0]?.tracks).toEqual([]);
      expect(readMetadata({ s: { ...ENTRY, tracks: { t: { kind: odd } } } }, SELF)[0]?.tracks).toEqual([]);
    }
  });

  test("stops at a thousand streams and at 32 tracks of one", () => {
    const many = (count: number, value: unknown) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, value]));
    expect(readMetadata(many(1000, ENTRY), SELF)).toHaveLength(1000);
    expect(readMetadata(many(1001, ENTRY), SELF)).toHaveLength(1000);
    const tracks = (count: number) => readMetadata({ s: { ...ENTRY, tracks: many(count, { kind: "audio" }) } }, SELF)[0]?.tracks;
    expect(tracks(32)).toHaveLength(32);
    expect(tracks(33)).toHaveLength(32);
  });
});

describe("the newest set", () => {
  const read = (value: Json) => readMetadata(value, SELF);
  const before = read({ a: ENTRY, b: ENTRY, c: ENTRY });

  test("that says the same changes nothing", () => {
    expect(replaceStreams(before, read({ c: ENTRY, a: ENTRY, b: ENTRY }))).toBe(before);
  });

  test("keeps streams in their order and identity, and puts new ones last", () => {
    const muted = { ...ENTRY, audio_muted: false };
    const after = replaceStreams(before, read({ n: ENTRY, c: muted, a: ENTRY }));
    expect(after.map((stream) => stream.id)).toEqual(["a", "c", "n"]);
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[2]);
    expect(after[1]?.audioMuted).toBe(false);
  });

  test("that is empty empties", () => {
    expect(replaceStreams(before, [])).toEqual([]);
  });
});

test("what we write of ourselves is read by others as it was meant", () => {
  const own = {
    id: "s",
    purpose: "m.usermedia" as const,
    audioMuted: false,
    videoMuted: true,
    tracks: [
      { id: "v", kind: "video" as const, width: 1280, height: 720 },
      { id: "a", kind: "audio" as const, width: 0, height: 0 },
    ],
  };
  const written: unknown = JSON.parse(JSON.stringify(writeMetadata([own], SELF)));
  const [stream] = readMetadata(written, { userId: "@ann:x", deviceId: "ANN" });
  expect(stream).toEqual({ ...own, owner: SELF });
  expect(stream && trackOf(stream, "video")?.id).toBe("v");
  expect(stream && trackOf({ ...stream, tracks: [] }, "video")).toBeUndefined();
});
