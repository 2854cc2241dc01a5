/** When the page dials again by itself, how long it waits, and what only a person can heal. */
import { describe, expect, test } from "vitest";
import { longestSilence, verdict, type Ending } from "../src/core/reconnect";
import { runs, whole } from "./chance";

const LOST: Ending = { kind: "media", detail: "failed" };

describe("a lost leg", () => {
  test.each([
    [0, 0],
    [1, 500],
    [2, 1000],
    [3, 2000],
    [4, 4000],
    [5, 8000],
    [6, 16_000],
    [7, 30_000],
    [8, 30_000],
    [10_000, 30_000],
  ])("after %i failures waits %i ms, a quarter more or less", (attempt, wait) => {
    expect(verdict(LOST, attempt, 0.5)).toEqual({ again: true, wait });
    expect(verdict(LOST, attempt, 0)).toEqual({ again: true, wait: Math.round(wait * 0.75) });
  });

  test.each<[string, Ending]>([
    ["a hangup", { kind: "hangup", reason: "user_hangup" }],
    ["a rejection for now", { kind: "rejected", reason: "user_busy" }],
    ["a rejection of a reason unknown here", { kind: "rejected", reason: "moon phase" }],
    ["no answer", { kind: "unanswered" }],
    ["a homeserver that fails", { kind: "signalling", detail: "502" }],
    ["banned, said in a hangup", { kind: "hangup", reason: "banned" }],
  ])("by %s is dialled again for ever", (_, ending) => {
    for (const next of runs(50)) {
      const found = verdict(ending, whole(next, 0, 100), next());
      expect(found.again && found.wait).toBeGreaterThanOrEqual(0);
      expect(found.again && found.wait).toBeLessThanOrEqual(37_500);
    }
  });

  test("knocks at a full focus no sooner than after five seconds", () => {
    expect(verdict({ kind: "rejected", reason: "user_busy" }, 0, 0.5)).toEqual({ again: true, wait: 5_000 });
    expect(verdict({ kind: "hangup", reason: "user_busy" }, 0, 0.5)).toEqual({ again: true, wait: 5_000 });
    expect(verdict({ kind: "rejected", reason: "user_busy" }, 7, 0.5)).toEqual({ again: true, wait: 30_000 });
  });
});

describe("only a person heals", () => {
  test.each<[Ending, string]>([
    [{ kind: "rejected", reason: "banned" }, "banned"],
    [{ kind: "rejected", reason: "server_acl" }, "serverDenied"],
    [{ kind: "rejected", reason: "device" }, "otherDevice"],
    [{ kind: "hangup", reason: "replaced" }, "replaced"],
  ])("%o: %s", (ending, fatal) => {
    expect(verdict(ending, 0, 0.5)).toEqual({ again: false, fatal });
  });
});

test.each([
  [0, 15_000],
  [5_000, 15_000],
  [5_001, 15_003],
  [30_000, 90_000],
])("a focus that paused %i ms may be silent for %i ms", (pause, silence) => {
  expect(longestSilence(pause)).toBe(silence);
});
