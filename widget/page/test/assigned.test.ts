/** What lines carry that were ready before anybody knew for what. */
import { expect, test } from "vitest";
import { NOTHING_ASSIGNED, readAssigned } from "../src/core/assigned";

test("each message adds to what was told before", () => {
  const first = readAssigned({ tracks: { spare1: { stream_id: "s", track_id: "a" } } }, NOTHING_ASSIGNED);
  const second = readAssigned({ tracks: { spare2: { stream_id: "s", track_id: "v" } } }, first);
  expect([...second]).toEqual([
    ["spare1", { streamId: "s", trackId: "a" }],
    ["spare2", { streamId: "s", trackId: "v" }],
  ]);
  expect([...first.keys()]).toEqual(["spare1"]);
});

test.each([[undefined], [[]], ["spare"], [{ spare: null }], [{ spare: { stream_id: "s" } }], [{ spare: { stream_id: 1, track_id: "a" } }]])(
  "what cannot be read says nothing: %j",
  (tracks) => {
    expect(readAssigned({ tracks }, NOTHING_ASSIGNED).size).toBe(0);
  },
);
