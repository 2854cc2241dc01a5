/**
 * Which pictures our link does not carry, as the focus says it: Weir's `weir.call.paused`, always the full set. Pure.
 *
 * What cannot be read is left out: a picture that stands still is shown as it is.
 */
import { nameOf } from "./demand";
import { objects, text, type Json } from "./json";

export const PAUSED = "weir.call.paused";

export interface Paused {
  /** Goes up with each change: one may overtake another. */
  readonly number: number;
  /** Pictures by `nameOf`. */
  readonly tracks: ReadonlySet<string>;
}

export const NOTHING_PAUSED: Paused = { number: 0, tracks: new Set() };

/** What counts after another message. */
export function readPaused(content: Json, before: Paused): Paused {
  if (typeof content.number !== "number" || !(content.number > before.number)) return before;
  const found = new Set<string>();
  for (const words of objects(content.tracks)) {
    const [streamId, trackId] = [text(words.stream_id), text(words.track_id)];
    if (streamId && trackId) found.add(nameOf(streamId, trackId));
  }
  return { number: content.number, tracks: found };
}
