/** What we send of our own pictures when the focus says how much is needed. */
import { expect, test } from "vitest";
import { CAMERA } from "../src/media/encodings";
import { runs, whole } from "./chance";
import { activity, ceilings, LEAST_RATE, nameOf, readDemand } from "../src/core/demand";

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

function most(rates: unknown, encodings: { rid?: string; maxBitrate?: number }[] = CAMERA): (number | undefined)[] {
  const words = { stream_id: "s", track_id: "t", active: true, rids: ["q", "h", "f"], rates };
  return ceilings(encodings, CAMERA, readDemand({ tracks: [words] }).get(nameOf("s", "t")));
}

const OURS = [1_700_000, 500_000, 150_000];

test.each([
  [undefined, OURS],
  [{}, OURS],
  [{ q: 60_000 }, [1_700_000, 500_000, 60_000]],
  [{ f: 900_000.4, h: 200_000 }, [900_000, 200_000, 150_000]],
  // A focus may not raise what we give a layer, nor put it out.
  [{ q: 9_000_000, f: 1e300 }, OURS],
  [{ q: 1, h: 29_999 }, [1_700_000, LEAST_RATE, LEAST_RATE]],
  [{ q: 0, h: -5, f: null }, OURS],
  [{ q: "60000", h: [1], f: true }, OURS],
  [[60_000], OURS],
  ["fast", OURS],
  [{ x: 60_000, __proto__: 1 }, OURS],
])("a told rate lowers that of its layer, within our own bounds: %j", (rates, expected) => {
  expect(most(rates)).toEqual(expected);
});

test("without word of a picture each layer has its own rate again", () => {
  const lowered = [{ rid: "f", maxBitrate: 40_000 }, { rid: "h", maxBitrate: 40_000 }, { rid: "q", maxBitrate: 40_000 }];
  expect(ceilings(lowered, CAMERA, undefined)).toEqual(OURS);
  expect(most({ h: 100_000 }, lowered)).toEqual([1_700_000, 100_000, 150_000]);
});

test("a picture without layers keeps the rate that it has", () => {
  expect(most({ "": 60_000, q: 60_000 }, [{ maxBitrate: 800_000 }])).toEqual([800_000]);
  expect(most({ q: 60_000 }, [{}])).toEqual([undefined]);
});

test("whatever is told, a layer stays between the least rate and its own", () => {
  for (const next of runs(200)) {
    const told = { f: whole(next, -10, 4_000_000), h: whole(next, -10, 4_000_000), q: whole(next, -10, 400_000) };
    most(told).forEach((bps, place) => {
      expect(bps).toBeGreaterThanOrEqual(LEAST_RATE);
      expect(bps).toBeLessThanOrEqual(OURS[place] ?? 0);
    });
  }
});
