/** Who is heard and who has the floor, in virtual time: a reading every 100 ms. */
import { describe, expect, test } from "vitest";
import { hear, readSpeakers, SILENCE, speaking, type Speech } from "../src/core/speaker";
import { runs, whole } from "./chance";

const QUIET = 0.0099;
const LOUD = 0.01;

/** Levels over time: for each stretch its length in ms, and who speaks. */
function after(stretches: readonly (readonly [number, ...string[]])[], people = ["ann", "bob"], from: Speech = SILENCE): Speech {
  let [speech, now] = [from, 0];
  for (const [length, ...voices] of stretches) {
    for (const end = now + length; now < end; now += 100) {
      const levels = new Map(people.map((id) => [id, voices.includes(id) ? LOUD : QUIET]));
      speech = hear(speech, levels, now);
    }
  }
  return speech;
}

describe("who is heard", () => {
  test.each([
    ["a voice just loud enough", [[100, "ann"]], ["ann"]],
    ["nobody just below it", [[100]], []],
    ["two at once", [[100, "ann", "bob"]], ["ann", "bob"]],
    ["a voice through a pause between words", [[100, "ann"], [800]], ["ann"]],
    ["nobody after a longer one", [[100, "ann"], [1000]], []],
  ] as const)("is %s", (_, stretches, heard) => {
    expect([...speaking(after(stretches))]).toEqual(heard);
  });

  test("is not who has gone", () => {
    const speech = hear(after([[1000, "ann"]]), new Map([["bob", QUIET]]), 1100);
    expect([...speaking(speech)]).toEqual([]);
    expect(speech.floor).toBeUndefined();
  });
});

describe("the floor", () => {
  test.each([
    ["is nobody's in silence", [[3000]], undefined],
    ["is not taken by a cough", [[700, "ann"]], undefined],
    ["is taken by a voice that lasts", [[800, "ann"]], "ann"],
    ["stays with the last speaker in silence", [[800, "ann"], [20_000]], "ann"],
    ["stays with who speaks on, whoever joins in", [[800, "ann"], [9000, "ann", "bob"]], "ann"],
    ["is held against a quick answer", [[800, "ann"], [2000, "bob"]], "ann"],
    ["goes to a longer one", [[800, "ann"], [2700, "bob"]], "bob"],
  ] as const)("%s", (_, stretches, floor) => {
    expect(after(stretches).floor).toBe(floor);
  });

  test.each([
    ["goes to whom the focus names, heard or not", ["bob", "ann"], 500, "bob"],
    ["goes to the next where the first is ourselves or unknown", ["own", "dan", "bob"], 500, "bob"],
    ["is decided here where the focus names nobody that is there", ["dan"], 800, "ann"],
  ] as const)("%s", (_, told, length, floor) => {
    let speech = SILENCE;
    for (let now = 0; now < length; now += 100) speech = hear(speech, new Map([["ann", LOUD], ["bob", 0]]), now, told);
    expect(speech.floor).toBe(floor);
  });

  test("is held for a moment against the focus too", () => {
    const levels = new Map([["ann", 0], ["bob", 0]]);
    const ann = hear(SILENCE, levels, 0, ["ann"]);
    expect(hear(ann, levels, 2_499, ["bob", "ann"]).floor).toBe("ann");
    expect(hear(ann, levels, 2_500, ["bob", "ann"]).floor).toBe("bob");
  });

  test("is read from what the focus says, whatever that is", () => {
    expect(readSpeakers({ streams: ["a", 7, null, "b"] })).toEqual(["a", "b"]);
    expect(readSpeakers({ streams: "a" })).toEqual([]);
    expect(readSpeakers({})).toEqual([]);
  });

  test("belongs to somebody who is there, and never changes hands twice within its hold", () => {
    for (const next of runs(20)) {
      let [speech, changed]: [Speech, number] = [SILENCE, -Infinity];
      for (let now = 0; now < 60_000; now += 100) {
        const people = ["ann", "bob", "cem"].slice(0, whole(next, 2, 3));
        const before = speech.floor;
        const told = next() < 0.3 ? [["ann", "bob", "cem", "dan"][whole(next, 0, 3)] ?? ""] : [];
        speech = hear(speech, new Map(people.map((id) => [id, next() < 0.6 ? 0.2 : 0])), now, told);
        if (speech.floor !== undefined) expect(people).toContain(speech.floor);
        if (speech.floor !== before) {
          if (before !== undefined && people.includes(before)) expect(now - changed).toBeGreaterThanOrEqual(2_500);
          changed = now;
        }
      }
    }
  });
});
