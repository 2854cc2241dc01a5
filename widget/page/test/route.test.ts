/** Addresses and rooms as people type them. */
import { describe, expect, test } from "vitest";
import { readRoom, readRoute, writeRoute } from "../src/core/route";

const FRONT = { room: undefined, demo: false, toDevice: undefined };

describe("the address", () => {
  test.each([
    ["", "", FRONT],
    ["#", "", FRONT],
    ["#/", "", FRONT],
    ["#/elsewhere/!a:x", "", FRONT],
    ["#/call/", "", FRONT],
    ["#/call/word", "", FRONT],
    ["#/call/%E0%A4%A", "", FRONT],
    ["#/call/!a:x", "", { ...FRONT, room: "!a:x" }],
    ["#/call/%21a%3Ax", "", { ...FRONT, room: "!a:x" }],
    ["#/call/%23team%3Ax.org", "", { ...FRONT, room: "#team:x.org" }],
    ["#/call/%21a%3Ax?demo=1", "", { ...FRONT, room: "!a:x", demo: true }],
    ["#/call/%21a%3Ax?demo=0", "", { ...FRONT, room: "!a:x" }],
    ["#/call/%21a%3Ax?demo=true", "", { ...FRONT, room: "!a:x" }],
    ["#/call/%21a%3Ax?to_device=plain", "", { ...FRONT, room: "!a:x", toDevice: "plain" }],
    ["#/call/%21a%3Ax", "?to_device=olm", { ...FRONT, room: "!a:x", toDevice: "olm" }],
    ["#/call/%21a%3Ax?to_device=plain", "?to_device=olm", { ...FRONT, room: "!a:x", toDevice: "plain" }],
    ["#/call/%21a%3Ax?to_device=pigeon", "", { ...FRONT, room: "!a:x" }],
  ])("%s %s", (hash, search, route) => {
    expect(readRoute(hash, search)).toEqual(route);
  });

  test.each(["!a:x", "#team:example.org", "!ü/?&#%:x", "!a"])("of room %s leads back to it", (room) => {
    expect(readRoute(writeRoute(room, false))).toEqual({ ...FRONT, room });
    expect(readRoute(writeRoute(room, true))).toEqual({ ...FRONT, room, demo: true });
  });
});

describe("a room as typed", () => {
  test.each([
    ["#team:example.org", "#team:example.org"],
    ["  !abc:x  ", "!abc:x"],
    ["https://matrix.to/#/%23team%3Aexample.org", "#team:example.org"],
    ["https://matrix.to/#/!abc:x?via=x", "!abc:x"],
    ["https://matrix.to/#/@ann:x", undefined],
    ["https://matrix.to/#/%E0%A4%A", undefined],
    ["https://calls.example.org/#/call/%21a%3Ax?demo=1", "!a:x"],
    ["https://calls.example.org/#/call/", undefined],
    ["team:example.org", undefined],
    ["@ann:x", undefined],
    ["#two words:x", undefined],
    ["#", undefined],
    ["!", undefined],
    ["", undefined],
    ["   ", undefined],
  ])("%s", (typed, room) => {
    expect(readRoom(typed)).toBe(room);
  });
});
