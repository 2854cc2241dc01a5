/** Who may join calls in a room, and how an admin lets the others. */
import { describe, expect, test } from "vitest";
import type { Json } from "../src/core/json";
import { CALL, CALL_MEMBER, POWER } from "../src/core/membership";
import { allowingCalls, levelNeeded, levelOf, mayAllow, powerLevels } from "../src/core/power";
import { ODD } from "./chance";

describe("a user's level", () => {
  test.each<[string, Json, number]>([
    ["is their own", { users: { "@ann:x": 100 }, users_default: 10 }, 100],
    ["is everybody's where they have none", { users: { "@bob:x": 100 }, users_default: 10 }, 10],
    ["is zero where nobody says", {}, 0],
    ["is everybody's where theirs is nonsense", { users: { "@ann:x": "100" }, users_default: 10 }, 10],
  ])("%s", (_, levels, level) => {
    expect(levelOf(levels, "@ann:x")).toBe(level);
  });
});

describe("the level that calls need", () => {
  test.each<[string, Json, number]>([
    ["is that of the event", { events: { [CALL_MEMBER]: 0 }, state_default: 60 }, 0],
    ["is that of all state where the event has none", { events: {}, state_default: 60 }, 60],
    ["is fifty where nobody says", {}, 50],
  ])("%s", (_, levels, level) => {
    expect(levelNeeded(levels, CALL_MEMBER)).toBe(level);
  });
});

describe("who may allow calls", () => {
  test.each<[string, Json, readonly string[], boolean]>([
    ["an admin", { users: { "@ann:x": 100 }, events: { [POWER]: 100 } }, [], true],
    ["not a moderator, one short", { users: { "@ann:x": 99 }, events: { [POWER]: 100 } }, [], false],
    ["who reaches the default", { users: { "@ann:x": 50 } }, [], true],
    ["not who is one short of it", { users: { "@ann:x": 49 } }, [], false],
    ["the room's creator, whatever the levels", { events: { [POWER]: 100 } }, ["@ann:x"], true],
    ["not another's creator", { events: { [POWER]: 100 } }, ["@bob:x"], false],
  ])("is %s", (_, levels, creators, may) => {
    expect(mayAllow(levels, "@ann:x", creators)).toBe(may);
  });
});

describe("allowing calls", () => {
  test("lets everybody join and start them, and changes nothing else", () => {
    const levels = { ban: 50, users: { "@ann:x": 100 }, events: { "m.room.name": 50, [CALL_MEMBER]: 50 } };
    const after = allowingCalls(levels);
    expect(after).toEqual({ ...levels, events: { "m.room.name": 50, [CALL_MEMBER]: 0, [CALL]: 0 } });
    expect(levelOf(after, "@new:x")).toBeGreaterThanOrEqual(levelNeeded(after, CALL_MEMBER));
    expect(levels.events[CALL_MEMBER]).toBe(50);
  });

  test("bears any nonsense in any place", () => {
    for (const odd of ODD) {
      const levels = { users: odd, events: odd, users_default: odd, state_default: odd };
      expect(Number.isFinite(levelOf(levels, "@ann:x"))).toBe(true);
      expect(Number.isFinite(levelNeeded(levels, CALL))).toBe(true);
      expect(levelNeeded(allowingCalls(levels), CALL)).toBe(0);
    }
  });
});

test("the levels are those of the event with an empty key", () => {
  const event = { type: POWER, sender: "@ann:x", at: 0 };
  expect(powerLevels([{ ...event, key: "other", content: { ban: 1 } }])).toEqual({});
  expect(powerLevels([{ ...event, key: "", content: { ban: 2 } }])).toEqual({ ban: 2 });
});
