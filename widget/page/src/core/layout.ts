/**
 * Where the tiles go: pure geometry over the room that there is and the number of tiles.
 *
 * Spotlight shows one tile large and the rest small, beside or below it; grid shows all
 * alike. Everything is seen at once if that is possible with tiles that can be read;
 * else the small ones scroll.
 */
import type { Size } from "./vocabulary";

export const GAP = 10;
const RATIO = 16 / 9;
/** Widths of a small tile in CSS pixels: below the first nobody is recognised. */
const SMALLEST = 104;
const LARGEST = 260;
/** A grid's tile may be narrower than this only when it must. */
const SMALLEST_IN_GRID = 150;

export type Arrangement =
  | { readonly kind: "alone"; readonly large: Size }
  | { readonly kind: "corner"; readonly large: Size; readonly small: Size }
  | {
      readonly kind: "beside" | "below";
      readonly large: Size;
      readonly small: Size;
      readonly columns: number;
      readonly scrolls: boolean;
    }
  | { readonly kind: "grid"; readonly small: Size; readonly columns: number; readonly scrolls: boolean };

/** One large tile and `others` small ones in the space given (CSS pixels). */
export function spotlight(space: Size, others: number): Arrangement {
  if (others <= 0) return { kind: "alone", large: space };
  const small = Math.max(SMALLEST, Math.min(220, space.width * 0.22));
  if (others === 1) return { kind: "corner", large: space, small: tile(Math.round(small)) };
  const candidates = [...beside(space, others), ...below(space, others)];
  return candidates.sort((a, b) => worth(b) - worth(a))[0] ?? { kind: "alone", large: space };
}

type Pair = Extract<Arrangement, { kind: "beside" | "below" }>;

function beside(space: Size, others: number): Pair[] {
  return [1, 2, 3, 4].flatMap((columns): Pair[] => {
    const rows = Math.ceil(others / columns);
    const fitting = ((space.height - GAP * (rows - 1)) / rows) * RATIO;
    const width = Math.floor(Math.max(SMALLEST, Math.min(LARGEST, fitting, (space.width * 0.4) / columns)));
    const left = space.width - columns * (width + GAP);
    if (left < SMALLEST * 2) return [];
    const small = tile(width);
    const scrolls = rows * small.height + GAP * (rows - 1) > space.height + 1;
    return [{ kind: "beside", columns, small, scrolls, large: { width: left, height: space.height } }];
  });
}

function below(space: Size, others: number): Pair[] {
  return [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].flatMap((columns): Pair[] => {
    if (columns > others && columns > 3) return [];
    const rows = Math.ceil(others / columns);
    const whole = (space.width - GAP * (columns - 1)) / columns;
    const width = Math.floor(Math.min(LARGEST, whole));
    if (width < SMALLEST && columns > 2) return [];
    const small = tile(width);
    const used = rows * (small.height + GAP);
    const full = Math.min(space.width / (4 / 3), space.height - used);
    const scrolls = full < space.height * 0.35;
    const height = scrolls ? Math.min(space.width / RATIO, space.height * 0.45) : full;
    return [{ kind: "below", columns, small, scrolls, large: { width: space.width, height: Math.floor(height) } }];
  });
}

/**
 * How good an arrangement is: the picture's area in the large tile, a little for the small ones, all in view.
 *
 * Small tiles that scroll count less: growing them pushes others out of view.
 */
function worth(pair: Pair): number {
  const shown = Math.min(pair.large.width, pair.large.height * RATIO);
  const large = (shown * shown) / RATIO;
  const small = pair.small.width * pair.small.height;
  return pair.scrolls ? (large + small * 0.5) * 0.3 : large + small * 2;
}

/** `count` tiles alike. */
export function grid(space: Size, count: number): Arrangement {
  let best: { width: number; columns: number } | undefined;
  for (let columns = 1; columns <= Math.max(1, count); columns++) {
    const rows = Math.ceil(count / columns);
    const byWidth = (space.width - GAP * (columns - 1)) / columns;
    const byHeight = ((space.height - GAP * (rows - 1)) / rows) * RATIO;
    const width = Math.floor(Math.min(byWidth, byHeight));
    if (!best || width > best.width) best = { width, columns };
  }
  if (best && best.width >= Math.min(SMALLEST_IN_GRID, space.width / 2 - GAP)) {
    return { kind: "grid", columns: best.columns, small: tile(best.width), scrolls: false };
  }
  const columns = Math.max(1, Math.floor((space.width + GAP) / (SMALLEST_IN_GRID + GAP)));
  const width = Math.floor((space.width - GAP * (columns - 1)) / columns);
  return { kind: "grid", columns, small: tile(width), scrolls: true };
}

function tile(width: number): Size {
  return { width, height: Math.round(width / RATIO) };
}

/** A tile that could be large. */
export interface Candidate {
  readonly id: string;
  readonly own: boolean;
  readonly screen: boolean;
}

/** Which tile is large: the pinned one, else the newest screen, else who has the floor, else as it was. */
export function chooseLarge(
  tiles: readonly Candidate[],
  pinned: string | undefined,
  floor: string | undefined,
  last: string | undefined,
): string | undefined {
  const has = (id: string | undefined) => id !== undefined && tiles.some((tile) => tile.id === id);
  if (has(pinned)) return pinned;
  const screens = tiles.filter((tile) => tile.screen && !tile.own);
  if (screens.length) return screens.at(-1)?.id;
  const others = tiles.filter((tile) => !tile.own && !tile.screen);
  if (others.some((tile) => tile.id === floor)) return floor;
  if (others.some((tile) => tile.id === last)) return last;
  return (others[0] ?? tiles.find((tile) => !tile.screen) ?? tiles[0])?.id;
}
