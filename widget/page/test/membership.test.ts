/** Room state to a call: which is live, who is in it, and what our own entry says. */
import { describe, expect, test } from "vitest";
import {
  CALL,
  CALL_MEMBER,
  chooseFocus,
  entries,
  isTerminated,
  LIFETIME,
  liveCall,
  MEMBER,
  membership,
  NEW_CALL,
  REFRESH,
  sessionOf,
  withEntry,
  withoutEntry,
} from "../src/core/membership";
import type { Json } from "../src/core/json";
import type { StateEvent } from "../src/core/vocabulary";
import { ODD } from "./chance";

const NOW = 1_700_000_000_000;
const FOCUS = { userId: "@focus:x", deviceId: "FOCUS" };

function event(type: string, key: string, content: Json, at = NOW): StateEvent {
  return { type, key, sender: "@ann:x", at, content };
}

function device(change: Json = {}): Json {
  return {
    device_id: "ANN",
    session_id: "s1",
    expires_ts: NOW + 1,
    feeds: [{ purpose: "m.usermedia" }],
    "org.matrix.msc3898.foci.active": [{ user_id: FOCUS.userId, device_id: FOCUS.deviceId }],
    ...change,
  };
}

function memberOf(devices: unknown, conf = "conf"): StateEvent {
  return event(CALL_MEMBER, "@ann:x", { "m.calls": [{ "m.call_id": conf, "m.devices": devices }] });
}

describe("the live call", () => {
  test("is the newest of those that are not terminated", () => {
    const state = [
      event(CALL, "old", NEW_CALL, NOW - 2),
      event(CALL, "new", NEW_CALL, NOW - 1),
      event(CALL, "over", { ...NEW_CALL, "m.terminated": "call_ended" }, NOW),
    ];
    expect(liveCall(state)).toBe("new");
    expect(isTerminated(state, "over")).toBe(true);
    expect(isTerminated(state, "new")).toBe(false);
    expect(isTerminated(state, "unknown")).toBe(false);
  });

  test.each([
    ["an unknown intent", "c", { ...NEW_CALL, "m.intent": "m.mystery" }],
    ["an unknown type", "c", { ...NEW_CALL, "m.type": "m.smell" }],
    ["no content", "c", {}],
    ["no id", "", NEW_CALL],
  ])("is not one with %s", (_, key, content) => {
    expect(liveCall([event(CALL, key, content)])).toBeUndefined();
  });
});

describe("who is in a call", () => {
  test("are the devices of joined users, with their foci", () => {
    expect(entries([memberOf([device()])], "conf", NOW)).toEqual([
      { userId: "@ann:x", deviceId: "ANN", sessionId: "s1", expires: NOW + 1, foci: [FOCUS] },
    ]);
  });

  test.each([
    ["has expired, to the millisecond", [memberOf([device({ expires_ts: NOW })])]],
    ["has left the room", [memberOf([device()]), event(MEMBER, "@ann:x", { membership: "leave" })]],
    ["is in another call", [memberOf([device()], "other")]],
    ["names no session", [memberOf([device({ session_id: "" })])]],
    ["names no device", [memberOf([device({ device_id: 7 })])]],
    ["has feeds that are no list", [memberOf([device({ feeds: {} })])]],
  ])("is nobody who %s", (_, state) => {
    expect(entries(state, "conf", NOW)).toEqual([]);
  });

  test("bears any nonsense in any place", () => {
    for (const odd of ODD) {
      expect(entries([memberOf(odd)], "conf", NOW)).toEqual([]);
      expect(entries([memberOf([odd])], "conf", NOW)).toEqual([]);
      expect(entries([event(CALL_MEMBER, "@ann:x", { "m.calls": odd })], "conf", NOW)).toEqual([]);
      const [entry] = entries([memberOf([device({ "org.matrix.msc3898.foci.active": odd })])], "conf", NOW);
      expect(entry?.foci).toEqual([]);
    }
  });
});

describe("the focus to dial", () => {
  const self = { userId: "@me:x", deviceId: "ME" };
  const other = { userId: "@far:y", deviceId: "FAR" };
  const entry = { userId: "@ann:x", deviceId: "ANN", sessionId: "s", expires: NOW, foci: [other] };
  test.each([
    ["our own where nobody is", [], FOCUS],
    ["the one that the others use", [entry], other],
    ["our own where the others name none", [{ ...entry, foci: [] }], FOCUS],
    ["our own where only our old entry names another", [{ ...entry, ...self }], FOCUS],
  ])("is %s", (_, others, focus) => {
    expect(chooseFocus(others, self, FOCUS)).toEqual(focus);
  });
});

describe("our own entry", () => {
  const own = { userId: "@me:x", deviceId: "ME", sessionId: "s9", feeds: ["m.usermedia" as const], focus: FOCUS };

  test("is read back as it was written, and holds longer than it takes to write it anew", () => {
    const content = withEntry({}, "conf", own, NOW);
    const state = [event(CALL_MEMBER, "@me:x", content)];
    expect(entries(state, "conf", NOW)).toEqual([
      { userId: "@me:x", deviceId: "ME", sessionId: "s9", expires: NOW + LIFETIME, foci: [FOCUS] },
    ]);
    expect(sessionOf(state, "conf", own)).toBe("s9");
    expect(REFRESH).toBeLessThan(LIFETIME);
  });

  test("keeps the person's other devices, drops expired ones and its own old one", () => {
    const before = withEntry({}, "conf", { ...own, deviceId: "PHONE", sessionId: "p" }, NOW);
    const stale = withEntry(before, "conf", { ...own, sessionId: "old" }, NOW);
    const state = [event(CALL_MEMBER, "@me:x", withEntry(stale, "conf", own, NOW))];
    expect(entries(state, "conf", NOW).map((entry) => entry.sessionId)).toEqual(["p", "s9"]);
    const later = [event(CALL_MEMBER, "@me:x", withEntry(stale, "conf", own, NOW + LIFETIME))];
    expect(entries(later, "conf", NOW + LIFETIME).map((entry) => entry.sessionId)).toEqual(["s9"]);
  });

  test("is gone after leaving, and the call with the last device", () => {
    const both = withEntry(withEntry({}, "conf", { ...own, deviceId: "PHONE" }, NOW), "conf", own, NOW);
    const one = withoutEntry(both, "conf", "ME", NOW);
    expect(sessionOf([event(CALL_MEMBER, "@me:x", one)], "conf", own)).toBeUndefined();
    expect(withoutEntry(one, "conf", "PHONE", NOW)).toEqual({ "m.calls": [] });
  });

  test("can be written over any nonsense", () => {
    for (const odd of ODD) {
      const state = [event(CALL_MEMBER, "@me:x", withEntry({ "m.calls": odd }, "conf", own, NOW))];
      expect(sessionOf(state, "conf", own)).toBe("s9");
    }
  });
});

test("membership of somebody unknown, or said in nonsense, is leave", () => {
  expect(membership([], "@ann:x")).toBe("leave");
  expect(membership([event(MEMBER, "@ann:x", { membership: "ban" })], "@ann:x")).toBe("ban");
  for (const odd of ODD.filter((value) => value !== "word")) {
    expect(membership([event(MEMBER, "@ann:x", { membership: odd })], "@ann:x")).toBe("leave");
  }
});
