/** How smooth our camera is for others. */
import { expect, test } from "vitest";
import { framesPerSecond } from "../src/core/pace";

test.each([
  [1, 30],
  [7, 30],
  [8, 15],
  [40, 15],
])("in a call of %i people it shows %i frames a second", (people, frames) => {
  expect(framesPerSecond(people)).toBe(frames);
});
