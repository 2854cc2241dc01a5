/** Which tile lies where, and how large each picture is painted: pure, over tiles and the room that there is. */
import { grid, spotlight } from "../core/layout";
import type { Size } from "../core/vocabulary";
import { contained, covering, ratioOf, WIDE } from "./ratio";
import { place, type Placement, type Spot } from "./placement";
import type { TileView } from "./tiles";

/** Ratios of the pictures that have been seen, by tile. */
export type Ratios = ReadonlyMap<string, number>;

export interface Staging {
  readonly placement: Placement;
  /** Whether the one small tile lies on the large one. */
  readonly over: boolean;
}

/**
 * The order in which tiles sit, after some came and went and the large one changed.
 *
 * Who is large no longer takes the seat of who is large now: nobody else moves.
 */
export function settle(
  seats: readonly string[],
  ids: readonly string[],
  before: string | undefined,
  large: string | undefined,
): readonly string[] {
  const kept = seats.filter((id) => ids.includes(id));
  const all = [...kept, ...ids.filter((id) => !kept.includes(id))];
  const [from, to] = [all.findIndex((id) => id === before), all.findIndex((id) => id === large)];
  if (before === undefined || large === undefined || from < 0 || to < 0) return all;
  return all.map((id) => (id === before ? large : id === large ? before : id));
}

/** Place all tiles in the order of `seats`, one of them large or (`undefined`) all alike. */
export function arrange(
  tiles: readonly TileView[],
  seats: readonly string[],
  space: Size,
  large: string | undefined,
  ratios: Ratios,
): Staging {
  const small = seats.filter((id) => id !== large);
  const arrangement = large === undefined ? grid(space, small.length) : spotlight(space, small.length);
  const tile = tiles.find((one) => one.id === large);
  const area = arrangement.kind === "grid" ? space : arrangement.large;
  // Without a picture to respect, a tile may fill more of the room that there is.
  const free = Math.min(WIDE, Math.max(1, area.width / Math.max(1, area.height)));
  const placement = place(arrangement, space, small, large, tile?.pictured ? ratioFor(tile, ratios) : free);
  const [one, other] = [...placement.spots.values()];
  return { placement, over: arrangement.kind === "corner" && meet(one, other) };
}

function meet(a: Spot | undefined, b: Spot | undefined): boolean {
  if (!a || !b) return false;
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function ratioFor(tile: TileView, ratios: Ratios): number {
  return ratios.get(tile.id) ?? ratioOf(tile.captured) ?? WIDE;
}

/** The painted size of every picture of others that is in view. */
export function pictures(
  tiles: readonly TileView[],
  placement: Placement,
  seen: ReadonlySet<string>,
  ratios: Ratios,
): Map<string, Size> {
  const shown = new Map<string, Size>();
  for (const tile of tiles) {
    const spot = placement.spots.get(tile.id);
    if (!spot || tile.own || !tile.pictured || !seen.has(tile.id) || spot.width <= 0) continue;
    const box = { width: spot.width, height: spot.height };
    const whole = spot.large || tile.purpose === "m.screenshare";
    shown.set(tile.id, (whole ? contained : covering)(ratioFor(tile, ratios), box));
  }
  return shown;
}
