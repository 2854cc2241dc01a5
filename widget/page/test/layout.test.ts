/** Where tiles go, over many rooms and counts: everything inside, nothing smaller than a face can be. */
import { describe, expect, test } from "vitest";
import { chooseLarge, GAP, grid, spotlight, type Candidate } from "../src/core/layout";
import { runs, whole } from "./chance";

const space = (next: () => number) => ({ width: whole(next, 320, 3840), height: whole(next, 200, 2160) });

describe("a spotlight", () => {
  test("fills the room with one tile, and lays one other in its corner", () => {
    const room = { width: 1280, height: 720 };
    expect(spotlight(room, 0)).toEqual({ kind: "alone", large: room });
    expect(spotlight(room, 1)).toEqual({ kind: "corner", large: room, small: { width: 220, height: 124 } });
  });

  test("never grows over the room, in any size and with any number of people", () => {
    for (const next of runs(300)) {
      const [room, others] = [space(next), whole(next, 2, 60)];
      const found = spotlight(room, others);
      if (found.kind !== "beside" && found.kind !== "below") throw new Error(`${others} others are ${found.kind}`);
      const { large, small, columns, scrolls } = found;
      const rows = Math.ceil(others / columns);
      const block = { width: columns * (small.width + GAP) - GAP, height: rows * (small.height + GAP) - GAP };
      expect(small.width).toBeGreaterThanOrEqual(104);
      expect(large.width).toBeGreaterThan(0);
      expect(large.height).toBeGreaterThan(0);
      expect(block.width).toBeLessThanOrEqual(room.width);
      if (found.kind === "beside") {
        expect(large.width + GAP + block.width).toBeLessThanOrEqual(room.width);
        expect(large.height).toBeLessThanOrEqual(room.height);
        if (!scrolls) expect(block.height).toBeLessThanOrEqual(room.height + 1);
      } else if (!scrolls) {
        expect(large.height + GAP + block.height).toBeLessThanOrEqual(room.height + 1);
      }
    }
  });

  test.each([
    ["a desktop", { width: 1252, height: 716 }, 11],
    ["a phone upright", { width: 370, height: 700 }, 11],
    ["a phone on its side", { width: 816, height: 310 }, 11],
  ])("shows twelve people on %s without scrolling", (_, room, others) => {
    expect(spotlight(room, others)).toMatchObject({ scrolls: false });
  });

  test("keeps the large picture large when the others have to scroll", () => {
    const found = spotlight({ width: 816, height: 310 }, 40);
    expect(found).toMatchObject({ kind: "beside", scrolls: true });
    expect("large" in found && Math.min(found.large.width, (found.large.height * 16) / 9)).toBeGreaterThan(500);
  });
});

describe("a grid", () => {
  test.each([
    [1, 1],
    [2, 2],
    [4, 2],
    [9, 3],
    [12, 4],
  ])("of %i people has %i columns on a desktop", (count, columns) => {
    expect(grid({ width: 1280, height: 720 }, count)).toMatchObject({ columns, scrolls: false });
  });

  test("shows all that it does not scroll, in any size", () => {
    for (const next of runs(300)) {
      const [room, count] = [space(next), whole(next, 1, 60)];
      const found = grid(room, count);
      if (found.kind !== "grid") throw new Error("a grid is a grid");
      const rows = Math.ceil(count / found.columns);
      expect(found.columns * (found.small.width + GAP) - GAP).toBeLessThanOrEqual(room.width);
      expect(found.small.width).toBeGreaterThanOrEqual(Math.min(150, Math.floor(room.width / 2 - GAP)));
      // A tile's height is rounded, so that each row may be half a pixel over.
      if (!found.scrolls) expect(rows * (found.small.height + GAP) - GAP).toBeLessThanOrEqual(room.height + rows / 2);
    }
  });

  test("scrolls rather than showing faces that nobody recognises", () => {
    expect(grid({ width: 370, height: 600 }, 12)).toMatchObject({ columns: 2, scrolls: false });
    expect(grid({ width: 370, height: 600 }, 40)).toMatchObject({ columns: 2, scrolls: true });
  });

  test("of nobody takes no harm", () => {
    expect(grid({ width: 1280, height: 720 }, 0)).toMatchObject({ kind: "grid" });
    expect(grid({ width: 0, height: 0 }, 3)).toMatchObject({ kind: "grid" });
  });
});

describe("the large tile", () => {
  const own: Candidate = { id: "own", own: true, screen: false };
  const ownScreen: Candidate = { id: "own-screen", own: true, screen: true };
  const ann: Candidate = { id: "ann", own: false, screen: false };
  const bob: Candidate = { id: "bob", own: false, screen: false };
  const slides: Candidate = { id: "slides", own: false, screen: true };
  const demo: Candidate = { id: "demo", own: false, screen: true };

  test.each<[string, readonly Candidate[], string | undefined, string | undefined, string | undefined, string | undefined]>([
    ["is our own while nobody else is there", [own], undefined, undefined, undefined, "own"],
    ["is not our own screen, which we see anyway", [own, ownScreen], undefined, undefined, undefined, "own"],
    ["is the first of the others while all are silent", [own, ann, bob], undefined, undefined, undefined, "ann"],
    ["is who has the floor", [own, ann, bob], undefined, "bob", "ann", "bob"],
    ["stays in silence", [own, ann, bob], undefined, undefined, "bob", "bob"],
    ["stays when the floor is ours", [own, ann, bob], undefined, "own", "bob", "bob"],
    ["moves on when its owner has left", [own, ann], undefined, "bob", "bob", "ann"],
    ["is a screen, whoever speaks", [own, ann, slides, bob], undefined, "bob", "bob", "slides"],
    ["is the newest screen of two", [own, slides, ann, demo], undefined, "ann", "slides", "demo"],
    ["is the pinned one, whatever else", [own, ann, bob, slides], "ann", "bob", "bob", "ann"],
    ["can be our own when pinned", [own, ann], "own", "ann", "ann", "own"],
    ["forgets a pin of somebody who left", [own, ann], "bob", "ann", "bob", "ann"],
    ["is nothing where nothing is", [], "ann", "ann", "ann", undefined],
  ])("%s", (_, tiles, pinned, floor, last, large) => {
    expect(chooseLarge(tiles, pinned, floor, last)).toBe(large);
  });
});
