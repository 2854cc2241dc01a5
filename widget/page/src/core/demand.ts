/**
 * What the focus needs of our own pictures: Weir's `weir.call.demand`, always the full set.
 *
 * Pure. What it leaves out, or says in a way that cannot be read, is sent in full: a picture
 * too many costs less than one too few. A rate that it tells may lower ours, never raise it.
 */
import { number, object, objects, text, list, type Json } from "./json";

export const DEMAND = "weir.call.demand";
export const DEMAND_TAKEN = "weir.call.demand_taken";

/** Bits a second below which no layer is a picture: no focus may ask for less. */
export const LEAST_RATE = 30_000;

/** What is needed of a picture. */
export interface Needed {
  /** Layers to send; `"all"`: of a picture without layers. */
  readonly layers: "all" | ReadonlySet<string>;
  /** Bits a second that layers are to take at most, by rid; of others ours stand. */
  readonly rates: ReadonlyMap<string, number>;
}

/** By `nameOf`. */
export type Demand = ReadonlyMap<string, Needed>;

export const ALL: Demand = new Map();

export function nameOf(streamId: string, trackId: string): string {
  return `${streamId}\n${trackId}`;
}

export function readDemand(content: Json): Demand {
  const found = new Map<string, Needed>();
  for (const words of objects(content.tracks)) {
    const [streamId, trackId] = [text(words.stream_id), text(words.track_id)];
    if (!streamId || !trackId || typeof words.active !== "boolean") continue;
    const rids = list(words.rids).filter((rid): rid is string => typeof rid === "string");
    const layers = words.active && rids.length === 0 ? "all" : new Set(words.active ? rids : []);
    const rates = Object.entries(object(words.rates) ?? {}).filter((pair): pair is [string, number] => (number(pair[1]) ?? 0) > 0);
    found.set(nameOf(streamId, trackId), { layers, rates: new Map(rates) });
  }
  return found;
}

/** Which of a sender's encodings are to be active, in their order. */
export function activity(encodings: readonly { rid?: string }[], needed: Needed | undefined): boolean[] {
  const layers = needed?.layers ?? "all";
  if (layers === "all") return encodings.map(() => true);
  // Without layers there is nothing to choose from: any layer asked for is the whole picture.
  if (encodings.length === 1) return [layers.size > 0];
  return encodings.map(({ rid }) => rid !== undefined && layers.has(rid));
}

interface Rated {
  readonly rid?: string;
  readonly maxBitrate?: number;
}

/**
 * The highest bit rate of each of a sender's encodings, in their order: what was told, within what `ladder` allows;
 * without word of it the ladder's. Of an encoding that the ladder does not know its own stays.
 */
export function ceilings(encodings: readonly Rated[], ladder: readonly Rated[], needed: Needed | undefined): (number | undefined)[] {
  return encodings.map(({ rid, maxBitrate }) => {
    const most = ladder.find((one) => one.rid === rid)?.maxBitrate;
    if (rid === undefined || most === undefined) return maxBitrate;
    const told = needed?.rates.get(rid);
    return told === undefined ? most : Math.min(most, Math.max(LEAST_RATE, Math.round(told)));
  });
}
