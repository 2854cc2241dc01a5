/**
 * What the focus needs of our own pictures: Weir's `weir.call.demand`, always the full set.
 *
 * Pure. What it leaves out, or says in a way that cannot be read, is sent in full: a picture
 * too many costs less than one too few.
 */
import { objects, text, list, type Json } from "./json";

export const DEMAND = "weir.call.demand";
export const DEMAND_TAKEN = "weir.call.demand_taken";

/** Layers to send of each picture, by `nameOf`. `"all"`: of one without layers, or of one that the focus did not name. */
export type Demand = ReadonlyMap<string, "all" | ReadonlySet<string>>;

export const ALL: Demand = new Map();

export function nameOf(streamId: string, trackId: string): string {
  return `${streamId}\n${trackId}`;
}

export function readDemand(content: Json): Demand {
  const found = new Map<string, "all" | ReadonlySet<string>>();
  for (const words of objects(content.tracks)) {
    const [streamId, trackId] = [text(words.stream_id), text(words.track_id)];
    if (!streamId || !trackId || typeof words.active !== "boolean") continue;
    const rids = list(words.rids).filter((rid): rid is string => typeof rid === "string");
    found.set(nameOf(streamId, trackId), words.active && rids.length === 0 ? "all" : new Set(words.active ? rids : []));
  }
  return found;
}

/** Which of a sender's encodings are to be active, in their order. */
export function activity(encodings: readonly { rid?: string }[], demand: "all" | ReadonlySet<string> | undefined): boolean[] {
  if (demand === undefined || demand === "all") return encodings.map(() => true);
  // Without layers there is nothing to choose from: any layer asked for is the whole picture.
  if (encodings.length === 1) return [demand.size > 0];
  return encodings.map(({ rid }) => rid !== undefined && demand.has(rid));
}
