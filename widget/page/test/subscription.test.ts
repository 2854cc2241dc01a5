/** What the page asks of the focus: all sound, the pictures in view, and nothing twice. */
import { describe, expect, test } from "vitest";
import { awaitsLayout, change, isUrgent, wantedSize, wants, type Want } from "../src/core/subscription";
import type { Size, StreamInfo } from "../src/core/vocabulary";
import { runs, whole } from "./chance";

function stream(id: string, kinds: readonly ("audio" | "video")[] = ["audio", "video"]): StreamInfo {
  return {
    id,
    owner: { userId: `@${id}:x`, deviceId: "D" },
    purpose: "m.usermedia",
    audioMuted: false,
    videoMuted: false,
    tracks: kinds.map((kind) => ({ id: `${id}-${kind}`, kind, width: 0, height: 0 })),
  };
}

const shown = (sizes: Record<string, Size>) => new Map(Object.entries(sizes));
const key = (want: Want) => `${want.stream_id} ${want.track_id}`;

describe("the wanted size", () => {
  test.each([
    [{ width: 320, height: 180 }, 1, { width: 320, height: 180 }],
    [{ width: 321, height: 181 }, 1, { width: 336, height: 189 }],
    [{ width: 320, height: 180 }, 2, { width: 640, height: 360 }],
    // Nobody sees more than two device pixels for each, and none less than one.
    [{ width: 320, height: 180 }, 3, { width: 640, height: 360 }],
    [{ width: 320, height: 180 }, 0.5, { width: 320, height: 180 }],
    [{ width: 1920, height: 1080 }, 1, { width: 1920, height: 1080 }],
    [{ width: 3840, height: 2160 }, 2, { width: 1920, height: 1080 }],
    [{ width: 1080, height: 1920 }, 1, { width: 608, height: 1080 }],
    [{ width: 0, height: 0 }, 1, { width: 0, height: 0 }],
    [{ width: 320, height: 0 }, 1, { width: 0, height: 0 }],
    [{ width: 0, height: 180 }, 1, { width: 0, height: 0 }],
  ])("of %o at density %d is %o", (css, density, size) => {
    expect(wantedSize(css, density)).toEqual(size);
  });

  test("is never smaller than the tile, keeps its shape, and stays within the bound", () => {
    for (const next of runs(200)) {
      const css = { width: whole(next, 100, 2500), height: whole(next, 100, 1500) };
      const { width, height } = wantedSize(css, 1);
      expect(width).toBeLessThanOrEqual(1920);
      expect(height).toBeLessThanOrEqual(1080);
      expect(width / height / (css.width / css.height)).toBeCloseTo(1, 1);
      const bounded = width > 1900 || height > 1060;
      if (!bounded) {
        expect(width).toBeGreaterThanOrEqual(css.width);
        expect(width).toBeLessThan(css.width + 16);
        expect(height).toBeGreaterThanOrEqual(css.height);
      }
    }
  });
});

describe("wants", () => {
  test("say which picture is pinned, and a pin is news", () => {
    const streams = [stream("a", ["video"]), stream("b")];
    const seen = shown({ a: { width: 640, height: 360 }, b: { width: 640, height: 360 } });
    const pinned = wants(streams, seen, "a");
    expect(pinned.filter((want) => want["weir.pinned"]).map((want) => want.track_id)).toEqual(["a-video"]);
    expect(change(wants(streams, seen), pinned, streams)?.subscribe).toEqual(pinned);
    expect(change(pinned, wants(streams, seen, "a"), streams)).toBeUndefined();
  });

  test("are all voices and the pictures in view, in their sizes", () => {
    expect(wants([stream("a"), stream("b")], shown({ a: { width: 640, height: 368 } }))).toEqual([
      { stream_id: "a", track_id: "a-audio" },
      { stream_id: "a", track_id: "a-video", width: 640, height: 368 },
      { stream_id: "b", track_id: "b-audio" },
    ]);
  });

  test.each([
    ["of no width", { width: 0, height: 180 }],
    ["of no height", { width: 320, height: 0 }],
  ])("leave out a picture %s", (_, size) => {
    expect(wants([stream("a", ["video"])], shown({ a: size }))).toEqual([]);
  });

  test("leave out what is shown of streams that are gone", () => {
    expect(wants([], shown({ a: { width: 320, height: 180 } }))).toEqual([]);
  });
});

