/**
 * An arrangement to coordinates: where each tile lies, and which are in view. Pure.
 *
 * Coordinates are CSS pixels from the top left of the stage. The large tile stays where it
 * is while the small ones scroll, so it has no part in the height of the content.
 */
import { GAP, type Arrangement } from "../core/layout";
import type { Size } from "../core/vocabulary";
import { contained, WIDE } from "./ratio";

/** Distance of the small tile from the edges when it lies on the large one. */
const INSET = 12;

export interface Spot extends Size {
  readonly x: number;
  readonly y: number;
  readonly large: boolean;
}

export interface Placement {
  readonly spots: ReadonlyMap<string, Spot>;
  /** Height of all there is, the stage's or more. */
  readonly height: number;
  /** Small tiles that scroll above this line are hidden by the large one. */
  readonly top: number;
}

/** Lay out the small tiles in the order given, and the large one with a picture of `ratio`. */
export function place(
  arrangement: Arrangement,
  space: Size,
  small: readonly string[],
  large: string | undefined,
  ratio: number,
): Placement {
  const spots = new Map<string, Spot>();
  if (arrangement.kind === "grid") {
    const block = rows(small.length, arrangement.columns, arrangement.small);
    const y = arrangement.scrolls ? 0 : (space.height - block.height) / 2;
    fill(spots, small, arrangement.columns, arrangement.small, { x: 0, y, width: space.width });
    return { spots, height: Math.max(space.height, block.height), top: 0 };
  }
  const picture = contained(ratio, arrangement.large);
  if (arrangement.kind === "alone") {
    if (large) spots.set(large, { ...centred(picture, 0, 0, space), large: true });
    return { spots, height: space.height, top: 0 };
  }
  if (arrangement.kind === "corner") {
    const [other] = small;
    if (large && other) pair(spots, space, { id: large, picture }, { id: other, least: arrangement.small });
    return { spots, height: space.height, top: 0 };
  }
  const block = rows(small.length, arrangement.columns, arrangement.small);
  if (arrangement.kind === "beside") {
    if (large) spots.set(large, { ...centred(picture, 0, 0, arrangement.large), large: true });
    const y = arrangement.scrolls ? 0 : (space.height - block.height) / 2;
    const x = arrangement.large.width + GAP;
    fill(spots, small, arrangement.columns, arrangement.small, { x, y, width: space.width - x });
    return { spots, height: Math.max(space.height, block.height), top: 0 };
  }
  const slack = arrangement.scrolls ? 0 : Math.max(0, (space.height - picture.height - GAP - block.height) / 2);
  if (large) spots.set(large, { ...centred(picture, 0, slack, { width: space.width, height: picture.height }), large: true });
  const y = slack + picture.height + GAP;
  fill(spots, small, arrangement.columns, arrangement.small, { x: 0, y, width: space.width });
  const height = Math.max(space.height, y + block.height);
  return { spots, height, top: arrangement.scrolls ? y : 0 };
}

/** Two tiles: the small one uses the room that the picture leaves, and lies on it where it leaves none. */
function pair(
  spots: Map<string, Spot>,
  space: Size,
  large: { readonly id: string; readonly picture: Size },
  small: { readonly id: string; readonly least: Size },
): void {
  const { picture } = large;
  const { least } = small;
  const below = contained(WIDE, { width: picture.width, height: space.height - picture.height - GAP });
  const left = Math.min(space.width - picture.width - GAP, Math.max(least.width, picture.width * 0.6));
  const beside = contained(WIDE, { width: left, height: picture.height });
  if (below.width >= least.width) {
    const y = Math.round((space.height - picture.height - GAP - below.height) / 2);
    spots.set(large.id, { ...centred(picture, 0, y, { width: space.width, height: picture.height }), large: true });
    const area = { width: space.width, height: below.height };
    spots.set(small.id, { ...centred(below, 0, y + picture.height + GAP, area), large: false });
  } else if (beside.width >= least.width) {
    const x = Math.round((space.width - picture.width - GAP - beside.width) / 2);
    spots.set(large.id, { ...centred(picture, x, 0, { width: picture.width, height: space.height }), large: true });
    const area = { width: beside.width, height: space.height };
    spots.set(small.id, { ...centred(beside, x + picture.width + GAP, 0, area), large: false });
  } else {
    spots.set(large.id, { ...centred(picture, 0, 0, space), large: true });
    const [x, y] = [space.width - least.width - INSET, space.height - least.height - INSET];
    spots.set(small.id, { x, y, ...least, large: false });
  }
}

function rows(count: number, columns: number, tile: Size): Size {
  const lines = Math.ceil(count / columns);
  return { width: columns * (tile.width + GAP) - GAP, height: Math.max(0, lines * (tile.height + GAP) - GAP) };
}

function centred(picture: Size, x: number, y: number, area: Size): Omit<Spot, "large"> {
  return {
    x: Math.round(x + (area.width - picture.width) / 2),
    y: Math.round(y + (area.height - picture.height) / 2),
    ...picture,
  };
}

/** Rows of tiles as even as can be, each row centred: nobody sits alone below nine others. */
function fill(
  spots: Map<string, Spot>,
  ids: readonly string[],
  columns: number,
  tile: Size,
  area: { x: number; y: number; width: number },
): void {
  const lines = Math.ceil(ids.length / columns);
  const even = Math.ceil(ids.length / Math.max(1, lines));
  ids.forEach((id, index) => {
    const row = Math.floor(index / even);
    const inRow = Math.min(even, ids.length - row * even);
    const left = area.x + (area.width - (inRow * (tile.width + GAP) - GAP)) / 2;
    const x = Math.round(left + (index % even) * (tile.width + GAP));
    spots.set(id, { x, y: Math.round(area.y + row * (tile.height + GAP)), ...tile, large: false });
  });
}

/** The tiles of which something is seen, with the content scrolled up by `scrolled` in a stage of `height`. */
export function inView(placement: Placement, scrolled: number, height: number): ReadonlySet<string> {
  const seen = new Set<string>();
  for (const [id, spot] of placement.spots) {
    const y = spot.y - scrolled;
    if (spot.large || (y + spot.height > placement.top && y < height)) seen.add(id);
  }
  return seen;
}

export type Direction = "left" | "right" | "up" | "down";

/** The next tile in a direction; `undefined` at the edge. What lies straight ahead beats what is nearer aside. */
export function neighbour(spots: ReadonlyMap<string, Spot>, from: string, direction: Direction): string | undefined {
  const start = spots.get(from);
  if (!start) return undefined;
  const middle = (spot: Spot) => ({ x: spot.x + spot.width / 2, y: spot.y + spot.height / 2 });
  const here = middle(start);
  let best: { id: string; cost: number } | undefined;
  for (const [id, spot] of spots) {
    const there = middle(spot);
    const [dx, dy] = [there.x - here.x, there.y - here.y];
    const [ahead, aside] = direction === "left" ? [-dx, dy] : direction === "right" ? [dx, dy] : direction === "up" ? [-dy, dx] : [dy, dx];
    if (id === from || ahead <= 1) continue;
    const cost = ahead + 2 * Math.abs(aside);
    if (!best || cost < best.cost) best = { id, cost };
  }
  return best?.id;
}
