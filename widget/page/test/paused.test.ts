/** Which pictures are said to be paused, since our link does not carry them. */
import { expect, test } from "vitest";
import { nameOf } from "../src/core/demand";
import { readPaused } from "../src/core/paused";

test("what the focus names is paused, and nothing else", () => {
  const tracks = [{ stream_id: "s", track_id: "t" }, { stream_id: "s2", track_id: "t2" }];
  expect(readPaused({ tracks })).toEqual(new Set([nameOf("s", "t"), nameOf("s2", "t2")]));
  expect(readPaused({ tracks: [] })).toEqual(new Set());
});

test.each([
  [undefined],
  ["all"],
  [[null, 7, "s", []]],
  [[{ stream_id: "s" }, { track_id: "t" }, { stream_id: "", track_id: "t" }, { stream_id: 1, track_id: 2 }]],
])("what cannot be read pauses nothing: %j", (tracks) => {
  expect(readPaused({ tracks })).toEqual(new Set());
});