describe("a change", () => {
  const streams = [stream("a"), stream("b")];
  const size = { width: 320, height: 192 };

  test("is nothing while nothing moves", () => {
    const now = wants(streams, shown({ a: size }));
    expect(change(now, now, streams)).toBeUndefined();
    expect(change([], [], streams)).toBeUndefined();
  });

  test("subscribes anew to change a size, with all that is wanted", () => {
    const before = wants(streams, shown({ a: size }));
    const after = wants(streams, shown({ a: { width: 1280, height: 720 } }));
    expect(change(before, after, streams)).toEqual({ subscribe: after, unsubscribe: [] });
  });

  test("unsubscribes what has scrolled away, without a size", () => {
    const before = wants(streams, shown({ a: size, b: size }));
    const after = wants(streams, shown({ a: size }));
    expect(change(before, after, streams)).toEqual({
      subscribe: after,
      unsubscribe: [{ stream_id: "b", track_id: "b-video" }],
    });
  });

  test("does not name streams that nobody publishes any more", () => {
    const before = wants(streams, shown({ a: size, b: size }));
    const left = [streams[0] ?? stream("a")];
    const after = wants(left, shown({ a: size, b: size }));
    expect(change(before, after, left)).toBeUndefined();
  });

  test("told to a focus leaves it with exactly what is wanted, from any state to any other", () => {
    const all = ["a", "b", "c", "d"].map((id) => stream(id));
    for (const next of runs(200)) {
      const pick = () => shown(Object.fromEntries(all.filter(() => next() < 0.5).map((s) => [s.id, { width: 16 * whole(next, 1, 9), height: 90 }])));
      const [before, after] = [wants(all, pick()), wants(all, pick())];
      const focus = new Map(before.map((want) => [key(want), want]));
      const message = change(before, after, all);
      for (const want of message?.subscribe ?? []) focus.set(key(want), want);
      for (const want of message?.unsubscribe ?? []) focus.delete(key(want));
      const sorted = (list: Iterable<Want>) => [...list].sort((x, y) => key(x).localeCompare(key(y)));
      expect(sorted(focus.values())).toEqual(sorted(after));
    }
  });
});

describe("haste", () => {
  const told: Want[] = [{ stream_id: "a", track_id: "v", width: 100, height: 56 }];
  test.each([
    ["a picture that appears", [...told, { stream_id: "b", track_id: "v", width: 100, height: 56 }], true],
    ["one that grows by more than a fifth", [{ stream_id: "a", track_id: "v", width: 121, height: 68 }], true],
    ["one that grows by a fifth", [{ stream_id: "a", track_id: "v", width: 120, height: 68 }], false],
    ["one that shrinks", [{ stream_id: "a", track_id: "v", width: 50, height: 28 }], false],
    ["one that goes", [], false],
  ])("with %s: %s", (_, wanted, urgent) => {
    expect(isUrgent(told, wanted)).toBe(urgent);
  });
});

describe("who comes", () => {
  const size = { width: 320, height: 180 };
  test.each<[string, Want[], StreamInfo[], Record<string, Size>, boolean]>([
    ["has a picture that no tile is known of yet", [], [stream("a")], {}, true],
    ["is laid out", [], [stream("a")], { a: size }, false],
    ["has no picture", [], [stream("a", ["audio"])], {}, false],
    ["is asked for already, and not in view", [{ stream_id: "a", track_id: "a-audio" }], [stream("a")], {}, false],
    ["comes beside one who is asked for", [{ stream_id: "a", track_id: "a-audio" }], [stream("a"), stream("b")], {}, true],
    ["is nobody", [], [], {}, false],
  ])("%s", (_, told, streams, sizes, waits) => {
    expect(awaitsLayout(told, streams, shown(sizes))).toBe(waits);
  });
});
