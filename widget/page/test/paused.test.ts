/** Which pictures are said to be paused, since our link does not carry them. */
import { expect, test } from "vitest";
import { nameOf } from "../src/core/demand";
import { NOTHING_PAUSED, readPaused } from "../src/core/paused";

const ONE = { stream_id: "s", track_id: "t" };

test("what the focus names is paused, and nothing else", () => {
  const first = readPaused({ number: 1, tracks: [ONE, { stream_id: "s2", track_id: "t2" }] }, NOTHING_PAUSED);
  expect(first.tracks).toEqual(new Set([nameOf("s", "t"), nameOf("s2", "t2")]));
  expect(readPaused({ number: 2, tracks: [] }, first).tracks).toEqual(new Set());
});

test.each([[3], [2], [undefined], ["4"], [NaN]])("what is older than what is known changes nothing: %j", (number) => {
  const known = readPaused({ number: 3, tracks: [ONE] }, NOTHING_PAUSED);
  expect(readPaused({ number, tracks: [] }, known)).toBe(known);
});

test.each([
  [undefined],
  ["all"],
  [[null, 7, "s", []]],
  [[{ stream_id: "s" }, { track_id: "t" }, { stream_id: "", track_id: "t" }, { stream_id: 1, track_id: 2 }]],
])("what cannot be read pauses nothing: %j", (tracks) => {
  expect(readPaused({ number: 1, tracks }, NOTHING_PAUSED).tracks).toEqual(new Set());
});
