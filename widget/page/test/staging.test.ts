/** Who sits where while the large tile changes, and which pictures are asked for in which size. */
import { describe, expect, test } from "vitest";
import { OWN } from "../src/call/state";
import { inView } from "../src/ui/placement";
import { arrange, pictures, settle } from "../src/ui/staging";
import { peopleOf, type TileView } from "../src/ui/tiles";
import { runs, whole } from "./chance";

function tile(id: string, change: Partial<TileView> = {}): TileView {
  return {
    id,
    owner: { userId: `@${id}:x`, deviceId: "D" },
    name: id,
    purpose: "m.usermedia",
    own: id === OWN,
    video: undefined,
    audio: undefined,
    pictured: true,
    paused: false,
    muted: false,
    captured: undefined,
    ...change,
  };
}

describe("seats", () => {
  const ids = ["own", "a", "b", "c", "d"];

  test("are kept by all but the two who change when another becomes large", () => {
    expect(settle(ids, ids, "a", "c")).toEqual(["own", "c", "b", "a", "d"]);
  });

  test.each([
    ["nobody was large", undefined, "c"],
    ["nobody is large", "a", undefined],
    ["the same is large", "a", "a"],
    ["who was large has left", "gone", "c"],
  ])("do not change while %s", (_, before, large) => {
    expect(settle(ids, ids, before, large)).toEqual(ids);
  });

  test("close up behind who leaves, and newcomers sit down last", () => {
    expect(settle(ids, ["own", "new", "a", "c", "d"], "a", "a")).toEqual(["own", "a", "c", "d", "new"]);
  });

  test("are one for each tile, whatever happens", () => {
    for (const next of runs(50)) {
      let [seats, large]: [readonly string[], string | undefined] = [[], undefined];
      for (let step = 0; step < 20; step++) {
        const here = ["own", ...["a", "b", "c", "d", "e"].filter(() => next() < 0.6)];
        const chosen = next() < 0.2 ? undefined : here[whole(next, 0, here.length - 1)];
        seats = settle(seats, here, large, chosen);
        large = chosen ?? large;
        expect([...seats].sort()).toEqual([...here].sort());
      }
    }
  });
});

describe("the pictures asked for", () => {
  const space = { width: 1252, height: 704 };
  const shown = (tiles: readonly TileView[], large: string | undefined, room = space, ratios = new Map<string, number>()) => {
    const { placement } = arrange(tiles, tiles.map((one) => one.id), room, large, ratios);
    return pictures(tiles, placement, inView(placement, 0, room.height), ratios);
  };

  test("are those of others that are meant to be seen", () => {
    const tiles = [tile(OWN), tile("a"), tile("b", { pictured: false }), tile("c")];
    expect([...shown(tiles, "a").keys()]).toEqual(["a", "c"]);
  });

  test("have the size of the picture and not of the room around it", () => {
    expect(shown([tile(OWN), tile("a")], "a").get("a")).toEqual({ width: 1252, height: 704 });
    expect(shown([tile(OWN), tile("a")], "a", { width: 1252, height: 900 }).get("a")).toEqual({ width: 1252, height: 704 });
    const upright = tile("a", { captured: { width: 720, height: 1280 } });
    expect(shown([tile(OWN), upright], "a").get("a")).toEqual({ width: 396, height: 704 });
  });

  test("follow the picture's own shape once it is seen", () => {
    expect(shown([tile(OWN), tile("a")], "a", space, new Map([["a", 4 / 3]])).get("a")).toEqual({ width: 939, height: 704 });
  });

  test("are wholly inside a small tile for a screen, and fill it for a face", () => {
    const slides = tile("s", { purpose: "m.screenshare", captured: { width: 1000, height: 1000 } });
    const face = tile("f", { captured: { width: 1000, height: 1000 } });
    const sizes = shown([tile(OWN), tile("a"), slides, face], "a");
    const [screen, person] = [sizes.get("s"), sizes.get("f")];
    expect(screen?.width).toBe(screen?.height);
    expect(person?.width).toBe(person?.height);
    expect(screen?.width).toBeLessThan(person?.width ?? 0);
  });

  test("are nothing while the room has no size yet", () => {
    expect([...shown([tile(OWN), tile("a"), tile("b")], undefined, { width: 0, height: 0 }).values()]).toEqual([]);
  });
});

test("people are counted by device: a screen is nobody", () => {
  const owner = { userId: "@a:x", deviceId: "D" };
  const tiles = [tile(OWN), tile("cam", { owner, muted: true }), tile("scr", { owner, purpose: "m.screenshare" }), tile("b")];
  expect(peopleOf(tiles)).toMatchObject([
    { own: true },
    { own: false, muted: true, sharing: true },
    { own: false, muted: false, sharing: false },
  ]);
});
