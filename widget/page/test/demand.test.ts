/** What we send of our own pictures when the focus says how much is needed. */
import { expect, test } from "vitest";
import { activity, nameOf, readDemand } from "../src/core/demand";

const LAYERS = [{ rid: "f" }, { rid: "h" }, { rid: "q" }];

function active(encodings: { rid?: string }[], ...tracks: unknown[]): boolean[] {
  return activity(encodings, readDemand({ tracks }).get(nameOf("s", "t")));
}

test.each([
  [{ active: true, rids: ["q", "h"] }, [false, true, true]],
  [{ active: true, rids: ["q"] }, [false, false, true]],
  [{ active: false, rids: [] }, [false, false, false]],
  [{ active: false, rids: ["f"] }, [false, false, false]],
  [{ active: true, rids: [] }, [true, true, true]],
  [{ active: true }, [true, true, true]],
])("of a camera in layers those that are needed are sent: %j", (words, expected) => {
  expect(active(LAYERS, { stream_id: "s", track_id: "t", ...words })).toEqual(expected);
});

test.each([
  [{ active: true, rids: [] }, true],
  [{ active: true, rids: ["q"] }, true],
  [{ active: false, rids: [] }, false],
])("a picture without layers is sent or not: %j", (words, expected) => {
  expect(active([{}], { stream_id: "s", track_id: "t", ...words })).toEqual([expected]);
});

test("what the focus does not name, or says in a way that cannot be read, is sent in full", () => {
  expect(active(LAYERS)).toEqual([true, true, true]);
  expect(active(LAYERS, null, 3, { stream_id: "s" }, { stream_id: "s", track_id: "t", active: "no" })).toEqual([true, true, true]);
  expect(activity(LAYERS, readDemand({ tracks: "none" }).get(nameOf("s", "t")))).toEqual([true, true, true]);
});
