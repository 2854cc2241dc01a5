/** Tiles on the stage: none on another, none outside, the right ones in view, arrows to the nearest. */
import { describe, expect, test } from "vitest";
import { grid, spotlight } from "../src/core/layout";
import { inView, neighbour, place, type Spot } from "../src/ui/placement";
import { contained, covering, ratioOf, WIDE } from "../src/ui/ratio";
import { runs, whole } from "./chance";

const ids = (count: number) => Array.from({ length: count }, (_, i) => `t${i}`);

function meet(a: Spot, b: Spot): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

describe("tiles", () => {
  test("never lie on another or stick out, in any window and number", () => {
    for (const next of runs(60)) {
      const space = { width: whole(next, 320, 2560), height: whole(next, 200, 1440) };
      const others = whole(next, 2, 40);
      const ratio = [WIDE, 4 / 3, 9 / 16, 16 / 10][whole(next, 0, 3)] ?? WIDE;
      const large = next() < 0.7 ? "large" : undefined;
      const arrangement = large ? spotlight(space, others) : grid(space, others);
      const { spots, height } = place(arrangement, space, ids(others), large, ratio);
      expect(spots.size).toBe(others + (large ? 1 : 0));
      const all = [...spots.values()];
      // Rounding may put a pixel outside; the height of each row is rounded too.
      const outside = all.filter(
        (spot) => spot.x < -1 || spot.y < -2 || spot.x + spot.width > space.width + 1 || spot.y + spot.height > height + others / 2,
      );
      expect(outside).toEqual([]);
      const pairs = all.flatMap((a, i) => all.slice(i + 1).map((b) => [a, b] as const));
      expect(pairs.filter(([a, b]) => meet(a, b))).toEqual([]);
    }
  });

  test("come in rows as even as can be", () => {
    const { spots } = place({ kind: "grid", columns: 10, small: { width: 100, height: 56 }, scrolls: false }, { width: 1200, height: 600 }, ids(11), undefined, WIDE);
    const heights = [...spots.values()].map((spot) => spot.y);
    expect([...new Set(heights)].map((y) => heights.filter((one) => one === y).length)).toEqual([6, 5]);
  });
});

describe("two people", () => {
  const two = (width: number, height: number, ratio: number) => {
    const space = { width, height };
    const { spots } = place(spotlight(space, 1), space, ["own"], "ann", ratio);
    const [ann, own] = [spots.get("ann"), spots.get("own")];
    if (!ann || !own) throw new Error("both are there");
    return { ann, own };
  };

  test("on a desktop: our own lies in the corner of the other's picture", () => {
    const { ann, own } = two(1252, 704, WIDE);
    expect(meet(ann, own)).toBe(true);
    expect(own.x + own.width).toBeLessThanOrEqual(1252);
    expect(own.y + own.height).toBeLessThanOrEqual(704);
  });

  test("on a phone upright: one above the other, alike", () => {
    const { ann, own } = two(370, 700, WIDE);
    expect(meet(ann, own)).toBe(false);
    expect(own.width).toBe(ann.width);
    expect(own.y).toBeGreaterThan(ann.y);
  });

  test("on a phone on its side: our own beside the other, and not larger", () => {
    const { ann, own } = two(816, 310, WIDE);
    expect(meet(ann, own)).toBe(false);
    expect(own.x).toBeGreaterThan(ann.x);
    expect(own.width * own.height).toBeLessThan(ann.width * ann.height);
  });
});

describe("in view", () => {
  const space = { width: 370, height: 600 };
  const arrangement = spotlight(space, 30);
  const placement = place(arrangement, space, ids(30), "large", WIDE);

  test("is the large tile and the first of the others", () => {
    expect(arrangement).toMatchObject({ kind: "below", scrolls: true });
    const seen = inView(placement, 0, space.height);
    expect(seen.has("large")).toBe(true);
    expect(seen.has("t0")).toBe(true);
    expect(seen.has("t29")).toBe(false);
  });

  test("is, at the end, the large tile and the last", () => {
    const seen = inView(placement, placement.height - space.height, space.height);
    expect(seen.has("large")).toBe(true);
    expect(seen.has("t0")).toBe(false);
    expect(seen.has("t29")).toBe(true);
  });

  test("is not what has scrolled behind the large tile, to the pixel", () => {
    const first = placement.spots.get("t0");
    if (!first) throw new Error("the first tile is placed");
    const gone = first.y + first.height - placement.top;
    expect(inView(placement, gone - 1, space.height).has("t0")).toBe(true);
    expect(inView(placement, gone, space.height).has("t0")).toBe(false);
  });
});

describe("an arrow", () => {
  const space = { width: 1280, height: 720 };
  const { spots } = place(grid(space, 9), space, ids(9), undefined, WIDE);

  test.each([
    ["t4", "left", "t3"],
    ["t4", "right", "t5"],
    ["t4", "up", "t1"],
    ["t4", "down", "t7"],
    ["t0", "left", undefined],
    ["t0", "up", undefined],
    ["t8", "right", undefined],
    ["t8", "down", undefined],
    ["nobody", "down", undefined],
  ] as const)("from %s %s leads to %s", (from, direction, to) => {
    expect(neighbour(spots, from, direction)).toBe(to);
  });
});

describe("a picture", () => {
  test.each([
    [{ width: 1280, height: 720 }, WIDE],
    [{ width: 318, height: 180 }, WIDE],
    [{ width: 640, height: 480 }, 4 / 3],
    [{ width: 720, height: 1280 }, 9 / 16],
    [{ width: 2560, height: 1080 }, 2.38],
    [{ width: 0, height: 0 }, undefined],
    [{ width: 100, height: 0 }, undefined],
    [{ width: Number.NaN, height: 9 }, undefined],
    [undefined, undefined],
  ])("of %o has the ratio %d", (size, ratio) => {
    expect(ratioOf(size)).toBe(ratio);
  });

  test("is asked for as it is painted: inside its box, or over it where it is cut", () => {
    const box = { width: 400, height: 300 };
    expect(contained(WIDE, box)).toEqual({ width: 400, height: 225 });
    expect(contained(9 / 16, box)).toEqual({ width: 169, height: 300 });
    expect(covering(WIDE, box)).toEqual({ width: 533, height: 300 });
    expect(covering(9 / 16, box)).toEqual({ width: 400, height: 711 });
  });

  test("is not asked for larger because a box of whole pixels is not quite 16:9", () => {
    for (let width = 104; width < 300; width++) {
      const box = { width, height: Math.round((width * 9) / 16) };
      expect(covering(WIDE, box)).toBe(box);
    }
  });
});
