/** Which pictures are said to be paused, since our link does not carry them. */
import { expect, test } from "vitest";
import { NOTHING_PAUSED, readPaused } from "../src/core/paused";

test("what the focus names is paused, and nothing else", () => {
  const first = readPaused({ number: 1, mids: ["w1", "w3"] }, NOTHING_PAUSED);
  expect(first.mids).toEqual(new Set(["w1", "w3"]));
  expect(readPaused({ number: 2, mids: [] }, first).mids).toEqual(new Set());
});

test.each([[3], [2], [undefined], ["4"], [NaN]])("what is older than what is known changes nothing: %j", (number) => {
  const known = readPaused({ number: 3, mids: ["w1"] }, NOTHING_PAUSED);
  expect(readPaused({ number, mids: [] }, known)).toBe(known);
});

test.each([[undefined], ["w1"], [[null, 7, [], {}]]])("what cannot be read pauses nothing: %j", (mids) => {
  expect(readPaused({ number: 1, mids }, NOTHING_PAUSED).mids).toEqual(new Set());
});
